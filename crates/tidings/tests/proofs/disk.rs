//! A disk that is full, and has room again.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_core::{Org, Room};
use tidings_store::{Store, StoreOptions};
use tidings_testkit::client::{Heard, PATIENCE, PlainClient, http};
use tidings_testkit::history::{Demand, History};
use tidings_testkit::{Place, Serving};

use crate::bed::{FLAGS, Publisher, catch_up, follow, hear_up_to, place, run, serve, stored};

const ROOM: &str = "notes:1";
const LETTERS: usize = 4_000;
/// Messages that are stored before the disk is full.
const BEFORE: u64 = 20;
/// More messages than a full disk can take.
const ENOUGH: u64 = 1_000;
/// How much the server's directory holds.
const DISK: &str = "12m";

/// Mounts a small disk where the server keeps its data, in a namespace of its own, and becomes the server.
const ON_A_SMALL_DISK: &str = r#"mount -t tmpfs -o size="$0",mode=0700 none data && exec "$@""#;

/// A server whose data is on a small disk of its own; whoever is not root makes it in a user namespace.
fn serve_on_a_small_disk(place: &Place, points: &str) -> Serving {
    std::fs::create_dir_all(place.path().join("data")).unwrap();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new("unshare");
    command.args(if root { ["--mount"].as_slice() } else { &["--user", "--map-root-user", "--mount"] });
    command
        .args(["/bin/sh", "-c", ON_A_SMALL_DISK, DISK, env!("CARGO_BIN_EXE_tidings"), "serve"])
        .args(FLAGS);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("FAILPOINTS", points);
    Serving::run(command.current_dir(place.path()))
}

/// A file that takes all the room there is left on the server's disk.
struct Ballast(PathBuf);

impl Ballast {
    fn new(data: &std::path::Path) -> Self {
        let path = data.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write(&[7; 4_096]).is_ok() {}
        Self(path)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

/// The messages that are in the database of a running server, read from a copy as after a crash; it is whole.
async fn in_the_file(server: &Serving, data: &Path, place: &Place) -> Vec<u64> {
    server.signal("STOP");
    for name in ["tidings.db", "tidings.db-wal"] {
        std::fs::copy(data.join(name), place.path().join(name)).unwrap();
    }
    server.signal("CONT");
    let options = StoreOptions { create: false, ..StoreOptions::default() };
    let path = place.path().join("tidings.db");
    let store = Store::open(&format!("sqlite:{}", path.display()), &options).await.unwrap();
    let mut reader = store.read().await.unwrap();
    let found = reader.rows("PRAGMA integrity_check", &[]).await.unwrap();
    assert_eq!(found.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>(), ["ok"]);
    let room = Room::new(&Org::default(), ROOM, 200).unwrap();
    let head = reader.log_room(&room).await.unwrap().unwrap();
    let (mut messages, mut after) = (Vec::new(), 0);
    while after < head.top.offset {
        let page = reader.log_after(&head, after).await.unwrap();
        after = page.last().unwrap().position.offset;
        let said = page.iter().map(|record| serde_json::from_slice::<Value>(&record.payload.json).unwrap());
        messages.extend(said.map(|said| said["n"].as_u64().unwrap()));
    }
    drop(reader);
    store.close().await;
    messages
}

/// A server that writes on a disk which is full: what it acknowledged beside it.
struct Outcome {
    acked: u64,
    /// The first refusal, if anything was refused.
    refused: Option<Value>,
    in_the_file: Vec<u64>,
}

/// Publishes until the disk is full and something is refused, or for long behind that.
async fn until_it_is_full(points: &str) -> Outcome {
    let place = place("");
    let server = serve_on_a_small_disk(&place, points);
    let data = data_of(&server, &place);
    let mut history = History::new();
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let mut publisher = Publisher::new(&mut history, ROOM, true);
    publisher.pad = LETTERS;
    let ask = json!({"type": "subscribe", "room": ROOM});
    assert_eq!(client.ask(ask).await.unwrap()["ok"], true);
    for message in 1..=BEFORE {
        publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
    }
    let _ballast = Ballast::new(&data);
    let (mut acked, mut refused) = (BEFORE, None);
    while refused.is_none() && acked < ENOUGH {
        match publisher.settle(&mut client, acked + 1, &mut history).await.unwrap() {
            Ok(_) => acked += 1,
            Err(refusal) => refused = Some(refusal),
        }
    }
    let in_the_file = in_the_file(&server, &data, &place).await;
    Outcome { acked, refused, in_the_file }
}

#[test]
fn what_is_acknowledged_on_a_full_disk_is_in_its_file() {
    let Outcome { acked, refused, in_the_file } = run(until_it_is_full(""));
    assert_eq!(refused.expect("the disk is never full")["code"], "storage_full");
    assert_eq!(in_the_file, (1..=acked).collect::<Vec<_>>());
}

/// The control: of a server that does not look whether its disk took something, what it acknowledged is not there.
#[test]
fn a_server_that_takes_a_full_disk_for_one_that_stored_is_found_out() {
    let Outcome { acked, refused, in_the_file } = run(until_it_is_full("full"));
    assert_eq!((acked, refused), (ENOUGH, None));
    assert!(in_the_file.len() < acked as usize, "{} of {acked} are there", in_the_file.len());
}

/// Where a server's directory is, seen from here.
fn data_of(server: &Serving, place: &Place) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}/data", server.pid(), place.path().display()))
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_that_is_not_stored_and_the_rest_goes_on() {
    let place = place("");
    let server = serve_on_a_small_disk(&place, "");
    let data = data_of(&server, &place);
    run(async {
        let addr = server.addr();
        let mut history = History::new();
        let (mut follower, mut hears) = follow(addr, ROOM, &mut history).await;
        let (mut behind, away) = follow(addr, ROOM, &mut history).await;
        let (mut loose, mut hears_loose) = follow(addr, "loose:1", &mut history).await;
        history.volatile(loose.room());
        drop(away);
        let mut client = PlainClient::sign_in(addr, None).await.unwrap();
        let mut publisher = Publisher::new(&mut history, ROOM, true);
        publisher.pad = LETTERS;
        for message in 1..=BEFORE {
            publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
        }

        let ballast = Ballast::new(&data);
        let mut next = BEFORE;
        let refused = loop {
            next += 1;
            assert!(next < 5_000, "the disk is never full");
            match publisher.settle(&mut client, next, &mut history).await.unwrap() {
                Ok(_) => {}
                Err(refused) => break refused,
            }
        };
        println!("{next} is refused: {refused}");
        assert_eq!((&refused["code"], &refused["retryable"]), (&json!("storage_full"), &json!(true)));
        let again = publisher.settle(&mut client, next, &mut history).await.unwrap();
        assert!(again.is_err(), "still full");

        // What was acknowledged is there, and nothing else.
        let there = stored(addr, ROOM).await.into_iter().map(|(_, message)| message).collect::<Vec<_>>();
        assert_eq!(there, (1..next).collect::<Vec<_>>());
        // Who comes back gets what it missed, and volatile rooms go on.
        let mut returns = PlainClient::sign_in(addr, None).await.unwrap();
        behind.subscribe(&mut returns).await.unwrap();
        catch_up(&mut behind, &mut returns, &mut history).await;
        history.publishing(loose.room(), 1_000_000);
        client.publish("loose:1", 1_000_000.into(), None).await.unwrap();
        while !matches!(hears_loose.hear().await.unwrap(), Heard::Event { .. }) {}
        history.received(loose.client(), loose.room(), 1_000_000, None);
        loose.take(&Heard::Closed(None), &mut history);

        ballast.remove();
        let deadline = Instant::now() + PATIENCE;
        while publisher.settle(&mut client, next, &mut history).await.unwrap().is_err() {
            assert!(Instant::now() < deadline, "it does not recover");
        }
        for message in next + 1..=next + 20 {
            publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
        }
        let top = next + 20;
        for (follower, client) in [(&mut follower, &mut hears), (&mut behind, &mut returns)] {
            hear_up_to(top, follower, client, &mut history).await;
            history.ended(follower.client(), follower.room(), follower.position().unwrap().at());
        }
        let verdict = history.verdict(&Demand { acked: top as usize, delivered: 2 * top, gaps: false });
        println!("{verdict}");
        assert!(verdict.holds(), "{verdict}");
        assert_eq!(in_the_file(&server, &data, &place).await, (1..=top).collect::<Vec<_>>());
    });
}

/// A database that was taken away under a server can still be written to, and nobody will ever read what was.
#[test]
fn nothing_is_acknowledged_while_the_file_is_not_where_it_was() {
    let place = place("");
    let server = serve(place.path());
    let (file, away) = (place.path().join("data/tidings.db"), place.path().join("data/away.db"));
    run(async {
        let addr = server.addr();
        let mut history = History::new();
        let mut client = PlainClient::sign_in(addr, None).await.unwrap();
        let mut publisher = Publisher::new(&mut history, ROOM, true);
        let ready = async || http(addr, "GET /readyz", "", "").await.unwrap();
        publisher.settle(&mut client, 1, &mut history).await.unwrap().unwrap();
        std::fs::rename(&file, &away).unwrap();
        let refused = publisher.settle(&mut client, 2, &mut history).await.unwrap().unwrap_err();
        assert_eq!((&refused["code"], &refused["retryable"]), (&json!("unavailable"), &json!(true)));
        let deadline = Instant::now() + PATIENCE;
        while ready().await != (503, "the store does not answer\ndegraded: yes\n".to_owned()) {
            assert!(Instant::now() < deadline, "it says that it is ready");
        }
        assert_eq!(stored(addr, ROOM).await.len(), 1, "what is there is read");
        std::fs::rename(&away, &file).unwrap();
        while publisher.settle(&mut client, 2, &mut history).await.unwrap().is_err() {
            assert!(Instant::now() < deadline, "it does not recover");
        }
        while ready().await.0 != 200 {
            assert!(Instant::now() < deadline, "it is not ready");
        }
        assert_eq!(
            stored(addr, ROOM).await.into_iter().map(|(_, message)| message).collect::<Vec<_>>(),
            [1, 2]
        );
    });
}
