//! What a window sees.

use proptest::prelude::*;
use tidings_arena::ranks::{
    Board, Change, Diff, Entry, FRIENDS_MOST, Handle, ROWS_MOST, Ranking, Row, View, Window, Windows,
};

use super::naive::{Naive, RANKINGS, batches, player};

/// A view, and how the naive model sees it.
#[derive(Debug, Clone)]
enum Sight {
    Page(u32, u32),
    Around(Handle, u32),
    Friends(Vec<Handle>),
}

impl Sight {
    fn view(&self) -> View {
        match self {
            Self::Page(from, len) => View::page(*from, *len).unwrap(),
            Self::Around(player, each_side) => View::around(*player, *each_side).unwrap(),
            Self::Friends(players) => View::friends(players.iter().copied()).unwrap(),
        }
    }

    fn rows(&self, naive: &Naive, ranking: Ranking) -> Vec<Row> {
        match self {
            Self::Page(from, len) => naive.page(*from, *len, ranking),
            Self::Around(player, each_side) => naive.around(*player, *each_side, ranking),
            Self::Friends(players) => naive.among(players, ranking),
        }
    }
}

fn sight() -> impl Strategy<Value = Sight> {
    prop_oneof![
        (0..8_u32, 1..8_u32).prop_map(|(from, len)| Sight::Page(from, len)),
        (player(), 0..4_u32).prop_map(|(player, each_side)| Sight::Around(player, each_side)),
        prop::collection::vec(player(), 0..6).prop_map(Sight::Friends),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_window_that_is_not_stale_shows_what_there_is_and_diffs_lead_there(
        sights in prop::collection::vec(sight(), 1..6),
        batches in batches(),
        refreshed in prop::collection::vec(any::<bool>(), 60),
    ) {
        for ranking in RANKINGS {
            let (mut board, mut naive) = (Board::new(ranking), Naive::default());
            let open = |sight: &Sight| (sight.clone(), Window::open(sight.view(), &board), Vec::new());
            let mut windows: Vec<(Sight, Window, Vec<Row>)> = sights.iter().map(open).collect();
            for (batch, refresh) in batches.iter().zip(&refreshed) {
                batch.iter().for_each(|change| naive.change(change));
                let moved = board.apply(batch);
                for (sight, window, viewer) in &mut windows {
                    let rows = sight.rows(&naive, ranking);
                    let stale = window.note(&moved);
                    prop_assert!(stale || window.rows() == rows, "{sight:?} in {ranking:?} missed {batch:?}");
                    if *refresh {
                        let old = viewer.clone();
                        let diff = window.refresh(&board);
                        diff.iter().for_each(|diff| diff.apply(viewer));
                        prop_assert_eq!(&*viewer, &rows);
                        prop_assert_eq!(window.rows(), &rows[..]);
                        prop_assert_eq!(diff.is_none(), old == rows);
                        says_old_ranks(diff.as_ref(), &old, &rows);
                    }
                }
            }
        }
    }
}

/// A diff names rows that are different, each once, with the ranks they had.
fn says_old_ranks(diff: Option<&Diff>, old: &[Row], rows: &[Row]) {
    let Some(diff) = diff else { return };
    let of = |rows: &[Row], player: Handle| rows.iter().find(|row| row.player == player).copied();
    for left in &diff.leave {
        assert_eq!(of(old, left.player).map(|row| row.rank), Some(left.old_rank));
        assert_eq!(of(rows, left.player), None);
    }
    for row in &diff.enter {
        assert_eq!((of(old, row.player), of(rows, row.player)), (None, Some(*row)));
    }
    for shift in &diff.moved {
        let was = of(old, shift.row.player).unwrap();
        assert_eq!((was.rank, was.position), (shift.old_rank, shift.old_position));
        assert_ne!(was, shift.row);
    }
    let named = diff.leave.len() + diff.enter.len() + diff.moved.len();
    let changed = rows.iter().filter(|row| !old.contains(row)).count();
    let gone = old.iter().filter(|row| of(rows, row.player).is_none()).count();
    assert_eq!(named, changed + gone);
}

/// A board on which player n has n-th place, with scores a thousand apart.
fn ladder(ranking: Ranking) -> Board {
    let entry =
        |number: u32| Entry { player: Handle(number), score: i64::from(1_000 - number) * 1_000, reached: 1 };
    Board::load(ranking, (0..1_000).map(entry).collect())
}

fn moves(board: &mut Board, player: u32, to: u32) -> Vec<tidings_arena::ranks::Moved> {
    let score = board.at(to).unwrap().score + 1;
    board.apply(&[Change::Set(Entry { player: Handle(player), score, reached: 2 })])
}

#[test]
fn a_change_that_cannot_touch_a_window_does_not_make_it_stale() {
    for (view, far, near) in [
        (View::top(10).unwrap(), (500, 11), (500, 10)),
        (View::top(10).unwrap(), (900, 400), (900, 9)),
        (View::page(100, 10).unwrap(), (90, 20), (90, 105)),
        (View::around(Handle(300), 5).unwrap(), (400, 307), (400, 304)),
        (View::friends([Handle(200), Handle(600)]).unwrap(), (590, 210), (590, 200)),
    ] {
        let mut board = ladder(Ranking::Competition);
        let mut window = Window::open(view.clone(), &board);
        let moved = moves(&mut board, far.0, far.1);
        assert!(!window.note(&moved), "{view:?} was touched from afar");
        assert_eq!(window.refresh(&board), None);
        let moved = moves(&mut board, near.0, near.1);
        assert_eq!(window.note(&moved), near != (500, 10), "{view:?}");
    }
}

#[test]
fn views_that_show_the_same_are_one_key() {
    assert_eq!(View::top(10), View::page(0, 10));
    let friends = |numbers: &[u32]| View::friends(numbers.iter().copied().map(Handle)).unwrap();
    assert_eq!(friends(&[3, 1, 2, 1]), friends(&[1, 2, 3]));
    assert_ne!(friends(&[1, 2]), friends(&[1, 2, 3]));
    assert_ne!(View::around(Handle(1), 2), View::around(Handle(2), 2));
}

#[test]
fn views_are_bounded() {
    assert!(View::top(ROWS_MOST).is_ok() && View::top(ROWS_MOST + 1).is_err() && View::top(0).is_err());
    assert!(View::around(Handle(0), ROWS_MOST / 2).is_ok());
    assert!(View::around(Handle(0), ROWS_MOST / 2 + 1).is_err());
    let of = |count: usize| View::friends((0..count as u32).map(Handle));
    assert!(of(FRIENDS_MOST).is_ok() && of(FRIENDS_MOST + 1).is_err());
    assert!(View::friends((0..5_000).map(|at| Handle(at % 10))).is_ok());
}

#[test]
fn viewers_of_one_view_share_a_window() {
    let mut board = ladder(Ranking::Competition);
    let (mut windows, view) = (Windows::new(), View::top(3).unwrap());
    assert_eq!(windows.open(&view, &board).unwrap(), board.top(3));
    let seen = board.top(3);
    let moved = moves(&mut board, 7, 0);
    windows.note(&moved);
    // Whoever comes now sees what the other saw last, and the same diff leads both on.
    assert_eq!(windows.open(&View::page(0, 3).unwrap(), &board).unwrap(), seen);
    assert_eq!(windows.len(), 1);
    let diffs = windows.refresh(&board);
    assert_eq!(diffs.len(), 1);
    let mut rows = seen;
    diffs[0].1.apply(&mut rows);
    assert_eq!(rows, board.top(3));
    assert_eq!(windows.refresh(&board), []);
    windows.close(&view);
    assert_eq!(windows.len(), 1);
    windows.close(&view);
    assert!(windows.is_empty());
    windows.close(&view);
}
