//! A room whose journal is long is made of its image and what came after it, and without one of all of its journal (0101).

use std::fs::File;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_app::Org;
use tidings_store::{Store, StoreOptions, Tx, args};
use tidings_testkit::Serving;
use tidings_testkit::client::PATIENCE;
use tidings_trading::images::rows::{self, Name, Stored};
use tidings_trading::images::{EVERY, restore};
use tidings_trading::journal::Hash;
use tidings_trading::room::Room;
use tidings_trading::room::image::{Sketch, VERSION};
use tidings_trading::rooms::Key;
use tidings_trading::store::{self, MIGRATIONS};

use crate::bed::{Bed, Rest};

fn key() -> Key {
    (Org::default(), "r1".to_owned())
}

async fn opened(bed: &Bed) -> Store {
    Store::open(&bed.url, &StoreOptions::default()).await.unwrap()
}

/// Changes the database of a server that does not run.
async fn change(bed: &Bed, change: impl AsyncFnOnce(&mut Tx)) {
    let store = opened(bed).await;
    let mut tx = store.begin().await.unwrap();
    change(&mut tx).await;
    tx.commit().await.unwrap();
    store.close().await;
}

/// Two hundred prices without a pattern; of few a request, so that none holds the writer for long in a debug build.
async fn prices(exchange: &Rest, from: u64) {
    let price = |number: u64| json!({"symbol": "ACME", "price": (900 + number * 7_919 % 200).to_string()});
    for first in (from..from + 200).step_by(50) {
        let prices: Vec<Value> = (first..first + 50).map(price).collect();
        let taken = exchange.done("POST /rooms/r1/prices", json!({ "prices": prices })).await;
        assert_eq!(taken["taken"], 50, "{taken}");
    }
}

fn wanted(client: &str, side: &str, quantity: &str, limit: Option<&str>) -> Value {
    let kind = if limit.is_some() { "limit" } else { "market" };
    let mut order =
        json!({"clientOrderId": client, "symbol": "ACME", "side": side, "type": kind, "quantity": quantity});
    if let Some(limit) = limit {
        order["price"] = json!(limit);
    }
    order
}

/// A room with positions and orders that wait, and more entries than an image wants.
async fn long(exchange: &Rest) {
    exchange.room("r1", &["ada", "bob"], Value::Null).await;
    exchange.price("r1", "1000", Some("9")).await;
    let (ada, bob) = (Rest::user(exchange.addr, "ada"), Rest::user(exchange.addr, "bob"));
    ada.done("POST /rooms/r1/orders", wanted("a", "buy", "3", None)).await;
    ada.done("POST /rooms/r1/orders", wanted("b", "buy", "2", Some("500"))).await;
    bob.done("POST /rooms/r1/orders", wanted("c", "buy", "2", None)).await;
    bob.done("POST /rooms/r1/orders", wanted("d", "sell", "1", Some("1500"))).await;
    for from in (0..EVERY).step_by(200) {
        prices(exchange, from).await;
    }
}

/// Everything that is shown of the room and its members.
async fn shown(addr: std::net::SocketAddr) -> Vec<Value> {
    let (exchange, mut shown) = (Rest::server(addr), Vec::new());
    for path in ["/rooms/r1", "/rooms/r1/standings"] {
        let mut seen = exchange.get(path).await;
        // Of the moment at which it is asked for.
        seen.as_object_mut().unwrap().remove("at");
        shown.push(seen);
    }
    for user in ["ada", "bob"] {
        let user = Rest::user(addr, user);
        for path in ["/rooms/r1/portfolio", "/rooms/r1/positions", "/rooms/r1/orders"] {
            shown.push(user.get(path).await);
        }
    }
    shown
}

/// Waits until the room has an image behind an entry, and is made of it; the entry it is of.
async fn imaged(bed: &Bed, behind: u64) -> u64 {
    let (store, begun) = (opened(bed).await, Instant::now());
    loop {
        let mut reader = store.snapshot().await.unwrap();
        let row = store::find(&mut reader, &key().0, "r1").await.unwrap().unwrap();
        let found = rows::find(&mut reader, &key()).await.unwrap();
        let is_one = |stored: &Stored| {
            let read = Room::from_image("r1", &row.rules, &stored.bytes);
            let is_named =
                |room: Room| room.seq() == stored.name.seq && room.chain().to_string() == stored.chain;
            read.is_ok_and(is_named)
                && stored.name.version == VERSION
                && (behind..=row.seq).contains(&stored.name.seq)
        };
        if found.as_ref().is_some_and(is_one) {
            let restored = restore(&mut reader, &key(), &row.rules, &row.top()).await.unwrap();
            assert_eq!((restored.room.seq(), restored.room.chain()), (row.seq, row.chain));
            assert_eq!(restored.image, found.unwrap().name.seq);
            drop(reader);
            store.close().await;
            return restored.image;
        }
        assert!(begun.elapsed() < PATIENCE, "there is no image");
    }
}

/// Removes the journal up to an entry: what is read of it is missed.
async fn cut(bed: &Bed, seq: u64) {
    change(bed, async |tx| {
        let sql = "DELETE FROM trading_journal WHERE room = 'r1' AND seq <= $1";
        assert_eq!(tx.run(sql, args![seq]).await.unwrap(), seq);
    })
    .await;
}

/// The server, and the file into which it says what it logs.
fn serve_logged(bed: &Bed) -> (Serving, std::path::PathBuf) {
    let log = bed.place.path().join("log");
    let flags = ["serve", "--listen", "127.0.0.1:0", "--no-limits", "--host-publish=false"];
    let mut command = bed.command();
    (Serving::run(command.args(flags).stderr(File::create(&log).unwrap())), log)
}

const WARNING: &str = "the image of a room is not used";

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_only_what_came_after_its_image_is_read_of_a_room() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        long(&exchange).await;
        let image = imaged(&bed, EVERY).await;
        prices(&exchange, 0).await;
        let bob = Rest::user(server.addr(), "bob");
        bob.done("POST /rooms/r1/orders", wanted("e", "buy", "1", None)).await;
        let before = shown(server.addr()).await;
        assert!(before[0]["journal"].as_u64().unwrap() > image, "{}", before[0]);
        server.kill();
        cut(&bed, image).await;

        let (server, log) = serve_logged(&bed);
        assert_eq!(shown(server.addr()).await, before);
        // It goes on: what was said before is known, and what waits is filled.
        let (exchange, ada) = (Rest::server(server.addr()), Rest::user(server.addr(), "ada"));
        let again = ada.done("POST /rooms/r1/orders", wanted("a", "buy", "3", None)).await;
        assert_eq!((&again["duplicate"], &again["status"]), (&json!(true), &json!("filled")), "{again}");
        exchange.price("r1", "500", None).await;
        let orders = ada.get("/rooms/r1/orders").await;
        assert_eq!(orders["orders"][0]["status"], "filled", "{orders}");
        server.kill();
        assert!(!std::fs::read_to_string(log).unwrap().contains(WARNING));
    }
}

/// What may have become of an image, or of what it is of.
const DAMAGES: [&str; 7] = [
    "UPDATE trading_images SET version = version + 1",
    "UPDATE trading_images SET chain = 'none'",
    "UPDATE trading_images SET seq = seq - 1",
    "UPDATE trading_images SET seq = 1000000",
    "UPDATE trading_images SET parts = parts - 1",
    "DELETE FROM trading_image_parts",
    "UPDATE trading_image_parts SET bytes = substr(bytes, 1, 100)",
];

#[tokio::test(flavor = "multi_thread")]
async fn without_an_image_that_can_be_used_a_room_is_made_of_all_of_its_journal() {
    for bed in Bed::both().await {
        let server = bed.serve();
        long(&Rest::server(server.addr())).await;
        let image = imaged(&bed, EVERY).await;
        let before = shown(server.addr()).await;
        server.kill();
        for damage in DAMAGES {
            change(&bed, async |tx| assert_eq!(tx.run(damage, args![]).await.unwrap(), 1, "{damage}")).await;
            let (server, log) = serve_logged(&bed);
            assert_eq!(shown(server.addr()).await, before, "{damage}");
            // And it has another image, which is as good as the first.
            assert_eq!(imaged(&bed, 1).await, image, "{damage}");
            server.kill();
            assert!(std::fs::read_to_string(log).unwrap().contains(WARNING), "{damage}");
        }
        // The control: what was read then is what is missed now.
        change(&bed, async |tx| assert_eq!(tx.run(DAMAGES[0], args![]).await.unwrap(), 1)).await;
        cut(&bed, 1).await;
        let (server, _) = serve_logged(&bed);
        assert_eq!(Rest::server(server.addr()).refused("GET /rooms/r1", Value::Null).await.0, 503);
    }
}

/// An image that proves itself, of a room whose journal is another.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_from_which_the_journal_does_not_go_on_to_the_rooms_link_is_not_used() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    long(&Rest::server(server.addr())).await;
    let image = imaged(&bed, EVERY).await;
    let before = shown(server.addr()).await;
    server.kill();
    // Of the same rules and the same number of entries, of which the last came later.
    change(&bed, async |tx| {
        let row = store::find(tx, &key().0, "r1").await.unwrap().unwrap();
        let (mut room, mut read) = (Room::new("r1", row.rules.clone()).unwrap(), 0);
        while read < image {
            for mut entry in store::read(tx, &key().0, "r1", (read, image - read)).await.unwrap() {
                (read, entry.at_ms) = (entry.seq, entry.at_ms + u64::from(entry.seq == image));
                room.replay(&entry).unwrap();
            }
        }
        let (name, chain) = (Name { seq: image, version: VERSION }, room.chain());
        let bytes = room.image(Sketch::default()).into_bytes();
        rows::add_part(tx, &key(), name, (0, &bytes)).await.unwrap();
        assert!(rows::name_it(tx, &key(), (name, chain, 1), row.seq).await.unwrap());
    })
    .await;
    let (server, log) = serve_logged(&bed);
    assert_eq!(shown(server.addr()).await, before);
    server.kill();
    assert!(std::fs::read_to_string(log).unwrap().contains("does not come to the link"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_image_never_takes_the_place_of_a_newer_one() {
    for bed in Bed::both().await {
        let store = opened(&bed).await;
        store.migrate(MIGRATIONS).await.unwrap();
        let (key, mut tx) = (key(), store.begin().await.unwrap());
        let name = |seq| Name { seq, version: VERSION };
        let chain = |seq: u64| Hash::of(&seq.to_string());
        let bytes = |seq: u64| format!("image {seq}").into_bytes();
        let (top, tx) = (40_000, &mut tx);
        let add = async |tx: &mut Tx, seq: u64| {
            for (part, half) in bytes(seq).chunks(6).enumerate() {
                rows::add_part(tx, &key, name(seq), (part, half)).await.unwrap();
            }
            let parts = bytes(seq).len().div_ceil(6);
            rows::name_it(tx, &key, (name(seq), chain(seq), parts), top).await.unwrap()
        };
        assert!(add(tx, 20_000).await);
        assert!(!add(tx, 10_000).await, "it is older");
        let found = rows::find(tx, &key).await.unwrap().unwrap();
        assert_eq!((found.name, found.bytes), (name(20_000), bytes(20_000)));
        // The one that came too late has left two parts, which go one by one; those of the room's stay.
        assert_eq!(rows::remove_older(tx, &key, 1).await.unwrap(), 1);
        assert_eq!(rows::remove_older(tx, &key, 9).await.unwrap(), 1);
        assert_eq!(rows::remove_older(tx, &key, 9).await.unwrap(), 0);
        assert!(add(tx, 20_000).await, "the same again is the same");
        assert!(add(tx, 30_000).await);
        let found = rows::find(tx, &key).await.unwrap().unwrap();
        assert_eq!(
            (found.name, found.chain, found.bytes),
            (name(30_000), chain(30_000).to_string(), bytes(30_000))
        );
        // Of an entry that there is not: nothing was ever made of it here.
        assert!(add(tx, top + 1).await);
        assert!(add(tx, 30_000).await);
        assert_eq!(rows::name(tx, &key).await.unwrap(), Some(name(30_000)));
        while rows::clear(tx, &key, 3).await.unwrap() > 0 {}
        assert_eq!(rows::find(tx, &key).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_one_database_have_one_image_of_a_room() {
    let [_, bed] = Bed::both().await;
    let (one, other) = (bed.serve(), bed.serve());
    let exchange = Rest::server(one.addr());
    long(&exchange).await;
    // Both have it in memory now, and both want an image of it.
    let seen = shown(other.addr()).await;
    assert_eq!(shown(one.addr()).await, seen);
    let image = imaged(&bed, EVERY).await;
    for from in (0..EVERY).step_by(400) {
        prices(&exchange, from).await;
        prices(&Rest::server(other.addr()), from + 200).await;
    }
    // Nobody has read it since at either of them.
    imaged(&bed, image + EVERY).await;
    let seen = shown(other.addr()).await;
    assert_eq!(shown(one.addr()).await, seen);
    one.kill();
    other.kill();
    let image = imaged(&bed, image + EVERY).await;
    cut(&bed, image).await;
    let server = bed.serve();
    assert_eq!(shown(server.addr()).await, seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_there_were_images_is_served() {
    for bed in Bed::both().await {
        let server = bed.serve();
        Rest::server(server.addr()).room("r1", &["ada", "bob"], Value::Null).await;
        let before = shown(server.addr()).await;
        server.kill();
        change(&bed, async |tx| {
            let undo = [
                "DROP TABLE trading_images",
                "DROP TABLE trading_image_parts",
                "DELETE FROM migrations WHERE owner = 'trading' AND number = 3",
            ];
            for sql in undo {
                tx.run(sql, args![]).await.unwrap();
            }
        })
        .await;
        let server = bed.serve();
        assert_eq!(shown(server.addr()).await, before);
        server.kill();
        change(&bed, async |tx| assert_eq!(rows::name(tx, &key()).await.unwrap(), None)).await;
    }
}
