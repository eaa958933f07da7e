//! Key sets that are fetched: rotation, floods, and servers that misbehave.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::json;
use tidings_core::Code;
use tidings_server::SignIn;
use tidings_server::signin::RefreshTimes;
use tokio::sync::watch;

use crate::common::*;

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";

/// Nothing is read again by itself within a test, unless it says so.
fn times() -> RefreshTimes {
    let hour = Duration::from_secs(3_600);
    RefreshTimes {
        fetch: hour,
        good_for: (hour, hour),
        file: hour,
        retry: hour,
        unknown: hour,
        most: Duration::from_secs(5),
        oldest: hour,
    }
}

struct Running {
    sign_in: Arc<SignIn>,
    _stop: watch::Sender<bool>,
}

impl Running {
    async fn new(url: &str, times: RefreshTimes) -> Self {
        let mut a = issuer(A);
        a.jwks_url = url.into();
        let this = Self::of(vec![a], times);
        let sign_in = this.sign_in.clone();
        until("the first reading", || sign_in.health()[0].good + sign_in.health()[0].failed > 0).await;
        this
    }

    fn of(issuers: Vec<tidings_server::config::IssuerConfig>, times: RefreshTimes) -> Self {
        let sign_in = Arc::new(SignIn::with_times(&auth(issuers), times).unwrap());
        let (stop, stopped) = watch::channel(false);
        sign_in.keep_fresh(&stopped);
        Self { sign_in, _stop: stop }
    }

    async fn takes(&self, kid: &str, signs: &Signs) -> bool {
        self.sign_in.verify_on_front(&token(A, kid, signs)).await.is_ok()
    }
}

fn token(issuer: &str, kid: &str, signs: &Signs) -> String {
    signs.token_with(json!({ "kid": kid }), &claims(json!({ "iss": issuer })))
}

fn other() -> Signs {
    Signs::pem(Algorithm::RS256, key!("rsa-other"))
}

#[tokio::test]
async fn a_new_key_is_fetched_when_its_first_token_comes_and_a_removed_one_is_not_believed_any_more() {
    let server = Counter::of_keys(&[jwk("old", key!("rsa.pub"))]).await;
    let running = Running::new(&server.url, times()).await;
    assert!(running.takes("old", &Signs::rsa()).await);
    server.answer(Answers::With(ok(&set(&[jwk("new", key!("p256.pub"))]), "")));
    assert!(running.takes("old", &Signs::rsa()).await, "nobody has looked yet");
    assert!(running.takes("new", &Signs::p256()).await);
    assert!(!running.takes("old", &Signs::rsa()).await, "it was removed");
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_fetch() {
    let server = Counter::of_keys(&[jwk("k", key!("p256.pub"))]).await;
    let running = Running::new(&server.url, times()).await;
    let mut flood = tokio::task::JoinSet::new();
    for at in 0..500 {
        let sign_in = running.sign_in.clone();
        let token = token(A, &format!("forged-{at}"), &Signs::p256());
        flood.spawn(async move { sign_in.verify_on_front(&token).await });
    }
    while let Some(verdict) = flood.join_next().await {
        assert_eq!(verdict.unwrap().unwrap_err().code, Code::Unauthorized);
    }
    assert_eq!(server.asked(), 2, "one at start, one for all of them");
    assert!(running.takes("k", &Signs::p256()).await);
}

#[tokio::test]
async fn unknown_keys_are_looked_for_again_after_a_pause() {
    let server = Counter::of_keys(&[jwk("k", key!("p256.pub"))]).await;
    let soon = RefreshTimes { unknown: Duration::ZERO, ..times() };
    let running = Running::new(&server.url, soon).await;
    for _ in 0..3 {
        assert!(!running.takes("forged", &Signs::p256()).await);
    }
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn more_than_a_thousand_waiting_tokens_are_refused_as_unavailable() {
    let server = Counter::of_keys(&[jwk("k", key!("p256.pub"))]).await;
    let running = Running::new(&server.url, times()).await;
    server.answer(Answers::Never);
    let forged = token(A, "forged", &Signs::p256());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..1_024 {
        let (sign_in, forged) = (running.sign_in.clone(), forged.clone());
        waiting.spawn(async move { sign_in.verify_on_front(&forged).await });
    }
    until("somebody asks", || server.asked() == 2).await;
    let mut refused = None;
    for _ in 0..64 {
        let sign_in = running.sign_in.clone();
        let one_more =
            tokio::time::timeout(Duration::from_millis(50), sign_in.verify_on_front(&forged)).await;
        if let Ok(verdict) = one_more {
            refused = Some(verdict.unwrap_err().code);
            break;
        }
    }
    assert_eq!(refused, Some(Code::Unavailable));
    assert!(running.takes("k", &Signs::p256()).await, "known keys do not wait behind unknown ones");
    waiting.abort_all();
}

#[tokio::test]
async fn an_answer_that_is_not_a_key_set_of_bounded_size_leaves_the_old_keys() {
    let good = set(&[jwk("k", key!("p256.pub"))]);
    let padded = format!("{good}{}", " ".repeat(64 * 1024));
    let elsewhere = Counter::of_keys(&[jwk("evil", key!("rsa-other.pub"))]).await;
    let many: Vec<_> = (0..33).map(|at| jwk(&format!("k{at}"), key!("p256.pub"))).collect();
    let bad = [
        ("oversized", ok(&padded, "")),
        ("oversized and endless", format!("HTTP/1.1 200 OK\r\n\r\n{padded}")),
        (
            "redirecting",
            format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url),
        ),
        ("failing", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".into()),
        ("a list", ok("[]", "")),
        ("no JSON", ok("<html>", "")),
        ("empty", ok(&set(&[]), "")),
        ("too many keys", ok(&set(&many), "")),
        ("a head without end", format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(64 * 1024))),
        ("no HTTP", "hello".into()),
    ];
    for (name, answer) in bad {
        let server = Counter::of_keys(&[jwk("k", key!("p256.pub"))]).await;
        let running = Running::new(&server.url, times()).await;
        server.answer(Answers::With(answer));
        assert!(!running.takes("evil", &other()).await, "{name}");
        let health = &running.sign_in.health()[0];
        assert_eq!((health.good, health.failed, health.keys), (1, 1, 1), "{name}");
        assert!(running.takes("k", &Signs::p256()).await, "{name}: the old key is gone");
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect was followed");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_and_the_old_keys_stay() {
    let server = Counter::of_keys(&[jwk("k", key!("p256.pub"))]).await;
    let hasty = RefreshTimes { most: Duration::from_secs(2), ..times() };
    let running = Running::new(&server.url, hasty).await;
    server.answer(Answers::Never);
    assert!(!running.takes("new", &Signs::p256()).await);
    assert!(running.takes("k", &Signs::p256()).await);
    assert_eq!(running.sign_in.health()[0].failed, 1);
}

#[tokio::test]
async fn keys_that_cannot_be_read_again_for_too_long_are_not_believed_any_more() {
    let server = Counter::of_keys(&[jwk("k", key!("p256.pub"))]).await;
    let old = RefreshTimes { oldest: Duration::ZERO, ..times() };
    let running = Running::new(&server.url, old).await;
    server.answer(Answers::With("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into()));
    assert!(!running.takes("k", &Signs::p256()).await);
}

#[tokio::test]
async fn an_issuer_says_within_bounds_when_its_keys_are_read_again() {
    let keys = set(&[jwk("k", key!("p256.pub"))]);
    let server = Counter::new(Answers::With(ok(&keys, "Cache-Control: max-age=0\r\n"))).await;
    let least = Duration::from_millis(10);
    let bounded = RefreshTimes { good_for: (least, Duration::from_secs(3_600)), ..times() };
    let _running = Running::new(&server.url, bounded).await;
    until("it is asked again and again", || server.asked() >= 3).await;
    server.answer(Answers::With(ok(&keys, "Cache-Control: max-age=3600\r\n")));
}

#[tokio::test]
async fn the_same_key_name_at_two_issuers_is_two_keys() {
    let a = Counter::of_keys(&[jwk("shared-name", key!("rsa.pub"))]).await;
    let b = Counter::of_keys(&[jwk("shared-name", key!("rsa-other.pub"))]).await;
    let mut issuers = vec![issuer(A), issuer(B)];
    (issuers[0].jwks_url, issuers[0].org) = (a.url.clone(), "acme".into());
    (issuers[1].jwks_url, issuers[1].org) = (b.url.clone(), "globex".into());
    let running = Running::of(issuers, times());
    let sign_in = &running.sign_in;
    until("both are read", || sign_in.health().iter().all(|issuer| issuer.good == 1)).await;
    let name = "shared-name";
    let org = async |token: String| {
        sign_in.verify_on_front(&token).await.map(|who| who.org.as_str().to_owned()).map_err(|no| no.code)
    };
    // Whichever is seen first must not stand for the other.
    for _ in 0..2 {
        assert_eq!(org(token(A, name, &Signs::rsa())).await, Ok("acme".into()));
        assert_eq!(org(token(B, name, &Signs::rsa())).await, Err(Code::Unauthorized));
        assert_eq!(org(token(B, name, &other())).await, Ok("globex".into()));
        assert_eq!(org(token(A, name, &other())).await, Err(Code::Unauthorized));
    }
    let abroad = claims(json!({"iss": A, "org": "globex"}));
    let abroad = Signs::rsa().token_with(json!({ "kid": name }), &abroad);
    assert_eq!(org(abroad).await, Err(Code::Unauthorized), "acme's issuer named globex");
    assert_eq!((a.asked(), b.asked()), (1, 1));
}

#[tokio::test]
async fn keys_in_a_set_that_are_not_for_us_are_left_out() {
    let mut encrypts = jwk("encrypts", key!("rsa.pub"));
    encrypts["use"] = json!("enc");
    let mut other_algorithm = jwk("other-algorithm", key!("rsa.pub"));
    other_algorithm["alg"] = json!("RSA-OAEP");
    let mut off_curve = jwk("off-curve", key!("p256.pub"));
    off_curve["x"] = off_curve["y"].clone();
    let mut signs_only = jwk("signs-only", key!("p256.pub"));
    signs_only["key_ops"] = json!(["sign"]);
    let secret = json!({"kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0"});
    let weak = jwk("weak", key!("rsa-1024.pub"));
    let all = [encrypts, other_algorithm, off_curve, signs_only, secret, weak, json!("text")];
    let file = TempFile::new(&set(&[&all[..], &[jwk("good", key!("p256.pub"))]].concat()));
    let mut a = issuer(A);
    a.jwks_file = file.text();
    let sign_in = SignIn::configured(&auth(vec![a])).unwrap();
    assert_eq!(sign_in.health()[0].keys, 1);
    assert!(sign_in.verify(&token(A, "good", &Signs::p256())).is_ok());
    assert!(sign_in.verify(&token(A, "encrypts", &Signs::rsa())).is_err());
}

#[tokio::test]
async fn a_key_removed_from_a_file_is_not_believed_at_the_next_look() {
    let file = TempFile::new(&format!("{}{}", key!("rsa.pub"), key!("rsa-other.pub")));
    let mut a = issuer(A);
    a.public_key_file = file.text();
    let often = RefreshTimes { file: Duration::from_millis(5), ..times() };
    let running = Running::of(vec![a], often);
    assert!(running.takes("any", &Signs::rsa()).await && running.takes("any", &other()).await);
    std::fs::write(&file.0, key!("rsa-other.pub")).unwrap();
    let sign_in = &running.sign_in;
    until("the first key is gone", || sign_in.verify(&token(A, "any", &Signs::rsa())).is_err()).await;
    assert!(running.takes("any", &other()).await);
    std::fs::write(&file.0, "half a file").unwrap();
    until("a bad file was read", || sign_in.health()[0].failed > 0).await;
    assert!(running.takes("any", &other()).await, "the old keys stay");
}
