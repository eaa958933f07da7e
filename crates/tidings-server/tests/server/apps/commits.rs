//! A command is one transaction: rows and events together, once, in one order.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_store::{Store, StoreOptions, Tx};
use tidings_testkit::Postgres;

use super::{Shop, ada, code, nobody, say, say_with};
use crate::common::Wire;
use crate::people::{plain, token};

fn take(item: &str) -> Value {
    json!({"item": item, "howMany": 1})
}

#[test]
fn what_fails_leaves_no_row_and_no_event_and_harms_nobody_else() {
    Shop::on_both().into_iter().for_each(failures);
}

fn failures(shop: Shop) {
    shop.served(|addr, rows| {
        let mut ada = ada(addr);
        let mut hears = crate::people::plain_in(addr, &token("bob", 600, json!({})), "stock:all");
        let fates = [
            ("refuse", "conflict"),
            ("error", "unavailable"),
            ("swallow", "unavailable"),
            ("panic", "unavailable"),
            ("slow", "unavailable"),
        ];
        for (id, (how, expected)) in (1..).zip(fates) {
            let answer = say(&mut ada, id, "try", &json!({"how": how}));
            assert_eq!(code(&answer), expected, "{how}: {answer}");
            assert_eq!(rows.takes(), (0, 0), "{how}");
        }
        // The same with others in the same transaction: theirs are done.
        let mut people: Vec<Wire> =
            (0..20).map(|at| plain(addr, &token(&format!("p{at}"), 600, json!({}))).0).collect();
        for (at, person) in people.iter_mut().enumerate() {
            let (name, data) = match at % 4 {
                0 => ("try", json!({"how": fates[at / 4].0})),
                _ => ("take", take("apple")),
            };
            person.say(&format!(
                "{{\"type\":\"command\",\"id\":9,\"ns\":\"/shop\",\"name\":\"{name}\",\"data\":{data}}}"
            ));
        }
        for (at, person) in people.iter_mut().enumerate() {
            let answer: Value = serde_json::from_str(&person.hear("\"id\":9")).unwrap();
            assert_eq!(answer["ok"], at % 4 != 0, "{answer}");
        }
        assert_eq!(rows.takes(), (15, 15));
        for number in 1..=15 {
            let heard = hears.hear("\"type\":\"event\"");
            assert!(
                heard.contains("\"taken\"") && heard.contains(&format!("\"number\":{number},")),
                "{heard}"
            );
        }
    });
}

#[test]
fn a_second_commit_of_one_command_is_refused() {
    Shop::new().served(|addr, rows| {
        let answer = say(&mut ada(addr), 1, "try", &json!({"how": "twice"}));
        assert_eq!(code(&answer), "unavailable", "{answer}");
        assert_eq!(rows.takes(), (0, 0));
    });
}

#[test]
fn a_retried_command_is_done_once_and_answered_as_then() {
    Shop::on_both().into_iter().for_each(retries);
}

fn retries(shop: Shop) {
    let first = shop.served(|addr, rows| {
        let mut ada = ada(addr);
        let key = ",\"key\":\"k1\"";
        let first = say_with(&mut ada, 1, "take", &take("apple"), key);
        assert_eq!(
            (&first["ok"], &first["number"], &first["duplicate"]),
            (&json!(true), &json!(1), &Value::Null)
        );
        let again = say_with(&mut ada, 2, "take", &take("apple"), key);
        assert_eq!((&again["number"], &again["duplicate"]), (&json!(1), &json!(true)), "{again}");
        // With another body it is something else; with another's name as well; without a key it is new.
        assert_eq!(code(&say_with(&mut ada, 3, "take", &take("pear"), key)), "conflict");
        assert_eq!(code(&say_with(&mut ada, 4, "try", &json!({"how": "refuse"}), key)), "conflict");
        assert_eq!(say(&mut ada, 5, "take", &take("apple"))["number"], 2);
        // A key is its user's own, and nobody's is none.
        let mut bob = plain(addr, &token("bob", 600, json!({}))).0;
        assert_eq!(say_with(&mut bob, 1, "take", &take("apple"), key)["number"], 3);
        let mut other = plain(addr, &token("ada", 600, json!({"org": "other"}))).0;
        assert_eq!(say_with(&mut other, 1, "take", &take("apple"), key)["number"], 1);
        let mut nobody = nobody(addr);
        assert_eq!(code(&say_with(&mut nobody, 1, "anyone", &json!({}), key)), "bad_request");
        assert_eq!(rows.takes(), (4, 4));
        // What was refused is no reply: the next attempt is a first one.
        assert_eq!(code(&say_with(&mut ada, 6, "take", &take("nothing"), ",\"key\":\"k2\"")), "not_found");
        assert_eq!(say_with(&mut ada, 7, "take", &take("apple"), ",\"key\":\"k2\"")["number"], 4);
        // A key may be part of the data.
        let order = json!({"item": "apple", "howMany": 1, "order": "o1"});
        assert_eq!(say(&mut ada, 8, "take", &order)["number"], 5);
        assert_eq!(say(&mut ada, 9, "take", &order)["duplicate"], true);
        first
    });
    shop.served(move |addr, rows| {
        let again = say_with(&mut ada(addr), 1, "take", &take("apple"), ",\"key\":\"k1\"");
        assert_eq!(
            (&again["number"], &again["duplicate"]),
            (&first["number"], &json!(true)),
            "after a restart"
        );
        assert_eq!(rows.takes().0, 6);
    });
}

#[test]
fn two_attempts_at_the_same_time_are_one() {
    Shop::on_both().into_iter().for_each(attempts);
}

fn attempts(shop: Shop) {
    shop.served(|addr, rows| {
        let mut people: Vec<Wire> = (0..10).map(|_| ada(addr)).collect();
        for person in &mut people {
            person.say(
                "{\"type\":\"command\",\"id\":1,\"ns\":\"/shop\",\"name\":\"take\",\"key\":\"k\",\
                 \"data\":{\"item\":\"apple\",\"howMany\":1}}",
            );
        }
        let answers = people.iter_mut().map(|person| person.hear("\"id\":1"));
        let answers: Vec<Value> = answers.map(|text| serde_json::from_str(&text).unwrap()).collect();
        assert!(answers.iter().all(|answer| answer["ok"] == true && answer["number"] == 1), "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer["duplicate"] == true).count(), 9);
        assert_eq!(rows.takes(), (1, 1));
    });
}

#[test]
fn many_commits_at_once_are_heard_in_the_order_of_the_log() {
    Shop::on_both().into_iter().for_each(orders);
}

fn orders(shop: Shop) {
    let seen = shop.seen.clone();
    shop.served(move |addr, rows| {
        let listeners: Vec<Wire> = (0..3)
            .map(|at| crate::people::plain_in(addr, &token(&format!("l{at}"), 600, json!({})), "stock:all"))
            .collect();
        let speakers: Vec<_> = (0..20)
            .map(|at| {
                std::thread::spawn(move || {
                    let mut wire = plain(addr, &token(&format!("s{at}"), 600, json!({}))).0;
                    for id in 1..=10 {
                        wire.say(&format!(
                            "{{\"type\":\"command\",\"id\":{id},\"ns\":\"/shop\",\"name\":\"take\",\
                             \"data\":{{\"item\":\"apple\",\"howMany\":1}}}}"
                        ));
                    }
                    let ok =
                        (1..=10).filter(|id| wire.hear(&format!("\"id\":{id},")).contains("\"ok\":true"));
                    ok.count()
                })
            })
            .collect();
        let done: usize = speakers.into_iter().map(|speaker| speaker.join().unwrap()).sum();
        assert_eq!(done, 200);
        assert_eq!(rows.takes(), (200, 200));
        for mut listener in listeners {
            for number in 1..=200_u64 {
                let heard: Value = serde_json::from_str(&listener.hear("\"taken\"")).unwrap();
                // Offset, row and running sum tell the same order.
                let of = |name: &str| heard["data"][name].as_u64().unwrap();
                assert_eq!(
                    (heard["offset"].as_u64(), of("number"), of("sum")),
                    (Some(number), number, number)
                );
            }
        }
        assert_eq!(seen.taken.load(Ordering::SeqCst), 200, "what is kept in memory beside the rows");
    });
}

#[test]
fn a_command_that_waits_for_a_lock_of_others_is_refused_alone() {
    let [_, shop] = Shop::on_both();
    let url = shop.url.clone();
    shop.served(move |addr, rows| {
        let (mut ada, mut bob) = (ada(addr), plain(addr, &token("bob", 600, json!({}))).0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (lock, _) = runtime.block_on(locks(&url));
        let ring = json!({"times": 1, "atOnce": false, "refuse": false});
        for id in 1..=3 {
            let refused = say(&mut ada, id, "take", &take("apple"));
            assert_eq!(code(&refused), "unavailable", "{refused}");
            // What needs none of its rows is done.
            let answer = say(&mut bob, id, "ring", &ring);
            assert_eq!(answer["ok"], true, "{answer}");
        }
        runtime.block_on(lock.commit()).unwrap();
        let answer = say(&mut ada, 4, "take", &take("apple"));
        assert_eq!(answer["ok"], true, "{answer}");
        assert_eq!(rows.takes(), (1, 4));
    });
}

/// Locks the rows of the shop, as a tool does that builds an index or changes a column; and the store it uses.
async fn locks(url: &str) -> (Tx, Store) {
    let store = Store::open(url, &StoreOptions::default()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.run("LOCK TABLE shop_takes IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    (tx, store)
}

#[test]
fn a_command_that_is_under_way_when_the_database_falls_silent_is_told_to_come_again() {
    let postgres = Postgres::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(postgres.database());
    let shop = Shop { url: url.clone(), ..Shop::new() };
    shop.served(move |addr, _| {
        let mut ada = ada(addr);
        let (lock, store) = runtime.block_on(locks(&url));
        let asked = json!({"type": "command", "id": 1, "ns": "/shop", "name": "take", "data": take("apple")});
        ada.say(&asked.to_string());
        runtime.block_on(async {
            let mut reader = store.read().await.unwrap();
            let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted";
            let since = Instant::now();
            while reader.row(sql, &[]).await.unwrap().unwrap().int(0).unwrap() == 0 {
                assert!(since.elapsed() < Duration::from_secs(10), "it does not wait for the lock");
            }
        });
        postgres.freeze();
        let told = ada.hear("\"id\":1");
        assert!(told.contains("it cannot be stored or read now"), "{told}");
        postgres.thaw();
        runtime.block_on(lock.commit()).unwrap();
        (postgres, runtime)
    });
}

#[test]
fn what_was_stored_and_not_heard_is_read_from_the_log() {
    Shop::on_both().into_iter().for_each(heals);
}

fn heals(shop: Shop) {
    // A crash between commit and delivery: rows and events are there, and nobody has heard of them.
    let head = shop.served(|addr, _| {
        let mut ada = ada(addr);
        say(&mut ada, 1, "take", &take("apple"));
        ada.ask(2, "\"type\":\"subscribe\",\"room\":\"stock:all\"")
    });
    let url = shop.url.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(commit_without_a_server(&url));
    shop.served(move |addr, rows| {
        assert_eq!(rows.takes(), (2, 2));
        let mut ada = ada(addr);
        let since = json!({"epoch": head["epoch"], "offset": head["offset"], "tag": head["tag"]});
        let told = ada.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"stock:all\",\"since\":{since}"));
        assert_eq!((&told["recovered"], &told["offset"]), (&json!(true), &json!(2)), "{told}");
        assert!(told.get("snapshot").is_none(), "who missed nothing needs none");
        assert!(ada.hear("\"taken\"").contains("\"offset\":2"));
        let mut bob = plain(addr, &token("bob", 600, json!({}))).0;
        let told = bob.ask(1, "\"type\":\"subscribe\",\"room\":\"stock:all\"");
        assert_eq!((&told["snapshot"], &told["offset"]), (&json!({"taken": 2}), &json!(2)));
    });
}

/// Stores what a command would, and ends there.
async fn commit_without_a_server(url: &str) {
    use tidings_core::{Epoch, MessageId, Org, Payload, Room};
    let store = Store::open(url, &StoreOptions::default()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let sql = "INSERT INTO shop_takes (org, room, number, many) VALUES ('default', 'stock:all', 2, 1)";
    tx.run(sql, &[]).await.unwrap();
    let room = Room::new(&Org::default(), "stock:all", 200).unwrap();
    let payload = Payload::json("{\"number\":2,\"item\":\"pear\",\"sum\":2}");
    let event = tidings_store::log::Append {
        room: &room,
        epoch: Epoch(1),
        id: MessageId { node: 7, number: 7 },
        at_ms: u64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap(),
        event: "taken",
        payload: &payload,
        key: None,
        batch: None,
    };
    tx.append(&[event]).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
}

#[test]
fn a_command_with_more_events_than_a_transaction_holds_tells_them_all_in_order_before_its_answer() {
    Shop::on_both().into_iter().for_each(many);
}

fn many(shop: Shop) {
    const TIMES: u64 = 2_500;
    shop.served(|addr, _| {
        let mut hears = crate::people::plain_in(addr, &token("bob", 600, json!({})), "stock:all");
        let mut ada = ada(addr);
        let ring = |times: u64, at_once: bool, refuse: bool| json!({"times": times, "atOnce": at_once, "refuse": refuse});
        // Without the list of them a transaction refuses so many, and what is refused is not told in part either.
        assert_eq!(code(&say(&mut ada, 1, "ring", &ring(TIMES, true, false))), "too_large");
        assert_eq!(code(&say(&mut ada, 2, "ring", &ring(TIMES, false, true))), "conflict");
        let answer = say_with(&mut ada, 3, "ring", &ring(TIMES, false, false), ",\"key\":\"k1\"");
        assert_eq!((&answer["ok"], &answer["number"]), (&json!(true), &json!(TIMES)), "{answer}");
        let again = say_with(&mut ada, 4, "ring", &ring(TIMES, false, false), ",\"key\":\"k1\"");
        assert_eq!(again["duplicate"], true, "{again}");
        say(&mut ada, 5, "take", &take("apple"));
        for number in 1..=TIMES {
            let heard = hears.hear("\"type\":\"event\"");
            assert!(heard.contains(&format!("\"number\":{number},\"item\":\"bell\"")), "{heard}");
        }
        let last = hears.hear("\"type\":\"event\"");
        assert!(last.contains("\"apple\""), "it was told before the command was answered, and once: {last}");
    });
}
