//! Tokens of others at every door of a running server.

use std::collections::HashMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidings_core::{Code, Identity, Org, Refusal};
use tidings_server::config::IssuerConfig;
use tidings_server::signin::{ApiKey, ApiKeys, Found, now_seconds};
use tidings_server::{Config, Extras};
use tidings_store::audit::AuditFilter;
use tidings_store::{Store, StoreOptions};

use crate::common::{Wire, config, token, user, with_extras, with_server};
use crate::people::post;

const RSA: &str = "https://rsa.example/";
const EC: &str = "https://ec.example/";
const SLOW: &str = "https://slow.example/";

fn keys(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

fn signed(algorithm: Algorithm, pem: &str, kid: Option<&str>, more: Value) -> String {
    let text = std::fs::read_to_string(keys(pem)).unwrap();
    let (_, der) = spki::der::pem::decode_vec(text.as_bytes()).unwrap();
    let key = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_der(&der),
        _ => EncodingKey::from_ec_der(&der),
    };
    let mut claims = json!({"sub": "ada", "exp": now_seconds() + 600});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &claims, &key).unwrap()
}

fn rs256(more: Value) -> String {
    let mut all = json!({ "iss": RSA });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    signed(Algorithm::RS256, "rsa.pem", None, all)
}

fn es256() -> String {
    signed(Algorithm::ES256, "p256.pem", None, json!({ "iss": EC }))
}

/// A server that believes an RSA key and a curve, both of the organisation `acme`.
fn believing() -> Config {
    let mut config = config();
    let issuer = |name: &str, file: &str| IssuerConfig {
        issuer: name.into(),
        org: "acme".into(),
        public_key_file: keys(file).to_str().unwrap().into(),
        ..IssuerConfig::default()
    };
    config.auth.issuers = vec![issuer(RSA, "rsa.pub.pem"), issuer(EC, "p256.pub.pem")];
    config
}

fn socket_io(addr: SocketAddr, query: &str) -> Wire {
    let mut wire = Wire::open(addr, &format!("/socket.io/?EIO=4&transport=websocket{query}"));
    wire.hear("0{");
    wire
}

fn get(addr: SocketAddr, path: &str, header: &str) -> String {
    let mut wire = Wire::connect(addr);
    let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\nConnection: close\r\n\r\n");
    wire.send(head.as_bytes());
    wire.rest()
}

#[test]
fn a_public_key_lets_a_socket_io_client_in() {
    with_server(&believing(), |addr, _| {
        for token in [rs256(json!({})), es256()] {
            let mut wire = socket_io(addr, "");
            wire.say(&format!("40{{\"token\":\"{token}\"}}"));
            wire.hear("40{\"sid\"");
            // It is who the token says: its own room is one it may enter.
            wire.say("421[\"subscribe\",{\"room\":\"user:ada\"}]");
            assert!(wire.hear("431[").contains("\"ok\":true"));
        }
    });
}

#[test]
fn whose_personal_room_would_have_too_long_a_name_is_nobody() {
    with_server(&config(), |addr, _| {
        let (longest, longer) = ("a".repeat(195), "a".repeat(196));
        let (mut wire, _) = crate::people::plain(addr, &user(&longest));
        let said = json!({"userId": longest, "event": "said", "data": 1}).to_string();
        let server = token(json!({"sub": "backend", "scope": "publish"}));
        let answer = crate::people::post(addr, "/api/publish", &server, &said);
        assert!(answer.contains("\"ok\":true"), "{answer}");
        assert!(wire.hear("\"said\"").contains(&format!("user:{longest}")));
        let room = format!("\"type\":\"subscribe\",\"room\":\"user:{longest}\",\"rewind\":1");
        assert_eq!(wire.ask(1, &room)["recovered"], true);

        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", user(&longer)));
        assert_eq!(wire.closed(), Some(4401));
    });
}

#[test]
fn a_bad_signature_is_a_connect_error_and_the_next_token_of_the_connection_counts() {
    with_server(&believing(), |addr, _| {
        let mut wire = socket_io(addr, "");
        let mut forged = rs256(json!({}));
        let at = forged.len() - 20;
        let other = if forged.as_bytes()[at] == b'A' { "B" } else { "A" };
        forged.replace_range(at..=at, other);
        wire.say(&format!("40{{\"token\":\"{forged}\"}}"));
        assert!(wire.hear("44{").contains("\"code\":\"unauthorized\""));
        let over = rs256(json!({"exp": now_seconds() - 100}));
        wire.say(&format!("40{{\"token\":\"{over}\"}}"));
        assert!(wire.hear("44{").contains("\"code\":\"token_expired\""));
        wire.say(&format!("40{{\"token\":\"{}\"}}", rs256(json!({}))));
        wire.hear("40{\"sid\"");
    });
}

#[test]
fn ten_forged_tokens_keep_an_address_out_though_the_front_judges_them() {
    let config = Config { no_limits: false, ..believing() };
    with_server(&config, |addr, _| {
        let forged = rs256(json!({})).rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
        for at in 0..10 {
            let mut wire = if at % 2 == 0 { socket_io(addr, "") } else { Wire::open(addr, "/ws") };
            let auth = format!("{{\"type\":\"auth\",\"token\":\"{forged}\"}}");
            wire.say(&if at % 2 == 0 { format!("40{auth}") } else { auth });
            assert!(wire.hear("\"code\"").contains("\"code\":\"unauthorized\""));
        }
        let mut wire = socket_io(addr, "");
        wire.say(&format!("40{{\"token\":\"{}\"}}", rs256(json!({}))));
        assert!(wire.hear("44{").contains("\"code\":\"rate_limited\""));
    });
}

#[test]
fn a_forged_token_at_renewal_is_noted_as_at_every_other_door() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let place = tidings_testkit::Place::new();
    let url = format!("sqlite:{}", place.path().join("tidings.db").display());
    let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    with_extras(&believing(), extras, |addr, _| {
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", rs256(json!({}))));
        wire.hear("auth:ok");
        let forged = rs256(json!({})).rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
        wire.say(&format!("{{\"type\":\"auth\",\"id\":1,\"token\":\"{forged}\"}}"));
        assert!(wire.hear("\"code\"").contains("\"code\":\"unauthorized\""));
    });
    let filter = AuditFilter { action: Some("token.refused".into()), ..AuditFilter::default() };
    let noted = runtime.block_on(async {
        let noted = store.read().await.unwrap().audit_of_all(&filter, 9).await.unwrap();
        store.close().await;
        noted
    });
    let told: Vec<_> =
        noted.iter().map(|one| (one.entry.reason.as_deref(), one.entry.address.as_deref())).collect();
    assert_eq!(told, [(Some("signature"), Some("127.0.0.1"))]);
}

#[test]
fn a_token_in_the_query_comes_before_all_others_even_if_it_is_bad() {
    with_server(&believing(), |addr, _| {
        let mut wire = socket_io(addr, "&token=bad");
        wire.say(&format!("40{{\"token\":\"{}\"}}", es256()));
        wire.hear("44{");
        let mut wire = socket_io(addr, &format!("&token={}", es256()));
        wire.say("40{\"token\":\"bad\"}");
        wire.hear("40{\"sid\"");
    });
}

#[test]
fn a_plain_client_may_go_on_speaking_while_its_token_is_judged() {
    with_server(&believing(), |addr, _| {
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", es256()));
        wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"user:ada\"}");
        wire.say("{\"type\":\"ping\",\"id\":2}");
        let first = wire.hear("");
        assert!(first.contains("auth:ok") && first.contains("\"org\":\"acme\""), "{first}");
        assert!(wire.hear("\"id\":1").contains("\"ok\":true"));
        wire.hear("\"id\":2");
    });
}

#[test]
fn what_a_plain_client_said_before_a_refusal_is_not_done() {
    with_server(&believing(), |addr, _| {
        let mut wire = Wire::open(addr, "/ws");
        let abroad = rs256(json!({"org": "globex"}));
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{abroad}\"}}"));
        wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"open:a\"}");
        assert!(wire.hear("").contains("\"code\":\"unauthorized\""));
        assert_eq!(wire.closed(), Some(4401));
    });
}

#[test]
fn what_cannot_be_a_token_is_a_bad_one() {
    with_server(&believing(), |addr, _| {
        let good = user("ada");
        let twice = format!("\"token\":\"{good}\",\"token\":\"{good}\"");
        for token in ["\"token\":5", "\"token\":null", "\"token\":[\"a\"]", &twice] {
            let mut wire = Wire::open(addr, "/ws");
            wire.say(&format!("{{\"type\":\"auth\",{token}}}"));
            assert!(wire.hear("").contains("\"code\":\"unauthorized\""), "{token}");
            assert_eq!(wire.closed(), Some(4401), "{token}");
        }
        // Who is in already is told, and stays.
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{good}\"}}"));
        wire.hear("auth:ok");
        wire.say("{\"type\":\"auth\",\"token\":5}");
        assert!(wire.hear("\"ok\":false").contains("\"code\":\"unauthorized\""));
        assert_eq!(wire.ask(1, "\"type\":\"ping\"")["ok"], true);
    });
}

#[test]
fn a_public_key_opens_the_http_door() {
    with_server(&believing(), |addr, _| {
        let asked = |token: &str| get(addr, "/api/rooms", &format!("Authorization: Bearer {token}"));
        let server = rs256(json!({"scope": "publish"}));
        assert!(asked(&server).starts_with("HTTP/1.1 200"), "{}", asked(&server));
        assert!(asked(&es256()).starts_with("HTTP/1.1 403"));
        assert!(asked(&rs256(json!({"org": "globex", "scope": "publish"}))).starts_with("HTTP/1.1 401"));
        let metrics = get(addr, "/metrics", "A: b");
        assert!(metrics.contains("tidings_tokens_refused_total{fault=\"organisation\"} 1"), "{metrics}");
        assert!(metrics.contains("tidings_issuer_keys{issuer=\"https://rsa.example/\"} 1"), "{metrics}");
    });
}

/// A server whose issuer never answers, and the socket that keeps it waiting.
fn waiting(config: &mut Config) -> TcpListener {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    config.auth.issuers.push(IssuerConfig {
        issuer: SLOW.into(),
        jwks_url: format!("http://{}/", silent.local_addr().unwrap()),
        ..IssuerConfig::default()
    });
    silent
}

fn unknown() -> String {
    signed(Algorithm::ES256, "p256.pem", Some("unknown"), json!({ "iss": SLOW }))
}

#[test]
fn a_token_that_waits_for_its_key_holds_up_nobody_and_no_longer_than_the_time_to_sign_in() {
    let mut config = believing();
    config.limits.plain_auth_ms = 300;
    let silent = waiting(&mut config);
    with_server(&config, move |addr, _| {
        let mut waits = Wire::open(addr, "/ws");
        waits.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", unknown()));
        let mut other = Wire::subscribed(addr, "open:a");
        other.say("{\"type\":\"ping\",\"id\":7}");
        other.hear("\"id\":7");
        assert_eq!(waits.closed(), Some(4401));
        drop(silent);
    });
}

#[test]
fn a_plain_client_that_floods_while_its_token_is_judged_is_closed() {
    let mut config = believing();
    let silent = waiting(&mut config);
    with_server(&config, move |addr, _| {
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", unknown()));
        for _ in 0..65 {
            wire.say("{\"type\":\"heartbeat\"}");
        }
        assert_eq!(wire.closed(), Some(4429));
        drop(silent);
    });
}

#[test]
fn a_socket_io_client_may_not_speak_before_its_token_is_judged() {
    let mut config = believing();
    let silent = waiting(&mut config);
    with_server(&config, move |addr, _| {
        let mut wire = socket_io(addr, "");
        wire.say(&format!("40{{\"token\":\"{}\"}}", unknown()));
        wire.say("421[\"subscribe\",{\"room\":\"open:a\"}]");
        assert_eq!(wire.closed(), Some(1002));
        drop(silent);
    });
}

/// Keys in memory, as a store will keep them: by prefix, with the secret's hash.
struct Kept(HashMap<String, ([u8; 32], Identity)>);

impl ApiKeys for Kept {
    fn lookup<'a>(&'a self, key: &'a ApiKey) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(async move {
            let kept = self.0.get(key.prefix());
            let fits = key.matches(kept.map_or(&ApiKey::NOBODY, |(hash, _)| hash));
            Ok(kept.filter(|_| fits).map(|(_, who)| who.clone()))
        })
    }
}

#[test]
fn an_api_key_opens_the_http_door_to_what_its_scopes_allow() {
    let key = |scope: &str| {
        let (text, key) = ApiKey::make().unwrap();
        let scopes = [scope.into()].into();
        let user = Some(format!("key:{}", key.prefix()).into());
        let who = Identity { user, org: Org::new("acme"), scopes, ..Identity::anonymous() };
        (text, (key.prefix().to_owned(), (*key.hash(), who)))
    };
    let ((publish, first), (read, second), (admin, third)) = (key("publish"), key("read"), key("admin"));
    let kept = Kept([first, second, third].into());
    let extras = Extras { api_keys: Some(Arc::new(kept)), ..Extras::default() };
    with_extras(&believing(), extras, move |addr, _| {
        let asked = |header: String| get(addr, "/api/rooms", &header)[9..12].to_owned();
        assert_eq!(asked(format!("X-API-Key: {read}")), "200");
        assert_eq!(asked(format!("Authorization: Bearer {read}")), "200");
        assert_eq!(asked(format!("X-API-Key: {publish}")), "403", "a key that publishes reads nothing");
        let [_, prefix, secret] = read.splitn(3, '_').collect::<Vec<_>>()[..] else { panic!("{read}") };
        let other = publish.splitn(3, '_').nth(2).unwrap();
        assert_eq!(asked(format!("X-API-Key: tk_{prefix}_{other}")), "401", "another key's secret");
        assert_eq!(asked(format!("X-API-Key: tk_aaaaaaaaaaaa_{secret}")), "401", "another prefix");
        assert_eq!(asked("X-API-Key: tk_".into()), "401");
        assert_eq!(asked(format!("X-API-Key: {publish}\r\nAuthorization: Bearer {}", es256())), "401");
        for (path, body) in [("/api/revocations", "{\"userId\":\"eve\"}"), ("/api/users/eve/disconnect", "")]
        {
            let ended = |key: &str| post(addr, path, key, body);
            assert!(
                ended(&publish).contains("\"code\":\"forbidden\""),
                "a key that publishes ends nobody: {path}"
            );
            assert!(ended(&admin).contains("\"ok\":true"), "{path}");
        }
        let mut wire = socket_io(addr, &format!("&token={publish}"));
        wire.say("40");
        wire.hear("44{");
    });
}

#[test]
fn without_anybody_who_keeps_keys_none_is_taken() {
    with_server(&believing(), |addr, _| {
        let (text, _) = ApiKey::make().unwrap();
        assert_eq!(&get(addr, "/api/rooms", &format!("X-API-Key: {text}"))[9..12], "401");
    });
}

/// Keys in a store that does not answer.
struct Away;

impl ApiKeys for Away {
    fn lookup<'a>(&'a self, _: &'a ApiKey) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(async { Err(Refusal::new(Code::Unavailable, "not now")) })
    }
}

#[test]
fn while_the_database_is_away_a_key_is_not_called_wrong_and_keeps_nobody_out() {
    let (key, _) = ApiKey::make().unwrap();
    let extras = Extras { api_keys: Some(Arc::new(Away)), ..Extras::default() };
    let config = Config { no_limits: false, ..believing() };
    with_extras(&config, extras, move |addr, _| {
        for _ in 0..20 {
            let answer = get(addr, "/api/rooms", &format!("X-API-Key: {key}"));
            assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"retryable\":true"), "{answer}");
        }
        let good = format!("Authorization: Bearer {}", rs256(json!({ "scope": "publish" })));
        assert!(get(addr, "/api/rooms", &good).starts_with("HTTP/1.1 200"), "a good token of that address");
        assert_eq!(
            get(addr, "/metrics", "A: b").matches("kind=\"token_probing\",level=\"notice\"} 0").count(),
            1
        );
    });
}

#[test]
fn a_stock_client_for_whose_token_there_is_no_place_is_closed_and_not_refused_for_good() {
    let mut config = believing();
    let silent = waiting(&mut config);
    with_server(&config, move |addr, _| {
        let token = unknown();
        let mut wires: Vec<Wire> = (0..1_100).map(|_| socket_io(addr, "")).collect();
        wires.iter_mut().for_each(|wire| wire.say(&format!("40{{\"token\":\"{token}\"}}")));
        // 1,024 wait; the others are turned away at once, while the issuer is still silent.
        let away = wires.iter_mut().rev().take(20).map(Wire::closed).collect::<Vec<_>>();
        assert!(away.contains(&Some(1013)), "{away:?}");
        drop(silent);
    });
}
