//! Publishes to durable rooms through the real server, each acknowledged as `synced`, beside a bare loop that
//! writes the same rows in the same batches: `cargo bench -p tidings --bench durable`.
//!
//! The same rows are the events, the counters of their rooms and the number of their organisation; the same batches
//! are as large as the server's were on average. On SQLite the bare loop writes row by row; on PostgreSQL all rows of a
//! table in one statement, and a second loop, `in one`, all of a batch in a single statement and exchange, as the server
//! does where it can. The rooms are a hundred, the data a hundred bytes. `SECONDS` is how long each
//! cell lasts (4), `RUNS` how often it is run (3), `STORES` which are asked (`sqlite,postgres`).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tidings_store::sql::Value;
use tidings_store::{Store, StoreOptions, args};
use tidings_testkit::frames::{FromServer, write_masked};
use tidings_testkit::{Place, Postgres, Serving, settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ROOMS: usize = 100;
const KINDS: &str =
    "[rooms.notes]\nkeep = \"durable\"\nsize = 1000\nsubscribe = \"anyone\"\npublish = \"anyone\"\n";
/// Before what is measured.
const WARM: Duration = Duration::from_secs(1);

fn number(name: &str, default: u64) -> u64 {
    settings::number(name).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let postgres = Postgres::that_flushes();
    let stores = std::env::var("STORES").unwrap_or_else(|_| "sqlite,postgres".to_owned());
    println!(
        "{:8} {:>9} {:>13} {:>6} {:>12} {:>6} {:>12} {:>6}",
        "store", "in flight", "server acks/s", "batch", "bare rows/s", "ratio", "in one", "ratio"
    );
    for in_flight in [64, 512] {
        for _ in 0..number("RUNS", 3) {
            for name in stores.split(',') {
                let place = Place::new();
                let url = |part: &str| match name {
                    "sqlite" => format!("sqlite:{}", place.path().join(format!("{part}.db")).display()),
                    _ => runtime.block_on(postgres.database()),
                };
                let (server, batch) = through_the_server(&runtime, place.path(), &url("server"), in_flight);
                let loops = runtime.block_on(bare(&url("bare"), batch));
                let ratio = server / loops;
                print!("{name:8} {in_flight:9} {server:13.0} {batch:6} {loops:12.0} {ratio:6.2}");
                if name == "postgres" {
                    let in_one = runtime.block_on(bare_in_one(&url("in_one"), batch));
                    print!(" {in_one:12.0} {:6.2}", server / in_one);
                }
                println!();
            }
        }
    }
}

/// Acknowledgements a second, and how many events a transaction had on average.
fn through_the_server(
    runtime: &tokio::runtime::Runtime,
    place: &Path,
    url: &str,
    in_flight: usize,
) -> (f64, usize) {
    std::fs::write(place.join("tidings.toml"), KINDS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("DATABASE_URL", url).current_dir(place).args([
        "serve",
        "--config",
        "tidings.toml",
    ]);
    command.args(["--listen", "127.0.0.1:0", "--no-limits", "--host-publish=false", "--log-filter", "error"]);
    let server = Serving::run(&mut command);
    let addr = server.addr();
    runtime.block_on(async {
        let connections = 16;
        let publish = |number| tokio::spawn(publish(addr, number, in_flight / connections));
        let publishers: Vec<_> = (0..connections).map(publish).collect();
        let mut acks = 0;
        for publisher in publishers {
            acks += publisher.await.unwrap();
        }
        let metrics = metrics(addr).await;
        let events = figure(&metrics, "tidings_log_events_stored_total");
        let transactions = figure(&metrics, "tidings_log_transactions_total").max(1.0);
        (acks as f64 / seconds().as_secs_f64(), (events / transactions).round().max(1.0) as usize)
    })
}

async fn metrics(addr: SocketAddr) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

fn figure(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

fn seconds() -> Duration {
    Duration::from_secs(number("SECONDS", 4))
}

/// Publishes with so many in flight; how many were acknowledged in the time that counts.
async fn publish(addr: SocketAddr, number: usize, window: usize) -> u64 {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let (mut out, mut read) = (Vec::new(), Vec::new());
    write_masked(&mut out, 0x80, 1, b"{\"type\":\"auth\"}", [1, 2, 3, 4]);
    let filler = "x".repeat(100);
    let (mut next, mut count, mut is_in) = (0, 0, false);
    let begin = Instant::now() + WARM;
    loop {
        if !out.is_empty() {
            stream.write_all(&out).await.unwrap();
            out.clear();
        }
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "the server closed");
        if !is_in {
            let Some(head) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            read.drain(..head + 4);
            is_in = true;
            (0..window).for_each(|_| say(&mut out, &mut next, number, &filler));
        }
        let now = Instant::now();
        let mut at = 0;
        while let Some(FromServer { payload, .. }) = FromServer::parse(&read[at..]) {
            let said = std::str::from_utf8(&read[at + payload.start..at + payload.end]).unwrap();
            at += payload.end;
            if said.contains("\"type\":\"ack\"") {
                assert!(said.contains("\"durability\":\"synced\""), "{said}");
                count += u64::from(now >= begin);
                say(&mut out, &mut next, number, &filler);
            }
        }
        read.drain(..at);
        if now >= begin + seconds() {
            return count;
        }
    }
}

fn say(out: &mut Vec<u8>, next: &mut usize, number: usize, filler: &str) {
    *next += 1;
    let (id, room) = (*next, (*next * 7 + number) % ROOMS);
    let said = format!(
        "{{\"type\":\"publish\",\"id\":{id},\"room\":\"notes:{room}\",\"event\":\"said\",\"data\":\"{filler}\"}}"
    );
    write_masked(out, 0x80, 1, said.as_bytes(), [1, 2, 3, 4]);
}

const TABLES: [&str; 3] = [
    "CREATE TABLE bare (room_id BIGINT, place BIGINT, sequence BIGINT, node BIGINT, number BIGINT, \
     at_ms BIGINT, event TEXT, data BYTEA, attachments BYTEA, bytes BIGINT, checksum BIGINT, \
     PRIMARY KEY (room_id, place))",
    "CREATE TABLE bare_rooms (id BIGINT PRIMARY KEY, top BIGINT, bytes BIGINT, touched_ms BIGINT)",
    "CREATE TABLE bare_orgs (org TEXT PRIMARY KEY, sequence BIGINT)",
];

/// The tables of the bare loops, empty but for the rooms and their organisation.
async fn tables(url: &str) -> Store {
    let store = Store::open(url, &StoreOptions::default()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    for table in TABLES {
        tx.run(table, &[]).await.unwrap();
    }
    for room in 0..ROOMS {
        tx.run("INSERT INTO bare_rooms VALUES ($1, 0, 0, 0)", args![room as u64]).await.unwrap();
    }
    tx.run("INSERT INTO bare_orgs VALUES ('default', 0)", &[]).await.unwrap();
    tx.commit().await.unwrap();
    store
}

/// Rows a second of a loop that writes the same rows, and looks nothing up and computes nothing.
async fn bare(url: &str, batch: usize) -> f64 {
    let store = tables(url).await;
    let bare = Bare::new(store.is_postgres(), batch);
    let data = format!("\"{}\"", "x".repeat(100));
    let (begin, mut rows) = (Instant::now(), 0_usize);
    while begin.elapsed() < seconds() {
        let mut tx = store.begin().await.unwrap();
        tx.run("UPDATE bare_orgs SET sequence = sequence + $1 WHERE org = 'default'", args![batch as u64])
            .await
            .unwrap();
        let rooms: Vec<_> = (rows..rows + batch.min(ROOMS)).collect();
        for rooms in rooms.chunks_exact(bare.rooms_of_one) {
            let values = rooms.iter().flat_map(|at| *args![(at % ROOMS) as u64, 1_u64, 100_u64, 1_u64]);
            tx.run(bare.count, &values.collect::<Vec<_>>()).await.unwrap();
        }
        for first in (rows..rows + batch).step_by(bare.rows_of_one) {
            let values = (first..first + bare.rows_of_one).flat_map(|at| event(at, data.as_bytes()));
            tx.run(bare.insert, &values.collect::<Vec<_>>()).await.unwrap();
        }
        tx.commit().await.unwrap();
        rows += batch;
    }
    let done = rows as f64 / begin.elapsed().as_secs_f64();
    store.close().await;
    done
}

/// The row of an event.
fn event(at: usize, data: &[u8]) -> [Value<'_>; 11] {
    let (room, place, at) = ((at % ROOMS) as u64, (at / ROOMS) as u64, at as u64);
    let mut row = *args![room, place, at, 1_u64, at, 1_u64, "said", data, "no attachments", 100_u64, 1_u64];
    row[8] = Value::Bytes(None);
    row
}

/// The same of a loop that writes a batch in a single statement, which is a transaction by itself.
async fn bare_in_one(url: &str, batch: usize) -> f64 {
    let store = tables(url).await;
    let number = "CAST(# AS BIGINT)";
    let room = format!("({number}, {number}, {number}, {number})");
    let sql = format!(
        "WITH numbered AS (UPDATE bare_orgs SET sequence = sequence + {number} WHERE org = 'default'), \
         asked (of_id, more, more_bytes, now_ms) AS (VALUES {}), \
         counted AS (UPDATE bare_rooms SET top = top + more, bytes = bytes + more_bytes, touched_ms = now_ms \
         FROM asked WHERE id = of_id) INSERT INTO bare VALUES {}",
        vec![room; batch.min(ROOMS)].join(", "),
        vec![format!("({})", ["#"; 11].join(", ")); batch].join(", "),
    );
    let sql: &'static str = rows_like(&sql, 1).leak();
    let data = format!("\"{}\"", "x".repeat(100));
    let mut line = store.read().await.unwrap();
    let (begin, mut rows) = (Instant::now(), 0_usize);
    while begin.elapsed() < seconds() {
        let rooms =
            (rows..rows + batch.min(ROOMS)).flat_map(|at| *args![(at % ROOMS) as u64, 1_u64, 100_u64, 1_u64]);
        let events = (rows..rows + batch).flat_map(|at| event(at, data.as_bytes()));
        let values: Vec<_> = [Value::from(batch as u64)].into_iter().chain(rooms).chain(events).collect();
        line.rows(sql, &values).await.unwrap();
        rows += batch;
    }
    let done = rows as f64 / begin.elapsed().as_secs_f64();
    drop(line);
    store.close().await;
    done
}

/// The statements of the bare loop.
struct Bare {
    rows_of_one: usize,
    insert: &'static str,
    rooms_of_one: usize,
    count: &'static str,
}

impl Bare {
    fn new(is_postgres: bool, batch: usize) -> Self {
        let (rows_of_one, rooms_of_one) = if is_postgres { (batch, batch.min(ROOMS)) } else { (1, 1) };
        let count = if is_postgres {
            let asked = rows_like(
                "(CAST(# AS BIGINT), CAST(# AS BIGINT), CAST(# AS BIGINT), CAST(# AS BIGINT))",
                rooms_of_one,
            );
            format!(
                "WITH asked (of_id, more, more_bytes, now_ms) AS (VALUES {asked}) UPDATE bare_rooms \
                 SET top = top + more, bytes = bytes + more_bytes, touched_ms = now_ms FROM asked WHERE id = of_id"
            )
        } else {
            "UPDATE bare_rooms SET top = top + $2, bytes = bytes + $3, touched_ms = $4 WHERE id = $1"
                .to_owned()
        };
        let row = format!("({})", ["#"; 11].join(", "));
        let insert = format!("INSERT INTO bare VALUES {}", rows_like(&row, rows_of_one));
        // Statements are texts of the program; these depend on the batch.
        Self { rows_of_one, insert: insert.leak(), rooms_of_one, count: count.leak() }
    }
}

/// So many rows, each `#` of them a numbered placeholder.
fn rows_like(row: &str, rows: usize) -> String {
    let all = vec![row; rows].join(", ");
    let numbered = |(at, part): (usize, &str)| if at == 0 { part.to_owned() } else { format!("${at}{part}") };
    all.split('#').enumerate().map(numbered).collect()
}
