//! A disk that is full, and has room again.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use tidings_store::{Store, StoreOptions};
use tidings_testkit::client::{Heard, PATIENCE, PlainClient};
use tidings_testkit::history::{Demand, History};
use tidings_testkit::{Place, Serving};

use crate::bed::{FLAGS, Publisher, catch_up, follow, hear_up_to, place, run, stored};

const ROOM: &str = "notes:1";
const LETTERS: usize = 4_000;
/// How much the server's directory holds.
const DISK: &str = "12m";

/// Mounts a small disk where the server keeps its data, in a namespace of its own, and becomes the server.
const ON_A_SMALL_DISK: &str = r#"mount -t tmpfs -o size="$0",mode=0700 none data && exec "$@""#;

/// A server whose data is on a small disk of its own; whoever is not root makes it in a user namespace.
fn serve_on_a_small_disk(place: &Place) -> Serving {
    std::fs::create_dir_all(place.path().join("data")).unwrap();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new("unshare");
    command.args(if root { ["--mount"].as_slice() } else { &["--user", "--map-root-user", "--mount"] });
    command
        .args(["/bin/sh", "-c", ON_A_SMALL_DISK, DISK, env!("CARGO_BIN_EXE_tidings"), "serve"])
        .args(FLAGS);
    Serving::run(command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(place.path()))
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

async fn is_whole(path: PathBuf) {
    let options = StoreOptions { create: false, ..StoreOptions::default() };
    let store = Store::open(&format!("sqlite:{}", path.display()), &options).await.unwrap();
    let found = store.read().await.unwrap().rows("PRAGMA integrity_check", &[]).await.unwrap();
    assert_eq!(found.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>(), ["ok"]);
    store.close().await;
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_that_is_not_stored_and_the_rest_goes_on() {
    let place = place("");
    let server = serve_on_a_small_disk(&place);
    let data = PathBuf::from(format!("/proc/{}/root{}/data", server.pid(), place.path().display()));
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
        for message in 1..=20 {
            publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
        }

        let ballast = Ballast::new(&data);
        let mut next = 20;
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
        // The disk is gone with the server: what is on it at one moment is looked at, as after a crash.
        server.signal("STOP");
        for name in ["tidings.db", "tidings.db-wal"] {
            std::fs::copy(data.join(name), place.path().join(name)).unwrap();
        }
        server.signal("CONT");
        is_whole(place.path().join("tidings.db")).await;
    });
}
