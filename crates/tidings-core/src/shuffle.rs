//! Numbers that count without showing how far.

use std::hash::{BuildHasher, RandomState};

/// A secret order of all numbers: each has one place, and its place does not show the number.
///
/// A counter that all organisations share would tell each how much the others do, to whoever looks
/// at two of its values. A Feistel network is a permutation whatever its rounds are, so two numbers
/// never have the same place; its rounds are a keyed hash, so nobody without the key finds the way
/// back.
#[derive(Debug, Default)]
pub struct Shuffle(RandomState);

/// Four make it a strong pseudorandom permutation (Luby and Rackoff, 1988).
const ROUNDS: u8 = 4;

impl Shuffle {
    /// The place of a number.
    pub fn place(&self, number: u64) -> u64 {
        let turn = |(left, right), round| (right, left ^ self.keyed(round, right));
        joined((0..ROUNDS).fold(halves(number), turn))
    }

    /// The number that has a place: the way back, for who holds the key.
    pub fn number(&self, place: u64) -> u64 {
        let turn_back = |(left, right), round| (right ^ self.keyed(round, left), left);
        joined((0..ROUNDS).rev().fold(halves(place), turn_back))
    }

    fn keyed(&self, round: u8, half: u32) -> u32 {
        self.0.hash_one((round, half)) as u32
    }
}

fn halves(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, number as u32)
}

fn joined((left, right): (u32, u32)) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own_that_does_not_follow_the_one_before() {
        let shuffle = Shuffle::default();
        let places: Vec<u64> = (0..100_000).map(|number| shuffle.place(number)).collect();
        assert_eq!(places.iter().collect::<HashSet<_>>().len(), places.len());
        let close = places.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1 << 32).count();
        assert!(close < 10, "{close} neighbours lie together");
    }

    #[test]
    fn a_place_leads_back_to_its_number() {
        let shuffle = Shuffle::default();
        let numbers = (0..1_000).chain([u64::from(u32::MAX), 1 << 32, u64::MAX]);
        for number in numbers {
            assert_eq!(shuffle.number(shuffle.place(number)), number);
        }
    }

    #[test]
    fn another_key_is_another_order() {
        let (one, other) = (Shuffle::default(), Shuffle::default());
        assert!((0..100).all(|number| one.place(number) != other.place(number)));
    }
}
