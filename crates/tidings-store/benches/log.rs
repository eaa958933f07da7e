//! Rows a second through `Tx::append`, one transaction for each batch, beside a bare loop that writes the same
//! rows in the same batches: `cargo bench -p tidings-store --bench log`.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection};
use tidings_core::{Epoch, MessageId, Org, Payload, Room};
use tidings_store::log::Append;
use tidings_store::{Store, StoreOptions};
use tidings_testkit::{Place, Postgres};

const FOR: Duration = Duration::from_secs(2);
const ROOMS: usize = 200;

#[tokio::main]
async fn main() {
    for batch in [64, 512] {
        for round in 0..2 {
            let place = Place::new();
            let file = |name: &str| place.path().join(name);
            let bare = bare(&file("bare.db"), batch).await;
            let url = format!("sqlite:{}", file("log.db").display());
            let log = append(&open(&url).await, batch).await;
            println!(
                "sqlite   batch {batch:3} round {round}: {log:7.0} rows/s, bare {bare:7.0}, {:.2}",
                log / bare
            );
            let url = Postgres::shared().database().await;
            let log = append(&open(&url).await, batch).await;
            println!("postgres batch {batch:3} round {round}: {log:7.0} rows/s");
        }
    }
}

async fn open(url: &str) -> Store {
    Store::open(url, &StoreOptions::default()).await.unwrap()
}

async fn append(store: &Store, batch: usize) -> f64 {
    let rooms: Vec<_> =
        (0..ROOMS).map(|at| Room::new(&Org::default(), &format!("r:{at}"), 200).unwrap()).collect();
    let payload = Payload::json(format!("\"{}\"", "x".repeat(100)));
    let (began, mut rows) = (Instant::now(), 0);
    while began.elapsed() < FOR {
        let event = |at: usize| Append {
            room: &rooms[at % ROOMS],
            epoch: Epoch(1),
            id: MessageId { node: 1, number: at as u64 },
            at_ms: 1,
            event: "said",
            payload: &payload,
            key: None,
            batch: None,
        };
        let events: Vec<_> = (rows..rows + batch).map(event).collect();
        let mut tx = store.begin().await.unwrap();
        tx.append(&events).await.unwrap();
        tx.commit().await.unwrap();
        rows += batch;
    }
    rows as f64 / began.elapsed().as_secs_f64()
}

/// The same columns without a room's row, a sequence, a checksum or a key.
async fn bare(file: &std::path::Path, batch: usize) -> f64 {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut line = SqliteConnection::connect_with(&options).await.unwrap();
    let table = "CREATE TABLE log_events (room_id BIGINT, place BIGINT, sequence BIGINT, node BIGINT, number BIGINT, \
                 at_ms BIGINT, event TEXT, data BYTEA, attachments BYTEA, bytes BIGINT, checksum BIGINT, \
                 PRIMARY KEY (room_id, place))";
    sqlx::query(table).execute(&mut line).await.unwrap();
    let data = format!("\"{}\"", "x".repeat(100));
    let (began, mut rows) = (Instant::now(), 0);
    while began.elapsed() < FOR {
        let mut tx = line.begin().await.unwrap();
        for at in rows..rows + batch {
            sqlx::query("INSERT INTO log_events VALUES (?, ?, ?, 1, ?, 1, 'said', ?, NULL, 100, 1)")
                .bind((at % ROOMS) as i64)
                .bind((at / ROOMS) as i64)
                .bind(at as i64)
                .bind(at as i64)
                .bind(data.as_bytes())
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        rows += batch;
    }
    rows as f64 / began.elapsed().as_secs_f64()
}
