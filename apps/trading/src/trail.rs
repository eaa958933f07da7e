//! Prices of a room as they went, for charts: in memory alone, and no part of the room.
//!
//! Of each instrument some hundred points are kept. A point is the last price of a step of time; when there are too many, a
//! step becomes twice as long. So they go back to the first price that was read since the room came into memory.

use std::collections::BTreeMap;

use crate::decimal::Dec;
use crate::journal::{Entry, Input};
use crate::room::Room;

/// Points of an instrument at most.
pub const POINTS_MOST: usize = 600;
/// Points of a room at most: of many instruments each has fewer.
const ROOM_MOST: usize = 9_600;

/// A price and when it came, in milliseconds of the room's time.
pub type Point = (u64, Dec);

/// How one price went.
#[derive(Debug)]
struct Trail {
    step_ms: u64,
    points: Vec<Point>,
}

impl Trail {
    fn new() -> Self {
        Self { step_ms: 1, points: Vec::new() }
    }

    fn add(&mut self, point: Point, most: usize) {
        let step = |point: &Point, ms: u64| point.0 / ms;
        match self.points.last_mut() {
            Some(last) if step(last, self.step_ms) == step(&point, self.step_ms) => *last = point,
            _ => self.points.push(point),
        }
        while self.points.len() > most {
            self.step_ms = self.step_ms.saturating_mul(2);
            let together = |one: &Point, next: &Point| step(one, self.step_ms) == step(next, self.step_ms);
            self.points = self.points.chunk_by(together).filter_map(<[Point]>::last).copied().collect();
        }
    }
}

/// How the prices of a room went, by symbol.
#[derive(Debug)]
pub struct Trails {
    trails: BTreeMap<String, Trail>,
    /// Points of each.
    most: usize,
}

impl Trails {
    /// Those of a room that has just been made or read, which begin with its newest prices.
    pub fn of(room: &Room) -> Self {
        let instruments = &room.rules().instruments;
        let most = POINTS_MOST.min(ROOM_MOST / instruments.len().max(1));
        let mut trails = Self { trails: BTreeMap::new(), most };
        for (at, instrument) in instruments.iter().enumerate() {
            if let Some(price) = room.price_of(at) {
                trails.add(&instrument.symbol, (room.at_ms(), price));
            }
        }
        trails
    }

    /// An entry that the room has taken.
    pub fn follow(&mut self, entry: &Entry) {
        if let Input::Price { symbol, price, .. } = &entry.input {
            self.add(symbol, (entry.at_ms, *price));
        }
    }

    fn add(&mut self, symbol: &str, point: Point) {
        let most = self.most;
        match self.trails.get_mut(symbol) {
            Some(trail) => trail.add(point, most),
            None => self.trails.entry(symbol.to_owned()).or_insert_with(Trail::new).add(point, most),
        }
    }

    /// So many of the newest points of an instrument, the oldest first.
    pub fn newest(&self, symbol: &str, most: usize) -> &[Point] {
        let points = self.trails.get(symbol).map(|trail| trail.points.as_slice()).unwrap_or_default();
        &points[points.len().saturating_sub(most)..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_trail_goes_from_the_first_steps_to_the_newest_price(
            waits in prop::collection::vec(0..5_000_u64, 1..3_000),
            most in 2..600_usize,
        ) {
            let (mut trail, mut at_ms, mut all) = (Trail::new(), 1_000_000, Vec::new());
            for (number, wait_ms) in (0..).zip(waits) {
                at_ms += wait_ms;
                all.push((at_ms, Dec::units(number)));
                trail.add((at_ms, Dec::units(number)), most);
                prop_assert!(trail.points.len() <= most);
            }
            // Each point is the last price of its step, and no step that had one is missing.
            let step = |point: &Point| point.0 / trail.step_ms;
            let steps = all.chunk_by(|one, next| step(one) == step(next));
            let last: Vec<Point> = steps.filter_map(<[Point]>::last).copied().collect();
            prop_assert_eq!(&trail.points, &last);
            // And it is not thinner than it needs to be.
            let finer = |point: &Point| point.0 / (trail.step_ms / 2).max(1);
            let finer = all.chunk_by(|one, next| finer(one) == finer(next)).count();
            prop_assert!(trail.step_ms == 1 || finer > most);
        }
    }
}
