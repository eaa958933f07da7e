//! A million players on our boards and in a sorted set of Redis, in one run:
//! `cargo bench -p tidings-arena --bench ranks_beside_redis`.
//!
//! Needs `redis-server`, which it starts on a free port of the loopback and ends. Redis is asked in pipelines of a
//! thousand commands, as somebody would who wants the most of it. The server's allocator asks for huge pages, this
//! one's does if `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` is set. Times are those of the processor, as the kernel
//! counts them for one thread: the median of ten parts and the best of them, which on a busy machine differ, since
//! caches are shared. Beside them the operations a second of the clock.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::alloc::System;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidings_arena::ranks::{Board, Change, Entry, Handle, Players, Ranking, look_ahead};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PLAYERS: u32 = 1_000_000;
const COUNTRIES: usize = 100;
const ROUNDS: u32 = 500_000;
const SESSIONS: usize = 1_000;
const PARTS: u32 = 10;
const PIPELINE: u32 = 1_000;

fn main() {
    println!("{:44} {:>10} {:>10} {:>12} {:>10}", "", "median", "best", "best, a s", "clock, a s");
    memory();
    let mut board = played(Ranking::Competition, 1);
    for ranking in [Ranking::Competition, Ranking::Dense, Ranking::Ordinal] {
        let mut numbers = Numbers(2);
        let name = format!("rank, {ranking:?}");
        timed(&name, || board.rank_by(numbers.player(), ranking));
    }
    updates(&mut board);
    let mut boards = [board.clone(), board.clone(), board];
    results("score of one, three boards of 1,000,000", 1, &mut boards);
    results("result of two, three boards of 1,000,000", 2, &mut boards);
    ahead("result of two, looked ahead for", 1, &mut boards);
    ahead("results of two, eight looked ahead for", 8, &mut boards);
    drop(boards);
    scopes();
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
        println!("{bytes:>10.0} bytes, {:>5.1} an entry", bytes / f64::from(entries));
    };
    print!("memory: {players} ids of 20 bytes             ", players = players.len());
    each(ids, PLAYERS);
    print!("memory: a board as it is loaded                 ");
    each(one, PLAYERS);
    print!("memory: three boards after 1,000,000 sets each  ");
    each(three, 3 * PLAYERS);
    print!("memory: {COUNTRIES} countries' boards                   ");
    each(split, PLAYERS);
    println!("memory: ids and three boards                    {:>10.0} bytes", ids + three);
}

fn updates(board: &mut Board) {
    let mut numbers = Numbers(3);
    let mut reached = u64::from(PLAYERS) * 10;
    timed("set, with old and new rank", || {
        reached += 1;
        board.set(numbers.player(), numbers.rating(), reached)
    });
    // As ratings change: by a few points.
    timed("set of a score near by", || {
        reached += 1;
        let player = numbers.player();
        let score = board.entry(player).unwrap().score + (numbers.next() % 33) as i64 - 16;
        board.set(player, score, reached)
    });
}

/// Results of so many players on three boards each, as a match changes ratings.
fn results(name: &str, players: usize, boards: &mut [Board; 3]) {
    let mut numbers = Numbers(4);
    let mut reached = u64::from(PLAYERS) * 100;
    timed(name, || {
        reached += 1;
        let points = (numbers.next() % 16) as i64 + 1;
        let changes: Vec<(Handle, i64)> = [points, -points].map(|points| (numbers.player(), points)).into();
        for board in &mut *boards {
            let change = |(player, points): &(Handle, i64)| {
                let score = board.entry(*player).map_or(0, |entry| entry.score) + points;
                Change::Set(Entry { player: *player, score, reached })
            };
            let changes: Vec<Change> = changes[..players].iter().map(change).collect();
            board.apply(&changes);
        }
    });
}

/// Results of two on three boards as a transaction brings them: ratings come from the store, and so many results are
/// looked ahead for together.
fn ahead(name: &str, together: u32, boards: &mut [Board; 3]) {
    let mut numbers = Numbers(6);
    let mut reached = u64::from(PLAYERS) * 1_000;
    let (own, mut parts) = ("/proc/thread-self/schedstat", Parts::default());
    for _ in 0..PARTS {
        let (clock, before) = (Instant::now(), cpu(own));
        for _ in 0..ROUNDS / PARTS / together {
            let mut result = |_| {
                reached += 1;
                [numbers.player(), numbers.player()]
                    .map(|player| Change::Set(Entry { player, score: numbers.rating(), reached }))
            };
            let results: Vec<[Change; 2]> = (0..together).map(&mut result).collect();
            let of = |board| results.iter().flatten().map(move |change| (board, change));
            look_ahead(boards.iter().flat_map(of));
            for changes in &results {
                boards.iter_mut().for_each(|board| drop(std::hint::black_box(board.apply(changes))));
            }
        }
        parts.add(clock.elapsed(), cpu(own) - before);
    }
    parts.show(name);
}

/// A result as a server has it: everybody on one board, and on one of a hundred countries' and one of a
/// thousand sessions'.
fn scopes() {
    let mut numbers = Numbers(5);
    let mut world = loaded(Ranking::Competition, 5);
    let mut others: Vec<Board> =
        (0..COUNTRIES + SESSIONS).map(|_| Board::new(Ranking::Competition)).collect();
    let of = |player: Handle| [player.0 as usize % COUNTRIES, COUNTRIES + player.0 as usize % SESSIONS];
    for entry in world.clone().entries() {
        for at in of(entry.player) {
            others[at].set(entry.player, entry.score, entry.reached);
        }
    }
    let mut reached = u64::from(PLAYERS) * 100;
    timed("result of two, world, country, session", || {
        reached += 1;
        let winner = numbers.player();
        // Two of one country and session, as they meet most.
        let loser = Handle((winner.0 + 1_000 * (numbers.next() % 900) as u32) % PLAYERS);
        let points = (numbers.next() % 16) as i64 + 1;
        let changes = [(winner, points), (loser, -points)].map(|(player, points)| {
            let score = world.entry(player).map_or(0, |entry| entry.score) + points;
            Change::Set(Entry { player, score, reached })
        });
        world.apply(&changes);
        for at in of(winner) {
            others[at].apply(&changes);
        }
    });
}

fn redis() {
    let (_redis, mut client) = Redis::start();
    let empty = client.memory();
    let mut numbers = Numbers(1);
    let mut every = 0..PLAYERS;
    for _ in 0..PLAYERS / PIPELINE {
        client.pipeline(&mut |line: &mut Vec<u8>| {
            command(line, &["ZADD", "board", &numbers.rating().to_string(), &id(every.next().unwrap())]);
        });
    }
    let bytes = client.memory() - empty;
    client.timed("Redis: ZADD of known players", |line| {
        command(line, &["ZADD", "board", &numbers.rating().to_string(), &id(numbers.player().0)]);
    });
    client.timed("Redis: ZREVRANK", |line| {
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
    /// Sends commands, a thousand at a time, and reads an answer of one line to each.
    fn timed(&mut self, name: &str, mut add: impl FnMut(&mut Vec<u8>)) {
        let mut parts = Parts::default();
        for _ in 0..PARTS {
            let (clock, before) = (Instant::now(), self.cpu());
            (0..ROUNDS / PARTS / PIPELINE).for_each(|_| self.pipeline(&mut add));
            parts.add(clock.elapsed(), self.cpu() - before);
        }
        parts.show(name);
    }

    fn pipeline(&mut self, add: &mut impl FnMut(&mut Vec<u8>)) {
        let (mut commands, mut line) = (Vec::new(), String::new());
        (0..PIPELINE).for_each(|_| add(&mut commands));
        self.stream.write_all(&commands).unwrap();
        for _ in 0..PIPELINE {
            line.clear();
            self.answers.read_line(&mut line).unwrap();
            assert!(line.starts_with(':'), "{line}");
        }
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

fn timed<T>(name: &str, mut work: impl FnMut() -> T) {
    let (own, mut parts) = ("/proc/thread-self/schedstat", Parts::default());
    for _ in 0..PARTS {
        let (clock, before) = (Instant::now(), cpu(own));
        for _ in 0..ROUNDS / PARTS {
            std::hint::black_box(work());
        }
        parts.add(clock.elapsed(), cpu(own) - before);
    }
    parts.show(name);
}

/// What each part of a measurement took.
#[derive(Default)]
struct Parts {
    clock: Duration,
    cpu: Vec<Duration>,
}

impl Parts {
    fn add(&mut self, clock: Duration, cpu: Duration) {
        self.clock += clock;
        self.cpu.push(cpu);
    }

    fn show(mut self, name: &str) {
        self.cpu.sort();
        let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(ROUNDS / PARTS);
        let (median, best) = (each(self.cpu[self.cpu.len() / 2]), each(self.cpu[0]));
        let clock = f64::from(ROUNDS) / self.clock.as_secs_f64();
        println!("{name:44} {median:>7.0} ns {best:>7.0} ns {:>12.0} {clock:>10.0}", 1e9 / best);
    }
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
    for reached in 0..u64::from(PLAYERS) {
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
