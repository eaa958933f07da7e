//! The rules of rating, against figures from their sources.

#![allow(clippy::unwrap_used)]

use super::*;

fn rated(rating: i64, games: i64) -> Standing {
    Standing { games, ..Standing::new(rating, 1) }
}

#[test]
fn equals_move_by_half_their_factor_and_what_one_wins_the_other_loses() {
    for (games, k) in [(0, K_NEW), (NEW_GAMES, K)] {
        let after = rate(&[rated(1_500, games), rated(1_500, games)], Some(0), 7, None);
        assert_eq!((after[0].rating, after[1].rating), (1_500 + k / 2, 1_500 - k / 2));
        assert_eq!((after[0].reached, after[0].wins, after[1].losses), (7, 1, 1));
    }
}

#[test]
fn a_difference_of_400_points_is_ten_to_one() {
    // 20 × (1 − 10/11) = 1.8, and 20 × (1 − 1/11) = 18.2.
    let (strong, weak) = (rated(1_900, NEW_GAMES), rated(1_500, NEW_GAMES));
    let expected = rate(&[strong, weak], Some(0), 7, None);
    assert_eq!((expected[0].rating, expected[1].rating), (1_902, 1_498));
    let surprise = rate(&[strong, weak], Some(1), 7, None);
    assert_eq!((surprise[0].rating, surprise[1].rating), (1_882, 1_518));
    let draw = rate(&[strong, weak], None, 7, None);
    // 20 × (0.5 − 10/11) = −8.2.
    assert_eq!((draw[0].rating, draw[1].rating), (1_892, 1_508));
}

#[test]
fn factors_follow_games_and_the_highest_rating() {
    assert_eq!(
        [rated(1_500, 0), rated(1_500, 29), rated(1_500, 30)].map(|standing| standing.k()),
        [40, 40, 20]
    );
    let was_top = Standing { peak: TOP_RATING, ..rated(2_300, 100) };
    assert_eq!(was_top.k(), K_TOP);
    let own = rate(&[rated(1_500, 0), rated(1_500, 0)], Some(0), 7, Some(100));
    assert_eq!(own[0].rating, 1_550);
}

#[test]
fn nobody_falls_below_the_least_rating_and_a_rating_that_stays_keeps_its_moment() {
    let after = rate(&[rated(LEAST_RATING, 0), rated(LEAST_RATING, 0)], Some(0), 7, None);
    assert_eq!((after[1].rating, after[1].reached), (LEAST_RATING, 1));
}

#[test]
fn of_many_the_winner_is_rated_against_each_and_losers_not_against_each_other() {
    let before = [rated(1_500, 30), rated(1_500, 30), rated(1_500, 30)];
    let after = rate(&before, Some(1), 7, None);
    assert_eq!(after.iter().map(|standing| standing.rating).collect::<Vec<_>>(), [1_495, 1_510, 1_495]);
    let draw = rate(&before, None, 7, None);
    assert!(draw.iter().all(|standing| standing.rating == 1_500 && standing.draws == 1));
}

/// The example of Glickman's paper: 1500/200 wins against 1400/30 and loses to 1550/100 and 1700/300 in one
/// period; here each match is a period, so only the first is compared: it must raise the rating and lower the
/// deviation.
#[test]
fn glicko_moves_with_the_result_and_knows_more_after_it() {
    let before = rated(1_500, 0);
    let after = rate(&[before, before], Some(0), 7, None);
    assert!(after[0].glicko.rating > before.glicko.rating && after[1].glicko.rating < before.glicko.rating);
    assert!(after.iter().all(|standing| standing.glicko.deviation < before.glicko.deviation));
    // Two newcomers: 1500 ± 162.3, deviation 290.3 (Glickman's algorithm with tau 0.5).
    assert_eq!((after[0].glicko.rating + 500_000) / 1_000_000, 1_662);
    assert_eq!((after[0].glicko.deviation + 500_000) / 1_000_000, 290);
}

#[test]
fn streaks_and_achievements_are_counted() {
    let mut one = rated(1_200, 0);
    let other = rated(1_200, 0);
    for number in 0..3 {
        one = rate(&[one, other], Some(0), number, None)[0];
    }
    assert_eq!((one.streak, one.best_streak, one.wins), (3, 3, 3));
    one = rate(&[one, other], None, 4, None)[0];
    assert_eq!((one.streak, one.best_streak, one.draws), (0, 3, 1));
    assert_eq!(earned(&one).map(|achievement| achievement.id).collect::<Vec<_>>(), ["first-win", "streak-3"]);
    assert_eq!((title("streak-3"), title("nothing")), ("Three in a row", ""));
}
