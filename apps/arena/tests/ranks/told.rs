//! What the top tells, and how often.

use std::collections::HashMap;

use tidings_arena::ranks::{
    Board, CHANGED_MOST, Change, Entry, Handle, Ranking, Row, Step, Update, Updates, View,
};

use super::naive::{Naive, RANKINGS};

const PLAYERS: u64 = 60;
const TOP: u32 = 12;
/// The board's usual ranking gets as many as were promised, the others enough to see a difference.
const RESULTS: [u64; 3] = [10_000, 2_000, 2_000];

/// Numbers without a pattern, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A result: two players gain and lose; now and then one leaves, or two have the same number.
fn result(numbers: &mut Numbers, naive: &Naive, reached: u64) -> Vec<Change> {
    let mut player = || Handle(numbers.below(PLAYERS) as u32);
    let (winner, loser) = (player(), player());
    let score = |player| naive.entry(player).map_or(1_500, |entry: Entry| entry.score);
    let change = numbers.below(4) as i64 * 8;
    if numbers.below(25) == 0 {
        return vec![Change::Remove(loser)];
    }
    let set = |player, score| Change::Set(Entry { player, score, reached });
    vec![set(winner, score(winner) + change), set(loser, score(loser) - change)]
}

/// What a page does with a message: it knows where everybody was, and moves them.
fn follow(shown: &HashMap<Handle, (u32, u32)>, update: &Update) -> HashMap<Handle, (u32, u32)> {
    let mut shown = shown.clone();
    for step in &update.diff {
        match step.position.zip(step.rank).filter(|(position, _)| *position < TOP) {
            Some(place) => drop(shown.insert(step.player, place)),
            None => drop(shown.remove(&step.player)),
        }
    }
    shown
}

fn places(rows: &[Row]) -> HashMap<Handle, (u32, u32)> {
    rows.iter().map(|row| (row.player, (row.position, row.rank))).collect()
}

/// Every step says where the player was and is, and nobody is left out or named for nothing.
fn is_right(update: &Update, then: &Naive, now: &Naive, ranking: Ranking) {
    let of = |naive: &Naive, player| naive.row(player, ranking).map(|row| (row.position, row.rank));
    for step in &update.diff {
        assert_eq!(step.old_position.zip(step.old_rank), of(then, step.player), "{step:?}");
        assert_eq!(step.position.zip(step.rank), of(now, step.player), "{step:?}");
        assert_ne!(of(then, step.player), of(now, step.player), "{step:?} moved nowhere");
    }
    let tops = [then.page(0, TOP, ranking), now.page(0, TOP, ranking)].concat();
    let mut changed: Vec<Handle> = tops.iter().map(|row| row.player).collect();
    changed.sort();
    changed.dedup();
    changed.retain(|player| of(then, *player) != of(now, *player));
    let mut named: Vec<Handle> = update.diff.iter().map(|step| step.player).collect();
    named.sort();
    assert_eq!(named, changed);
}

#[test]
fn ranks_and_messages_are_those_of_a_naive_model_over_ten_thousand_results() {
    for (ranking, results) in RANKINGS.into_iter().zip(RESULTS) {
        let (mut board, mut naive) = (Board::new(ranking), Naive::default());
        let mut updates = Updates::new(TOP, 1_000, &board).unwrap();
        let (mut numbers, mut now_ms, mut told_ms, mut messages) = (Numbers(11), 5_000, 0, 0);
        let (mut then, mut shown) = (naive.clone(), places(&[]));
        for reached in 0..results {
            if updates.due_ms().is_none() {
                then = naive.clone();
            }
            let batch = result(&mut numbers, &naive, reached);
            batch.iter().for_each(|change| naive.change(change));
            updates.note(&board.apply(&batch));
            assert_eq!(board.page(0, u32::MAX), naive.page(0, u32::MAX, ranking), "after result {reached}");
            now_ms += numbers.below(300);
            let due = updates.due_ms().is_some_and(|due| due <= now_ms);
            let Some(update) = updates.take(now_ms, &board) else {
                // What is due and not told would have been the same again.
                assert!(!due || updates.entries() == naive.page(0, TOP, ranking));
                continue;
            };
            assert!(now_ms - told_ms >= 1_000, "two messages within {} ms", now_ms - told_ms);
            assert_eq!(update.entries, naive.page(0, TOP, ranking));
            is_right(&update, &then, &naive, ranking);
            shown = follow(&shown, &update);
            assert_eq!(shown, places(&update.entries));
            (told_ms, messages) = (now_ms, messages + 1);
        }
        assert!(messages > results / 10, "only {messages} messages");
    }
}

fn entry(player: u32, score: i64, reached: u64) -> Entry {
    Entry { player: Handle(player), score, reached }
}

/// A board on which player n has n-th place, and what tells of its first two.
fn of_two(players: u32, ranking: Ranking) -> (Board, Updates) {
    let entries = (0..players).map(|number| entry(number, -i64::from(number) * 10, 1)).collect();
    let board = Board::load(ranking, entries);
    let updates = Updates::new(2, 1_000, &board).unwrap();
    (board, updates)
}

#[test]
fn the_first_change_is_told_at_once_and_the_next_when_the_interval_is_over() {
    let (mut board, mut updates) = of_two(5, Ranking::Competition);
    assert_eq!((updates.due_ms(), updates.take(10_000, &board)), (None, None));
    updates.note(&[board.set(Handle(4), 5, 2)]);
    let update = updates.take(10_000, &board).unwrap();
    let moved: Vec<_> = update.diff.iter().map(|step| (step.player.0, step.moved(), step.old_rank)).collect();
    assert_eq!(moved, [(4, 4, Some(5)), (0, -1, Some(1)), (1, -1, Some(2))]);
    updates.note(&[board.set(Handle(3), 7, 3)]);
    updates.note(&[board.set(Handle(2), 6, 4)]);
    assert_eq!((updates.due_ms(), updates.take(10_999, &board)), (Some(11_000), None));
    let update = updates.take(11_000, &board).unwrap();
    assert_eq!(update.entries, board.top(2));
    assert_eq!(update.diff.len(), 4);
    assert_eq!(updates.take(20_000, &board), None);
}

#[test]
fn a_score_that_changes_without_a_place_is_told_without_a_step() {
    let (mut board, mut updates) = of_two(5, Ranking::Competition);
    updates.note(&[board.set(Handle(0), 99, 2)]);
    let update = updates.take(0, &board).unwrap();
    assert_eq!((update.entries[0].score, update.diff), (99, vec![]));
}

#[test]
fn a_newcomer_has_no_old_rank_and_who_left_no_new_one() {
    let (mut board, mut updates) = of_two(2, Ranking::Competition);
    updates.note(&board.apply(&[Change::Set(entry(9, 50, 2)), Change::Remove(Handle(1))]));
    let update = updates.take(0, &board).unwrap();
    let step = |player: u32, old: Option<u32>, new: Option<u32>| {
        let place = |rank: Option<u32>| rank.map(|rank| rank - 1);
        Step {
            player: Handle(player),
            old_rank: old,
            rank: new,
            old_position: place(old),
            position: place(new),
        }
    };
    assert_eq!(update.diff, [step(9, None, Some(1)), step(0, Some(1), Some(2)), step(1, Some(2), None)]);
    assert_eq!(update.diff.iter().map(Step::moved).collect::<Vec<_>>(), [0, -1, 0]);
}

#[test]
fn who_moves_up_because_another_left_has_the_rank_from_before() {
    for ranking in RANKINGS {
        let (mut board, mut updates) = of_two(20, ranking);
        updates.note(&board.apply(&[Change::Remove(Handle(0)), Change::Set(entry(1, -195, 2))]));
        let update = updates.take(0, &board).unwrap();
        let old: Vec<_> = update.diff.iter().map(|step| (step.player.0, step.old_rank)).collect();
        assert_eq!(old, [(2, Some(3)), (3, Some(4)), (0, Some(1)), (1, Some(2))]);
    }
}

#[test]
fn after_too_many_changes_only_those_who_were_seen_have_old_ranks() {
    let players = CHANGED_MOST as u32 + 10;
    let (mut board, mut updates) = of_two(players, Ranking::Competition);
    for number in 0..players {
        updates.note(&[board.set(Handle(number), i64::from(number), 2)]);
    }
    let update = updates.take(0, &board).unwrap();
    let old: Vec<_> = update.diff.iter().map(|step| (step.player.0, step.old_rank)).collect();
    assert_eq!(old, [(players - 1, None), (players - 2, None), (0, Some(1)), (1, Some(2))]);
    // The next message begins anew.
    let rank = board.rank(Handle(5));
    updates.note(&[board.set(Handle(5), i64::from(players) * 2, 3)]);
    assert_eq!(updates.take(5_000, &board).unwrap().diff[0].old_rank, rank);
}

#[test]
fn what_happens_below_the_top_is_neither_told_nor_gathered() {
    let (mut board, mut updates) = of_two(100, Ranking::Competition);
    updates.note(&[board.set(Handle(90), -45, 2)]);
    assert_eq!(updates.due_ms(), None);
    updates.note(&[board.set(Handle(90), 100, 3)]);
    let update = updates.take(0, &board).unwrap();
    assert_eq!(update.diff[0].old_rank, Some(6), "the rank before the first change that shows");
}

#[test]
fn a_clock_that_was_put_back_releases_what_waits() {
    let (mut board, mut updates) = of_two(5, Ranking::Competition);
    updates.note(&[board.set(Handle(4), 5, 2)]);
    assert!(updates.take(1_000_000, &board).is_some());
    updates.note(&[board.set(Handle(3), 7, 3)]);
    assert!(updates.take(900_000, &board).is_some());
}

#[test]
fn a_top_of_nobody_or_of_too_many_is_refused() {
    let board = Board::new(Ranking::Competition);
    assert!(Updates::new(0, 1_000, &board).is_err() && Updates::new(100_000, 1_000, &board).is_err());
    assert!(View::top(0).is_err());
}
