//! What is checked before an app hears of a command, and who may say it.

use serde_json::json;

use super::{Shop, ada, code, nobody, say};
use crate::people::{plain, socket_io, token};

#[test]
fn a_command_is_checked_and_the_refusal_names_the_field() {
    Shop::new().served(|addr, rows| {
        let mut ada = ada(addr);
        let table = [
            (json!({"howMany": 1}), "missing field `item`"),
            (json!({"item": "", "howMany": 1}), "item: expected 1 to 20 characters, found 0"),
            (json!({"item": "a".repeat(21), "howMany": 1}), "item: expected 1 to 20 characters, found 21"),
            (json!({"item": "a\u{0}b", "howMany": 1}), "item: control characters are not taken"),
            (json!({"item": 5, "howMany": 1}), "item: invalid type: integer `5`, expected a string"),
            (json!({"item": "a", "howMany": 11}), "howMany: expected 1 to 10, found 11"),
            (json!({"item": "a", "howMany": 1.5}), "howMany: invalid type: floating point `1.5`, expected i64"),
            (json!({"item": "a", "howMany": "1"}), "howMany: invalid type: string \"1\", expected i64"),
            (json!({"item": "a", "howMany": 1, "secret": 2}), "secret: unknown field `secret`"),
            (json!({"item": "a", "howMany": 1, "notes": ["a", "b", "c", "d"]}), "notes: more than 3 items"),
            (json!({"item": "a", "howMany": 1, "notes": ["a", "toolong"]}), "notes[1]: expected 1 to 5 characters"),
            (json!({"item": "a", "howMany": 1, "from": 2, "to": 1}), "from: lies behind to"),
            (json!([1]), "data must be an object"),
            (json!("text"), "data must be an object"),
        ];
        for (at, (data, sentence)) in (1..).zip(&table) {
            let answer = say(&mut ada, at, "take", data);
            assert_eq!((code(&answer), &answer["error"]["retryable"]), ("bad_request", &json!(false)), "{data}");
            let told = answer["error"]["message"].as_str().unwrap();
            assert!(told.contains(sentence), "{data}: {told}");
        }
        // Given twice is refused as well; JSON values cannot show that.
        let twice = "\"type\":\"command\",\"ns\":\"/shop\",\"name\":\"take\",\"data\":{\"item\":\"a\",\"item\":\"b\",\"howMany\":1}";
        let answer = ada.ask(50, twice);
        assert!(answer["error"]["message"].as_str().unwrap().contains("duplicate field `item`"), "{answer}");
        assert_eq!(rows.takes(), (0, 0));
        let answer = say(&mut ada, 51, "take", &json!({"item": "a", "howMany": 1, "from": 1, "to": 1}));
        assert_eq!((&answer["ok"], &answer["number"], &answer["by"]), (&json!(true), &json!(1), &json!("ada")));
        assert_eq!(rows.takes(), (1, 1));
    });
}

#[test]
fn who_may_say_a_command_is_decided_by_its_rule_in_one_place() {
    Shop::new().served(|addr, _| {
        let people = [
            ("nobody", nobody(addr)),
            ("ada", plain(addr, &token("ada", 600, json!({}))).0),
            ("admin", plain(addr, &token("root", 600, json!({"roles": ["admin"]}))).0),
            ("verified", plain(addr, &token("eve", 600, json!({"email_verified": true}))).0),
            ("gold", plain(addr, &token("ned", 600, json!({"tier": "gold"}))).0),
            ("silver", plain(addr, &token("pia", 600, json!({"tier": "silver"}))).0),
            ("server", plain(addr, &token("svc", 600, json!({"scope": "publish"}))).0),
        ];
        let may = |command: &str, who: &str| match command {
            "anyone" => true,
            "admin" => who == "admin",
            "server" => who == "server" || who == "admin",
            "verified" => who == "verified",
            "gold" => who == "gold",
            "own" => who == "ada",
            _ => who != "nobody",
        };
        for (who, mut wire) in people {
            for (id, command) in (1..).zip(["anyone", "admin", "server", "verified", "gold", "own", "rare"]) {
                let data = if command == "own" { json!({"user": "ada"}) } else { json!({}) };
                let answer = say(&mut wire, id, command, &data);
                let refused = if who == "nobody" { "unauthorized" } else { "forbidden" };
                let expected = if may(command, who) { "none" } else { refused };
                assert_eq!(code(&answer), expected, "{who} says {command}: {answer}");
            }
        }
    });
}

#[test]
fn a_command_that_nobody_has_is_refused_on_every_door() {
    Shop::new().served(|addr, _| {
        let mut ada = ada(addr);
        assert_eq!(code(&say(&mut ada, 1, "give", &json!({}))), "not_found");
        let elsewhere = ada.ask(2, "\"type\":\"command\",\"ns\":\"/\",\"name\":\"take\",\"data\":{}");
        assert_eq!(code(&elsewhere), "not_found");
        // Those of the engine are in the root alone.
        let generic = ada.ask(
            3,
            "\"type\":\"command\",\"ns\":\"/shop\",\"name\":\"history\",\"data\":{\"room\":\"lobby:1\"}",
        );
        assert_eq!(code(&generic), "not_found");
        let (mut io, _) = socket_io(addr, &token("ada", 600, json!({})), "");
        io.say("427[\"take\",{}]");
        assert!(io.hear("437[").contains("not_found"));
    });
}

#[test]
fn stock_clients_say_commands_on_the_namespace_of_their_app() {
    Shop::new().served(|addr, rows| {
        let (mut io, _) = socket_io(addr, &token("ada", 600, json!({})), "");
        io.say(&format!("40/shop,{{\"token\":\"{}\"}}", token("ada", 600, json!({}))));
        io.hear("40/shop,");
        // The app wanted to greet everybody who comes.
        io.hear("42/shop,[\"bell\",null]");
        io.say("42/shop,1[\"take\",{\"item\":\"apple\",\"howMany\":2}]");
        assert_eq!(io.hear("43/shop,1"), "43/shop,1[{\"ok\":true,\"number\":1,\"by\":\"ada\"}]");
        io.say("42/shop,2[\"take\",{\"item\":\"apple\"}]");
        assert!(io.hear("43/shop,2").contains("missing field `howMany`"));
        // Without an acknowledgement it is done all the same, and a refusal is an event.
        io.say("42/shop,[\"take\",{\"item\":\"nothing\",\"howMany\":1}]");
        let refused = io.hear("tidings:error");
        assert!(
            refused.contains("\"command\":\"take\"") && refused.contains("there is no such item"),
            "{refused}"
        );
        // With a key beside the data it is done once.
        for duplicate in [false, true] {
            io.say("42/shop,3[\"take\",{\"item\":\"pear\",\"howMany\":1},{\"key\":\"k\"}]");
            let answer = io.hear("43/shop,3");
            assert_eq!(answer.contains("\"duplicate\":true"), duplicate, "{answer}");
            assert!(answer.contains("\"number\":2"), "{answer}");
        }
        assert_eq!(rows.takes(), (2, 2));
    });
}

#[test]
fn an_app_may_acknowledge_as_front_ends_know_it() {
    Shop::new().served(|addr, _| {
        let (mut io, _) = socket_io(addr, &token("ada", 600, json!({})), "");
        io.say(&format!("40/shop,{{\"token\":\"{}\"}}", token("ada", 600, json!({}))));
        io.hear("40/shop,");
        io.say("42/shop,1[\"old\",{\"fail\":false}]");
        assert!(io.hear("43/shop,1").starts_with("43/shop,1[{\"success\":true,"));
        io.say("42/shop,2[\"old\",{\"fail\":true}]");
        assert_eq!(
            io.hear("43/shop,2"),
            "43/shop,2[{\"success\":false,\"error\":\"it is old\",\"code\":\"conflict\"}]"
        );
    });
}
