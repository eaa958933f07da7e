//! The rules of rating, on plain data: no clock, no database, whole numbers in and out.
//!
//! Elo after A. E. Elo, *The Rating of Chessplayers* (1978), with the K-factors of the FIDE rating regulations;
//! Glicko-2 after M. E. Glickman, *Example of the Glicko-2 system* (2013), each match a rating period of its own.
//! Everything is rounded to whole numbers where it is stored, so that the same results give the same ratings
//! however often they are computed.

use skillratings::Outcomes;
use skillratings::elo::{EloRating, expected_score};
use skillratings::glicko2::{Glicko2Config, Glicko2Rating, glicko2_rating_period};

/// The rating everybody begins with.
pub const INITIAL_RATING: i64 = 1_200;
/// Nobody falls below this.
pub const LEAST_RATING: i64 = 100;

/// Games after which a player is no newcomer any more; until then ratings move by [`K_NEW`].
pub const NEW_GAMES: i64 = 30;
/// Whoever has once had this rating moves by [`K_TOP`] from then on.
pub const TOP_RATING: i64 = 2_400;
/// Points of a newcomer.
pub const K_NEW: i64 = 40;
/// Points of everybody else.
pub const K: i64 = 20;
/// Points of the best.
pub const K_TOP: i64 = 10;

/// Glicko-2 numbers are stored in millionths.
const MILLION: f64 = 1_000_000.0;

/// A rating with what is not known of it, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glicko {
    /// The rating.
    pub rating: i64,
    /// Its deviation.
    pub deviation: i64,
    /// The volatility.
    pub volatility: i64,
}

impl Default for Glicko {
    fn default() -> Self {
        Self { rating: 1_500_000_000, deviation: 350_000_000, volatility: 60_000 }
    }
}

impl Glicko {
    fn read(self) -> Glicko2Rating {
        let [rating, deviation, volatility] =
            [self.rating, self.deviation, self.volatility].map(|number| number as f64 / MILLION);
        Glicko2Rating { rating, deviation, volatility }
    }

    fn stored(rating: &Glicko2Rating) -> Self {
        let [rating, deviation, volatility] = [rating.rating, rating.deviation, rating.volatility]
            .map(|number| (number * MILLION).round() as i64);
        Self { rating, deviation, volatility }
    }
}

/// How somebody stands in a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The Elo rating, by which boards are ordered.
    pub rating: i64,
    /// The number of the result by which it was reached: of equal ratings the earlier stands before.
    pub reached: i64,
    /// Matches that counted.
    pub games: i64,
    /// Those won.
    pub wins: i64,
    /// Those lost.
    pub losses: i64,
    /// Those without a winner.
    pub draws: i64,
    /// Wins in a row, up to now.
    pub streak: i64,
    /// The most of them there ever were.
    pub best_streak: i64,
    /// The highest rating there ever was.
    pub peak: i64,
    /// The same player by Glicko-2.
    pub glicko: Glicko,
}

impl Standing {
    /// Somebody who comes into a ladder with its entry number `reached`.
    pub fn new(rating: i64, reached: i64) -> Self {
        let glicko = Glicko::default();
        Self {
            rating,
            reached,
            games: 0,
            wins: 0,
            losses: 0,
            draws: 0,
            streak: 0,
            best_streak: 0,
            peak: rating,
            glicko,
        }
    }

    /// How many points this player's rating moves by at most.
    pub fn k(&self) -> i64 {
        match self {
            Self { peak, .. } if *peak >= TOP_RATING => K_TOP,
            Self { games, .. } if *games < NEW_GAMES => K_NEW,
            _ => K,
        }
    }

    fn elo(&self) -> EloRating {
        EloRating { rating: self.rating as f64 }
    }
}

/// What a match says of two of its players: the first one's score against the second.
fn score(winner: Option<usize>, one: usize, other: usize) -> Option<f64> {
    match winner {
        None => Some(0.5),
        Some(winner) if winner == one => Some(1.0),
        Some(winner) if winner == other => Some(0.0),
        // Of two who both lost it says nothing.
        Some(_) => None,
    }
}

/// How the players of a match stand after it. `winner` is a place in `before`, `None` a draw; `number` is the
/// result's; `k` is a ladder's own factor.
///
/// The winner is rated against each loser, those of a draw each against each; all of it together moves a
/// rating by its factor at most.
pub fn rate(before: &[Standing], winner: Option<usize>, number: i64, k: Option<i64>) -> Vec<Standing> {
    (0..before.len()).map(|at| rate_one(before, winner, number, k, at)).collect()
}

fn rate_one(before: &[Standing], winner: Option<usize>, number: i64, k: Option<i64>, at: usize) -> Standing {
    let mut after = before[at];
    let mut surplus = 0.0;
    let mut period = Vec::with_capacity(before.len());
    for (other, opponent) in before.iter().enumerate().filter(|(other, _)| *other != at) {
        let Some(score) = score(winner, at, other) else { continue };
        surplus += score - expected_score(&before[at].elo(), &opponent.elo()).0;
        period.push((opponent.glicko.read(), outcome(score)));
    }
    let k = k.unwrap_or_else(|| before[at].k());
    let opponents = before.len().saturating_sub(1).max(1);
    let change = (k as f64 * surplus / opponents as f64).round() as i64;
    after.rating = (after.rating + change).max(LEAST_RATING.min(after.rating));
    if after.rating != before[at].rating {
        after.reached = number;
    }
    after.peak = after.peak.max(after.rating);
    let config = Glicko2Config::default();
    after.glicko = Glicko::stored(&glicko2_rating_period(&after.glicko.read(), &period, &config));
    count(&mut after, winner, at);
    after
}

fn outcome(score: f64) -> Outcomes {
    match score {
        1.0 => Outcomes::WIN,
        0.5 => Outcomes::DRAW,
        _ => Outcomes::LOSS,
    }
}

fn count(after: &mut Standing, winner: Option<usize>, at: usize) {
    after.games += 1;
    match winner {
        None => after.draws += 1,
        Some(winner) if winner == at => after.wins += 1,
        Some(_) => after.losses += 1,
    }
    after.streak = if winner == Some(at) { after.streak + 1 } else { 0 };
    after.best_streak = after.best_streak.max(after.streak);
}

/// Something a player has reached once and for all, unless the match that gave it is voided.
#[derive(Debug, Clone, Copy)]
pub struct Achievement {
    /// Its id on the wire.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
    earned: fn(&Standing) -> bool,
}

/// Every achievement there is.
pub const ACHIEVEMENTS: [Achievement; 9] = [
    Achievement { id: "first-win", title: "First win", earned: |standing| standing.wins >= 1 },
    Achievement { id: "wins-10", title: "Ten wins", earned: |standing| standing.wins >= 10 },
    Achievement { id: "wins-100", title: "A hundred wins", earned: |standing| standing.wins >= 100 },
    Achievement { id: "streak-3", title: "Three in a row", earned: |standing| standing.best_streak >= 3 },
    Achievement { id: "streak-10", title: "Ten in a row", earned: |standing| standing.best_streak >= 10 },
    Achievement { id: "games-100", title: "A hundred matches", earned: |standing| standing.games >= 100 },
    Achievement { id: "rating-1400", title: "Rated 1400", earned: |standing| standing.peak >= 1_400 },
    Achievement { id: "rating-1800", title: "Rated 1800", earned: |standing| standing.peak >= 1_800 },
    Achievement { id: "rating-2400", title: "Rated 2400", earned: |standing| standing.peak >= 2_400 },
];

/// What somebody who stands so has reached.
pub fn earned(standing: &Standing) -> impl Iterator<Item = &'static Achievement> {
    ACHIEVEMENTS.iter().filter(|achievement| (achievement.earned)(standing))
}

/// The name of an achievement for people.
pub fn title(id: &str) -> &'static str {
    ACHIEVEMENTS.iter().find(|achievement| achievement.id == id).map_or("", |achievement| achievement.title)
}

#[cfg(test)]
mod tests;
