//! Which pages may talk to the server, on every door, in bytes.

use std::net::SocketAddr;

use serde_json::json;
use tidings_server::{Config, Extras, Server};

use crate::bed::{token, two_shards};
use crate::common::{Wire, upgrade};
use crate::http::{Answer, Http};

/// What a page is to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// Its own: nothing has to be said.
    Own,
    /// A foreign one that is listed.
    Listed,
    /// Any other.
    Refused,
}

use Page::{Listed, Own, Refused};

const LISTED: [&str; 4] = [
    "https://a.example",
    "http://b.example:8080",
    "https://xn--bcher-kva.example",
    "http://[2001:db8::1]:8080",
];

/// Pages that are listed or not wherever the server stands.
const ANYWHERE: [(&str, Page); 34] = [
    ("https://a.example", Listed),
    ("HTTPS://A.Example", Listed),
    ("http://b.example:8080", Listed),
    ("https://xn--bcher-kva.example", Listed),
    ("http://[2001:db8::1]:8080", Listed),
    ("http://a.example", Refused),
    ("https://a.example:443", Refused),
    ("https://a.example:4443", Refused),
    ("https://a.example/", Refused),
    ("https://a.example.", Refused),
    ("https://a.example.evil.test", Refused),
    ("https://evil.test#https://a.example", Refused),
    ("https://evil.test/https://a.example", Refused),
    ("https://xa.example", Refused),
    ("https://sub.a.example", Refused),
    ("https://example", Refused),
    ("https://a.example@evil.test", Refused),
    ("https://user:secret@a.example", Refused),
    ("https://a.example, https://evil.test", Refused),
    ("https://evil.test https://a.example", Refused),
    ("http://b.example", Refused),
    ("http://b.example:80801", Refused),
    ("http://b.example:08080", Refused),
    ("https://bücher.example", Refused),
    ("https://xn--bcher-kva.example.test", Refused),
    ("http://[2001:db8:0::1]:8080", Refused),
    ("http://[2001:db8::1]", Refused),
    ("null", Refused),
    ("", Refused),
    ("*", Refused),
    ("file://", Refused),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", Refused),
    ("https://\u{430}.example", Refused),
    ("javascript:alert(1)", Refused),
];

/// What a name makes of a page: the host a request is for, the page, and what it is on loopback and
/// behind a proxy that speaks TLS, where its public address is configured.
const BY_HOST: [(&str, &str, Page, Page); 17] = [
    ("127.0.0.1:3000", "http://127.0.0.1:3000", Own, Own),
    ("localhost:3000", "http://LOCALHOST:3000", Own, Own),
    ("[::1]:3000", "http://[::1]:3000", Own, Own),
    ("127.0.0.1:3000", "http://127.0.0.1:3001", Refused, Refused),
    ("127.0.0.1:3000", "http://localhost:3000", Refused, Refused),
    ("127.0.0.1:3000", "https://127.0.0.1:3000", Refused, Own),
    ("10.1.2.3:3000", "http://10.1.2.3:3000", Refused, Own),
    ("[2001:db8::9]", "https://[2001:db8::9]", Refused, Own),
    // Whoever owns a name can have it resolve to this server: that the Host agrees shows nothing.
    ("rebound.evil.test:3000", "http://rebound.evil.test:3000", Refused, Refused),
    ("rebound.evil.test", "https://rebound.evil.test", Refused, Refused),
    ("localhost.evil.test:3000", "http://localhost.evil.test:3000", Refused, Refused),
    // What a proxy calls us does not matter where the page is the one that is configured.
    ("upstream.internal:3000", "https://chat.example", Refused, Own),
    ("rebound.evil.test", "https://chat.example.evil.test", Refused, Refused),
    ("chat.example", "https://chat.example", Refused, Own),
    ("chat.example", "https://chat.example:8443", Refused, Refused),
    ("chat.example", "https://chat.example.evil.test", Refused, Refused),
    ("chat.example", "wss://chat.example", Refused, Refused),
];

/// Every way to ask, by name.
const WAYS: [&str; 9] = [
    "polling GET",
    "polling POST",
    "polling preflight",
    "socket.io",
    "plain",
    "ws-listen",
    "REST simple",
    "REST with a token",
    "REST preflight",
];

struct Place {
    addr: SocketAddr,
    plain: SocketAddr,
}

fn with_places(config: Config, test: impl FnOnce(&Place) + Send + 'static) {
    let config = Config { ws_listen: "127.0.0.1:0".into(), ..config };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(&config, Extras::default()).await.unwrap();
        let place = Place { addr: server.addr(), plain: server.ws_addr().unwrap() };
        tokio::task::spawn_blocking(move || test(&place)).await.unwrap();
        server.stop().await;
    });
}

fn listing(origins: &[&str]) -> Config {
    Config { allow_origin: origins.iter().map(|&origin| origin.to_owned()).collect(), ..two_shards() }
}

impl Place {
    /// What a page is answered that asks in one way.
    fn ask(&self, way: &str, host: &str, origins: &[&str]) -> Answer {
        let named: String = origins.iter().map(|origin| format!("Origin: {origin}\r\n")).collect();
        let headers = format!("Host: {host}\r\n{named}");
        let polling = "/socket.io/?EIO=4&transport=polling";
        let preflight = format!(
            "{headers}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n"
        );
        let mut http = Http::new(self.addr);
        match way {
            "polling GET" => http.ask("GET", polling, &headers, ""),
            "polling POST" => http.ask("POST", polling, &headers, "40"),
            "polling preflight" => http.ask("OPTIONS", polling, &preflight, ""),
            "socket.io" => open(self.addr, "/socket.io/?EIO=4&transport=websocket", &headers),
            "plain" => open(self.addr, "/ws", &headers),
            "ws-listen" => open(self.plain, "/", &headers),
            "REST simple" => http.ask("GET", "/healthz", &headers, ""),
            "REST with a token" => {
                let bearer = token(&json!({ "sub": "a", "scope": "publish" }));
                http.ask("GET", "/api/rooms", &format!("{headers}Authorization: Bearer {bearer}\r\n"), "")
            }
            _ => http.ask("OPTIONS", "/api/publish", &preflight, ""),
        }
    }

    /// What a page is, by every way's answer; what is wrong with one.
    fn judge(&self, way: &str, host: &str, origins: &[&str], page: Page) -> Result<(), String> {
        let answer = self.ask(way, host, origins);
        let (allow, credentials) = ("access-control-allow-origin", "access-control-allow-credentials");
        let fits = match page {
            Refused => answer.status == 403 && answer.header(allow).is_none(),
            Own => answer.status != 403 && answer.header(allow).is_none(),
            Listed => {
                answer.status != 403
                    && answer.all(allow) == [origins[0]]
                    && answer.all(credentials) == ["true"]
            }
        };
        let preflight = !way.ends_with("preflight") || page == Refused || is_preflight(&answer, page);
        let varies = answer.all("vary").iter().any(|names| names.contains("Origin"));
        let right = fits && preflight && varies && (page == Listed || answer.header(credentials).is_none());
        if right { Ok(()) } else { Err(format!("{way}, {host}, {origins:?}: not {page:?}: {}", answer.head)) }
    }
}

fn is_preflight(answer: &Answer, page: Page) -> bool {
    let methods = answer.header("access-control-allow-methods").unwrap_or_default();
    answer.status == 204
        && answer.header("access-control-max-age") == Some("600")
        && methods.contains("POST")
        && (page == Own || answer.header("access-control-allow-headers") == Some("authorization"))
}

/// Asks for a WebSocket; only the head of the answer is read.
fn open(addr: SocketAddr, path: &str, headers: &str) -> Answer {
    let mut wire = Wire::connect(addr);
    wire.send(upgrade(path).replace("Host: 127.0.0.1\r\n", headers).as_bytes());
    let head = wire.head();
    Answer { status: head[9..12].parse().unwrap(), head, body: String::new() }
}

/// Everything that does not fit the tables.
fn complaints(place: &Place, host: &str, behind_proxy: bool) -> Vec<String> {
    let anywhere = ANYWHERE.iter().map(|(origin, page)| (host, vec![*origin], *page));
    let by_host = BY_HOST.iter().map(|(host, origin, here, proxied)| {
        (*host, vec![*origin], if behind_proxy { *proxied } else { *here })
    });
    let two = ["https://a.example", "https://a.example"];
    let twice = [(host, two.to_vec(), Refused), (host, vec![two[0], "https://evil.test"], Refused)];
    let rows: Vec<_> = anywhere.chain(by_host).chain(twice).collect();
    let every = rows.iter().flat_map(|row| WAYS.map(|way| (way, row)));
    every.filter_map(|(way, (host, origins, page))| place.judge(way, host, origins, *page).err()).collect()
}

#[test]
fn pages_are_judged_alike_on_every_door_of_a_server_on_loopback() {
    with_places(listing(&LISTED), |place| assert_eq!(complaints(place, "127.0.0.1:3000", false), [""; 0]));
}

#[test]
fn pages_are_judged_alike_on_every_door_of_a_server_behind_a_proxy() {
    let mut config = Config { behind_proxy: true, no_limits: false, ..listing(&LISTED) };
    config.accounts.public_url = "https://chat.example".into();
    with_places(config, |place| assert_eq!(complaints(place, "chat.example", true), [""; 0]));
}

#[test]
fn without_a_list_only_the_own_page_may_ask() {
    with_places(listing(&[]), |place| {
        for (origin, _) in ANYWHERE {
            for way in WAYS {
                place.judge(way, "127.0.0.1:3000", &[origin], Refused).unwrap();
            }
        }
    });
}

#[test]
fn a_star_is_noticed_by_the_tables_and_gives_no_page_credentials() {
    with_places(listing(&["*"]), |place| {
        let wrong = complaints(place, "127.0.0.1:3000", false);
        let rows = ANYWHERE.iter().filter(|(origin, _)| !origin.is_ascii()).count();
        let unlisted = ANYWHERE.iter().filter(|(_, page)| *page == Refused).count() - rows;
        assert!(wrong.len() >= unlisted * WAYS.len(), "{} of the table's rows noticed it", wrong.len());
        for way in WAYS {
            let answer = place.ask(way, "127.0.0.1:3000", &["https://evil.test"]);
            assert_eq!(answer.all("access-control-allow-origin"), ["https://evil.test"], "{way}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{way}");
        }
    });
}

#[test]
fn who_comes_from_no_page_is_let_in_and_the_answer_still_depends_on_the_origin() {
    with_places(listing(&LISTED), |place| {
        for way in WAYS.into_iter().filter(|way| !way.ends_with("preflight")) {
            place.judge(way, "127.0.0.1:3000", &[], Own).unwrap();
        }
    });
}
