//! A million players on our boards and in a sorted set of Redis, in one run:
//! `cargo bench -p tidings-arena --bench ranks_beside_redis`.
//!
//! Needs `redis-server`, which it starts on a free port of the loopback and ends. Redis is asked in pipelines of a
//! thousand commands, as somebody would who wants the most of it. Times are those of the processor, as the kernel
//! counts them for one thread, so that whatever else the machine does counts little; beside them the clock's.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::alloc::System;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidings_arena::ranks::{Board, Change, Entry, Handle, Players, Ranking};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PLAYERS: u32 = 1_000_000;
const COUNTRIES: usize = 100;
const ROUNDS: u32 = 1_000_000;
const PIPELINE: u32 = 1_000;

fn main() {
    println!("{:44} {:>12} {:>12} {:>12}", "", "CPU/op", "ops/CPU s", "ops/s");
    memory();
    let mut board = played(Ranking::Competition, 1);
    for ranking in [Ranking::Competition, Ranking::Dense, Ranking::Ordinal] {
        let mut numbers = Numbers(2);
        let name = format!("rank, {ranking:?}");
        timed(&name, ROUNDS, || (0..ROUNDS).filter_map(|_| board.rank_by(numbers.player(), ranking)).count());
    }
    updates(&mut board);
    results("result of two, three boards of 1,000,000", [board.clone(), board.clone(), board]);
    redis();
}

/// What the boards cost, by the allocator's count.
fn memory() {
    let mut region = Region::new(ALLOCATOR);
    let bytes = |region: &mut Region<'_, System>| {
        let change = region.change_and_reset();
        change.bytes_allocated as f64 - change.bytes_deallocated as f64
    };
    let mut players = Players::new();
    for number in 0..u64::from(PLAYERS) {
        players.intern(&format!("{:020}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).unwrap();
    }
    let ids = bytes(&mut region);
    let loaded = loaded(Ranking::Competition, 1);
    let one = bytes(&mut region);
    drop(loaded);
    region.reset();
    let boards = [played(Ranking::Competition, 1), played(Ranking::Dense, 2), played(Ranking::Ordinal, 3)];
    let three = bytes(&mut region);
    let mut countries: Vec<Board> = (0..COUNTRIES).map(|_| Board::new(Ranking::Competition)).collect();
    for entry in boards[0].entries() {
        countries[entry.player.0 as usize * 7 % COUNTRIES].set(entry.player, entry.score, entry.reached);
    }
    let split = bytes(&mut region);
    let each = |bytes: f64, entries: u32| {
        println!("{bytes:>10.0} bytes, {:>5.1} an entry", bytes / f64::from(entries))
    };
    print!("memory: {players} ids of 20 bytes             ", players = players.len());
    each(ids, PLAYERS);
    print!("memory: a board as it is loaded                 ");
    each(one, PLAYERS);
    print!("memory: three boards after 2,000,000 sets each  ");
    each(three, 3 * PLAYERS);
    print!("memory: {COUNTRIES} countries' boards                   ");
    each(split, PLAYERS);
    println!("memory: ids and three boards                    {:>10.0} bytes", ids + three);
}

fn updates(board: &mut Board) {
    let mut numbers = Numbers(3);
    let mut reached = u64::from(PLAYERS) * 10;
    timed("set, with old and new rank", ROUNDS, || {
        for _ in 0..ROUNDS {
            reached += 1;
            board.set(numbers.player(), numbers.rating(), reached);
        }
    });
    // As ratings change: by a few points.
    timed("set of a score near by", ROUNDS, || {
        for _ in 0..ROUNDS {
            reached += 1;
            let player = numbers.player();
            let score = board.entry(player).unwrap().score + (numbers.next() % 33) as i64 - 16;
            board.set(player, score, reached);
        }
    });
}

/// Results of two players on three boards each, as a match changes ratings.
fn results(name: &str, mut boards: [Board; 3]) {
    let (mut numbers, rounds) = (Numbers(4), ROUNDS / 2);
    let mut reached = u64::from(PLAYERS) * 100;
    timed(name, rounds, || {
        for _ in 0..rounds {
            reached += 1;
            let (winner, loser, points) =
                (numbers.player(), numbers.player(), (numbers.next() % 16) as i64 + 1);
            for board in &mut boards {
                let change = |player, points| {
                    let score = board.entry(player).map_or(0, |entry| entry.score) + points;
                    Change::Set(Entry { player, score, reached })
                };
                let changes = [change(winner, points), change(loser, -points)];
                board.apply(&changes);
            }
        }
    });
}

fn redis() {
    let (_redis, mut client) = Redis::start();
    let empty = client.memory();
    let mut numbers = Numbers(1);
    let mut every = 0..PLAYERS;
    client.timed("Redis: ZADD of new players", PLAYERS, |line| {
        command(line, &["ZADD", "board", &numbers.rating().to_string(), &id(every.next().unwrap())]);
    });
    let bytes = client.memory() - empty;
    client.timed("Redis: ZADD of known players", ROUNDS, |line| {
        command(line, &["ZADD", "board", &numbers.rating().to_string(), &id(numbers.player().0)]);
    });
    client.timed("Redis: ZREVRANK", ROUNDS, |line| {
        command(line, &["ZREVRANK", "board", &id(numbers.player().0)]);
    });
    let each = bytes as f64 / f64::from(PLAYERS);
    println!("memory: Redis, one board, ids of 20 bytes       {bytes:>10} bytes, {each:>5.1} an entry");
}

fn id(player: u32) -> String {
    format!("{:020}", u64::from(player).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A Redis of our own, ended with the value.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

struct Client {
    pid: u32,
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Redis {
    fn start() -> (Self, Client) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments =
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let child = Command::new("redis-server").args(arguments).stdout(Stdio::null()).spawn();
        let redis = Self(child.expect("redis-server is not installed"));
        let deadline = Instant::now() + Duration::from_secs(10);
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "redis-server does not answer: {error}"),
            }
            std::thread::yield_now();
        };
        stream.set_nodelay(true).unwrap();
        let answers = BufReader::with_capacity(1 << 20, stream.try_clone().unwrap());
        let client = Client { pid: redis.0.id(), stream, answers };
        (redis, client)
    }
}

impl Client {
    /// Sends so many commands, a thousand at a time, and reads an answer of one line to each.
    fn timed(&mut self, name: &str, count: u32, mut add: impl FnMut(&mut Vec<u8>)) {
        let (clock, cpu) = (Instant::now(), self.cpu());
        let mut line = String::new();
        for _ in 0..count / PIPELINE {
            let mut commands = Vec::new();
            (0..PIPELINE).for_each(|_| add(&mut commands));
            self.stream.write_all(&commands).unwrap();
            for _ in 0..PIPELINE {
                line.clear();
                self.answers.read_line(&mut line).unwrap();
                assert!(line.starts_with(':'), "{line}");
            }
        }
        row(name, count, clock.elapsed(), self.cpu() - cpu);
    }

    /// Processor time of Redis's only busy thread.
    fn cpu(&self) -> Duration {
        cpu(&format!("/proc/{0}/task/{0}/schedstat", self.pid))
    }

    fn memory(&mut self) -> u64 {
        self.stream.write_all(b"INFO memory\r\n").unwrap();
        let mut lines = self.answers.by_ref().lines().map(Result::unwrap);
        let used =
            lines.find_map(|line| line.strip_prefix("used_memory:").map(|bytes| bytes.parse().unwrap()));
        // The answer ends with an empty line.
        let _rest = lines.find(String::is_empty);
        used.unwrap()
    }
}

fn command(line: &mut Vec<u8>, words: &[&str]) {
    write!(line, "*{}\r\n", words.len()).unwrap();
    for word in words {
        write!(line, "${}\r\n{word}\r\n", word.len()).unwrap();
    }
}

fn timed<T>(name: &str, count: u32, work: impl FnOnce() -> T) {
    let own = "/proc/thread-self/schedstat";
    let (clock, before) = (Instant::now(), cpu(own));
    std::hint::black_box(work());
    row(name, count, clock.elapsed(), cpu(own) - before);
}

fn row(name: &str, count: u32, clock: Duration, cpu: Duration) {
    let rate = |time: Duration| f64::from(count) / time.as_secs_f64();
    let each = cpu.as_secs_f64() * 1e9 / f64::from(count);
    println!("{name:44} {each:>9.0} ns {:>12.0} {:>12.0}", rate(cpu), rate(clock));
}

/// What the kernel says a thread has had of the processor.
fn cpu(file: &str) -> Duration {
    let text = std::fs::read_to_string(file).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// A board as it is read at a start.
fn loaded(ranking: Ranking, seed: u64) -> Board {
    let mut numbers = Numbers(seed);
    let entries = (0..PLAYERS).map(|player| Entry {
        player: Handle(player),
        score: numbers.rating(),
        reached: u64::from(player),
    });
    Board::load(ranking, entries.collect())
}

/// A board on which everybody has played.
fn played(ranking: Ranking, seed: u64) -> Board {
    let (mut board, mut numbers) = (loaded(ranking, seed), Numbers(seed + 100));
    for reached in 0..2 * u64::from(PLAYERS) {
        board.set(numbers.player(), numbers.rating(), u64::from(PLAYERS) + reached);
    }
    board
}

/// Numbers without a pattern, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn player(&mut self) -> Handle {
        Handle((self.next() % u64::from(PLAYERS)) as u32)
    }

    /// A rating: most are in the middle and many are equal.
    fn rating(&mut self) -> i64 {
        (0..4).map(|_| self.next() % 700).sum::<u64>() as i64
    }
}
