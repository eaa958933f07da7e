//! What an issuer may say, and what about its configuration is refused.

use jsonwebtoken::Algorithm;
use serde_json::json;
use tidings_server::SignIn;
use tidings_server::config::{AuthConfig, IssuerConfig, ProviderConfig};
use tidings_server::signin::Fault;

use crate::common::*;

const A: &str = "https://a.example/";

fn refused(config: &AuthConfig) -> String {
    SignIn::configured(config).err().unwrap_or_else(|| "it was taken".into())
}

#[test]
fn claims_are_found_by_their_configured_names_and_paths() {
    let pem = TempFile::new(key!("rsa.pub"));
    let config = IssuerConfig {
        public_key_file: pem.text(),
        user_claim: "uid".into(),
        name_claim: "profile.display".into(),
        roles_claim: "realm_access.roles".into(),
        email_verified_claim: "https://a.example/verified".into(),
        org_claim: "tenant.id".into(),
        scope_claim: "scp".into(),
        ..issuer(A)
    };
    let sign_in = SignIn::configured(&auth(vec![config])).unwrap();
    let token = Signs::rsa().token(&claims(json!({
        "iss": A, "sub": "ignored", "uid": "u-1", "profile": {"display": "Ada"},
        "realm_access": {"roles": ["editor", "admin"]}, "https://a.example/verified": true,
        "tenant": {"id": "acme"}, "scp": ["publish", "read"], "jti": "t-1", "iat": 1_700_000_000, "plan": "pro",
    })));
    let who = sign_in.verify(&token).unwrap();
    assert_eq!((who.user.as_deref(), who.name.as_deref()), (Some("u-1"), Some("Ada")));
    assert_eq!((who.org.as_str(), who.email_verified), ("acme", true));
    assert_eq!(who.roles.to_vec(), ["editor", "admin"]);
    assert_eq!(who.scopes.to_vec(), ["publish", "read"]);
    assert_eq!((who.token_id.as_deref(), who.issued_at), (Some("t-1"), Some(1_700_000_000)));
    assert!(who.claims.iter().any(|(name, value)| name == "plan" && value == "pro"));
    let nobody = Signs::rsa().token(&claims(json!({"iss": A, "sub": "ada"})));
    assert_eq!(sign_in.verified(&nobody), Err(Fault::User));
}

#[test]
fn only_true_verifies_an_address() {
    let sign_in = SignIn::configured(&auth(vec![])).unwrap();
    for (said, verified) in
        [(json!(true), true), (json!("true"), false), (json!(1), false), (json!(false), false)]
    {
        let token = Signs::shared().token(&claims(json!({ "email_verified": said })));
        assert_eq!(sign_in.verify(&token).unwrap().email_verified, verified);
    }
}

#[test]
fn issuer_and_audience_of_the_shared_secret_are_demanded_once_they_are_configured() {
    let mut config = auth(vec![]);
    (config.issuer, config.audience) = ("backend".into(), vec!["tidings".into(), "chat".into()]);
    let sign_in = SignIn::configured(&config).unwrap();
    let fault = |more| sign_in.verified(&Signs::shared().token(&claims(more))).err();
    assert_eq!(fault(json!({"iss": "backend", "aud": "chat"})), None);
    assert_eq!(fault(json!({"iss": "backend", "aud": ["x", "chat"]})), None);
    assert_eq!(fault(json!({"aud": "chat"})), Some(Fault::Issuer));
    assert_eq!(fault(json!({"iss": "other", "aud": "chat"})), Some(Fault::Issuer));
    assert_eq!(fault(json!({"iss": "backend"})), Some(Fault::Audience));
    assert_eq!(fault(json!({"iss": "backend", "aud": "other"})), Some(Fault::Audience));
}

#[test]
fn an_issuer_of_one_organisation_speaks_for_it_alone() {
    let pem = TempFile::new(key!("rsa.pub"));
    let config = IssuerConfig { public_key_file: pem.text(), org: "acme".into(), ..issuer(A) };
    let sign_in = SignIn::configured(&auth(vec![config])).unwrap();
    let org =
        |more| sign_in.verified(&Signs::rsa().token(&claims(more))).map(|who| who.org.as_str().to_owned());
    assert_eq!(org(json!({"iss": A})), Ok("acme".into()));
    assert_eq!(org(json!({"iss": A, "org": "acme"})), Ok("acme".into()));
    assert_eq!(org(json!({"iss": A, "org": "default"})), Err(Fault::Organisation));
    assert_eq!(org(json!({"iss": A, "org": "globex"})), Err(Fault::Organisation));
}

#[test]
fn two_secrets_are_taken_while_they_are_rotated() {
    let previous = "the secret that was in force before this one";
    let mut config = auth(vec![]);
    config.jwt_secret_previous = previous.into();
    let old = Signs::secret(previous.as_bytes(), Algorithm::HS256).token(&claims(json!({})));
    let new = Signs::shared().token(&claims(json!({})));
    let both = SignIn::configured(&config).unwrap();
    assert!(both.verify(&old).is_ok() && both.verify(&new).is_ok());
    let one = SignIn::configured(&auth(vec![])).unwrap();
    assert!(one.verify(&old).is_err() && one.verify(&new).is_ok());
}

#[test]
fn keys_that_are_weak_private_or_of_another_curve_are_refused() {
    let cases = [
        (key!("rsa-1024.pub"), "1024 bits"),
        (key!("secp256k1.pub"), "a kind that is not taken"),
        (key!("rsa"), "not a public key"),
        ("", "no public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n", "without an end"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "key 1"),
    ];
    for (text, why) in cases {
        let pem = TempFile::new(text);
        let config = IssuerConfig { public_key_file: pem.text(), ..issuer(A) };
        let said = refused(&auth(vec![config]));
        assert!(said.contains(why) && said.contains(A), "{why}: {said}");
    }
    let all =
        [key!("rsa.pub"), key!("rsa-pkcs1.pub"), key!("p256.pub"), key!("p384.pub"), key!("ed25519.pub")];
    let pem = TempFile::new(&all.concat());
    let config = IssuerConfig { public_key_file: pem.text(), ..issuer(A) };
    assert_eq!(SignIn::configured(&auth(vec![config])).unwrap().health()[0].keys, 5);
}

#[test]
fn an_issuer_that_cannot_be_meant_is_refused() {
    let (pem, secret) = (TempFile::new(key!("rsa.pub")), TempFile::new(SECRET));
    let (short, own) = (TempFile::new("short"), TempFile::new("a secret of its own, of more than 32 bytes"));
    let with = |change: &dyn Fn(&mut IssuerConfig)| {
        let mut config = issuer(A);
        change(&mut config);
        config
    };
    let good = with(&|c| c.public_key_file = pem.text());
    let cases = [
        (vec![issuer(A)], "is needed"),
        (vec![with(&|c| (c.jwks_file, c.public_key_file) = ("x".into(), "y".into()))], "is needed"),
        (vec![with(&|c| c.issuer = String::new())], "`issuer` is empty"),
        (vec![with(&|c| c.jwks_url = "http://keys.example/".into())], "https"),
        (vec![with(&|c| c.jwks_file = "/nonexistent".into())], "/nonexistent"),
        (vec![with(&|c| c.secret_file = short.text())], "at least 32 bytes"),
        (vec![with(&|c| c.secret_file = pem.text())], "PEM"),
        (vec![with(&|c| c.secret_file = secret.text())], "another purpose"),
        (vec![with(&|c| (c.secret_file, c.algorithm) = (own.text(), "RS256".into()))], "`algorithm`"),
        (vec![good.clone(), good.clone()], "two issuers"),
        (vec![with(&|c| (c.issuer, c.public_key_file) = ("tidings".into(), pem.text()))], "two issuers"),
        (vec![good.clone(); 33], "more than 32"),
    ];
    for (issuers, why) in cases {
        let said = refused(&auth(issuers));
        assert!(said.contains(why), "{why}: {said}");
    }
    let same = AuthConfig { jwt_secret_previous: SECRET.into(), ..auth(vec![]) };
    assert!(refused(&same).contains("the current one"));
}

#[test]
fn a_secret_that_a_provider_has_too_signs_no_tokens() {
    let (own, other) = (
        TempFile::new("a secret of its own, of more than 32 bytes\n"),
        TempFile::new("another secret, which only the provider has"),
    );
    let provider = |name: &str, issuer: &str, secret: &TempFile| ProviderConfig {
        name: name.into(),
        issuer: issuer.into(),
        client_secret_file: secret.text(),
        ..ProviderConfig::default()
    };
    let asked = |change: &dyn Fn(&mut AuthConfig)| {
        let mut config = AuthConfig {
            providers: vec![provider("google", "https://accounts.google.com", &own)],
            ..auth(vec![])
        };
        change(&mut config);
        SignIn::configured(&config).err().unwrap_or_default()
    };
    let text = "a secret of its own, of more than 32 bytes";
    let by_issuer = IssuerConfig { secret_file: own.text(), ..issuer(A) };
    let okta = provider("okta", "https://a.okta.com", &own);
    for (said, other) in [
        (asked(&|config| config.jwt_secret = text.into()), "as the signing secret"),
        (asked(&|config| config.jwt_secret_previous = text.into()), "as the previous signing secret"),
        (asked(&|config| config.issuers = vec![by_issuer.clone()]), "as the secret of the issuer"),
        (asked(&|config| config.providers.push(okta.clone())), "as the client secret of \"google\""),
    ] {
        assert!(said.contains("another purpose") && said.contains(other), "{other}: {said}");
        assert!(!said.contains(text), "{said}");
    }
    let twice = provider("google-acme", "https://accounts.google.com", &own);
    assert_eq!(asked(&|config| config.providers.push(twice.clone())), "", "one provider, two organisations");
    let apart = provider("okta", "https://a.okta.com", &other);
    assert_eq!(asked(&|config| config.providers.push(apart.clone())), "");
}

#[test]
fn keys_that_no_token_would_be_tried_with_are_refused_as_they_are_read() {
    let keys = |count: usize| {
        let pem = TempFile::new(&(key!("rsa.pub").repeat(count) + &key!("p256.pub").repeat(4)));
        let config = IssuerConfig { public_key_file: pem.text(), ..issuer(A) };
        let read = SignIn::configured(&auth(vec![config])).err();
        (read.unwrap_or_default(), pem)
    };
    assert_eq!(keys(4).0, "", "four of each algorithm");
    assert!(keys(5).0.contains("more than 4 keys of one algorithm without a name"), "{}", keys(5).0);
    let set = |name: Option<&str>| {
        let mut keys = vec![jwk("one", key!("rsa.pub")); 5];
        for (at, key) in keys.iter_mut().enumerate() {
            key["kid"] = name.map_or(json!(null), |name| json!(format!("{name}{at}")));
            if name.is_none() {
                key.as_object_mut().unwrap().remove("kid");
            }
        }
        let file = TempFile::new(&json!({ "keys": keys }).to_string());
        let config = IssuerConfig { jwks_file: file.text(), ..issuer(A) };
        SignIn::configured(&auth(vec![config])).err().unwrap_or_default()
    };
    assert_eq!(set(Some("k")), "", "names lead to them");
    assert!(set(None).contains("without a name"));
}
