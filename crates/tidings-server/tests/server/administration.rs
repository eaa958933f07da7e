//! What administrators are served, with and without a listener of their own.

use std::net::SocketAddr;

use serde_json::json;
use tidings_server::{Config, Extras, Server};
use tidings_store::{Store, StoreOptions};

use crate::common::{Frame, Wire, config, http, token};

/// What is for administrators: asked for with the token of one, and what that is answered.
const THEIRS: [(&str, &str, u16); 18] = [
    ("GET", "/", 200),
    ("GET", "/assets/app.js", 200),
    ("GET", "/metrics", 200),
    ("GET", "/api/audit", 200),
    ("GET", "/api/users", 200),
    ("POST", "/api/users", 400),
    ("POST", "/api/users/u-1/roles", 400),
    ("POST", "/api/users/u-1/disable", 404),
    ("POST", "/api/users/eve/disconnect", 200),
    ("GET", "/api/keys", 200),
    ("POST", "/api/keys", 400),
    ("DELETE", "/api/keys/tk_none", 404),
    ("POST", "/api/revocations", 400),
    ("GET", "/api/admin/rooms", 200),
    ("GET", "/api/admin/sockets", 200),
    ("POST", "/api/admin/rooms/open:a/kick", 400),
    ("POST", "/api/admin/sockets/short/disconnect", 400),
    // A method that a path does not have says that there is such a path.
    ("DELETE", "/api/audit", 405),
];

/// What is for everybody, at every listener that speaks HTTP.
const EVERYBODYS: [(&str, &str, u16); 10] = [
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/account", 200),
    ("GET", "/assets/account.js", 200),
    ("GET", "/assets/session.js", 200),
    ("GET", "/assets/style.css", 200),
    ("GET", "/api/auth/me", 404),
    ("GET", "/api/rooms", 200),
    ("POST", "/api/publish", 400),
    ("GET", "/socket.io/?EIO=4&transport=polling", 200),
];

/// Runs `test` against the main listener and the administrators', if there is one.
fn with_doors(change: impl FnOnce(&mut Config), test: fn(SocketAddr, Option<SocketAddr>)) {
    let mut config = config();
    change(&mut config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
        let server =
            Server::start(&config, Extras { store: Some(store), ..Extras::default() }).await.unwrap();
        let (main, admin) = (server.addr(), server.admin_addr());
        tokio::task::spawn_blocking(move || test(main, admin)).await.unwrap();
        server.stop().await;
    });
}

fn apart(config: &mut Config) {
    config.admin_listen = "127.0.0.1:0".into();
}

/// The answer to an operator, without what differs from one second to the next.
fn answer(addr: SocketAddr, method: &str, path: &str) -> (String, String) {
    let token = token(json!({ "sub": "root", "roles": ["admin", "operator"], "scope": "publish" }));
    let headers = format!("Authorization: Bearer {token}\r\n");
    let (head, body) = http(addr, &format!("{method} {path}"), &headers, "");
    let own = ["date: ", "x-request-id: "];
    let lasting = head.lines().filter(|line| !own.iter().any(|name| line.starts_with(name)));
    (lasting.collect::<Vec<_>>().join("\n"), body)
}

fn status(addr: SocketAddr, method: &str, path: &str) -> u16 {
    answer(addr, method, path).0.split(' ').nth(1).unwrap().parse().unwrap()
}

fn assert_all(addr: SocketAddr, table: &[(&str, &str, u16)]) {
    for (method, path, expected) in table {
        assert_eq!(status(addr, method, path), *expected, "{method} {path}");
    }
}

#[test]
fn without_a_listener_of_their_own_administrators_are_served_at_the_main_one() {
    with_doors(
        |_| (),
        |main, admin| {
            assert_eq!(admin, None);
            assert_all(main, &THEIRS);
            assert_all(main, &EVERYBODYS);
        },
    );
}

#[test]
fn what_administrators_are_served_at_their_listener_does_not_exist_at_the_main_one() {
    with_doors(apart, |main, admin| {
        for (method, path, _) in THEIRS {
            let nothing = answer(main, method, "/api/nothing");
            assert!(nothing.0.starts_with("HTTP/1.1 404"), "{nothing:?}");
            let like = if path.starts_with("/api/") { "/api/nothing" } else { "/nothing" };
            assert_eq!(answer(main, method, path), answer(main, method, like), "{method} {path}");
        }
        assert_all(main, &EVERYBODYS);
        assert_all(admin.unwrap(), &THEIRS);
        assert_all(admin.unwrap(), &EVERYBODYS);
    });
}

#[test]
fn a_dead_path_is_a_page_with_a_way_on_for_browsers_and_json_for_programs() {
    const BROWSER: &str = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";
    with_doors(apart, |main, admin| {
        for (addr, way) in [(main, "/account"), (admin.unwrap(), "/")] {
            let (head, body) = http(addr, "GET /nonexistent", BROWSER, "");
            assert!(head.starts_with("HTTP/1.1 404") && head.contains("content-type: text/html"), "{head}");
            assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
            assert!(
                body.contains("There is nothing here") && body.contains(&format!("href=\"{way}\"")),
                "{body}"
            );
            assert_eq!(status(addr, "GET", way), 200);
            for (path, accept) in
                [("/nonexistent", "Accept: */*\r\n"), ("/nonexistent", ""), ("/api/x", BROWSER)]
            {
                let (head, body) = http(addr, &format!("GET {path}"), accept, "");
                assert!(head.starts_with("HTTP/1.1 404"), "{head}");
                assert!(body.contains("there is nothing at this path"), "{path} {accept} {body}");
            }
        }
    });
}

#[test]
fn sockets_are_served_at_the_administrators_listener_as_well() {
    with_doors(apart, |main, admin| {
        for addr in [main, admin.unwrap()] {
            drop(Wire::subscribed(addr, "open:a"));
            drop(Wire::open(addr, "/socket.io/?EIO=4&transport=websocket"));
        }
        let mut hearing = Wire::subscribed(admin.unwrap(), "open:b");
        let mut saying = Wire::subscribed(main, "open:b");
        saying.say("{\"type\":\"publish\",\"id\":2,\"room\":\"open:b\",\"event\":\"e\",\"data\":7}");
        assert!(hearing.hear("\"event\":\"e\"").contains("\"data\":7"));
    });
}

/// The status of `/metrics` without a token.
fn figures(addr: SocketAddr) -> String {
    http(addr, "GET /metrics", "", "").0[9..12].to_owned()
}

/// Who names a proxy has one, and whoever it lets through comes from this machine as well.
fn named_proxy(config: &mut Config) {
    config.trusted_proxies = vec!["127.0.0.1".into()];
}

#[test]
fn figures_need_a_token_wherever_others_can_ask_for_them() {
    with_doors(|_| (), |main, _| assert_eq!(figures(main), "200"));
    with_doors(|config| config.behind_proxy = true, |main, _| assert_eq!(figures(main), "401"));
    with_doors(named_proxy, |main, _| assert_eq!(figures(main), "401"));
    let behind_proxy = |config: &mut Config| {
        apart(config);
        config.behind_proxy = true;
    };
    with_doors(behind_proxy, |main, admin| {
        assert_eq!((figures(main), figures(admin.unwrap())), ("404".into(), "200".into()));
    });
    let on_a_network = |config: &mut Config| {
        config.behind_proxy = true;
        config.admin_listen = "0.0.0.0:0".into();
    };
    with_doors(on_a_network, |_, admin| {
        let admin = SocketAddr::from(([127, 0, 0, 1], admin.unwrap().port()));
        assert_eq!((figures(admin), status(admin, "GET", "/metrics")), ("401".into(), 200));
    });
}

#[test]
fn nobody_is_anonymous_while_others_can_reach_the_administrators_listener_or_a_proxy_is_named() {
    fn first_word(main: SocketAddr) -> Frame {
        let mut wire = Wire::open(main, "/ws");
        wire.say("{\"type\":\"auth\"}");
        wire.next()
    }
    fn is_let_in(frame: &Frame) -> bool {
        matches!(frame, Frame::Text(text) if text.contains("auth:ok"))
    }
    with_doors(apart, |main, _| assert!(is_let_in(&first_word(main))));
    let on_a_network: fn(&mut Config) = |config| config.admin_listen = "0.0.0.0:0".into();
    for seen_by_others in [on_a_network, named_proxy] {
        with_doors(seen_by_others, |main, _| {
            let said = first_word(main);
            assert!(!is_let_in(&said), "{said:?}");
        });
    }
}
