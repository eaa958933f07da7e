//! Publishes to durable rooms through the real server, each acknowledged as `synced`, beside a bare loop that
//! writes the same rows in batches as large as what is in flight: `cargo bench -p tidings --bench durable`.
//!
//! The rooms are a hundred, the data a hundred bytes. On SQLite the bare loop inserts row by row, on PostgreSQL all
//! rows of a batch in one statement. `SECONDS` is how long each cell lasts (4), `RUNS` how often it is run (3).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tidings_store::{Store, StoreOptions, args};
use tidings_testkit::frames::{FromServer, write_masked};
use tidings_testkit::{Place, Postgres, Serving};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ROOMS: usize = 100;
const KINDS: &str =
    "[rooms.notes]\nkeep = \"durable\"\nsize = 1000\nsubscribe = \"anyone\"\npublish = \"anyone\"\n";
/// Before what is measured.
const WARM: Duration = Duration::from_secs(1);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|given| given.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let postgres = Postgres::that_flushes();
    println!("{:8} {:>9} {:>12} {:>12} {:>6}", "store", "in flight", "server acks/s", "bare rows/s", "ratio");
    for in_flight in [64, 512] {
        for run in 0..number("RUNS", 3) {
            for name in ["sqlite", "postgres"] {
                let place = Place::new();
                let url = |part: &str| match name {
                    "sqlite" => format!("sqlite:{}", place.path().join(format!("{part}.db")).display()),
                    _ => runtime.block_on(postgres.database()),
                };
                // By turns, so that neither always has the warmer disk.
                let (mut server, mut loops) = (0.0, 0.0);
                for first in [run % 2 == 0, run % 2 != 0] {
                    if first {
                        server = through_the_server(&runtime, place.path(), &url("server"), in_flight);
                    } else {
                        loops = runtime.block_on(bare(&url("bare"), in_flight));
                    }
                }
                println!("{name:8} {in_flight:9} {server:13.0} {loops:12.0} {:6.2}", server / loops);
            }
        }
    }
}

/// Acknowledgements a second.
fn through_the_server(runtime: &tokio::runtime::Runtime, place: &Path, url: &str, in_flight: usize) -> f64 {
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
        acks as f64 / seconds().as_secs_f64()
    })
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

const TABLE: &str = "CREATE TABLE bare (room_id BIGINT, place BIGINT, sequence BIGINT, node BIGINT, number BIGINT, \
                     at_ms BIGINT, event TEXT, data BYTEA, attachments BYTEA, bytes BIGINT, checksum BIGINT, \
                     PRIMARY KEY (room_id, place))";

/// Rows a second of a loop that writes the same columns, and no rooms, numbers, keys or checksums.
async fn bare(url: &str, batch: usize) -> f64 {
    let store = Store::open(url, &StoreOptions::default()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.run(TABLE, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let rows_of_one = if store.is_postgres() { batch } else { 1 };
    let places = (0..rows_of_one).map(|row| {
        let value = |column: usize| format!("${}", row * 11 + column + 1);
        format!("({})", (0..11).map(value).collect::<Vec<_>>().join(", "))
    });
    let insert = format!("INSERT INTO bare VALUES {}", places.collect::<Vec<_>>().join(", "));
    // Statements are texts of the program; this one depends on the batch.
    let insert: &'static str = insert.leak();
    let data = format!("\"{}\"", "x".repeat(100));
    let (begin, mut rows) = (Instant::now(), 0_usize);
    while begin.elapsed() < seconds() {
        let mut tx = store.begin().await.unwrap();
        for first in (rows..rows + batch).step_by(rows_of_one) {
            let mut values = Vec::with_capacity(rows_of_one * 11);
            for at in first..first + rows_of_one {
                let (room, place, at) = ((at % ROOMS) as u64, (at / ROOMS) as u64, at as u64);
                let none: Option<&[u8]> = None;
                values.extend_from_slice(args![room, place, at, 1_u64, at, 1_u64, "said", data.as_bytes()]);
                values.push(tidings_store::sql::Value::Bytes(none));
                values.extend_from_slice(args![100_u64, 1_u64]);
            }
            tx.run(insert, &values).await.unwrap();
        }
        tx.commit().await.unwrap();
        rows += batch;
    }
    let done = rows as f64 / begin.elapsed().as_secs_f64();
    store.close().await;
    done
}
