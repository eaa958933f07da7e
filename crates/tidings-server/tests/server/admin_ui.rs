//! The stock Admin UI's protocol on the namespace `/admin`: who gets in, what it is told, what it does.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_server::config::AdminUiMode;
use tidings_testkit::eventually;

use crate::common::{DEADLINE, Wire, config, limited, with_server};
use crate::people::{plain_in, socket_io, socket_io_in, token};

fn open_to(mode: AdminUiMode) -> Config {
    let mut config = Config { shards: 2, ..config() };
    config.admin_ui.mode = mode;
    config.namespaces.insert("/extra".into(), tidings_server::config::NamespaceConfig::default());
    config
}

fn development() -> Config {
    open_to(AdminUiMode::Development)
}

fn someone(org: &str, user: &str) -> String {
    token(user, 600, json!({ "org": org }))
}

fn admin(org: &str) -> String {
    token("root", 600, json!({ "org": org, "roles": ["admin"] }))
}

fn knock(addr: SocketAddr, auth: &Value) -> (Wire, String) {
    let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
    wire.hear("0{");
    wire.say(&format!("40/admin,{auth}"));
    let told = wire.hear("4");
    (wire, told)
}

/// The page of an administrator, signed in by its token.
fn page(addr: SocketAddr, token: &str) -> Wire {
    let (wire, told) = knock(addr, &json!({ "username": "token", "password": token }));
    assert!(told.starts_with("40/admin,{"), "{told}");
    wire
}

/// The arguments of the next event of this name.
fn heard(wire: &mut Wire, name: &str) -> Vec<Value> {
    let text = wire.hear(&format!("42/admin,[\"{name}\""));
    let args: Vec<Value> = serde_json::from_str(text.strip_prefix("42/admin,").unwrap()).unwrap();
    args[1..].to_vec()
}

/// The arguments of the next event of this name that fits.
fn until(wire: &mut Wire, name: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let args = heard(wire, name);
        if fits(&args) {
            return args;
        }
        assert!(begun.elapsed() < DEADLINE, "never as wanted: {args:?}");
    }
}

#[test]
fn it_is_shut_by_default_and_where_it_is_open_to_administrators_alone() {
    with_server(&config(), |addr, _| {
        let (_, told) = knock(addr, &json!({ "username": "token", "password": admin("default") }));
        assert!(told.starts_with("44/admin,") && told.contains("Invalid namespace"), "{told}");
    });
    with_server(&development(), |addr, _| {
        let wrong = [
            json!({}),
            json!({ "username": "", "password": "" }),
            json!({ "username": "token", "password": "nonsense" }),
            json!({ "username": "token", "password": someone("default", "ann") }),
            json!({ "username": "token", "password": token("bot", 600, json!({ "scope": "publish" })) }),
            json!({ "username": "ada@example.com", "password": "a long enough password" }),
            json!({ "sessionId": "00000000000000000000000000000000" }),
            json!({ "token": someone("default", "ann") }),
            json!({ "username": "token", "password": "x".repeat(10_000) }),
        ];
        for auth in wrong {
            let (mut wire, told) = knock(addr, &auth);
            assert!(told.starts_with("44/admin,{\"message\":\"invalid credentials\""), "{auth}: {told}");
            wire.say("42/admin,[\"_disconnect\",\"/\",true]");
        }
        page(addr, &admin("default"));
        page(addr, &admin("acme"));
    });
}

#[test]
fn a_page_that_is_loaded_again_comes_back_by_its_session() {
    with_server(&development(), |addr, _| {
        let mut first = page(addr, &admin("default"));
        let session = heard(&mut first, "session").remove(0);
        let features = heard(&mut first, "config").remove(0)["supportedFeatures"].clone();
        assert!(features.as_array().unwrap().contains(&json!("ALL_EVENTS")), "{features}");
        drop(first);
        let (mut again, told) = knock(addr, &json!({ "sessionId": session }));
        assert!(told.starts_with("40/admin,{"), "{told}");
        heard(&mut again, "config");
    });
}

#[test]
fn who_guesses_is_kept_out_for_a_while() {
    let mut config = limited();
    config.admin_ui.mode = AdminUiMode::Production;
    with_server(&config, |addr, _| {
        let guess = || knock(addr, &json!({ "username": "token", "password": "nonsense" })).1;
        eventually("kept out", || guess().contains("rate_limited"));
        let right = knock(addr, &json!({ "username": "token", "password": admin("default") })).1;
        assert!(right.contains("rate_limited"), "the right one has to wait as well: {right}");
    });
}

#[test]
fn figures_come_every_two_seconds_and_in_production_no_clients() {
    with_server(&open_to(AdminUiMode::Production), |addr, _| {
        let _ann = plain_in(addr, &someone("default", "ann"), "open:1");
        let mut page = page(addr, &admin("default"));
        let features = heard(&mut page, "config").remove(0)["supportedFeatures"].clone();
        assert!(!features.as_array().unwrap().contains(&json!("ALL_EVENTS")), "{features}");
        for _ in 0..2 {
            let text = page.hear("42/admin,");
            assert!(text.contains("server_stats"), "nothing else comes: {text}");
            let stats: Value = serde_json::from_str(text.strip_prefix("42/admin,").unwrap()).unwrap();
            let stats = &stats[1];
            assert_eq!((&stats["clientsCount"], &stats["pollingClientsCount"]), (&json!(2), &json!(0)));
            let count = |name: &str| {
                let namespaces = stats["namespaces"].as_array().unwrap();
                namespaces.iter().find(|found| found["name"] == name).unwrap()["socketsCount"].clone()
            };
            assert_eq!((count("/"), count("/admin"), count("/extra")), (json!(1), json!(1), json!(0)));
            assert!(stats["uptime"].as_f64() > Some(0.0) && stats["pid"].as_u64() > Some(0), "{stats}");
        }
    });
}

#[test]
fn clients_that_come_go_join_and_leave_are_told_while_somebody_watches() {
    with_server(&development(), |addr, _| {
        let (_old, _) = socket_io_in(addr, &someone("default", "old"), "open:1");
        let mut page = page(addr, &admin("default"));
        let all = heard(&mut page, "all_sockets").remove(0);
        let of = |all: &Value, user: &str| {
            let found = all.as_array().unwrap().iter().find(|socket| socket["data"]["userId"] == user);
            found.unwrap_or_else(|| panic!("{user} in {all}")).clone()
        };
        let old = of(&all, "old");
        assert_eq!((&old["nsp"], &old["transport"]), (&json!("/"), &json!("websocket")));
        let rooms: Vec<&str> =
            old["rooms"].as_array().unwrap().iter().map(|room| room.as_str().unwrap()).collect();
        assert!(rooms.contains(&"open:1") && rooms.contains(&old["id"].as_str().unwrap()), "{old}");
        assert_eq!(old["handshake"]["headers"], json!({}), "what was sent at the handshake is not shown");
        assert_eq!(old["clientId"].as_str().unwrap().len(), 12);
        let (mut ann, told) = socket_io(addr, &someone("default", "ann"), "");
        let id = told.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
        let connected = until(&mut page, "socket_connected", |args| args[0]["id"] == id);
        assert!(connected[1].as_str().unwrap().ends_with('Z'));
        ann.say("421[\"subscribe\",{\"room\":\"open:2\"}]");
        let joined = until(&mut page, "room_joined", |args| args[1] == "open:2");
        assert_eq!((&joined[0], &joined[2]), (&json!("/"), &json!(id)));
        ann.say("422[\"unsubscribe\",{\"room\":\"open:2\"}]");
        until(&mut page, "room_left", |args| args[1] == "open:2" && args[2] == id);
        drop(ann);
        until(&mut page, "socket_disconnected", |args| args[1] == id);
    });
}

#[test]
fn another_organisation_is_neither_seen_nor_moved() {
    with_server(&development(), |addr, _| {
        let mut there = plain_in(addr, &someone("globex", "secret-ann"), "open:secret");
        let _here = plain_in(addr, &someone("acme", "bob"), "open:1");
        let mut page = page(addr, &admin("acme"));
        let all = heard(&mut page, "all_sockets").remove(0);
        assert!(!all.to_string().contains("secret") && all.to_string().contains("bob"), "{all}");
        let stats = heard(&mut page, "server_stats").remove(0);
        assert_eq!((&stats["clientsCount"], &stats["aggregatedEvents"]), (&json!(2), &json!([])));
        page.say("42/admin,[\"leave\",\"/\",\"open:secret\"]");
        page.say("42/admin,[\"emit\",\"/\",\"open:secret\",\"still-here\",2]");
        page.say("42/admin,[\"emit\",\"/\",null,\"still-here\",2]");
        page.say("42/admin,[\"_disconnect\",\"/\",true]");
        until(&mut page, "socket_disconnected", |_| true);
        assert_eq!(there.ask(5, "\"type\":\"ping\"")["ok"], true);
        there.say(
            "{\"type\":\"publish\",\"id\":6,\"room\":\"open:secret\",\"event\":\"still-here\",\"data\":1}",
        );
        assert!(there.hear("\"event\":\"still-here\"").contains("\"data\":1"));
    });
}

#[test]
fn it_joins_sends_out_and_disconnects_one_a_room_or_all_and_a_reading_page_does_nothing() {
    with_server(&development(), |addr, publisher| {
        let (mut ann, told) = socket_io(addr, &someone("default", "ann"), "");
        let id = told.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
        let (mut bob, _) = socket_io_in(addr, &someone("default", "bob"), "open:crowd");
        let mut page = page(addr, &admin("default"));
        heard(&mut page, "all_sockets");
        // What cannot be understood does nothing, and the page goes on.
        for odd in [
            "[\"join\"]",
            "[\"join\",1,2,3]",
            "[\"join\",\"/none\",\"open:1\"]",
            "[\"dance\",\"/\"]",
            "[\"emit\",\"/\",null]",
            "[\"emit\",\"/\",null,\"tidings:left\",{}]",
            "[\"emit\",\"/\",null,\"bytes\",{\"_placeholder\":true,\"num\":0}]",
            "[\"join\",\"/\",\"nokind\"]",
        ] {
            page.say(&format!("42/admin,{odd}"));
        }
        page.say(&format!("42/admin,[\"join\",\"/\",\"open:9\",\"{id}\"]"));
        until(&mut page, "room_joined", |args| args[1] == "open:9" && args[2] == id);
        publisher.publish("open:9", "inside", "1".into()).unwrap();
        ann.hear("inside");
        page.say("42/admin,[\"emit\",\"/\",\"open:9\",\"hello\",{\"to\":\"the room\"}]");
        assert!(ann.hear("hello").contains("the room"));
        page.say(&format!("42/admin,[\"emit\",\"/\",\"{id}\",\"hey\",1,\"two\"]"));
        assert!(ann.hear("hey").contains("1,\"two\""));
        page.say("42/admin,[\"emit\",\"/\",null,\"all\"]");
        ann.hear("[\"all\"");
        bob.hear("[\"all\"");
        page.say("42/admin,[\"leave\",\"/\",\"open:9\",\"open:9\"]");
        assert!(ann.hear("tidings:left").contains("open:9"));
        // A room of which the rules keep the client out is none that it can be put into.
        page.say(&format!("42/admin,[\"join\",\"/\",\"admin:security\",\"{id}\"]"));
        page.say("42/admin,[\"_disconnect\",\"/\",false,\"open:crowd\"]");
        assert!(bob.hear("41").starts_with("41"), "told that it is out of the namespace");
        page.say(&format!("42/admin,[\"_disconnect\",\"/\",true,\"{id}\"]"));
        assert!(ann.closed().is_some());
    });
    let mut config = development();
    config.admin_ui.readonly = true;
    with_server(&config, |addr, _| {
        let (mut ann, _) = socket_io_in(addr, &someone("default", "ann"), "open:1");
        let mut page = page(addr, &admin("default"));
        let features = heard(&mut page, "config").remove(0)["supportedFeatures"].clone();
        assert_eq!(features, json!(["AGGREGATED_EVENTS", "ALL_EVENTS"]));
        page.say("42/admin,[\"_disconnect\",\"/\",true]");
        heard(&mut page, "server_stats");
        heard(&mut page, "server_stats");
        ann.say("427[\"ping\"]");
        assert!(ann.hear("437").contains("\"ok\":true"));
    });
}

#[test]
fn with_a_listener_of_their_own_administrators_watch_there_alone() {
    let mut config = development();
    config.admin_listen = "127.0.0.1:0".into();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = tidings_server::Server::start(&config, tidings_server::Extras::default()).await.unwrap();
        let (main, admin_addr) = (server.addr(), server.admin_addr().unwrap());
        let test = move || {
            let auth = json!({ "username": "token", "password": admin("default") });
            let (_, told) = knock(main, &auth);
            assert!(told.starts_with("44/admin,") && told.contains("Invalid namespace"), "{told}");
            let (_, told) = knock(admin_addr, &auth);
            assert!(told.starts_with("40/admin,{"), "{told}");
        };
        tokio::task::spawn_blocking(test).await.unwrap();
        server.stop().await;
    });
}

#[test]
fn an_own_namespace_of_that_name_is_refused_at_the_start() {
    let mut config = development();
    config.namespaces.insert("/admin".into(), tidings_server::config::NamespaceConfig::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = runtime.block_on(tidings_server::Server::start(&config, tidings_server::Extras::default()));
    let Err(error) = started else { panic!("it has started") };
    assert!(error.to_string().contains("/admin"), "{error}");
}
