//! What a board of a million players costs: ranks, changes, windows.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tidings_arena::ranks::{Board, Change, Entry, Handle, Ranking, Updates, View, Window};

const PLAYERS: u32 = 1_000_000;

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

    /// A rating: the sum of a few numbers, so most are in the middle and many are equal.
    fn rating(&mut self) -> i64 {
        let parts = (0..4).map(|_| self.next() % 700);
        parts.sum::<u64>() as i64
    }
}

/// A board on which everybody has played many times.
fn board(ranking: Ranking, numbers: &mut Numbers) -> Board {
    let entries = (0..PLAYERS).map(|player| Entry {
        player: Handle(player),
        score: numbers.rating(),
        reached: u64::from(player),
    });
    let mut board = Board::load(ranking, entries.collect());
    for reached in 1..=u64::from(PLAYERS) {
        board.apply(&[Change::Set(change(numbers, reached))]);
    }
    board
}

fn change(numbers: &mut Numbers, reached: u64) -> Entry {
    Entry { player: numbers.player(), score: numbers.rating(), reached: u64::from(PLAYERS) + reached }
}

fn ranks(c: &mut Criterion) {
    let mut group = c.benchmark_group("1,000,000 players");
    let mut numbers = Numbers(7);
    let mut board = board(Ranking::Competition, &mut numbers);
    for ranking in [Ranking::Competition, Ranking::Dense, Ranking::Ordinal] {
        group.bench_function(format!("rank, {ranking:?}"), |bencher| {
            bencher.iter(|| black_box(board.rank_by(numbers.player(), ranking)));
        });
    }
    group.bench_function("player at a position", |bencher| {
        bencher.iter(|| black_box(board.at(numbers.player().0)));
    });
    group.bench_function("top 100", |bencher| bencher.iter(|| black_box(board.top(100))));
    group.bench_function("around, 5 on each side", |bencher| {
        bencher.iter(|| black_box(board.around(numbers.player(), 5)));
    });
    let mut reached = u64::from(PLAYERS) * 2;
    group.bench_function("set, with old and new row", |bencher| {
        bencher.iter(|| {
            reached += 1;
            black_box(board.set(numbers.player(), numbers.rating(), reached))
        });
    });
    group.finish();
}

fn windows(c: &mut Criterion) {
    let mut group = c.benchmark_group("windows on 1,000,000 players");
    let mut numbers = Numbers(8);
    let mut board = board(Ranking::Competition, &mut numbers);
    let mut top = Window::open(View::top(100).unwrap(), &board);
    let mut updates = Updates::new(100, 0, &board).unwrap();
    let mut far = Vec::new();
    while far.is_empty() {
        let moved = board.set(numbers.player(), 1_000, numbers.next());
        far.extend(Some(moved).filter(|it| it.old_rank() > Some(1_000)));
    }
    group.bench_function("a change far away is noted", |bencher| {
        bencher.iter(|| black_box(top.note(black_box(&far))));
    });
    let best = board.at(50).unwrap().player;
    group.bench_function("a change in the top 100, with its message", |bencher| {
        let mut up = 0;
        bencher.iter(|| {
            up += 1;
            let score = board.at(up % 100).unwrap().score;
            let moved = board.apply(&[Change::Put(Entry { player: best, score, reached: u64::from(up) })]);
            updates.note(&moved);
            black_box(updates.take(u64::from(up), &board))
        });
    });
    group.finish();
}

criterion_group!(benches, ranks, windows);
criterion_main!(benches);
