//! Tokens in the `Authorization` header of requests for a polling session.

use std::net::SocketAddr;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use tidings_server::config::IssuerConfig;
use tidings_server::signin::now_seconds;
use tidings_server::{Config, Extras};
use tidings_store::audit::AuditFilter;
use tidings_store::{Store, StoreOptions};

use crate::common::Wire;
use crate::common::{config, http, upgrade, with_extras, with_server};
use crate::people::token;

/// A polling session and where it is.
struct Session {
    addr: SocketAddr,
    path: String,
}

impl Session {
    /// Opens one and signs in as the auth payload says, with this header on every request.
    fn open(addr: SocketAddr, payload: &str, header: &str) -> Self {
        let path = "/socket.io/?EIO=4&transport=polling";
        let (_, open) = http(addr, &format!("GET {path}"), header, "");
        let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
        let session = Self { addr, path: format!("{path}&sid={sid}") };
        assert_eq!(session.post(header, &format!("40{payload}")), "ok");
        let (_, answer) = http(addr, &format!("GET {}", session.path), header, "");
        assert!(answer.starts_with("40{"), "{answer}");
        session
    }

    fn post(&self, header: &str, packet: &str) -> String {
        http(self.addr, &format!("POST {}", self.path), header, packet).1
    }

    /// The status and body with which a GET is answered that has something to fetch.
    fn ping(&self, header: &str) -> (String, String) {
        let post = http(self.addr, &format!("POST {}", self.path), header, "421[\"ping\"]");
        if post.1 != "ok" {
            let get = http(self.addr, &format!("GET {}", self.path), header, "");
            assert_eq!(get.1, post.1, "GET and POST are judged alike");
            return (post.0[9..12].to_owned(), post.1);
        }
        let (head, body) = http(self.addr, &format!("GET {}", self.path), header, "");
        (head[9..12].to_owned(), body)
    }

    fn is_served(&self, header: &str) {
        let (status, body) = self.ping(header);
        assert!(status == "200" && body.contains("431["), "{header}: {status} {body}");
    }

    fn is_refused(&self, header: &str) {
        let (status, body) = self.ping(header);
        assert_eq!(
            (status.as_str(), body.as_str()),
            ("403", "{\"code\":4,\"message\":\"Forbidden\"}"),
            "{header}"
        );
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn a_good_token_of_somebody_else_is_no_way_into_a_polling_session() {
    with_server(&config(), |addr, _| {
        let ada = bearer(&token("ada", 600, json!({})));
        let session = Session::open(addr, "", &ada);
        for other in [token("bob", 600, json!({})), token("ada", 600, json!({"org": "rival"}))] {
            session.is_refused(&bearer(&other));
            // It was not remembered as one that fits, and the session lives.
            session.is_refused(&bearer(&other));
            session.is_served(&ada);
            let mut wire = Wire::connect(addr);
            let path = session.path.replace("polling", "websocket");
            let bobs = upgrade(&path).replace("\r\n\r\n", &format!("\r\n{}\r\n", bearer(&other)));
            wire.send(bobs.as_bytes());
            let answer = wire.rest();
            assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("Forbidden"), "{answer}");
        }
    });
}

#[test]
fn what_stock_clients_send_with_their_polls_is_taken() {
    with_server(&config(), |addr, _| {
        let first = token("ada", 600, json!({"jti": "first"}));
        let session = Session::open(addr, "", &bearer(&first));
        let renewed = token("ada", 1_200, json!({"jti": "second", "roles": ["organizer"]}));
        let over = token("ada", -600, json!({}));
        let forged = format!("{}AAAA", &renewed[..renewed.len() - 4]);
        for header in [
            String::new(),
            bearer(&first),
            bearer(&renewed),
            bearer(&over),
            bearer(&forged),
            bearer("a token of the proxy in front"),
            "Authorization: Basic YWRhOnNlY3JldA==\r\n".to_owned(),
        ] {
            session.is_served(&header);
        }
        // Signed in by what it said, with the header of somebody whom a proxy knows.
        let payload = format!("{{\"token\":\"{first}\"}}");
        Session::open(addr, &payload, "Authorization: Bearer of-the-proxy\r\n").is_served("");
    });
}

#[test]
fn a_session_that_was_renewed_in_place_outlives_the_token_of_its_headers() {
    let config = Config {
        auth: tidings_server::config::AuthConfig { expiry_grace_seconds: 1, ..config().auth },
        ..config()
    };
    with_server(&config, |addr, _| {
        let short = token("ada", 2, json!({}));
        let session = Session::open(addr, "", &bearer(&short));
        let longer = token("ada", 600, json!({}));
        assert_eq!(session.post(&bearer(&short), &format!("421[\"auth\",{{\"token\":\"{longer}\"}}]")), "ok");
        let over = now_seconds() + 5;
        while now_seconds() < over {
            session.is_served(&bearer(&short));
        }
        // Nor does another one that is over, and was never looked at.
        session.is_served(&bearer(&token("ada", -100, json!({}))));
    });
}

#[test]
fn tokens_of_public_keys_are_compared_as_well_and_the_audit_log_tells_of_it() {
    let keys = |name: &str| {
        let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
        folder.join(name).to_str().unwrap().to_owned()
    };
    let issuer = "https://ec.example/".to_owned();
    let mut config = config();
    let public_key_file = keys("p256.pub.pem");
    config.auth.issuers = vec![IssuerConfig { issuer, public_key_file, ..IssuerConfig::default() }];
    let signed = move |user: &str| {
        let text = std::fs::read_to_string(keys("p256.pem")).unwrap();
        let (_, der) = spki::der::pem::decode_vec(text.as_bytes()).unwrap();
        let claims = json!({"iss": "https://ec.example/", "sub": user, "exp": now_seconds() + 600});
        encode(&Header::new(Algorithm::ES256), &claims, &EncodingKey::from_ec_der(&der)).unwrap()
    };
    let place = tidings_testkit::Place::new();
    let url = format!("sqlite:{}", place.path().join("tidings.db").display());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    with_extras(&config, extras, move |addr, _| {
        let session = Session::open(addr, "", &bearer(&signed("ada")));
        session.is_served(&bearer(&signed("ada")));
        session.is_refused(&bearer(&signed("bob")));
    });
    let filter = AuditFilter { action: Some("session.refused".into()), ..AuditFilter::default() };
    let noted = runtime.block_on(async {
        let noted = store.read().await.unwrap().audit_of_all(&filter, 10).await.unwrap();
        store.close().await;
        noted
    });
    let first = &noted.last().unwrap().entry;
    assert_eq!((first.actor.as_deref(), first.reason.as_deref()), (Some("bob"), Some("another user")));
}
