//! The door by HTTP, an app's own routes, limits, and what the server says of itself.

use std::sync::Arc;

use serde_json::{Value, json};
use tidings_app::App;
use tidings_server::config::{AppConfig, RoomKindConfig};
use tidings_server::{Extras, Server, StartError};

use super::shop::{Seen, shop};
use super::{Shop, code, say};
use crate::common::{config, http, limited};
use crate::people::{plain, post, token};

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap_or(Value::Null)
}

#[test]
fn every_command_has_a_door_by_http() {
    Shop::new().served(|addr, rows| {
        let ada = token("ada", 600, json!({}));
        let take = "{\"item\":\"apple\",\"howMany\":3}";
        let answer = post(addr, "/api/commands/shop/take", &ada, take);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(body(&answer), json!({"ok": true, "number": 1, "by": "ada"}));
        for (path, body_text, status) in [
            ("/api/commands/shop/take", "{\"item\":\"apple\"}", 400),
            ("/api/commands/shop/take", "{", 400),
            ("/api/commands/shop/take", "{\"item\":\"nothing\",\"howMany\":1}", 404),
            ("/api/commands/shop/admin", "{}", 403),
            ("/api/commands/shop/give", "{}", 404),
            ("/api/commands/root/take", "{}", 404),
            ("/api/commands/shop/enter", "{\"room\":\"stock:all\"}", 400),
            ("/api/commands/shop/old", "{\"fail\":true}", 409),
            ("/api/commands/shop/rare", "", 200),
        ] {
            let answer = post(addr, path, &ada, body_text);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {body_text}: {answer}");
        }
        let keyed = |data: &str| {
            let headers = format!("Authorization: Bearer {ada}\r\nIdempotency-Key: order-1\r\n");
            http(addr, "POST /api/commands/shop/take", &headers, data)
        };
        assert!(keyed(take).1.contains("\"number\":2"));
        assert!(keyed(take).1.contains("\"number\":2,\"by\":\"ada\",\"duplicate\":true"));
        assert!(keyed("{\"item\":\"pear\",\"howMany\":3}").0.starts_with("HTTP/1.1 409"));
        assert_eq!(rows.takes(), (2, 2));
        // Who shows nothing is nobody in particular, on loopback; a token that is wrong is refused.
        assert!(http(addr, "POST /api/commands/shop/anyone", "", "{}").0.starts_with("HTTP/1.1 200"));
        assert!(http(addr, "POST /api/commands/shop/take", "", take).0.starts_with("HTTP/1.1 401"));
        assert!(post(addr, "/api/commands/shop/anyone", "wrong", "{}").starts_with("HTTP/1.1 401"));
    });
}

#[test]
fn an_app_has_routes_of_its_own_and_knows_who_asks() {
    Shop::new().served(|addr, _| {
        let ada = format!("Authorization: Bearer {}\r\n", token("ada", 600, json!({})));
        assert_eq!(http(addr, "GET /api/shop/count", &ada, "").1, "ada:0");
        assert_eq!(http(addr, "GET /api/shop/count", "", "").1, "nobody:0");
        assert!(http(addr, "GET /api/shop/count", "Authorization: Bearer x\r\n", "").0.contains(" 401 "));
        assert!(http(addr, "GET /api/shop/nothing", &ada, "").0.contains(" 404 "));
    });
}

#[test]
fn commands_are_counted_in_the_general_bucket_or_their_own() {
    let shop = Shop { config: limited(), ..Shop::new() };
    shop.served(|addr, _| {
        let mut ada = plain(addr, &token("ada", 600, json!({}))).0;
        let rare: Vec<Value> = (1..=3).map(|id| say(&mut ada, id, "rare", &json!({}))).collect();
        assert_eq!((&rare[0]["remaining"], &rare[1]["remaining"]), (&json!(1), &json!(0)));
        assert_eq!((code(&rare[2]), &rare[2]["remaining"]), ("rate_limited", &json!(0)));
        assert!(rare[2]["error"]["retryAfterMs"].as_u64().unwrap() > 1_000);
        let door = post(addr, "/api/commands/shop/rare", &token("ada", 600, json!({})), "{}");
        assert!(door.starts_with("HTTP/1.1 429"), "the same bucket: {door}");
        // The general bucket is another one.
        assert_eq!(say(&mut ada, 4, "anyone", &json!({}))["remaining"], 99);
        let mut bob = plain(addr, &token("bob", 600, json!({}))).0;
        assert_eq!(say(&mut bob, 1, "rare", &json!({}))["remaining"], 1, "somebody else's");
    });
}

#[test]
fn strangers_are_counted_by_their_address_and_not_all_together() {
    let mut shop = Shop::new();
    shop.config = limited();
    shop.config.limits.publish_per_minute = 2;
    shop.served(|addr, _| {
        let anyone = |client: &str| {
            let from = format!("X-Forwarded-For: {client}\r\n");
            http(addr, "POST /api/commands/shop/anyone", &from, "{}").0[9..12].to_owned()
        };
        assert_eq!([(); 3].map(|()| anyone("192.0.2.1")), ["200", "200", "429"]);
        assert_eq!(anyone("192.0.2.2"), "200", "another address has its own");
    });
}

#[test]
fn what_a_server_asks_of_an_apps_own_routes_comes_out_of_its_own_budget() {
    let mut shop = Shop::new();
    shop.config = limited();
    (shop.config.limits.requests_per_minute, shop.config.limits.server_per_minute) = (1, 3);
    shop.served(|addr, _| {
        let server =
            format!("Authorization: Bearer {}\r\n", token("backend", 600, json!({"scope": "publish"})));
        let asked = || http(addr, "GET /api/shop/count", &server, "").0[9..12].to_owned();
        assert_eq!([(); 4].map(|()| asked()), ["200", "200", "200", "429"]);
    });
}

#[test]
fn the_server_says_what_it_offers() {
    Shop::new().served(|addr, _| {
        let document = |path: &str| -> Value {
            let (head, body) = http(addr, &format!("GET {path}"), "", "");
            assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
            serde_json::from_str(&body).unwrap()
        };
        let apps = document("/api/apps");
        let names: Vec<&str> =
            apps["apps"].as_array().unwrap().iter().filter_map(|app| app["name"].as_str()).collect();
        assert_eq!(names, ["rooms", "shop"]);
        let counter = &apps["apps"][1]["channels"][0];
        assert_eq!(counter["commands"][0]["name"], "take");
        assert_eq!(counter["commands"][2]["requires"], "role:admin");
        assert_eq!(counter["commands"][8]["rate"], json!({"burst": 2, "intervalMs": 30_000}));
        assert_eq!(counter["rooms"][0]["kind"], "stock");
        let openapi = document("/api/openapi.json");
        let door = &openapi["paths"]["/api/commands/shop/take"]["post"];
        let take = &door["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(take, "#/components/schemas/Take");
        let schema = &openapi["components"]["schemas"]["Take"];
        assert_eq!(schema["properties"]["howMany"], json!({"type": "integer", "minimum": 1, "maximum": 10}));
        assert_eq!(schema["additionalProperties"], false);
        let asyncapi = document("/api/asyncapi.json");
        assert_eq!(asyncapi["channels"]["shop"]["address"], "/shop");
        assert_eq!(asyncapi["operations"]["shop.take"]["action"], "receive");
    });
}

#[test]
fn a_manifest_says_of_kinds_what_the_server_holds_them_to() {
    let kinds = |mut shop: Shop, changed: Vec<(&str, RoomKindConfig)>| {
        shop.config.rooms.extend(changed.into_iter().map(|(kind, config)| (kind.to_owned(), config)));
        let (reply, found) = std::sync::mpsc::channel();
        shop.served(move |addr, _| {
            let (_, body) = http(addr, "GET /api/apps", "", "");
            let manifests: Value = serde_json::from_str(&body).unwrap();
            let apps = manifests["apps"].as_array().unwrap();
            let channels = apps.iter().flat_map(|app| app["channels"].as_array().unwrap());
            let rooms = channels.flat_map(|channel| channel["rooms"].as_array().unwrap().clone());
            reply.send(rooms.collect::<Vec<_>>()).unwrap();
        });
        let found = found.recv().unwrap();
        move |kind: &str| {
            let said = found.iter().find(|said| said["kind"] == kind).unwrap();
            ["subscribe", "publish", "keep"].map(|name| said[name].as_str().unwrap().to_owned())
        }
    };
    let declared = kinds(Shop::new(), Vec::new());
    // There is a database, and every listener is on loopback.
    assert_eq!(declared("lobby"), ["signed-in", "signed-in", "durable"]);
    assert_eq!(declared("metrics"), ["anyone", "server", "recent"]);
    let kind = RoomKindConfig::default;
    let lobby = RoomKindConfig { keep: Some("nothing".into()), publish: Some("role:host".into()), ..kind() };
    let stock = RoomKindConfig { subscribe: Some("verified".into()), ..kind() };
    let changed = kinds(Shop::new(), vec![("lobby", lobby), ("stock", stock)]);
    assert_eq!(changed("lobby"), ["signed-in", "role:host", "nothing"]);
    assert_eq!(changed("stock")[1..], declared("stock")[1..], "the rest is the app's");
    assert_eq!((declared("stock")[0].as_str(), changed("stock")[0].as_str()), ("signed-in", "verified"));
}

/// Why a server with these apps does not start.
fn start(config: &tidings_server::Config, apps: Vec<App<axum::Router>>, with_store: bool) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = tidings_store::StoreOptions::default();
        let store = tidings_store::Store::open("sqlite::memory:", &options).await.unwrap();
        let store = with_store.then_some(store);
        match Server::start(config, Extras { apps, store, ..Extras::default() }).await {
            Ok(server) => {
                server.stop().await;
                None
            }
            Err(StartError::Config(problem)) => Some(problem),
            Err(error) => panic!("{error}"),
        }
    })
}

#[test]
fn apps_that_cannot_stand_together_keep_the_server_from_starting() {
    let seen = Arc::new(Seen::default());
    let twice = start(&config(), vec![shop(&seen), shop(&seen)], true).unwrap();
    assert!(twice.contains("another app of this name"), "{twice}");
    let without = start(&config(), vec![shop(&seen)], false).unwrap();
    assert!(without.contains("no database"), "{without}");
    let mut odd = config();
    odd.apps.insert("shoe".into(), AppConfig::default());
    let unknown = start(&odd, vec![shop(&seen)], true).unwrap();
    assert!(unknown.contains("[apps.shoe]"), "{unknown}");
    assert_eq!(start(&config(), vec![shop(&seen)], true), None);
}

#[test]
fn an_app_that_is_switched_off_is_not_there() {
    let mut shop = Shop::new();
    shop.config.apps.insert("shop".into(), AppConfig { enabled: false, ..AppConfig::default() });
    shop.served(|addr, _| {
        let mut ada = plain(addr, &token("ada", 600, json!({}))).0;
        assert_eq!(code(&say(&mut ada, 1, "anyone", &json!({}))), "not_found");
        assert_eq!(code(&ada.ask(2, "\"type\":\"subscribe\",\"room\":\"stock:all\"")), "not_found");
        let (_, apps) = http(addr, "GET /api/apps", "", "");
        assert!(apps.contains("\"rooms\"") && !apps.contains("\"shop\""));
        assert!(http(addr, "GET /api/shop/count", "", "").0.contains(" 404 "));
    });
}
