//! Tokens this server issues, and tokens that were called back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tidings_core::Org;
use tidings_server::SignIn;
use tidings_server::config::AuthConfig;
use tidings_server::signin::revoked::Revocation;
use tidings_server::signin::{Fault, Grant, now_seconds};

use crate::common::*;

fn grant() -> Grant {
    Grant {
        user: "ada".into(),
        org: "acme".into(),
        name: Some("Ada".into()),
        roles: vec!["editor".into()],
        email_verified: true,
        scopes: vec!["publish".into(), "read".into()],
        token_id: None,
        lifetime_seconds: 600,
    }
}

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

#[test]
fn an_issued_token_carries_every_claim_and_is_believed() {
    let sign_in = SignIn::configured(&auth(vec![])).unwrap();
    let token = sign_in.issue(&grant()).unwrap();
    let claims = part(&token, 1);
    for name in ["iss", "aud", "sub", "org", "roles", "email_verified", "iat", "exp", "jti", "typ"] {
        assert!(!claims[name].is_null(), "{name} is missing");
    }
    assert_eq!((&part(&token, 0)["typ"], &claims["typ"]), (&json!("at+jwt"), &json!("access")));
    let who = sign_in.verify(&token).unwrap();
    assert_eq!((who.user.as_deref(), who.org.as_str()), (Some("ada"), "acme"));
    assert_eq!((who.roles.to_vec(), who.email_verified), (vec!["editor".into()], true));
    assert_eq!((who.scopes.len(), who.name.as_deref()), (2, Some("Ada")));
    assert_eq!(who.token_id.as_deref(), claims["jti"].as_str());
    assert_eq!((who.issued_at, who.expires_at), (claims["iat"].as_u64(), claims["exp"].as_u64()));
    assert_ne!(part(&sign_in.issue(&grant()).unwrap(), 1)["jti"], claims["jti"]);
}

#[test]
fn what_cannot_be_in_a_token_is_not_issued() {
    let sign_in = SignIn::configured(&auth(vec![])).unwrap();
    for bad in [
        Grant { user: String::new(), ..grant() },
        Grant { org: "a\nb".into(), ..grant() },
        Grant { user: "u".repeat(201), ..grant() },
        Grant { org: "o".repeat(201), ..grant() },
        Grant { scopes: vec!["two words".into()], ..grant() },
    ] {
        assert!(sign_in.issue(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn our_own_key_is_not_the_shared_secret() {
    let sign_in = SignIn::configured(&auth(vec![])).unwrap();
    let token = sign_in.issue(&grant()).unwrap();
    let kid = part(&token, 0)["kid"].clone();
    let forged = Signs::shared().token_with(json!({ "kid": kid }), &part(&token, 1));
    assert_eq!(sign_in.verified(&forged), Err(Fault::Signature));
    // And our tokens are not what a backend with the secret would take for its own.
    let key = jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes());
    let (message, signature) = token.rsplit_once('.').unwrap();
    assert!(!jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS256).unwrap());
}

#[test]
fn our_tokens_outlive_a_rotation_as_long_as_the_previous_secret_is_configured() {
    let old = SignIn::configured(&auth(vec![])).unwrap().issue(&grant()).unwrap();
    let next = AuthConfig { jwt_secret: "the next secret, which is just as long".into(), ..auth(vec![]) };
    let both = AuthConfig { jwt_secret_previous: SECRET.into(), ..next.clone() };
    assert!(SignIn::configured(&both).unwrap().verify(&old).is_ok());
    assert!(SignIn::configured(&next).unwrap().verify(&old).is_err());
}

#[test]
fn demanded_issuers_and_audiences_of_others_do_not_end_our_own_tokens() {
    let mut config = auth(vec![]);
    (config.issuer, config.audience) = ("backend".into(), vec!["chat".into()]);
    let sign_in = SignIn::configured(&config).unwrap();
    assert!(sign_in.verify(&sign_in.issue(&grant()).unwrap()).is_ok());
}

#[test]
fn a_token_that_was_called_back_is_refused() {
    let sign_in = SignIn::configured(&auth(vec![])).unwrap();
    let token = sign_in.issue(&grant()).unwrap();
    let other = sign_in.issue(&grant()).unwrap();
    let id = sign_in.verify(&token).unwrap().token_id.unwrap();
    let (now, org) = (now_seconds(), Org::new("acme"));
    sign_in.revoked().add(Revocation::Token { org: org.clone(), id }, now + 600, now).unwrap();
    assert_eq!(sign_in.verified(&token), Err(Fault::Revoked));
    assert!(sign_in.check(&token).is_err());
    assert!(sign_in.verify(&other).is_ok());
    let all = Revocation::User { org, user: "ada".into(), before: now + 60 };
    sign_in.revoked().add(all, now + 600, now).unwrap();
    assert_eq!(sign_in.verified(&other), Err(Fault::Revoked));
}
