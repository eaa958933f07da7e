//! A connection says on while what it said is being stored: its answers keep their order, and nothing is lost
//! or doubled.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tidings_server::client::Answer;
use tidings_server::{Call, Extras, Handler};
use tidings_store::{Store, StoreOptions, Tx};
use tidings_testkit::Place;

use crate::backend::{Backend, Request, allow, deny};
use crate::common::{Frame, Wire, with_extras};
use crate::hooks::{ack, asking, plain, socket_io, subscribe};

/// Answers every event with what it said.
struct Echo;

impl Handler for Echo {
    fn handle(&self, call: Call) -> Answer<'_, ()> {
        Box::pin(async move { call.ack(call.args.clone(), Vec::new()) })
    }
}

/// A database that can be kept from storing anything for a while.
struct Held {
    store: Store,
    runtime: tokio::runtime::Runtime,
}

impl Held {
    /// Until this is dropped nothing else is stored.
    fn hold(&self) -> Tx {
        self.runtime.block_on(self.store.begin()).unwrap()
    }
}

/// Runs a server whose durable kinds are `notes`, for anyone, and `ask`, of which `backend` decides.
fn served(backend: &Backend, test: impl FnOnce(SocketAddr, &Held) + Send + 'static) {
    let mut config = asking(backend);
    config.hooks.send_data = true;
    let mut notes = config.rooms["open"].clone();
    (notes.keep, notes.size) = (Some("durable".into()), Some(1_000));
    (notes.history, notes.presence) = (Some("anyone".into()), Some("anyone".into()));
    config.rooms.insert("notes".into(), notes);
    config.rooms.get_mut("ask").unwrap().keep = Some("durable".into());
    let place = Place::new();
    let url = format!("sqlite:{}", place.path().join("tidings.db").display());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store.clone()), handler: Some(Arc::new(Echo)), ..Extras::default() };
    let held = Held { store, runtime };
    let held = with_extras(&config, extras, move |addr, _| {
        test(addr, &held);
        held
    });
    held.runtime.block_on(held.store.close());
}

fn publish(id: u64, room: &str, more: &str) -> String {
    format!("{{\"id\":{id},\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"said\",\"data\":{id}{more}}}")
}

/// The next answer of a plain client.
fn next_ack(wire: &mut Wire) -> Value {
    serde_json::from_str(&wire.hear("\"type\":\"ack\"")).unwrap()
}

fn offsets(history: &Value) -> Vec<u64> {
    let events = history["events"].as_array().unwrap();
    events.iter().map(|event| event["offset"].as_u64().unwrap()).collect()
}

#[test]
fn a_publish_begins_while_those_before_it_are_stored_and_other_commands_wait_for_them() {
    let backend = Backend::start(|_| allow());
    let asked = backend.clone();
    served(&backend, move |addr, held| {
        let mut ada = plain(addr, "ada");
        ada.say(&publish(1, "ask:1", ""));
        assert_eq!(ack(&mut ada, 1)["offset"], 1);
        let (before, hold) = (asked.count(), held.hold());
        for id in 2..=4 {
            ada.say(&publish(id, "ask:1", ""));
            // It is asked about as it begins.
            asked.await_count(before + id as usize - 1);
        }
        ada.say("{\"id\":5,\"type\":\"history\",\"room\":\"ask:1\",\"limit\":10}");
        ada.say(&publish(6, "ask:1", ""));
        ada.say("{\"id\":7,\"type\":\"ping\"}");
        assert!(matches!(ada.next(), Frame::Text(text) if text.contains("\"id\":7")));
        assert_eq!(asked.count(), before + 3, "the history waits, and what is said behind it");
        drop(hold);
        for id in 2..=4 {
            let told = next_ack(&mut ada);
            assert_eq!((&told["id"], &told["offset"]), (&json!(id), &json!(id)), "{told}");
        }
        let told = next_ack(&mut ada);
        assert_eq!((&told["id"], offsets(&told)), (&json!(5), vec![1, 2, 3, 4]), "{told}");
        let told = next_ack(&mut ada);
        assert_eq!((&told["id"], &told["offset"]), (&json!(6), &json!(5)), "{told}");
    });
}

/// Whether a publish that a request is about has an odd number.
fn is_odd(request: &Request) -> bool {
    request.json()["data"].as_u64().is_some_and(|data| data % 2 == 1)
}

#[test]
fn a_refusal_waits_for_the_answers_to_what_was_said_before_it() {
    let backend = Backend::start(|request| if is_odd(request) { deny() } else { allow() });
    let asked = backend.clone();
    served(&backend, move |addr, held| {
        let mut ada = plain(addr, "ada");
        ada.say(&publish(2, "ask:1", ""));
        assert_eq!(ack(&mut ada, 2)["offset"], 1);
        let (before, hold) = (asked.count(), held.hold());
        for (at, id) in [4, 5, 6, 7, 9, 10].into_iter().enumerate() {
            ada.say(&publish(id, "ask:1", ""));
            // The next begins once the shard was told what became of this one.
            asked.await_count(before + at + 1);
        }
        ada.say("{\"id\":11,\"type\":\"ping\"}");
        let first = ada.next();
        assert!(matches!(&first, Frame::Text(text) if text.contains("\"id\":11")), "{first:?}");
        drop(hold);
        let mut offset = 1;
        for id in [4, 5, 6, 7, 9, 10] {
            let told = next_ack(&mut ada);
            assert_eq!((&told["id"], &told["ok"]), (&json!(id), &json!(id % 2 == 0)), "{told}");
            if id % 2 == 0 {
                offset += 1;
                assert_eq!(told["offset"], offset);
            }
        }
    });
}

#[test]
fn what_a_connection_said_that_is_gone_is_stored_and_heard_once() {
    let backend = Backend::start(|_| allow());
    let asked = backend.clone();
    served(&backend, move |addr, held| {
        let mut hears = plain(addr, "bob");
        assert_eq!(subscribe(&mut hears, 1, "ask:1")["ok"], true);
        let mut ada = plain(addr, "ada");
        let (before, hold) = (asked.count(), held.hold());
        for id in 1..=3 {
            ada.say(&publish(id, "ask:1", ""));
            asked.await_count(before + id as usize);
        }
        drop(ada);
        let mut next = plain(addr, "ada");
        next.say(&publish(4, "ask:1", ""));
        asked.await_count(before + 4);
        drop(hold);
        let told = next_ack(&mut next);
        assert_eq!((&told["id"], &told["offset"]), (&json!(4), &json!(4)), "{told}");
        for at in 1..=4 {
            let event: Value = serde_json::from_str(&hears.hear("\"said\"")).unwrap();
            assert_eq!((&event["data"], &event["offset"]), (&json!(at), &json!(at)));
        }
    });
}

#[test]
fn so_many_commands_of_a_connection_are_under_way_or_wait_and_the_rest_is_refused() {
    let backend = Backend::start(|_| allow());
    served(&backend, |addr, held| {
        let mut ada = plain(addr, "ada");
        ada.say(&publish(0, "notes:1", ""));
        assert_eq!(ack(&mut ada, 0)["ok"], true);
        let hold = held.hold();
        for (from, to) in [(1, 400), (401, 1_000)] {
            (from..=to).for_each(|id| ada.say(&publish(id, "notes:1", "")));
            ada.say("{\"id\":2000,\"type\":\"ping\"}");
            let first = ada.next();
            assert!(matches!(&first, Frame::Text(text) if text.contains("2000")), "{first:?}");
        }
        ada.say(&publish(1_001, "notes:1", ""));
        let refused = next_ack(&mut ada);
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1_001), &json!("unavailable")));
        drop(hold);
        for id in 1..=1_000 {
            let told = next_ack(&mut ada);
            assert_eq!((&told["id"], &told["offset"]), (&json!(id), &json!(id + 1)), "{told}");
        }
        ada.say(&publish(1_002, "notes:1", ""));
        assert_eq!(next_ack(&mut ada)["offset"], 1_002);
    });
}

/// Numbers drawn from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % most
    }
}

/// What is said, and what its answer has to be.
enum Said {
    /// To the room that only this client publishes in, or to the one of all.
    Publish {
        own: bool,
    },
    /// The same once more, by its key, of which this is the first.
    Repeat {
        first: u64,
    },
    /// Another event under the key of that one.
    Conflict,
    /// An event that the backend refuses, or lets through into the room it decides about.
    Asked {
        denied: bool,
    },
    /// With a receipt that nobody will give.
    Tracked,
    /// The room that only this client publishes in.
    History,
    Presence,
    /// An event for the mounted handler; of Socket.IO alone.
    Echo,
}

/// A client that says what is drawn and looks at every answer.
struct Speaker {
    wire: Wire,
    number: u64,
    stock: bool,
    draw: Draw,
    next: u64,
    /// What is not answered yet, in the order in which it was said.
    open: VecDeque<(u64, Said)>,
    /// Ids with keys that were acknowledged, and the messages they became.
    keyed: BTreeMap<u64, Value>,
    /// What was acknowledged of its own room, of the one of all, and of the one that is asked about.
    own: Vec<u64>,
    common: Vec<(u64, u64)>,
    asked: Vec<(u64, u64)>,
}

impl Speaker {
    fn new(addr: SocketAddr, number: u64, seed: u64) -> Self {
        let (stock, user) = (number % 2 == 1, format!("user{number}"));
        let wire = if stock { socket_io(addr, &user) } else { plain(addr, &user) };
        Self {
            wire,
            number,
            stock,
            draw: Draw(seed * 1_000 + number),
            next: number * 100_000,
            open: VecDeque::new(),
            keyed: BTreeMap::new(),
            own: Vec::new(),
            common: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn say(&mut self) {
        self.next += 1;
        let (id, own) = (self.next, format!("notes:{}", self.number));
        let keys = self.keyed.len() as u64;
        let first =
            (keys > 0).then(|| self.keyed.keys().nth(self.draw.below(keys) as usize).copied()).flatten();
        let keyed = |data: u64, key: u64| json!({"room": own, "event": "said", "data": data, "key": format!("k{key}")});
        let (name, body, said) = match (self.draw.below(20), first) {
            (0..=4, _) => ("publish", keyed(id, id), Said::Publish { own: true }),
            (5..=8, _) => (
                "publish",
                json!({"room": "notes:all", "event": "said", "data": id}),
                Said::Publish { own: false },
            ),
            (9, Some(first)) => ("publish", keyed(first, first), Said::Repeat { first }),
            (10 | 11, Some(first)) => ("publish", keyed(id, first), Said::Conflict),
            (12 | 13, _) => (
                ("publish"),
                json!({"room": "ask:1", "event": "said", "data": id}),
                Said::Asked { denied: id % 2 == 1 },
            ),
            (14, _) => (
                "publish",
                json!({"room": own, "event": "said", "data": id, "receipt": {"timeoutMs": 60_000, "tries": 1}}),
                Said::Tracked,
            ),
            (15 | 16, _) => ("history", json!({"room": own, "limit": 1_000}), Said::History),
            (17, _) if self.stock => ("echo", json!(id), Said::Echo),
            _ => ("presence", json!({"room": own}), Said::Presence),
        };
        self.wire.say(&if self.stock {
            format!("42{id}[\"{name}\",{body}]")
        } else {
            let mut body = body;
            (body["id"], body["type"]) = (json!(id), json!(name));
            body.to_string()
        });
        self.open.push_back((id, said));
    }

    /// The next answer: to which id, and what it says.
    fn answer(&mut self) -> (u64, Value) {
        loop {
            let Frame::Text(text) = self.wire.next() else { continue };
            if !self.stock {
                let told: Value = serde_json::from_str(&text).unwrap();
                if told["type"] == "ack" {
                    return (told["id"].as_u64().unwrap(), told);
                }
            } else if let Some(told) = text.strip_prefix("43") {
                let (id, args) = told.split_at(told.find('[').unwrap());
                let args: Value = serde_json::from_str(args).unwrap();
                return (id.parse().unwrap(), args[0].clone());
            }
        }
    }

    /// Looks at the next answer.
    fn hear(&mut self) {
        let (expected, said) = self.open.pop_front().unwrap();
        let (id, told) = self.answer();
        assert_eq!(id, expected, "answers come in the order in which was said: {told}");
        let code = told["error"]["code"].clone();
        let offset = told["offset"].as_u64().unwrap_or_default();
        match said {
            Said::Publish { own: false } => self.common.push((offset, id)),
            Said::Publish { own: true } => {
                self.own.push(offset);
                self.keyed.insert(id, told["messageId"].clone());
            }
            Said::Tracked => self.own.push(offset),
            Said::Repeat { first } => {
                assert_eq!((&told["duplicate"], &told["messageId"]), (&json!(true), &self.keyed[&first]));
            }
            Said::Conflict => assert_eq!(code, "conflict", "{told}"),
            Said::Asked { denied: true } => assert_eq!(told["ok"], false, "{told}"),
            Said::Asked { denied: false } => self.asked.push((offset, id)),
            Said::History => {
                assert_eq!(offsets(&told), self.own, "all that was said before, and nothing else");
            }
            Said::Presence => assert_eq!(told["ok"], true, "{told}"),
            Said::Echo => assert_eq!(told, json!(id)),
        }
        // None of its own is missing, and none is in another place than it was said in.
        assert!(self.own.iter().zip(1..).all(|(offset, at)| *offset == at), "{:?}", self.own);
    }

    /// Says so much, and listens now and then.
    fn run(&mut self, commands: usize) {
        for _ in 0..commands {
            self.say();
            if self.draw.below(8) == 0 || self.open.len() > 100 {
                let some = self.draw.below(self.open.len() as u64 + 1);
                (0..some).for_each(|_| self.hear());
            }
        }
        while !self.open.is_empty() {
            self.hear();
        }
    }
}

/// That each event of a room was heard once, in the order of the log, and as its publishers were told.
fn heard_as_told(wire: &mut Wire, mut told: Vec<(u64, u64)>, room: &str) {
    told.sort_unstable();
    for ((offset, data), at) in told.into_iter().zip(1..) {
        let event: Value = serde_json::from_str(&wire.hear("\"event\":\"said\"")).unwrap();
        let heard = (&event["room"], &event["offset"], &event["data"]);
        assert_eq!(heard, (&json!(room), &json!(at), &json!(data)));
        assert_eq!(offset, at, "no hole and nothing twice");
    }
}

#[test]
fn drawn_commands_of_many_are_answered_in_order_and_stored_once() {
    for seed in 1..=4 {
        let backend = Backend::start(|request| if is_odd(request) { deny() } else { allow() });
        served(&backend, move |addr, _| {
            let rooms = ["notes:all", "ask:1"];
            let mut listeners = rooms.map(|room| {
                let mut wire = plain(addr, "bob");
                assert_eq!(subscribe(&mut wire, 1, room)["ok"], true);
                wire
            });
            // One says something and is gone.
            let mut leaves = plain(addr, "eve");
            (1..=50).for_each(|id| leaves.say(&publish(id, "notes:left", "")));
            drop(leaves);
            let speakers = (0..4).map(|number| {
                std::thread::spawn(move || {
                    let mut speaker = Speaker::new(addr, number, seed);
                    speaker.run(150);
                    speaker
                })
            });
            let speakers: Vec<_> =
                speakers.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect();
            let common = speakers.iter().flat_map(|speaker| speaker.common.clone()).collect();
            let asked = speakers.iter().flat_map(|speaker| speaker.asked.clone()).collect();
            heard_as_told(&mut listeners[0], common, rooms[0]);
            heard_as_told(&mut listeners[1], asked, rooms[1]);
            for speaker in &speakers {
                // What one client said to a room stands there in the order in which it was said.
                assert!(speaker.common.is_sorted() && speaker.asked.is_sorted());
            }
            let mut late = plain(addr, "bob");
            for speaker in &speakers {
                let room = format!("notes:{}", speaker.number);
                late.say(&format!("{{\"id\":1,\"type\":\"history\",\"room\":\"{room}\",\"limit\":1000}}"));
                assert_eq!(
                    offsets(&next_ack(&mut late)),
                    speaker.own,
                    "what was refused or repeated is not there"
                );
            }
        });
    }
}
