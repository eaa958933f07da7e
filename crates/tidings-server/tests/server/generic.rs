//! Generic commands by HTTP and as commands of the root: the same as flat on a socket.

use std::net::SocketAddr;

use serde_json::{Value, json};

use tidings_server::Config;

use crate::common::{Wire, config, http, limited, token, user, with_server};
use crate::people::plain;

/// A server in whose open rooms anyone may read.
fn read_by_anyone(config: Config) -> Config {
    let mut config = config;
    let open = config.rooms.get_mut("open").unwrap();
    (open.history, open.presence) = (Some("anyone".into()), Some("anyone".into()));
    config
}

/// Says a command by HTTP; the status, and what it is answered.
fn say(addr: SocketAddr, headers: &str, name: &str, data: &str) -> (u16, Value) {
    let (head, body) = http(addr, &format!("POST /api/commands/root/{name}"), headers, data);
    let told = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{name}: {head}{body}"));
    (head[9..12].parse().unwrap(), told)
}

fn bearer(user_id: &str) -> String {
    format!("Authorization: Bearer {}\r\n", user(user_id))
}

/// The answer of a plain message, without what is of the message alone.
fn flat(wire: &mut Wire, id: u64, name: &str, data: &Value) -> Value {
    let body = data.to_string();
    let comma = if body == "{}" { "" } else { "," };
    let mut told = wire.ask(id, &format!("\"type\":\"{name}\"{comma}{}", &body[1..body.len() - 1]));
    let members = told.as_object_mut().unwrap();
    members.remove("type");
    members.remove("id");
    told
}

fn names(told: &Value) -> Vec<&String> {
    told.as_object().unwrap().keys().collect()
}

#[test]
fn a_generic_command_is_answered_by_http_as_it_is_on_a_socket() {
    with_server(&read_by_anyone(config()), |addr, _| {
        let ada = bearer("ada");
        let (mut wire, _) = plain(addr, &user("ada"));
        assert_eq!(say(addr, &ada, "ping", ""), (200, json!({"ok": true})));
        let event = json!({"room": "open:1", "event": "said", "data": {"text": "hello"}});
        let (status, told) = say(addr, &ada, "publish", &event.to_string());
        assert_eq!((status, &told["offset"], &told["durability"]), (200, &json!(1), &json!("memory")));
        let socket = flat(&mut wire, 1, "publish", &event);
        assert_eq!((names(&told), &socket["offset"]), (names(&socket), &json!(2)));
        for (at, (name, data)) in [
            ("history", json!({"room": "open:1", "limit": 1})),
            (
                "history",
                json!({"room": "open:1", "since": {"epoch": told["epoch"], "offset": 1, "tag": told["tag"]}}),
            ),
            ("history", json!({"room": "user:bob"})),
            ("history", json!({"room": "nothing:1"})),
            ("history", json!({"limit": 1})),
            ("presence", json!({"room": "open:1"})),
            ("presence", json!({"room": "user:ada", "page": 0})),
            ("presence", json!({"room": "user:bob"})),
            ("presence:set", json!({"status": "away", "until": 4_000_000_000_000_u64})),
            ("presence%3Aset", json!({})),
            ("presence:set", json!({"status": "gone"})),
            ("publish", json!({"room": "user:bob", "event": "e", "data": 1})),
            ("publish", json!({"room": "open:1", "event": "tidings:e", "data": 1})),
            ("ping", json!({})),
        ]
        .into_iter()
        .enumerate()
        {
            let (status, mut told) = say(addr, &ada, name, &data.to_string());
            let mut socket = flat(&mut wire, 10 + at as u64, &name.replace("%3A", ":"), &data);
            assert_eq!(status == 200, socket["ok"] == true, "{name} {data}: {status} {told} {socket}");
            for told in [&mut told, &mut socket] {
                // Which words name what is wrong is each door's own, and time passes between them.
                told["error"]["message"].take();
                told["until"] = told["until"].is_u64().into();
                for member in told["members"].as_array_mut().into_iter().flatten() {
                    member["lastSeen"].take();
                }
            }
            assert_eq!(told, socket, "{name} {data}");
        }
    });
}

#[test]
fn a_publish_command_by_http_is_done_once_under_its_key_and_goes_to_one_room() {
    with_server(&read_by_anyone(config()), |addr, _| {
        let keyed = format!("{}Idempotency-Key: k-1\r\n", bearer("ada"));
        let event = |data: u8| format!("{{\"room\":\"open:1\",\"event\":\"e\",\"data\":{data}}}");
        let (_, first) = say(addr, &keyed, "publish", &event(1));
        let (_, again) = say(addr, &keyed, "publish", &event(1));
        assert_eq!((&again["messageId"], &again["duplicate"]), (&first["messageId"], &json!(true)));
        assert_eq!(say(addr, &keyed, "publish", &event(2)).0, 409);
        let two = "{\"room\":\"open:1\",\"event\":\"e\",\"data\":1,\"key\":\"k-2\"}";
        assert_eq!(say(addr, &keyed, "publish", two).0, 400, "two keys");
        let server = format!("Authorization: Bearer {}\r\n", token(json!({"sub": "s", "scope": "publish"})));
        for to in ["\"rooms\":[\"open:1\"]", "\"userId\":\"ada\"", "\"org\":\"default\""] {
            let (status, told) =
                say(addr, &server, "publish", &format!("{{{to},\"event\":\"e\",\"data\":1}}"));
            assert_eq!((status, &told["error"]["code"]), (400, &json!("bad_request")), "{to}");
        }
    });
}

#[test]
fn what_is_about_a_connection_needs_one_and_what_is_none_is_not_found() {
    with_server(&read_by_anyone(config()), |addr, _| {
        for (headers, name, data, status, code) in [
            (bearer("ada"), "subscribe", "{\"room\":\"open:1\"}", 400, "bad_request"),
            (bearer("ada"), "unsubscribe", "{\"room\":\"open:1\"}", 400, "bad_request"),
            (bearer("ada"), "auth", "{\"token\":\"x\"}", 400, "bad_request"),
            (bearer("ada"), "presence:set", "{\"active\":false}", 400, "bad_request"),
            (bearer("ada"), "take", "{}", 404, "not_found"),
            (bearer("ada"), "history", "[]", 400, "bad_request"),
            (bearer("ada"), "history", "{", 400, "bad_request"),
            ("Authorization: Bearer wrong\r\n".into(), "ping", "", 401, "unauthorized"),
            // Nobody in particular is nobody whom others see.
            (String::new(), "presence:set", "{\"status\":\"away\"}", 403, "forbidden"),
        ] {
            let (told, answer) = say(addr, &headers, name, data);
            assert_eq!((told, &answer["error"]["code"]), (status, &json!(code)), "{name} {data}: {answer}");
        }
        // On loopback one who shows nothing does what `anyone` may, as on the plain protocol.
        let event = "{\"room\":\"open:1\",\"event\":\"e\",\"data\":1}";
        assert_eq!(say(addr, "", "publish", event).1["offset"], 1);
        assert_ne!(say(addr, "", "publish", &event.replace("open", "lobby")).0, 200);
    });
}

#[test]
fn generic_commands_by_http_are_counted_as_they_are_on_sockets() {
    let mut config = read_by_anyone(limited());
    config.limits.publish_per_minute = 3;
    with_server(&config, |addr, _| {
        let ada = bearer("ada");
        let event = json!({"room": "open:1", "event": "e", "data": 1});
        assert_eq!(say(addr, &ada, "publish", &event.to_string()).1["remaining"], 2);
        for name in ["ping", "history", "presence"] {
            let (status, told) = say(addr, &ada, name, "{\"room\":\"open:1\"}");
            assert_eq!((status, told.get("remaining")), (200, None), "{name}");
        }
        assert_eq!(say(addr, &ada, "presence:set", "{\"status\":\"away\"}").0, 200);
        let (mut wire, _) = plain(addr, &user("ada"));
        assert_eq!(flat(&mut wire, 1, "publish", &event)["remaining"], 0, "one bucket for all");
        let (status, told) = say(addr, &ada, "publish", &event.to_string());
        assert_eq!((status, &told["remaining"]), (429, &json!(0)));
    });
}

#[test]
fn a_generic_command_may_be_said_as_a_command_of_the_root() {
    with_server(&read_by_anyone(config()), |addr, _| {
        let (mut wire, _) = plain(addr, &user("ada"));
        let mut root = |id: u64, ns: &str, name: &str, data: &str| {
            wire.ask(id, &format!("\"type\":\"command\"{ns},\"name\":\"{name}\",\"data\":{data}"))
        };
        assert_eq!(root(1, ",\"ns\":\"/\"", "ping", "{}")["ok"], true);
        assert_eq!(root(2, "", "subscribe", "{\"room\":\"open:1\"}")["room"], "open:1");
        assert_eq!(root(3, "", "publish", "{\"room\":\"open:1\",\"event\":\"e\",\"data\":1}")["offset"], 1);
        assert_eq!(root(4, "", "history", "{\"room\":\"open:1\"}")["events"][0]["event"], "e");
        assert_eq!(root(5, "", "unsubscribe", "{\"room\":\"open:1\"}")["ok"], true);
        assert_eq!(root(6, "", "take", "{}")["error"]["code"], "not_found");
        assert_eq!(root(7, ",\"ns\":\"/other\"", "ping", "{}")["error"]["code"], "not_found");
    });
}
