//! What a board answers.

use std::collections::HashSet;

use proptest::prelude::*;
use tidings_arena::ranks::{Board, Change, Entry, Handle, Players, Ranking, look_ahead};

use super::naive::{Naive, RANKINGS, batches, change};

fn same_in_everything(board: &Board, naive: &Naive, handles: &[Handle]) {
    let ranking = board.ranking();
    assert_eq!(board.entries().collect::<Vec<_>>(), naive.entries);
    assert_eq!(board.len() as usize, naive.entries.len());
    assert_eq!(board.is_empty(), naive.entries.is_empty());
    assert_eq!(board.page(0, u32::MAX), naive.page(0, u32::MAX, ranking));
    assert_eq!(board.top(3), naive.page(0, 3, ranking));
    assert_eq!(board.among(handles), naive.among(handles, ranking));
    for position in 0..=board.len() {
        assert_eq!(board.at(position), naive.page(position, 1, ranking).first().copied());
        assert_eq!(board.page(position, 4), naive.page(position, 4, ranking));
    }
    for player in handles {
        assert_eq!(board.row(*player), naive.row(*player, ranking));
        assert_eq!(board.entry(*player), naive.entry(*player));
        assert_eq!(board.rank(*player), naive.row(*player, ranking).map(|row| row.rank));
        assert_eq!(board.around(*player, 2), naive.around(*player, 2, ranking));
        for other in RANKINGS {
            assert_eq!(board.rank_by(*player, other), naive.row(*player, other).map(|row| row.rank));
        }
    }
}

fn handles() -> Vec<Handle> {
    (0..24).flat_map(|number| [Handle(number), Handle(u32::MAX - number)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_board_answers_as_a_sorted_list(batches in batches()) {
        for ranking in RANKINGS {
            let (mut board, mut naive) = (Board::new(ranking), Naive::default());
            for batch in &batches {
                let old = naive.clone();
                batch.iter().for_each(|change| naive.change(change));
                // Whatever is looked ahead for, known or not: nothing comes of it.
                look_ahead(batch.iter().map(|change| (&board, change)));
                for moved in board.apply(batch) {
                    assert_eq!(moved.old, old.row(moved.player, ranking));
                    assert_eq!(moved.new, naive.row(moved.player, ranking));
                }
            }
            same_in_everything(&board, &naive, &handles());
        }
    }

    #[test]
    fn setting_and_removing_say_the_rows_before_and_after(changes in prop::collection::vec(change(), 1..80)) {
        let (mut board, mut naive) = (Board::new(Ranking::Competition), Naive::default());
        for change in changes {
            let old = naive.clone();
            naive.change(&change);
            let (player, moved) = match change {
                Change::Remove(player) => (player, board.remove(player)),
                Change::Set(it) => (it.player, Some(board.set(it.player, it.score, it.reached))),
                Change::Put(it) => (it.player, board.apply(&[change]).pop()),
            };
            let rows = (old.row(player, Ranking::Competition), naive.row(player, Ranking::Competition));
            assert_eq!(moved.map_or((None, None), |it| (it.old, it.new)), rows);
            assert_eq!(board.page(0, u32::MAX), naive.page(0, u32::MAX, Ranking::Competition));
        }
    }

    #[test]
    fn a_batch_that_is_taken_back_has_not_been(batches in batches()) {
        let mut board = Board::new(Ranking::Competition);
        for batch in batches {
            let before = board.page(0, u32::MAX);
            let moved = board.apply(&batch);
            let after = board.page(0, u32::MAX);
            let back = board.undo(&moved);
            assert_eq!(board.page(0, u32::MAX), before);
            board.undo(&back);
            assert_eq!(board.page(0, u32::MAX), after);
        }
    }

    #[test]
    fn a_board_of_thousands_answers_as_a_sorted_list(
        players in 1..4_000_u32,
        spread in 1..3_000_i64,
        changes in prop::collection::vec((0..4_400_u32, 0..3_000_i64, any::<bool>()), 1..200),
    ) {
        let score = |number: u32| i64::from(number.wrapping_mul(2_654_435_761) >> 8) % spread;
        let first = (0..players).map(|number| {
            Entry { player: Handle(number), score: score(number), reached: u64::from(number % 7) }
        });
        let mut naive = Naive { entries: first.collect() };
        let mut board = Board::load(Ranking::Competition, naive.entries.clone());
        for (at, (number, score, stays)) in changes.iter().enumerate() {
            let entry = Entry { player: Handle(*number), score: score % spread, reached: 7 + at as u64 };
            let change = if *stays { Change::Set(entry) } else { Change::Remove(entry.player) };
            naive.entries.retain(|it| it.player != entry.player || *stays && it.score == entry.score);
            if *stays && naive.entry(entry.player).is_none() {
                naive.entries.push(entry);
            }
            board.apply(&[change]);
        }
        naive.entries.sort_by_key(|it| (std::cmp::Reverse(it.score), it.reached, it.player));
        assert_eq!(board.entries().collect::<Vec<_>>(), naive.entries);
        for at in (0..naive.entries.len()).step_by(97) {
            let entry = naive.entries[at];
            assert_eq!(board.at(at as u32).map(|row| row.entry()), Some(entry));
            for ranking in RANKINGS {
                assert_eq!(board.rank_by(entry.player, ranking), Some(naive.rank(&entry, ranking)));
            }
        }
    }
}

fn entry(player: u32, score: i64, reached: u64) -> Entry {
    Entry { player: Handle(player), score, reached }
}

/// A score beyond all others, so that a board changes the way in which it counts those above.
#[test]
fn ranks_stay_right_when_scores_spread_wider_and_the_board_grows_and_shrinks() {
    let mut board = Board::new(Ranking::Competition);
    let mut naive = Naive::default();
    let far = [(700, 2_000), (900, -300), (1_100, 1 << 40), (1_200, i64::MIN), (1_900, i64::MAX)];
    for number in 0..2_100_u32 {
        let score =
            far.iter().find(|(at, _)| *at == number).map_or(i64::from(number * 7_919 % 400), |it| it.1);
        board.set(Handle(number), score, u64::from(number));
        naive.entries.push(entry(number, score, u64::from(number)));
        let gone = Handle(number * 13 % 2_100);
        if number % 3 == 0 && board.remove(gone).is_some() {
            naive.entries.retain(|it| it.player != gone);
        }
        for it in naive.entries.iter().skip(number as usize % 50).step_by(50) {
            let higher = naive.entries.iter().filter(|other| other.score > it.score).count() as u32;
            assert_eq!(board.rank(it.player), Some(higher + 1), "{it:?} after {number}");
        }
    }
}

#[test]
fn equals_are_ranked_1224_1223_or_1234() {
    let entries = vec![entry(3, 10, 9), entry(1, 20, 8), entry(2, 20, 7), entry(0, 30, 6)];
    let ranks = |ranking| {
        let board = Board::load(ranking, entries.clone());
        board.top(4).iter().map(|row| (row.player.0, row.rank)).collect::<Vec<_>>()
    };
    assert_eq!(ranks(Ranking::Competition), [(0, 1), (2, 2), (1, 2), (3, 4)]);
    assert_eq!(ranks(Ranking::Dense), [(0, 1), (2, 2), (1, 2), (3, 3)]);
    assert_eq!(ranks(Ranking::Ordinal), [(0, 1), (2, 2), (1, 3), (3, 4)]);
}

#[test]
fn who_reaches_a_score_again_keeps_the_first_moment_unless_it_is_corrected() {
    let mut board = Board::new(Ranking::Ordinal);
    board.set(Handle(1), 50, 1);
    board.set(Handle(2), 50, 2);
    assert!(board.set(Handle(1), 50, 3).is_still());
    assert_eq!(board.rank(Handle(1)), Some(1));
    board.apply(&[Change::Put(entry(1, 50, 3))]);
    assert_eq!(board.rank(Handle(1)), Some(2));
}

#[test]
fn of_several_entries_of_a_player_the_last_is_loaded() {
    let board = Board::load(Ranking::Competition, vec![entry(1, 9, 1), entry(2, 5, 2), entry(1, 3, 3)]);
    assert_eq!(board.entries().collect::<Vec<_>>(), [entry(2, 5, 2), entry(1, 3, 3)]);
}

#[test]
fn players_keep_their_numbers_and_ids() {
    let mut players = Players::new();
    let ids: Vec<String> = (0..5_000).map(|number| format!("player-{}", number * 7_919 % 5_003)).collect();
    let numbers: Vec<Handle> = ids.iter().map(|id| players.intern(id).unwrap()).collect();
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 5_000);
    let empty = players.intern("").unwrap();
    for (id, number) in ids.iter().zip(&numbers) {
        assert_eq!(players.intern(id), Some(*number));
        assert_eq!((players.find(id), players.id(*number)), (Some(*number), Some(id.as_str())));
    }
    assert_eq!((players.find(""), players.id(empty)), (Some(empty), Some("")));
    assert_eq!((players.find("nobody"), players.id(Handle(5_001))), (None, None));
    assert_eq!(players.len(), 5_001);
}
