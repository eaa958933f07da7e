//! Receipts: who acknowledged what, how often it is sent, and what becomes of what nobody acknowledged.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::SockRef;
use tidings_testkit::{eventually, eventually_told};
use tokio::runtime::Handle;

use crate::common::{Frame, Wire, config, http, with_server};
use crate::disk::Disk;
use crate::people::{plain, plain_in, post, socket_io_in, token};

fn server_token() -> String {
    token("service", 600, json!({"scope": "publish"}))
}

fn user(id: &str) -> String {
    token(id, 600, json!({}))
}

/// The answer to a request with a token, as JSON.
fn ask(addr: SocketAddr, request: &str, token: &str, body: &str) -> Value {
    let (_, body) = http(addr, request, &format!("Authorization: Bearer {token}\r\n"), body);
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{request}: {error}: {body}"))
}

fn publish(wire: &mut Wire, id: u64, room: &str, receipt: &str) -> Value {
    wire.ask(
        id,
        &format!(
            "\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"said\",\"data\":1,\"exceptSelf\":true,\
             \"receipt\":{receipt}"
        ),
    )
}

fn receipt(wire: &mut Wire) -> Value {
    serde_json::from_str(&wire.hear("\"type\":\"receipt\"")).unwrap()
}

/// The id with which a Socket.IO event asks to be acknowledged: `42ID[…]`.
fn asked_id(text: &str) -> &str {
    text[2..].split('[').next().unwrap()
}

fn message_id(text: &str) -> String {
    let event: Value = serde_json::from_str(text).unwrap();
    event["messageId"].as_str().unwrap().to_owned()
}

#[test]
fn recipients_of_both_protocols_acknowledge_and_the_publisher_is_told() {
    with_server(&config(), |addr, _| {
        let (mut one, _) = socket_io_in(addr, &user("one"), "open:1");
        let (mut two, _) = socket_io_in(addr, &user("two"), "open:1");
        let mut three = plain_in(addr, &user("three"), "open:1");
        let mut ada = plain_in(addr, &user("ada"), "open:1");
        let told = publish(&mut ada, 2, "open:1", "true");
        assert_eq!(told["receipt"], json!({"timeoutMs": 5000, "tries": 3}), "{told}");
        let (heard, also) = (one.hear("\"said\""), two.hear("\"said\""));
        assert_eq!(heard, also, "a broadcast shares its bytes and its id");
        assert!(heard.ends_with("[\"said\",1]"), "no offset stands where the callback has to: {heard}");
        one.say(&format!("43{}[{{\"seen\":true}}]", asked_id(&heard)));
        two.say(&format!("43{}[]", asked_id(&heard)));
        let event = three.hear("\"said\"");
        assert!(event.contains("\"ack\":true"), "{event}");
        assert_eq!(message_id(&event), told["messageId"]);
        three.say(&format!("{{\"type\":\"ack\",\"messageId\":{}}}", told["messageId"]));
        let receipt = receipt(&mut ada);
        assert_eq!(receipt["messageId"], told["messageId"]);
        assert_eq!(receipt["outcome"], "acknowledged");
        let counts =
            json!({"recipients": 3, "sent": 3, "acknowledged": 3, "timedOut": 0, "gone": 0, "busy": 0});
        assert_eq!(receipt["counts"], counts);
        assert_eq!((&receipt["tries"], receipt.get("users")), (&json!(1), None), "{receipt}");

        let path = format!("GET /api/deliveries/{}", told["messageId"].as_str().unwrap());
        let delivery = ask(addr, &path, &server_token(), "");
        assert_eq!(delivery["state"], "done", "{delivery}");
        let recipients = delivery["recipients"].as_array().unwrap();
        let one = recipients.iter().find(|recipient| recipient["userId"] == "one").unwrap();
        assert_eq!((&one["state"], &one["answer"]), (&json!("acknowledged"), &json!({"seen": true})));
        assert_eq!(ask(addr, &path, &user("ada"), "")["error"]["code"], "forbidden");
        let other = token("service", 600, json!({"scope": "publish", "org": "other"}));
        assert_eq!(ask(addr, &path, &other, "")["error"]["code"], "not_found");
    });
}

#[test]
fn an_event_without_a_receipt_asks_nobody_for_anything() {
    with_server(&config(), |addr, _| {
        let (mut one, _) = socket_io_in(addr, &user("one"), "loose:1");
        let mut three = plain_in(addr, &user("three"), "loose:1");
        let mut ada = plain_in(addr, &user("ada"), "loose:1");
        ada.ask(
            2,
            "\"type\":\"publish\",\"room\":\"loose:1\",\"event\":\"said\",\"data\":1,\"receipt\":false",
        );
        assert_eq!(one.hear("\"said\""), "42[\"said\",1]");
        assert!(!three.hear("\"said\"").contains("\"ack\""));
        let metrics = http(addr, "GET /metrics", "", "").1;
        assert!(metrics.contains("tidings_receipts_total{outcome=\"tracked\"} 0"), "{metrics}");
    });
}

#[test]
fn one_who_never_acknowledges_is_sent_it_as_often_as_asked_and_nobody_else_is() {
    with_server(&config(), |addr, _| {
        let mut silent = plain_in(addr, &user("silent"), "open:1");
        let mut quick = plain_in(addr, &user("quick"), "open:1");
        let (mut ada, _) = plain(addr, &server_token());
        let told = publish(&mut ada, 2, "open:1", "{\"timeoutMs\":3000,\"tries\":2}");
        let id = message_id(&quick.hear("\"said\""));
        quick.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{id}\"}}"));
        let receipt = receipt(&mut ada);
        assert_eq!((&receipt["outcome"], &receipt["tries"]), (&json!("partly"), &json!(2)));
        assert_eq!(
            (&receipt["counts"]["acknowledged"], &receipt["counts"]["timedOut"]),
            (&json!(1), &json!(1))
        );
        let users = json!({"acknowledged": ["quick"], "timedOut": ["silent"], "gone": []});
        assert_eq!(receipt["users"], users);
        // What comes after the last try marks the end for both.
        ada.ask(3, "\"type\":\"publish\",\"room\":\"open:1\",\"event\":\"end\",\"data\":1");
        assert_eq!(said_until_end(&mut silent), vec![told["messageId"].as_str().unwrap().to_owned(); 2]);
        assert_eq!(said_until_end(&mut quick), Vec::<String>::new());
    });
}

/// The ids of what was said before the event `end`.
fn said_until_end(wire: &mut Wire) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        match wire.next() {
            Frame::Text(text) if text.contains("\"said\"") => ids.push(message_id(&text)),
            Frame::Text(text) if text.contains("\"end\"") => return ids,
            Frame::Text(_) | Frame::Other(_) => {}
            end => panic!("{end:?} before the end"),
        }
    }
}

#[test]
fn one_who_leaves_or_is_cut_off_meanwhile_is_gone_and_not_waited_for() {
    with_server(&config(), |addr, _| {
        let (mut cut, _) = socket_io_in(addr, &user("cut"), "open:1");
        let mut leaves = plain_in(addr, &user("leaves"), "open:1");
        let (mut ada, _) = plain(addr, &server_token());
        publish(&mut ada, 2, "open:1", "{\"timeoutMs\":5000,\"tries\":2}");
        cut.hear("\"said\"");
        drop(cut);
        leaves.hear("\"said\"");
        leaves.ask(5, "\"type\":\"unsubscribe\",\"room\":\"open:1\"");
        let receipt = receipt(&mut ada);
        assert_eq!(receipt["users"]["gone"], json!(["cut", "leaves"]), "{receipt}");
        assert_eq!(receipt["outcome"], "timed_out");
        leaves.ask(6, "\"type\":\"ping\"");
    });
}

#[test]
fn what_cannot_be_tracked_is_refused_with_its_code() {
    let mut config = config();
    config.receipts.recipients = 1;
    config.receipts.tracked_per_org = 1;
    let mut paced = config.rooms["open"].clone();
    paced.pace_ms = Some(1_000);
    config.rooms.insert("paced".into(), paced);
    with_server(&config, |addr, _| {
        let (mut ada, _) = plain(addr, &user("ada"));
        for (at, bad) in
            ["{\"timeoutMs\":99}", "{\"timeoutMs\":60001}", "{\"tries\":0}", "{\"tries\":11}", "3"]
                .into_iter()
                .enumerate()
        {
            let told = publish(&mut ada, 10 + at as u64, "open:1", bad);
            assert_eq!(told["error"]["code"], "bad_request", "{bad}: {told}");
        }
        let volatile = "\"type\":\"publish\",\"room\":\"open:1\",\"event\":\"e\",\"data\":1,\"volatile\":true,\"receipt\":true";
        assert_eq!(ada.ask(20, volatile)["error"]["code"], "bad_request");
        let everybody = "{\"org\":\"default\",\"event\":\"e\",\"data\":1,\"receipt\":true}";
        assert!(post(addr, "/api/publish", &server_token(), everybody).contains("\"bad_request\""));
        assert_eq!(publish(&mut ada, 19, "paced:1", "true")["error"]["code"], "bad_request");
        let nobodys = publish(&mut ada, 21, "metrics:1", "true");
        assert_eq!(nobodys["error"]["code"], "forbidden", "{nobodys}");

        let _one = plain_in(addr, &user("one"), "open:2");
        assert_eq!(publish(&mut ada, 22, "open:2", "{\"timeoutMs\":60000}")["ok"], true);
        let second = publish(&mut ada, 23, "open:2", "true");
        assert_eq!(
            (&second["error"]["code"], &second["error"]["retryable"]),
            (&json!("unavailable"), &json!(true))
        );
        // What is tracked for one organisation takes no place of another's.
        let (mut other, _) = plain(addr, &token("x", 600, json!({"org": "other"})));
        assert_eq!(publish(&mut other, 24, "open:2", "true")["ok"], true);
        let _two = plain_in(addr, &user("two"), "open:2");
        assert_eq!(publish(&mut ada, 25, "open:2", "true")["error"]["code"], "too_large");
    });
}

#[test]
fn a_connection_owes_only_so_many_acknowledgements() {
    let mut config = config();
    config.limits.outstanding_acks = 2;
    with_server(&config, |addr, _| {
        let mut one = plain_in(addr, &user("one"), "open:1");
        let (mut ada, _) = plain(addr, &user("ada"));
        for id in 1..=2 {
            publish(&mut ada, id, "open:1", "{\"timeoutMs\":60000}");
        }
        let told = publish(&mut ada, 3, "open:1", "{\"timeoutMs\":60000}");
        let receipt = receipt(&mut ada);
        assert_eq!((&receipt["messageId"], &receipt["counts"]["busy"]), (&told["messageId"], &json!(1)));
        let first = message_id(&one.hear("\"said\""));
        one.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{first}\"}}"));
        assert_eq!(self::receipt(&mut ada)["messageId"], first.as_str());
        let told = publish(&mut ada, 4, "open:1", "true");
        loop {
            let id = message_id(&one.hear("\"said\""));
            if told["messageId"] == id.as_str() {
                one.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{id}\"}}"));
                break;
            }
        }
        assert_eq!(self::receipt(&mut ada)["outcome"], "acknowledged");
    });
}

#[test]
fn figures_of_rooms_and_users_are_counted_for_servers() {
    let mut config = config();
    config.rooms.get_mut("open").unwrap().presence = Some("anyone".into());
    with_server(&config, |addr, _| {
        let mut one = plain_in(addr, &user("one"), "open:1");
        let (mut ada, _) = plain(addr, &server_token());
        publish(&mut ada, 2, "open:1", "true");
        let id = message_id(&one.hear("\"said\""));
        one.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{id}\"}}"));
        receipt(&mut ada);
        let stats = ask(addr, "GET /api/rooms/open:1/stats", &server_token(), "");
        let figures = &stats["receipts"];
        assert_eq!(
            (&figures["published"], &figures["delivered"], &figures["acknowledged"]),
            (&json!(1), &json!(1), &json!(1)),
            "{stats}"
        );
        assert!(figures["latencyMs"]["p99"].is_u64(), "{stats}");
        assert_eq!(ask(addr, "GET /api/rooms/open:1/stats", &user("one"), "").get("receipts"), None);
        let of_one = ask(addr, "GET /api/users/one/deliveries", &server_token(), "");
        assert_eq!((&of_one["userId"], &of_one["receipts"]["acknowledged"]), (&json!("one"), &json!(1)));
        let other = token("service", 600, json!({"scope": "publish", "org": "other"}));
        assert_eq!(ask(addr, "GET /api/users/one/deliveries", &other, "")["receipts"]["acknowledged"], 0);
        assert_eq!(
            ask(addr, "GET /api/users/one/deliveries", &user("one"), "")["error"]["code"],
            "forbidden"
        );
    });
}

fn admin() -> String {
    token("root", 600, json!({"roles": ["admin"]}))
}

/// Publishes to a user who acknowledges nothing, so that it is over soon; the message's id.
fn publish_to(addr: SocketAddr, user: &str, more: &str) -> String {
    publish_for(addr, user, 100, more)
}

/// The same for so many milliseconds a try.
fn publish_for(addr: SocketAddr, user: &str, timeout_ms: u64, more: &str) -> String {
    let body = format!(
        "{{\"userId\":\"{user}\",\"event\":\"said\",\"data\":{{\"n\":1}},\
         \"receipt\":{{\"timeoutMs\":{timeout_ms},\"tries\":2}}{more}}}"
    );
    let told = ask(addr, "POST /api/publish", &server_token(), &body);
    assert_eq!(told["ok"], true, "{told}");
    told["messageId"].as_str().unwrap().to_owned()
}

/// Waits until a message is over.
fn over(addr: SocketAddr, id: &str) -> Value {
    let delivery = || ask(addr, &format!("GET /api/deliveries/{id}"), &server_token(), "");
    eventually_told("over", delivery, |delivery| {
        let settled = delivery["deadLetter"] == true || delivery["outcome"] == "acknowledged";
        delivery["state"] == "done" && settled
    })
}

fn letters(addr: SocketAddr) -> Vec<Value> {
    let told = ask(addr, "GET /api/dead-letters", &admin(), "");
    told["letters"].as_array().unwrap_or_else(|| panic!("{told}")).clone()
}

#[test]
fn a_message_to_a_user_is_acknowledged_by_any_device_and_is_no_dead_letter() {
    Disk::sqlite(config()).served(|addr, _| {
        let (mut one, _) = plain(addr, &user("bob"));
        let (mut two, _) = plain(addr, &user("bob"));
        let id = publish_for(addr, "bob", 5_000, "");
        two.hear(&id);
        one.hear(&id);
        one.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{id}\"}}"));
        let delivery = over(addr, &id);
        assert_eq!(
            (&delivery["outcome"], &delivery["counts"]["acknowledged"]),
            (&json!("acknowledged"), &json!(1))
        );
        assert_eq!(letters(addr), Vec::<Value>::new());
    });
}

#[test]
fn a_user_who_comes_between_two_tries_gets_the_message_then() {
    Disk::sqlite(config()).served(|addr, _| {
        let body =
            "{\"userId\":\"bob\",\"event\":\"said\",\"data\":1,\"receipt\":{\"timeoutMs\":1000,\"tries\":10}}";
        let told = ask(addr, "POST /api/publish", &server_token(), body);
        let (mut bob, _) = plain(addr, &user("bob"));
        let id = message_id(&bob.hear("\"ack\":true"));
        assert_eq!(told["messageId"], id.as_str());
        bob.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{id}\"}}"));
        let delivery = over(addr, &id);
        assert!(delivery["tries"].as_u64().unwrap() >= 2, "{delivery}");
        assert_eq!(letters(addr), Vec::<Value>::new());
    });
}

#[test]
fn a_dead_letter_survives_a_restart_and_arrives_when_it_is_redriven_under_its_id() {
    let disk = Disk::sqlite(config());
    let (away, silent) = disk.served(|addr, _| {
        let (mut bob, _) = plain(addr, &user("bob"));
        let away = publish_to(addr, "eve", ",\"key\":\"k1\"");
        let silent = publish_to(addr, "bob", "");
        assert_eq!(
            (message_id(&bob.hear("\"said\"")), message_id(&bob.hear("\"said\""))),
            (silent.clone(), silent.clone())
        );
        assert_eq!(over(addr, &away)["outcome"], "nobody");
        assert_eq!(over(addr, &silent)["outcome"], "timed_out");
        (away, silent)
    });
    disk.served(move |addr, _| {
        let kept = letters(addr);
        let by_id = |id: &str| kept.iter().find(|letter| letter["messageId"] == id).unwrap();
        let letter = by_id(&away);
        assert_eq!(
            (&letter["reason"], &letter["tries"], &letter["key"], &letter["firstError"], &letter["userId"]),
            (&json!("not_connected"), &json!(2), &json!("k1"), &json!("not connected"), &json!("eve"))
        );
        assert_eq!(by_id(&silent)["reason"], "not_acknowledged");
        let whole = ask(addr, &format!("GET /api/dead-letters/{away}"), &admin(), "");
        assert_eq!((&whole["ok"], &whole["data"]), (&json!(true), &json!({"n": 1})), "{whole}");

        // Others see nothing, and may do nothing.
        let other = token("root", 600, json!({"roles": ["admin"], "org": "other"}));
        assert_eq!(ask(addr, "GET /api/dead-letters", &other, "")["count"], 0);
        let redrive = format!("POST /api/dead-letters/{away}/redrive");
        assert_eq!(ask(addr, &redrive, &other, "")["error"]["code"], "not_found");
        assert_eq!(
            ask(addr, &format!("GET /api/dead-letters/{away}"), &other, "")["error"]["code"],
            "not_found"
        );
        assert_eq!(ask(addr, "DELETE /api/dead-letters", &other, "")["purged"], 0);
        for request in ["GET /api/dead-letters", "DELETE /api/dead-letters", &redrive] {
            assert_eq!(ask(addr, request, &server_token(), "")["error"]["code"], "forbidden", "{request}");
        }

        // Nobody is there: it dies again and keeps its first error.
        let told = ask(addr, &redrive, &admin(), "{\"timeoutMs\":100,\"tries\":1}");
        assert_eq!((&told["messageId"], &told["key"]), (&json!(away), &json!("k1")), "{told}");
        over(addr, &away);
        let again = letters(addr).into_iter().find(|letter| letter["messageId"] == away.as_str()).unwrap();
        assert_eq!((&again["tries"], &again["redriven"]), (&json!(3), &json!(1)), "{again}");

        let (mut eve, _) = plain(addr, &user("eve"));
        let told = ask(addr, &redrive, &admin(), "");
        assert_eq!(told["ok"], true, "{told}");
        let busy = ask(addr, &redrive, &admin(), "");
        assert_eq!(busy["error"]["code"], "conflict", "{busy}");
        let event = eve.hear("\"said\"");
        assert_eq!((message_id(&event), event.contains("\"ack\":true")), (away.clone(), true));
        eve.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{away}\"}}"));
        over(addr, &away);
        // What was acknowledged is no dead letter any more.
        let of_away =
            |letters: &Vec<Value>| letters.iter().any(|letter| letter["messageId"] == away.as_str());
        eventually_told("gone", || letters(addr), |letters| !of_away(letters));
        assert_eq!(ask(addr, &format!("DELETE /api/dead-letters/{silent}"), &admin(), "")["purged"], 1);
        assert_eq!(letters(addr), Vec::<Value>::new());
        let audit = ask(addr, "GET /api/audit?limit=100", &admin(), "").to_string();
        assert!(audit.contains("deadletter.redrive") && audit.contains("deadletter.purge"), "{audit}");
    });
}

#[test]
fn dead_letters_are_bounded_and_what_is_thrown_away_is_counted_and_audited() {
    let mut disk = Disk::sqlite(config());
    disk.config.receipts.dead_letters_per_org = 2;
    disk.served(|addr, _| {
        let ids: Vec<_> = (0..3).map(|_| publish_to(addr, "eve", "")).collect();
        ids.iter().for_each(|id| drop(over(addr, id)));
        assert_eq!(letters(addr).len(), 2);
        let metrics = http(addr, "GET /metrics", "", "").1;
        assert!(metrics.contains("tidings_dead_letters_total{outcome=\"overflowed\"} 1"), "{metrics}");
        let audit = || ask(addr, "GET /api/audit?limit=100", &admin(), "").to_string();
        eventually_told("audited", audit, |audit| audit.contains("deadletter.overflow"));
    });
}

#[test]
fn a_message_that_is_waited_for_when_the_server_stops_becomes_a_dead_letter() {
    let disk = Disk::sqlite(config());
    let id = disk.served(|addr, _| {
        let body = "{\"userId\":\"bob\",\"event\":\"said\",\"data\":1,\"receipt\":{\"timeoutMs\":60000}}";
        ask(addr, "POST /api/publish", &server_token(), body)["messageId"].as_str().unwrap().to_owned()
    });
    disk.served(move |addr, _| {
        let kept = letters(addr);
        assert_eq!((&kept[0]["messageId"], &kept[0]["reason"]), (&json!(id), &json!("shutdown")));
    });
}

#[test]
fn an_event_of_a_durable_room_is_tracked_once_it_is_stored() {
    let mut disk = Disk::sqlite(config());
    let mut notes = disk.config.rooms["open"].clone();
    (notes.keep, notes.history) = (Some("durable".into()), Some("anyone".into()));
    disk.config.rooms.insert("notes".into(), notes);
    disk.served(|addr, _| {
        let mut one = plain_in(addr, &user("one"), "notes:1");
        let (mut ada, _) = plain(addr, &user("ada"));
        let told = publish(&mut ada, 2, "notes:1", "true");
        assert_eq!((&told["durability"], &told["receipt"]["tries"]), (&json!("synced"), &json!(3)), "{told}");
        let event = one.hear("\"said\"");
        assert!(event.contains("\"ack\":true") && event.contains("\"offset\":1"), "{event}");
        one.say(&format!("{{\"type\":\"ack\",\"messageId\":{}}}", told["messageId"]));
        assert_eq!(receipt(&mut ada)["counts"]["acknowledged"], 1);
        // Who reads it later is asked for nothing.
        let late = ada.ask(3, "\"type\":\"subscribe\",\"room\":\"notes:1\",\"rewind\":1");
        assert_eq!(late["ok"], true);
        assert!(!ada.hear("\"said\"").contains("\"ack\""));
    });
}

#[test]
fn who_asks_by_http_and_goes_leaves_nothing_waiting() {
    let mut disk = Disk::sqlite(config());
    let mut notes = disk.config.rooms["open"].clone();
    notes.keep = Some("durable".into());
    disk.config.rooms.insert("notes".into(), notes);
    disk.served(|addr, store| {
        let body = r#"{"room":"notes:1","event":"said","data":1,"receipt":{"timeoutMs":100,"tries":1}}"#;
        let request = format!(
            "POST /api/publish HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            server_token(),
            body.len()
        );
        let waiting = |count: usize| {
            let line = format!("tidings_receipts_waiting {count}\n");
            eventually(&line, || http(addr, "GET /metrics", "", "").1.contains(&line));
        };
        let mut one = plain_in(addr, &user("one"), "notes:1");
        // While nobody else can write their events are not stored yet.
        let transaction = Handle::current().block_on(store.begin()).unwrap();
        let crowd: Vec<Wire> = (0..20)
            .map(|_| {
                let mut wire = Wire::connect(addr);
                wire.send(request.as_bytes());
                wire
            })
            .collect();
        waiting(20);
        for wire in crowd {
            SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        waiting(20);
        drop(transaction);
        // What was begun is stored, heard and waited for, and then no more.
        (0..20).for_each(|_| drop(one.hear("\"said\"")));
        waiting(0);
    });
}

#[test]
fn a_repeat_by_its_key_is_tracked_once() {
    with_server(&config(), |addr, _| {
        let mut one = plain_in(addr, &user("one"), "open:1");
        let (mut ada, _) = plain(addr, &user("ada"));
        let body = "\"type\":\"publish\",\"room\":\"open:1\",\"event\":\"said\",\"data\":1,\"key\":\"k\",\"receipt\":true";
        let (first, second) = (ada.ask(1, body), ada.ask(2, body));
        assert_eq!((&second["duplicate"], second.get("receipt")), (&json!(true), None), "{second}");
        let id = message_id(&one.hear("\"said\""));
        assert_eq!(first["messageId"], id.as_str());
        one.say(&format!("{{\"type\":\"ack\",\"messageId\":\"{id}\"}}"));
        assert_eq!(receipt(&mut ada)["counts"]["recipients"], 1);
        let metrics = http(addr, "GET /metrics", "", "").1;
        assert!(metrics.contains("tidings_receipts_total{outcome=\"tracked\"} 1"), "{metrics}");
        assert!(metrics.contains("tidings_receipts_waiting 0"), "{metrics}");
    });
}
