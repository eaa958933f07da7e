//! What became of a message for a user, asked of a running server.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_testkit::eventually_told;

use crate::comeback::disk;
use crate::common::{Wire, config, http, with_server};
use crate::people::{plain, plain_in, socket_io, socket_io_in, token};

fn someone(user: &str) -> String {
    token(user, 600, json!({}))
}

fn admin() -> String {
    token("root", 600, json!({"roles": ["admin"]}))
}

fn ask(addr: SocketAddr, who: &str, query: &str) -> Value {
    let header = format!("Authorization: Bearer {who}\r\n");
    let (_, body) = http(addr, &format!("GET /api/explain?{query}"), &header, "");
    serde_json::from_str(&body).unwrap()
}

fn explained(addr: SocketAddr, id: &str, user: &str) -> Value {
    ask(addr, &admin(), &format!("messageId={id}&userId={user}"))
}

fn verdict(addr: SocketAddr, id: &str, user: &str) -> String {
    explained(addr, id, user)["verdict"].as_str().unwrap().to_owned()
}

/// Publishes on a connection; the message's id.
fn publish(wire: &mut Wire, room: &str, more: &str) -> String {
    let body = format!("\"type\":\"publish\",\"room\":\"{room}\",\"data\":1{more}");
    let answer = wire.ask(77, &body);
    answer["messageId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

const SAID: &str = ",\"event\":\"said\"";

/// The hop of this name.
fn hop<'a>(told: &'a Value, name: &str) -> &'a Value {
    let mut hops = told["hops"].as_array().unwrap().iter();
    hops.find(|hop| hop["hop"] == name).unwrap_or_else(|| panic!("no {name} in {told}"))
}

/// Asks until the verdict is this one.
fn wait_for(addr: SocketAddr, id: &str, user: &str, wanted: &str) -> Value {
    eventually_told(wanted, || explained(addr, id, user), |told| told["verdict"] == wanted)
}

#[test]
fn a_message_that_was_heard_is_sent_hop_by_hop() {
    for room in ["open:1", "loose:1"] {
        with_server(&Config { shards: 2, ..config() }, move |addr, _| {
            let mut ann = plain_in(addr, &someone("ann"), room);
            let mut bob = plain(addr, &someone("bob")).0;
            let id = publish(&mut bob, room, SAID);
            ann.hear("\"said\"");
            let told = wait_for(addr, &id, "ann", "sent");
            let accepted = hop(&told, "accepted");
            assert_eq!((&accepted["room"], &accepted["event"]), (&json!(room), &json!("said")));
            let stored = hop(&told, "stored");
            let volatile = room.starts_with("loose");
            assert_eq!(stored["verdict"], if volatile { "volatile" } else { "memory" });
            assert_eq!(stored["offset"], if volatile { Value::Null } else { json!(1) });
            assert_eq!(hop(&told, "handed")["shards"], 1);
            assert!(hop(&told, "connection")["joined"].as_u64() <= accepted["at"].as_u64());
            assert!(!told.to_string().contains("\"data\""), "{told}");
        });
    }
}

#[test]
fn what_is_in_the_log_is_said_to_be_synced() {
    disk().served(|addr, _| {
        let mut ann = plain_in(addr, &someone("ann"), "notes:1");
        let mut bob = plain(addr, &someone("bob")).0;
        let keyed = ",\"event\":\"said\",\"key\":\"k\"";
        let id = publish(&mut bob, "notes:1", keyed);
        ann.hear("\"said\"");
        let told = wait_for(addr, &id, "ann", "sent");
        let stored = hop(&told, "stored");
        assert_eq!((&stored["verdict"], &stored["offset"]), (&json!("synced"), &json!(1)));
        assert_eq!(publish(&mut bob, "notes:1", keyed), id);
        assert_eq!(hop(&explained(addr, &id, "ann"), "accepted")["duplicates"], 1);
        let since = json!({"epoch": stored["epoch"], "offset": 0});
        let mut eve = plain(addr, &someone("eve")).0;
        eve.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",\"since\":{since}"));
        eve.hear("\"said\"");
        assert_eq!(verdict(addr, &id, "eve"), "replayed");
    });
}

#[test]
fn who_was_not_in_the_room_then_is_told_why() {
    for room in ["open:1", "loose:1"] {
        with_server(&config(), move |addr, _| {
            let mut bob = plain_in(addr, &someone("bob"), room);
            let mut left = plain_in(addr, &someone("left"), room);
            assert_eq!(left.ask(2, &format!("\"type\":\"unsubscribe\",\"room\":\"{room}\""))["ok"], true);
            let other = plain_in(addr, &someone("other"), "open:elsewhere");
            let id = publish(&mut bob, room, SAID);
            let later = plain_in(addr, &someone("later"), room);
            assert_eq!(verdict(addr, &id, "left"), "left_before");
            assert_eq!(verdict(addr, &id, "other"), "not_in_room");
            assert_eq!(verdict(addr, &id, "later"), "joined_later");
            assert_eq!(verdict(addr, &id, "nobody"), "no_connection");
            assert_eq!(verdict(addr, &id, "bob"), "sent");
            drop((other, later));
        });
    }
}

#[test]
fn who_left_after_the_message_has_had_it() {
    with_server(&config(), |addr, _| {
        let mut ann = plain_in(addr, &someone("ann"), "loose:1");
        let mut bob = plain(addr, &someone("bob")).0;
        let id = publish(&mut bob, "loose:1", SAID);
        ann.hear("\"said\"");
        ann.ask(2, "\"type\":\"unsubscribe\",\"room\":\"loose:1\"");
        let told = wait_for(addr, &id, "ann", "sent");
        assert!(hop(&told, "connection")["left"].is_u64(), "{told}");
        drop(ann);
        let told = wait_for_close(addr, &id, "ann");
        assert_eq!(told["verdict"], "sent");
    });
}

/// Asks until the connection is told to have ended.
fn wait_for_close(addr: SocketAddr, id: &str, user: &str) -> Value {
    let closed =
        |told: &Value| told["hops"].as_array().unwrap().iter().any(|hop| hop.get("closed").is_some());
    eventually_told("closed", || explained(addr, id, user), closed)
}

#[test]
fn filters_and_except_self_are_named() {
    with_server(&config(), |addr, _| {
        let mut by_name = plain(addr, &someone("by-name")).0;
        by_name.ask(1, "\"type\":\"subscribe\",\"room\":\"open:1\",\"events\":[\"other\"]");
        let mut by_lane = plain(addr, &someone("by-lane")).0;
        by_lane.ask(1, "\"type\":\"subscribe\",\"room\":\"open:1\",\"minLane\":\"high\"");
        let mut own = plain_in(addr, &someone("own"), "open:1");
        let id = publish(&mut own, "open:1", ",\"event\":\"said\",\"exceptSelf\":true");
        assert_eq!(verdict(addr, &id, "by-name"), "filtered_events");
        assert_eq!(verdict(addr, &id, "by-lane"), "filtered_min_lane");
        assert_eq!(verdict(addr, &id, "own"), "own");
        let urgent = publish(&mut own, "open:1", ",\"event\":\"other\",\"lane\":\"critical\"");
        by_name.hear("\"other\"");
        by_lane.hear("\"other\"");
        assert_eq!(verdict(addr, &urgent, "by-name"), "sent");
        assert_eq!(verdict(addr, &urgent, "by-lane"), "sent");
        assert_eq!(verdict(addr, &urgent, "own"), "sent");
    });
}

#[test]
fn who_was_away_and_took_its_session_up_got_it_then() {
    with_server(&config(), |addr, _| {
        let (wire, pid) = socket_io_in(addr, &someone("ann"), "open:1");
        let mut bob = plain(addr, &someone("bob")).0;
        drop(wire);
        // It is away once a message finds it so.
        let missed = eventually_told(
            "away",
            || publish(&mut bob, "open:1", SAID),
            |id| verdict(addr, id, "ann") == "closed_before",
        );
        let told = explained(addr, &missed, "ann");
        assert_eq!(hop(&told, "connection")["closed"]["parked"], true, "{told}");
        let (mut again, answer) =
            socket_io(addr, &someone("ann"), &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(answer.contains(&pid), "{answer}");
        again.hear("\"said\"");
        let told = wait_for(addr, &missed, "ann", "replayed");
        let verdicts: Vec<&Value> =
            told["hops"].as_array().unwrap()[3..].iter().map(|hop| &hop["verdict"]).collect();
        assert_eq!(verdicts, ["replayed", "closed_before"], "{told}");
        let live = publish(&mut bob, "open:1", SAID);
        wait_for(addr, &live, "ann", "sent");
        let moments = ask(addr, &admin(), "userId=ann")["moments"].clone();
        let whats: Vec<&str> =
            moments.as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
        assert!(whats.contains(&"resumed") && whats.contains(&"closed"), "{moments}");
    });
}

#[test]
fn refused_publishes_are_remembered_and_do_not_crowd_out_others() {
    with_server(&config(), |addr, _| {
        let mut ann = plain(addr, &someone("ann")).0;
        for id in 1..=3 {
            let refused =
                ann.ask(id, "\"type\":\"publish\",\"room\":\"nowhere:1\",\"event\":\"e\",\"data\":1");
            assert_eq!(refused["ok"], false, "{refused}");
        }
        let told = ask(addr, &admin(), "userId=ann");
        let moments = told["moments"].as_array().unwrap();
        let [only] = moments.as_slice() else { panic!("{told}") };
        assert_eq!((&only["what"], &only["count"]), (&json!("publish_refused"), &json!(3)));
        assert_eq!(only["code"], "not_found");
    });
}

#[test]
fn a_repeat_with_the_same_key_is_counted_and_not_another_message() {
    with_server(&config(), |addr, _| {
        let mut ann = plain_in(addr, &someone("ann"), "open:1");
        let keyed = ",\"event\":\"said\",\"key\":\"k\"";
        let id = publish(&mut ann, "open:1", keyed);
        assert_eq!(hop(&explained(addr, &id, "ann"), "accepted")["verdict"], "accepted");
        assert_eq!(publish(&mut ann, "open:1", keyed), id);
        let told = explained(addr, &id, "ann");
        let accepted = hop(&told, "accepted");
        assert_eq!((&accepted["verdict"], &accepted["duplicates"]), (&json!("accepted_again"), &json!(1)));
    });
}

#[test]
fn nothing_is_told_of_what_is_unknown_or_anothers() {
    with_server(&config(), |addr, _| {
        let mut ann = plain_in(addr, &someone("ann"), "open:1");
        let id = publish(&mut ann, "open:1", SAID);
        let never = format!("{}-0", &id[..16]);
        let theirs = token("root", 600, json!({"roles": ["admin"], "org": "other"}));
        let mut told = ask(addr, &theirs, &format!("messageId={id}&userId=ann"));
        assert_eq!(told["verdict"], "unknown");
        // The answer is the same as for a message that never was.
        let mut absent = ask(addr, &theirs, &format!("messageId={never}&userId=ann"));
        (told["messageId"], absent["messageId"]) = (Value::Null, Value::Null);
        assert_eq!(told, absent);
        assert_eq!(ask(addr, &theirs, "userId=ann")["moments"], json!([]));
        let refused = ask(addr, &someone("ann"), &format!("messageId={id}&userId=ann"));
        assert_eq!(refused["error"]["code"], "not_found");
        assert_eq!(ask(addr, &admin(), "messageId=nonsense")["error"]["code"], "bad_request");
        assert_eq!(ask(addr, &admin(), "")["error"]["code"], "bad_request");
        let elsewhere = explained(addr, "0000000000000001-1", "ann");
        assert!(hop(&elsewhere, "recorder")["reason"].as_str().unwrap().contains("restarted"));
        assert_eq!(verdict(addr, &id, "ann"), "sent");
    });
}

#[test]
fn a_full_recorder_forgets_the_oldest_and_none_remembers_nothing() {
    let mut small = config();
    small.recorder.events = 64;
    with_server(&small, |addr, _| {
        let mut ann = plain_in(addr, &someone("ann"), "open:1");
        let first = publish(&mut ann, "open:1", SAID);
        assert_eq!(verdict(addr, &first, "ann"), "sent");
        let last = (0..400).map(|_| publish(&mut ann, "open:1", SAID)).last().unwrap();
        let told = explained(addr, &first, "ann");
        assert!(hop(&told, "recorder")["reason"].as_str().unwrap().contains("older"), "{told}");
        assert_eq!(verdict(addr, &last, "ann"), "sent");
    });
    small.recorder.events = 0;
    with_server(&small, |addr, _| {
        let mut ann = plain_in(addr, &someone("ann"), "open:1");
        let id = publish(&mut ann, "open:1", SAID);
        assert_eq!(verdict(addr, &id, "ann"), "unknown");
        assert_eq!(ask(addr, &admin(), "userId=ann")["recorded"], false);
    });
}
