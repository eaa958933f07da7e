//! The table of attacks on a token, each with what becomes of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tidings_server::SignIn;
use tidings_server::signin::{Fault, Verdict, now_seconds};

use crate::common::*;

/// What becomes of a token: who its bearer is, or what is wrong with it.
type Row = (&'static str, String, Result<&'static str, Fault>);

const RSA: &str = "https://rsa.example/";
const SET: &str = "https://set.example/";
const HS: &str = "https://hs.example/";
const WEB: &str = "https://web.example/";
const HS_SECRET: &str = "the secret of one issuer alone, also long enough";

/// A server that believes one issuer of each kind, and an address that only tokens name.
struct World {
    sign_in: SignIn,
    counter: Counter,
    trap: Counter,
    _stop: tokio::sync::watch::Sender<bool>,
    _files: Vec<TempFile>,
}

impl World {
    async fn new() -> Self {
        let counter = Counter::of_keys(&[jwk("web-1", key!("rsa.pub"))]).await;
        let pem = TempFile::new(key!("rsa.pub"));
        let keys =
            [jwk("es-1", key!("p256.pub")), jwk("es3-1", key!("p384.pub")), jwk("ed-1", key!("ed25519.pub"))];
        let (jwks, secret) = (TempFile::new(&set(&keys)), TempFile::new(&format!("{HS_SECRET}\n")));
        let mut issuers = vec![issuer(RSA), issuer(SET), issuer(HS), issuer(WEB)];
        (issuers[0].public_key_file, issuers[0].org) = (pem.text(), "acme".into());
        issuers[0].audience = vec!["tidings-api".into()];
        issuers[1].jwks_file = jwks.text();
        (issuers[2].secret_file, issuers[2].algorithm) = (secret.text(), "HS512".into());
        issuers[3].jwks_url = counter.url.clone();
        let sign_in = SignIn::configured(&auth(issuers)).unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        sign_in.keep_fresh(&stopped);
        until("the fetched keys are there", || sign_in.health().iter().all(|issuer| issuer.keys > 0)).await;
        let trap = Counter::of_keys(&[jwk("web-1", key!("rsa.pub"))]).await;
        Self { sign_in, counter, trap, _stop: stop, _files: vec![pem, jwks, secret] }
    }
}

fn shared(more: Value) -> String {
    Signs::shared().token(&claims(more))
}

fn shared_under(header: Value) -> String {
    Signs::shared().token_with(header, &claims(json!({})))
}

/// Signed as it should be, but for the text of the claims.
fn shared_text(claims: &str) -> String {
    Signs::shared().texts("{\"alg\":\"HS256\"}", claims)
}

fn from_rsa(more: Value) -> Value {
    let mut all = json!({"iss": RSA, "aud": "tidings-api"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims(all)
}

fn from_set(kid: &str, signs: &Signs) -> String {
    signs.token_with(json!({ "kid": kid }), &claims(json!({ "iss": SET })))
}

/// Another signature behind the same message.
fn resigned(token: &str, signature: &[u8]) -> String {
    let message = token.rsplit_once('.').unwrap().0;
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn unsigned(alg: &str) -> String {
    let header = json!({"alg": alg, "typ": "JWT"}).to_string();
    let claims = claims(json!({})).to_string();
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn good() -> Vec<Row> {
    let now = now_seconds();
    let p384 = Signs::pem(Algorithm::ES384, key!("p384"));
    let ed = Signs::pem(Algorithm::EdDSA, key!("ed25519"));
    let hs = Signs::secret(HS_SECRET.as_bytes(), Algorithm::HS512);
    vec![
        ("a shared secret", shared(json!({})), Ok("ada")),
        (
            "a key that is fetched",
            Signs::rsa().token_with(json!({"kid": "web-1"}), &claims(json!({"iss": WEB}))),
            Ok("ada"),
        ),
        ("a shared secret, and an issuer nobody configured", shared(json!({"iss": "backend"})), Ok("ada")),
        ("RS256 by a PEM key", Signs::rsa().token(&from_rsa(json!({}))), Ok("ada")),
        ("ES256 by a key set", from_set("es-1", &Signs::p256()), Ok("ada")),
        ("ES384 by a key set", from_set("es3-1", &p384), Ok("ada")),
        ("EdDSA by a key set", from_set("ed-1", &ed), Ok("ada")),
        ("ES256 without a key's name", Signs::p256().token(&claims(json!({"iss": SET}))), Ok("ada")),
        ("HS512 of one issuer", hs.token(&claims(json!({"iss": HS}))), Ok("ada")),
        (
            "an audience among others",
            Signs::rsa().token(&from_rsa(json!({"aud": ["x", "tidings-api"]}))),
            Ok("ada"),
        ),
        ("RFC 9068's type", shared_under(json!({"typ": "application/at+jwt"})), Ok("ada")),
        ("no type at all", shared_text(&claims(json!({})).to_string()), Ok("ada")),
        ("claims that say access", shared(json!({"typ": "access"})), Ok("ada")),
        ("a Keycloak access token", Signs::rsa().token(&from_rsa(json!({"typ": "Bearer"}))), Ok("ada")),
        ("a number as the user", shared(json!({"sub": null, "userId": 42})), Ok("42")),
        (
            "clocks that differ a little",
            shared(json!({"exp": now + 60, "iat": now + 20, "nbf": now + 20})),
            Ok("ada"),
        ),
        (
            "seconds with a fraction",
            shared_text(&format!("{{\"sub\":\"ada\",\"exp\":{}.25,\"iat\":{now}.999}}", now + 600)),
            Ok("ada"),
        ),
        ("an x5t that nobody follows", shared_under(json!({"x5t": "abc", "x5c": ["MIIB"]})), Ok("ada")),
    ]
}

fn algorithms() -> Vec<Row> {
    let pem = key!("rsa.pub");
    let confused = |secret: &str| {
        let signs = Signs::secret(secret.as_bytes(), Algorithm::HS256);
        signs.token(&from_rsa(json!({})))
    };
    let hs384 = Signs::secret(SECRET.as_bytes(), Algorithm::HS384);
    let hs256 = Signs::secret(HS_SECRET.as_bytes(), Algorithm::HS256);
    let es = from_set("es-1", &Signs::p256());
    let der: Vec<u8> = [&[0x30, 0x44, 0x02, 0x20][..], &[1; 32], &[0x02, 0x20], &[1; 32]].concat();
    let rs384 = Signs::pem(Algorithm::RS384, key!("rsa"));
    let ps256 = Signs::pem(Algorithm::PS256, key!("rsa"));
    vec![
        ("none", unsigned("none"), Err(Fault::Algorithm)),
        ("None", unsigned("None"), Err(Fault::Algorithm)),
        ("NONE", unsigned("NONE"), Err(Fault::Algorithm)),
        ("nOnE", unsigned("nOnE"), Err(Fault::Algorithm)),
        ("an empty algorithm", unsigned(""), Err(Fault::Algorithm)),
        ("hs256 in small letters", unsigned("hs256"), Err(Fault::Algorithm)),
        ("no algorithm", Signs::shared().texts("{}", &claims(json!({})).to_string()), Err(Fault::Algorithm)),
        ("an algorithm that is a list", shared_under(json!({"alg": ["HS256"]})), Err(Fault::Algorithm)),
        ("HS256 without a signature", resigned(&shared(json!({})), b""), Err(Fault::Signature)),
        ("HS384 with the HS256 secret", hs384.token(&claims(json!({}))), Err(Fault::Algorithm)),
        ("HS256 where the issuer has HS512", hs256.token(&claims(json!({"iss": HS}))), Err(Fault::Algorithm)),
        ("HS256 with the public PEM", confused(pem), Err(Fault::Algorithm)),
        ("HS256 with the public PEM, no line break", confused(pem.trim_end()), Err(Fault::Algorithm)),
        (
            "the same without the issuer",
            Signs::secret(pem.as_bytes(), Algorithm::HS256).token(&claims(json!({}))),
            Err(Fault::Signature),
        ),
        (
            "RS256 where the issuer has curves",
            Signs::rsa().token(&claims(json!({"iss": SET}))),
            Err(Fault::Algorithm),
        ),
        ("RS384 with the RS256 key", rs384.token(&from_rsa(json!({}))), Err(Fault::Algorithm)),
        ("PS256 with the RS256 key", ps256.token(&from_rsa(json!({}))), Err(Fault::Algorithm)),
        ("RS256 by nobody we know", Signs::rsa().token(&claims(json!({}))), Err(Fault::Algorithm)),
        (
            "another RSA key",
            Signs::pem(Algorithm::RS256, key!("rsa-other")).token(&from_rsa(json!({}))),
            Err(Fault::Signature),
        ),
        ("ECDSA with r = s = 0", resigned(&es, &[0; 64]), Err(Fault::Signature)),
        ("ECDSA with an empty signature", resigned(&es, b""), Err(Fault::Signature)),
        ("ECDSA in DER", resigned(&es, &der), Err(Fault::Signature)),
        ("ECDSA with r = 0", resigned(&es, &[&[0; 32][..], &[1; 32]].concat()), Err(Fault::Signature)),
        (
            "RSA with a signature of zeros",
            resigned(&Signs::rsa().token(&from_rsa(json!({}))), &[0; 256]),
            Err(Fault::Signature),
        ),
        (
            "EdDSA with a signature of zeros",
            resigned(&from_set("ed-1", &Signs::pem(Algorithm::EdDSA, key!("ed25519"))), &[0; 64]),
            Err(Fault::Signature),
        ),
    ]
}

fn headers(url: &str) -> Vec<Row> {
    let empty = Signs::secret(b"", Algorithm::HS256);
    let own_jwk = jwk("mine", key!("rsa.pub"));
    let padded = json!({"alg": "HS256", "pad": "x".repeat(1_100)}).to_string();
    let good = claims(json!({})).to_string();
    vec![
        ("a kid that is a path", shared_under(json!({"kid": "../../dev/null"})), Err(Fault::Header)),
        (
            "a kid that is a path, signed with nothing",
            empty.token_with(json!({"kid": "/dev/null"}), &claims(json!({}))),
            Err(Fault::Signature),
        ),
        ("a kid that is SQL", shared_under(json!({"kid": "' OR 1=1 --"})), Err(Fault::Header)),
        ("a kid with NUL", shared_under(json!({"kid": "es-1\u{0}"})), Err(Fault::Header)),
        ("a kid of 65 bytes", shared_under(json!({"kid": "k".repeat(65)})), Err(Fault::Header)),
        ("a kid that is a list", shared_under(json!({"kid": ["es-1"]})), Err(Fault::Header)),
        ("an unknown kid", from_set("es-9", &Signs::p256()), Err(Fault::UnknownKey)),
        ("the kid of another key", from_set("ed-1", &Signs::p256()), Err(Fault::Algorithm)),
        ("jku", shared_under(json!({ "jku": url })), Err(Fault::Header)),
        (
            "jku of RS256",
            Signs::rsa().token_with(json!({ "jku": url, "kid": "web-1" }), &from_rsa(json!({}))),
            Err(Fault::Header),
        ),
        ("x5u", shared_under(json!({ "x5u": url })), Err(Fault::Header)),
        ("jwk", Signs::rsa().token_with(json!({ "jwk": own_jwk }), &from_rsa(json!({}))), Err(Fault::Header)),
        ("zip", shared_under(json!({"zip": "DEF"})), Err(Fault::Header)),
        ("an unknown crit", shared_under(json!({"crit": ["exp"]})), Err(Fault::Header)),
        ("an empty crit", shared_under(json!({"crit": []})), Err(Fault::Header)),
        (
            "an algorithm that stands twice",
            Signs::shared().texts("{\"alg\":\"none\",\"alg\":\"HS256\"}", &good),
            Err(Fault::Malformed),
        ),
        ("a header of more than 1 KB", Signs::shared().texts(&padded, &good), Err(Fault::Malformed)),
        ("a header that is a list", Signs::shared().texts("[\"HS256\"]", &good), Err(Fault::Malformed)),
        (
            "an issuer that is an address",
            Signs::rsa().token(&claims(json!({ "iss": url }))),
            Err(Fault::Algorithm),
        ),
    ]
}

fn times() -> Vec<Row> {
    let now = now_seconds();
    let exp = |text: &str| shared_text(&format!("{{\"sub\":\"ada\",\"exp\":{text}}}"));
    vec![
        ("no end", shared(json!({"exp": null})), Err(Fault::Claims)),
        ("an end that is null", exp("null"), Err(Fault::Claims)),
        ("an end that is a text", exp(&format!("\"{}\"", now + 600)), Err(Fault::Claims)),
        ("an end with a fraction of an exponent", exp("9.5e9"), Err(Fault::Claims)),
        ("an end with an exponent", exp("9e9"), Err(Fault::Claims)),
        ("a negative end", exp("-1"), Err(Fault::Claims)),
        ("an endless end", exp("1e400"), Err(Fault::Claims)),
        ("an end of many digits", exp("99999999999999999999999"), Err(Fault::Claims)),
        ("an end in milliseconds beyond all years", exp("253402300800"), Err(Fault::Claims)),
        ("an end that is true", exp("true"), Err(Fault::Claims)),
        ("an end a second ago", shared(json!({"exp": now - 1})), Err(Fault::Expired)),
        ("an end at this second", shared(json!({"exp": now})), Err(Fault::Expired)),
        ("an end at zero", exp("0"), Err(Fault::Expired)),
        ("a beginning in the future", shared(json!({"nbf": now + 60})), Err(Fault::NotYet)),
        ("a making in the future", shared(json!({"iat": now + 60})), Err(Fault::NotYet)),
        ("a beginning that is a text", shared(json!({"nbf": "now"})), Err(Fault::Claims)),
    ]
}

fn names() -> Vec<Row> {
    let rsa = |more: Value| Signs::rsa().token(&from_rsa(more));
    let bomb = format!(
        "{{\"sub\":\"ada\",\"exp\":{},\"a\":{}{}}}",
        now_seconds() + 9,
        "[".repeat(1_000),
        "]".repeat(1_000)
    );
    let twice = format!("{{\"sub\":\"ada\",\"sub\":\"root\",\"exp\":{}}}", now_seconds() + 9);
    let spelled = format!("{{\"sub\":\"ada\",\"s\\u0075b\":\"root\",\"exp\":{}}}", now_seconds() + 9);
    vec![
        ("no audience", rsa(json!({"aud": null})), Err(Fault::Audience)),
        ("another audience", rsa(json!({"aud": "other"})), Err(Fault::Audience)),
        ("other audiences", rsa(json!({"aud": ["a", "b"]})), Err(Fault::Audience)),
        ("an audience that is a number", rsa(json!({"aud": 7})), Err(Fault::Audience)),
        (
            "an audience that only begins alike",
            rsa(json!({"aud": "tidings-api.example"})),
            Err(Fault::Audience),
        ),
        (
            "an issuer that is a list",
            Signs::shared().token(&claims(json!({"iss": [RSA]}))),
            Err(Fault::Issuer),
        ),
        (
            "an issuer without its slash",
            Signs::rsa().token(&from_rsa(json!({"iss": "https://rsa.example"}))),
            Err(Fault::Algorithm),
        ),
        (
            "the shared secret in an issuer's name",
            Signs::shared().token(&from_rsa(json!({}))),
            Err(Fault::Algorithm),
        ),
        (
            "one issuer's key in another's name",
            Signs::p256().token_with(json!({"kid": "es-1"}), &from_rsa(json!({}))),
            Err(Fault::Algorithm),
        ),
        ("another organisation than the issuer's", rsa(json!({"org": "globex"})), Err(Fault::Organisation)),
        ("an organisation that is empty", shared(json!({"org": ""})), Err(Fault::Organisation)),
        ("an organisation that is a list", shared(json!({"org": ["acme"]})), Err(Fault::Organisation)),
        ("no user", shared(json!({"sub": null})), Err(Fault::User)),
        ("an empty user", shared(json!({"sub": ""})), Err(Fault::User)),
        ("an empty user and another claim", shared(json!({"sub": "", "id": "root"})), Err(Fault::User)),
        ("a user of 10 KB", shared(json!({"sub": "u".repeat(10_000)})), Err(Fault::TooLong)),
        ("a user of 201 bytes", shared(json!({"sub": "u".repeat(201)})), Err(Fault::User)),
        ("a user with a line break", shared(json!({"sub": "a\nb"})), Err(Fault::User)),
        ("a user that is an object", shared(json!({"sub": {"a": 1}})), Err(Fault::User)),
        ("a user with a fraction", shared(json!({"sub": 1.5})), Err(Fault::User)),
        ("an id that cannot be kept", shared(json!({"jti": "j".repeat(129)})), Err(Fault::Claims)),
        ("a claim that stands twice", shared_text(&twice), Err(Fault::Malformed)),
        ("a claim that stands twice, spelled differently", shared_text(&spelled), Err(Fault::Malformed)),
        ("a bomb of brackets", shared_text(&bomb), Err(Fault::Malformed)),
        ("claims that are a list", shared_text("[]"), Err(Fault::Malformed)),
        ("claims that are no JSON", shared_text("{\"sub\":"), Err(Fault::Malformed)),
        ("claims behind a space", shared_text(&format!(" {}", claims(json!({})))), Err(Fault::Malformed)),
    ]
}

fn purposes() -> Vec<Row> {
    let typed = |name: &str| shared_under(json!({ "typ": name }));
    vec![
        ("a refresh token by its header", typed("refresh"), Err(Fault::Purpose)),
        ("a refresh token by its claim", shared(json!({"typ": "refresh"})), Err(Fault::Purpose)),
        ("a Keycloak refresh token", shared(json!({"typ": "Refresh"})), Err(Fault::Purpose)),
        ("a Keycloak identity token", shared(json!({"typ": "ID"})), Err(Fault::Purpose)),
        ("a subscription token", shared(json!({"typ": "subscription"})), Err(Fault::Purpose)),
        ("a console token", shared(json!({"typ": "console"})), Err(Fault::Purpose)),
        ("a verification token", shared(json!({"typ": "verify"})), Err(Fault::Purpose)),
        ("a logout token", typed("logout+jwt"), Err(Fault::Purpose)),
        ("a type that is a number", shared(json!({"typ": 1})), Err(Fault::Purpose)),
        ("a Cognito identity token", shared(json!({"token_use": "id"})), Err(Fault::Purpose)),
        ("a framework's refresh token", shared(json!({"token_type": "refresh"})), Err(Fault::Purpose)),
        ("another framework's refresh token", shared(json!({"type": "refresh"})), Err(Fault::Purpose)),
        ("a use that is not access", shared(json!({"use": "refresh"})), Err(Fault::Purpose)),
    ]
}

fn shapes() -> Vec<Row> {
    let good = shared(json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    vec![
        ("nothing", String::new(), Err(Fault::Malformed)),
        ("dots", "..".into(), Err(Fault::Malformed)),
        ("two parts", message.into(), Err(Fault::Malformed)),
        ("four parts", format!("{good}.x"), Err(Fault::Malformed)),
        ("five parts, as encrypted tokens have", format!("{good}.x.y"), Err(Fault::Malformed)),
        ("padding", format!("{good}="), Err(Fault::Signature)),
        ("a space behind", format!("{good} "), Err(Fault::Signature)),
        ("a signature cut short", format!("{message}.{}", &signature[..20]), Err(Fault::Signature)),
        ("8 KB and one byte", "a".repeat(8_193), Err(Fault::TooLong)),
        (
            "bytes that are no text",
            shared_text("{\"sub\":\"\u{fffd}").replace('.', ".é"),
            Err(Fault::Malformed),
        ),
    ]
}

/// What a token's header says it is, if it says anything.
fn algorithm(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    header["alg"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_token_of_the_corpus_ends_as_the_table_says_and_nothing_is_asked_of_anybody() {
    let world = World::new().await;
    let url = world.trap.url.as_str();
    let tables = [good(), algorithms(), headers(url), times(), names(), purposes(), shapes()];
    let rows: Vec<Row> = tables.into_iter().flatten().collect();
    assert!(rows.len() > 100, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for (name, token, wanted) in &rows {
        let found = world.sign_in.verified(token).map(|who| who.user.unwrap());
        if found.as_deref() != wanted.as_ref().map(|user| *user) {
            wrong.push(format!("{name}: {found:?} instead of {wanted:?}"));
        }
        // The doors for sockets and for HTTP must come to the same end, a shard without public keys.
        let public = ["RS", "ES", "Ed"].iter().any(|kind| algorithm(token).starts_with(kind));
        let known = matches!(world.sign_in.check(token), Ok(Verdict::Known(_)));
        assert!(!known || (wanted.is_ok() && !public), "{name}");
        let on_front = world.sign_in.verify_on_front(token).await;
        assert_eq!(on_front.is_ok(), wanted.is_ok(), "{name}");
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert_eq!(world.trap.asked(), 0, "a token chose whom we ask");
    assert_eq!(world.counter.asked(), 1, "a token made us ask again");
}

#[tokio::test]
async fn the_counters_of_the_corpus_do_count_when_they_are_configured() {
    let world = World::new().await;
    let mut trapped = issuer(WEB);
    trapped.jwks_url = world.trap.url.clone();
    let sign_in = SignIn::configured(&auth(vec![trapped])).unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    sign_in.keep_fresh(&stopped);
    until("the trap is asked", || world.trap.asked() > 0).await;
}
