//! Rights: random people, rules and doors, compared with a reference; what is hidden and what is not there.

use std::net::SocketAddr;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Value, json};
use tidings_server::Config;
use tidings_server::config::RoomKindConfig;

use crate::bed::{token, told, two_shards};
use crate::client::{Client, DOORS, Door};
use crate::common::with_server;
use crate::http::{Http, segment};
use crate::reference::{Deed, Person, RULES, Rules, outcome};

/// Cases where nobody asks for more; `MATRIX_CASES` does.
const CASES: u64 = 600;

fn digits() -> std::ops::Range<usize> {
    0..RULES.len()
}

fn kind([a, b, c, d]: Rules) -> String {
    format!("k{a}{b}{c}{d}")
}

/// A kind for every combination of rules.
fn every_rule() -> Config {
    let mut config = two_shards();
    let rule = |at: usize| Some(RULES[at].to_owned());
    for at in 0..RULES.len().pow(4) {
        let rules = [at / 512, at / 64 % 8, at / 8 % 8, at % 8];
        let [subscribe, publish, history, presence] = rules.map(rule);
        let keep = Some("recent".into());
        let spec = RoomKindConfig { subscribe, publish, history, presence, keep, ..Default::default() };
        config.rooms.insert(kind(rules), spec);
    }
    config
}

fn people() -> impl Strategy<Value = Person> {
    let user = select(vec![None, Some("alice"), Some("bob"), Some("__proto__")]);
    let org = select(vec![None, Some("acme"), Some("globex")]);
    let scope = select(vec![None, Some("publish"), Some("admin"), Some("publisher"), Some("read")]);
    let said = any::<[bool; 4]>();
    (user, org, scope, said).prop_map(|(user, org, scope, [verified, editor, admin, pro])| match user {
        Some(_) => Person { user, org, verified, editor, admin, pro, scope },
        None => Person::default(),
    })
}

fn token_of(who: &Person) -> Option<String> {
    let mut claims = json!({ "sub": who.user?, "email_verified": who.verified });
    let roles = [("editor", who.editor), ("admin", who.admin)];
    claims["roles"] = roles.iter().filter(|(_, is)| *is).map(|(role, _)| *role).collect::<Vec<_>>().into();
    claims["plan"] = if who.pro { "pro" } else { "professional" }.into();
    for (name, value) in [("org", who.org), ("scope", who.scope)] {
        if let Some(value) = value {
            claims[name] = value.into();
        }
    }
    Some(token(&claims))
}

/// `ok`, or the code of the refusal; and every byte of the answer.
type Said = (String, String);

fn said(body: &str, bytes: String) -> Said {
    let value: Value = serde_json::from_str(body).unwrap();
    let code = if value["ok"] == true { "ok" } else { value["error"]["code"].as_str().unwrap() };
    (code.to_owned(), bytes)
}

/// Tries something in a room through a connection.
fn try_at(client: &mut Client, room: &str, deed: Deed) -> Said {
    let (command, body) = match deed {
        Deed::Publish => ("publish", json!({ "room": room, "event": "e", "data": 1 })),
        Deed::History => ("history", json!({ "room": room })),
        Deed::Presence => ("presence", json!({ "room": room })),
        Deed::Rewind => ("subscribe", json!({ "room": room, "rewind": 1 })),
        _ => ("subscribe", json!({ "room": room })),
    };
    let answer = client.ask_raw(command, &body);
    said(&answer, answer.clone())
}

/// The same by HTTP; what a connection alone can do is not asked.
fn try_by_http(addr: SocketAddr, token: &str, org: &str, room: &str, deed: Deed) -> Said {
    let message = |to: &str, name: &str| json!({ to: name, "event": "e", "data": 1 }).to_string();
    let read = |what: &str| ("GET", format!("/api/rooms/{}/{what}", segment(room)), String::new());
    let publish = |body| ("POST", "/api/publish".to_owned(), body);
    let (method, target, body) = match deed {
        Deed::Publish | Deed::Subscribe | Deed::Rewind => publish(message("room", room)),
        Deed::History => read("history"),
        Deed::Presence => read("presence"),
        Deed::Stats => read("stats"),
        Deed::List => ("GET", "/api/rooms".to_owned(), String::new()),
        Deed::Announce => publish(message("org", org)),
        Deed::AnnounceAbroad => publish(message("org", "initech")),
    };
    let answer = Http::new(addr).as_bearer(method, &target, token, &body);
    said(&answer.body, answer.without_date())
}

#[test]
fn everybody_may_do_on_every_door_what_the_reference_says_and_what_is_hidden_looks_absent() {
    let doors = [Some(Door::Plain), Some(Door::SocketIo), Some(Door::Polling), None];
    let in_rooms = [Deed::Subscribe, Deed::Publish, Deed::History, Deed::Presence, Deed::Rewind];
    let by_http = [
        Deed::Publish,
        Deed::History,
        Deed::Presence,
        Deed::Stats,
        Deed::List,
        Deed::Announce,
        Deed::AnnounceAbroad,
    ];
    let deeds = (select(in_rooms.to_vec()), select(by_http.to_vec()));
    let rules = [digits(), digits(), digits(), digits()];
    let ids = select(vec!["alice", "bob", "__proto__", "alice:1"]);
    let cases =
        Cases { cases: told("MATRIX_CASES", CASES) as u32, failure_persistence: None, ..Cases::default() };
    with_server(&every_rule(), move |addr, _| {
        let case = (people(), rules, ids, select(doors.to_vec()), deeds);
        let check = |(who, rules, id, door, deeds): (Person, Rules, &str, Option<Door>, (Deed, Deed))| {
            let (room, absent) = (format!("{}:{id}", kind(rules)), format!("nokind:{id}"));
            let token = token_of(&who);
            let (deed, real, hidden) = match (door, token.as_deref()) {
                (None, Some(token)) => {
                    let org = who.org.unwrap_or("default");
                    let ask = |room: &str| try_by_http(addr, token, org, room, deeds.1);
                    (deeds.1, ask(&room), ask(&absent))
                }
                (door, token) => {
                    // Without a token there is the plain protocol alone.
                    let door = door.filter(|_| token.is_some()).unwrap_or(Door::Plain);
                    let mut client = Client::enter(addr, door, token).unwrap();
                    (deeds.0, try_at(&mut client, &room, deeds.0), try_at(&mut client, &absent, deeds.0))
                }
            };
            prop_assert_eq!(&real.0, outcome(&who, rules, id, deed), "{:?} in {}: {}", deed, room, real.1);
            if real.0 == "not_found" {
                prop_assert_eq!(&real.1, &hidden.1, "{:?}", deed);
            }
            Ok(())
        };
        TestRunner::new(cases).run(&case, check).unwrap();
    });
}

#[test]
fn without_a_token_socket_io_and_http_let_nobody_do_anything() {
    with_server(&every_rule(), |addr, _| {
        for door in [Door::SocketIo, Door::Polling] {
            let refusal = Client::enter(addr, door, None).err().unwrap();
            assert_eq!(refusal["data"]["code"], "unauthorized", "{door:?}");
        }
        let mut http = Http::new(addr);
        for (method, target) in [
            ("GET", "/api/rooms"),
            ("GET", "/api/rooms/k0000:1/history"),
            ("GET", "/api/rooms/nokind:1/presence"),
            ("GET", "/api/rooms/%FF/stats"),
            ("POST", "/api/publish"),
            ("POST", "/api/publish/batch"),
        ] {
            assert_eq!(http.ask(method, target, "", "{}").status, 401, "{target}");
        }
    });
}

/// What a made-up position opens: what was said before one came is history, however it is asked for.
#[test]
fn who_may_hear_but_not_read_gets_by_a_position_only_what_followed_a_message_it_heard() {
    with_server(&every_rule(), |addr, _| {
        let enter =
            |door, user: &str| Client::enter(addr, door, Some(&token(&json!({ "sub": user })))).unwrap();
        // Subscribe and publish: signed-in; history: nobody, or signed-in for comparison.
        for (room, reads) in [("k1171:1", false), ("k1111:1", true)] {
            let mut speaker = enter(Door::Plain, "speaker");
            let mut say =
                |text: &str| speaker.ask("publish", &json!({ "room": room, "event": "e", "data": text }));
            let first = say("before");
            say("and before");
            for door in DOORS {
                let mut late = enter(door, "late");
                let since = json!({ "epoch": first["epoch"], "offset": 0 });
                let ack = late.ask("subscribe", &json!({ "room": room, "since": since }));
                late.settle();
                let heard = late.heard.iter().any(|text| text.contains("before\""));
                assert_eq!((ack["recovered"] == true, heard), (reads, reads), "{room} by {door:?}");
            }
            let mut member = enter(Door::Plain, "member");
            let ack = member.ask("subscribe", &json!({ "room": room }));
            member.cut();
            say("while away");
            let mut member = enter(Door::Plain, "member");
            let since = json!({ "epoch": ack["epoch"], "offset": ack["offset"], "tag": ack["tag"] });
            let ack = member.ask("subscribe", &json!({ "room": room, "since": since }));
            member.settle();
            let heard = |what: &str| member.heard.iter().any(|text| text.contains(what));
            assert!(ack["recovered"] == true && heard("while away") && !heard("before\""), "{room}: {ack}");
        }
    });
}

/// Figures of the process are those of all organisations.
#[test]
fn behind_a_proxy_the_metrics_are_for_operators_and_anonymous_is_nobody() {
    let config = Config { behind_proxy: true, no_limits: false, ..two_shards() };
    with_server(&config, |addr, _| {
        let scrape = |claims: Value| Http::new(addr).as_bearer("GET", "/metrics", &token(&claims), "").status;
        assert_eq!(Http::new(addr).ask("GET", "/metrics", "", "").status, 401);
        assert_eq!(scrape(json!({ "sub": "p", "scope": "admin" })), 200);
        assert_eq!(scrape(json!({ "sub": "p", "scope": "publish", "org": "default" })), 200);
        assert_eq!(scrape(json!({ "sub": "p", "scope": "admin", "org": "acme" })), 403);
        assert_eq!(scrape(json!({ "sub": "p", "roles": ["admin"], "org": "acme" })), 403);
        assert_eq!(scrape(json!({ "sub": "p" })), 403);
        assert!(
            Client::enter(addr, Door::Plain, None).is_err(),
            "the proxy's clients are not of this machine"
        );
    });
}
