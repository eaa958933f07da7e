//! Rooms of apps: snapshots that miss nothing, rules that the app decides, rooms one is in at once.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Shop, ada, code, say};
use crate::common::DEADLINE;
use crate::people::{plain, socket_io, token};

#[test]
fn a_newcomer_gets_the_snapshot_and_exactly_what_follows_it() {
    Shop::new().served(|addr, _| {
        let speaker = std::thread::spawn(move || {
            let mut ada = ada(addr);
            for id in 1..=150 {
                assert_eq!(say(&mut ada, id, "take", &json!({"item": "a", "howMany": 1}))["ok"], true);
            }
        });
        // Whenever one comes, sum of the snapshot and events behind it make the whole.
        let newcomers: Vec<_> = (0..12)
            .map(|at| {
                let mut wire = plain(addr, &token(&format!("n{at}"), 600, json!({}))).0;
                let told = wire.ask(1, "\"type\":\"subscribe\",\"room\":\"stock:all\"");
                assert_eq!(told["ok"], true, "{told}");
                let from = told["snapshot"]["taken"].as_u64().unwrap();
                assert_eq!(told["offset"].as_u64(), Some(from), "the position is the snapshot's: {told}");
                (wire, from)
            })
            .collect();
        speaker.join().unwrap();
        for (mut wire, from) in newcomers {
            for sum in from + 1..=150 {
                let heard: Value = serde_json::from_str(&wire.hear("\"taken\"")).unwrap();
                assert_eq!(
                    (&heard["data"]["sum"], &heard["offset"]),
                    (&json!(sum), &json!(sum)),
                    "from {from}"
                );
            }
        }
    });
}

#[test]
fn an_app_refuses_who_wants_to_join() {
    Shop::new().served(|addr, _| {
        let mut ada = ada(addr);
        let told = ada.ask(1, "\"type\":\"subscribe\",\"room\":\"stock:closed\"");
        assert_eq!((code(&told), &told["error"]["message"]), ("conflict", &json!("this shop is closed")));
        // The rule comes first: of a room that one may not hear nothing is told.
        let told = ada.ask(2, "\"type\":\"subscribe\",\"room\":\"basket:bob\"");
        assert_eq!(code(&told), "not_found");
    });
}

#[test]
fn an_app_decides_where_the_rule_leaves_it_to_it() {
    Shop::new().served(|addr, _| {
        let mut bob = plain(addr, &token("bob", 600, json!({}))).0;
        let mut ada = ada(addr);
        let subscribe = "\"type\":\"subscribe\",\"room\":\"till:1\"";
        assert_eq!(code(&bob.ask(1, subscribe)), "not_found");
        let told = ada.ask(1, subscribe);
        assert_eq!((&told["ok"], told.get("snapshot")), (&json!(true), None));
        let publish =
            |room: u64| format!("\"type\":\"publish\",\"room\":\"till:{room}\",\"event\":\"x\",\"data\":1");
        assert_eq!(ada.ask(2, &publish(1))["ok"], true);
        let told = ada.ask(3, &publish(2));
        assert_eq!((code(&told), &told["error"]["message"]), ("forbidden", &json!("this till is Ada's")));
        assert_eq!(code(&bob.ask(2, &publish(1))), "not_found");
    });
}

#[test]
fn who_enters_the_namespace_is_in_its_own_room_at_once() {
    Shop::new().served(|addr, _| {
        let (mut io, _) = socket_io(addr, &token("ada", 600, json!({})), "");
        io.say(&format!("40/shop,{{\"token\":\"{}\"}}", token("ada", 600, json!({}))));
        // Apps are told behind that, so who hears the bell is in.
        io.hear("42/shop,[\"bell\"");
        let server = token("svc", 600, json!({"scope": "publish"}));
        let body = "{\"room\":\"basket:ada\",\"event\":\"full\",\"data\":1}";
        let answer = crate::people::post(addr, "/api/publish", &server, body);
        // Only the app speaks there.
        assert!(answer.contains("not_found") || answer.contains("forbidden"), "{answer}");
        let told = super::super::common::http(
            addr,
            "GET /api/rooms/basket:ada/stats",
            &format!("Authorization: Bearer {}\r\n", token("ada", 600, json!({}))),
            "",
        );
        assert!(told.1.contains("\"connections\":1"), "{told:?}");
    });
}

#[test]
fn an_app_takes_a_connection_into_a_room_by_the_rooms_rules() {
    Shop::new().served(|addr, _| {
        let (mut ada, mut bob) = (ada(addr), plain(addr, &token("bob", 600, json!({}))).0);
        assert_eq!(say(&mut bob, 1, "enter", &json!({"room": "stock:all"}))["ok"], true);
        // What is for him alone comes behind the answer.
        assert_eq!(bob.hear("bell"), "{\"type\":\"event\",\"event\":\"bell\",\"data\":null}");
        assert_eq!(code(&say(&mut bob, 2, "enter", &json!({"room": "till:1"}))), "not_found");
        assert_eq!(say(&mut ada, 1, "enter", &json!({"room": "till:1"}))["ok"], true);
        say(&mut ada, 2, "take", &json!({"item": "a", "howMany": 1}));
        assert!(bob.hear("\"taken\"").contains("stock:all"));
    });
}

#[test]
fn an_app_learns_who_left_its_rooms_and_is_woken_when_it_asks_for_it() {
    let shop = Shop::new();
    let seen = shop.seen.clone();
    shop.served(move |addr, _| {
        let mut ada = ada(addr);
        assert_eq!(ada.ask(1, "\"type\":\"subscribe\",\"room\":\"stock:all\"")["ok"], true);
        assert_eq!(ada.ask(2, "\"type\":\"unsubscribe\",\"room\":\"stock:all\"")["ok"], true);
        let mut bob = plain(addr, &token("bob", 600, json!({}))).0;
        assert_eq!(bob.ask(1, "\"type\":\"subscribe\",\"room\":\"stock:all\"")["ok"], true);
        drop(bob);
        let until = Instant::now() + DEADLINE;
        let mut told = Vec::new();
        while told.len() < 2 || seen.woken.load(Ordering::Relaxed) < 4 {
            assert!(Instant::now() < until, "{told:?}");
            // The next answer of the server is time enough.
            ada.ask(3, "\"type\":\"ping\"");
            told.clone_from(&seen.left.lock().unwrap());
            told.sort();
        }
        assert_eq!(told, ["ada stock:all", "bob stock:all"]);
    });
}
