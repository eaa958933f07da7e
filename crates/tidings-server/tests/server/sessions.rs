//! What is written down of those who were connected.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_core::Org;
use tidings_server::{Config, Extras};
use tidings_store::sessions::Session;
use tidings_store::{Digest, Store, StoreOptions};

use crate::common::{config, http, with_extras};
use crate::people::{plain, post, socket_io, socket_io_in, token};

/// Runs a server over a store, has people come and go, and answers what is kept of some of them.
fn kept_of(config: &Config, users: &[&str]) -> (String, Vec<Vec<Session>>) {
    let place = tidings_testkit::Place::new();
    let url = format!("sqlite:{}", place.path().join("tidings.db").display());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let (session_id, again) = with_extras(config, extras, |addr, _| {
        let (mut ada, told) = plain(addr, &token("ada", 600, json!({"jti": "a"})));
        let admin = token("root", 600, json!({"roles": ["admin"]}));
        assert!(post(addr, "/api/revocations", &admin, "{\"jti\":\"a\"}").contains("\"ok\":true"));
        assert_eq!(ada.closed(), Some(4403));
        // Bob's connection breaks, he takes his session up again, and is there until the end.
        let bob = token("bob", 600, json!({}));
        let (wire, pid) = socket_io_in(addr, &bob, "lobby:a");
        drop(wire);
        let (mut again, told_again) = socket_io(addr, &bob, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(told_again.contains(&pid), "{told_again}");
        again.say(&format!("421[\"auth\",{{\"token\":\"{bob}\"}}]"));
        again.hear("431[");
        let session_id = told.split("\"sessionId\":\"").nth(1).unwrap().split('"').next().unwrap();
        (session_id.to_owned(), again)
    });
    drop(again);
    let kept = runtime.block_on(async {
        let mut reader = store.read().await.unwrap();
        let mut all = Vec::new();
        for user in users {
            all.push(reader.sessions(&Org::default(), user, None, 10).await.unwrap());
        }
        drop(reader);
        store.close().await;
        all
    });
    (session_id, kept)
}

#[test]
fn who_was_connected_is_kept_with_where_from_and_how_it_ended() {
    let (session_id, kept) = kept_of(&config(), &["ada", "bob"]);
    let [ada] = kept[0].as_slice() else { panic!("{kept:?}") };
    assert_eq!(ada.digest, Digest::of(session_id.as_bytes()));
    assert_eq!((ada.door.as_str(), ada.address.as_str()), ("plain", "127.0.0.1"));
    assert_eq!(ada.ended.as_ref().map(|(_, cause)| cause.as_str()), Some("revoked"));
    assert!(ada.created_ms <= ada.seen_ms && ada.node.contains(':'), "{ada:?}");
    let mut causes: Vec<_> =
        kept[1].iter().map(|bob| (bob.door.as_str(), bob.ended.as_ref().unwrap().1.as_str())).collect();
    causes.sort_unstable();
    // The first connection may be found broken, or be replaced before that is noticed.
    let [first, (door, cause)] = causes.as_slice() else { panic!("{causes:?}") };
    assert!([("socket.io", "lost"), ("socket.io", "replaced")].contains(first), "{causes:?}");
    assert_eq!((*door, *cause), ("socket.io", "the server stopped"));
}

#[test]
fn nothing_is_kept_where_that_is_switched_off() {
    let mut config = config();
    config.database.session_days = 0;
    let (_, kept) = kept_of(&config, &["ada", "bob"]);
    assert!(kept.iter().all(Vec::is_empty), "{kept:?}");
}

/// The status of an answer about sessions, and its body.
fn asked(addr: SocketAddr, path: &str, token: &str) -> (u16, Value) {
    let (head, body) = http(addr, &format!("GET {path}"), &format!("Authorization: Bearer {token}\r\n"), "");
    (head[9..12].parse().unwrap(), serde_json::from_str(&body).unwrap())
}

/// The list, in which so many have to be: it is asked for once, since whoever asks does not see how late notes are written.
fn listed(addr: SocketAddr, path: &str, token: &str, count: usize) -> Value {
    let (status, body) = asked(addr, path, token);
    assert_eq!((status, body["sessions"].as_array().map(Vec::len)), (200, Some(count)), "{body}");
    body
}

fn with_store<T: Send + 'static>(test: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open("sqlite::memory:", &StoreOptions::default())).unwrap();
    with_extras(&config(), Extras { store: Some(store), ..Extras::default() }, move |addr, _| test(addr))
}

#[test]
fn people_see_their_own_sessions_and_administrators_those_of_their_organisation() {
    with_store(|addr| {
        let ada = token("ada", 600, json!({}));
        let of_rival = token("ada", 600, json!({"org": "rival"}));
        let (open, told) = plain(addr, &ada);
        let (_there, _) = plain(addr, &of_rival);
        let own = listed(addr, "/api/auth/sessions", &ada, 1);
        let session = &own["sessions"][0];
        let told: Value = serde_json::from_str(&told).unwrap();
        let digest = Digest::of(told["sessionId"].as_str().unwrap().as_bytes());
        assert_eq!(session["id"], digest.to_string()[..16]);
        assert_eq!((&session["door"], &session["address"]), (&json!("plain"), &json!("127.0.0.1")));
        assert_eq!((&session["endedAt"], &own["next"]), (&Value::Null, &Value::Null));
        drop(open);

        let admin = token("root", 600, json!({"roles": ["admin"]}));
        let path = "/api/users/ada/sessions";
        assert_eq!(listed(addr, path, &admin, 1)["sessions"][0]["id"], session["id"]);
        let abroad = token("root", 600, json!({"org": "rival", "roles": ["admin"]}));
        let theirs = listed(addr, path, &abroad, 1);
        assert_ne!(theirs["sessions"][0]["id"], session["id"]);
        let third = token("root", 600, json!({"org": "third", "roles": ["admin"]}));
        assert_eq!(asked(addr, path, &third).0, 404);

        // Who may not look is told the same as who looks for nobody.
        let absent = asked(addr, "/api/users/nobody/sessions", &admin);
        assert_eq!((absent.0, &absent.1["error"]["code"]), (404, &json!("not_found")));
        let server = token("root", 600, json!({"scope": "publish"}));
        for (who, path) in [
            (&ada, path),
            (&server, path),
            (&ada, "/api/users/nobody/sessions"),
            (&admin, "/api/users/%ff/sessions"),
            (&admin, "/api/users/a%00b/sessions"),
        ] {
            assert_eq!(asked(addr, path, who), absent, "{path}");
        }
        assert_eq!(asked(addr, "/api/auth/sessions", "no.good.token").0, 401);
    });
}

#[test]
fn a_list_of_sessions_comes_in_pages() {
    with_store(|addr| {
        let ada = token("ada", 600, json!({}));
        let here: Vec<_> = (0..5).map(|_| plain(addr, &ada)).collect();
        let all = listed(addr, "/api/auth/sessions", &ada, 5);
        let (mut paged, mut path) = (Vec::new(), "/api/auth/sessions?limit=2".to_owned());
        for _ in 0..3 {
            let (_, page) = asked(addr, &path, &ada);
            paged.extend(page["sessions"].as_array().unwrap().clone());
            let next = page["next"].as_str().unwrap_or("none");
            path = format!("/api/auth/sessions?limit=2&before={next}");
        }
        assert_eq!(Value::from(paged), all["sessions"]);
        for bad in ["limit=x", "before=none", "before=1-xyz", "before=1-", "before=99999999999999999999-00"] {
            let (status, answer) = asked(addr, &format!("/api/auth/sessions?{bad}"), &ada);
            assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_request")), "{bad}");
        }
        drop(here);
    });
}
