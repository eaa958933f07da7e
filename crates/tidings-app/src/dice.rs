//! Chance that can be repeated, for demos.

/// A small generator of even numbers with a seed (SplitMix64, Steele, Lea and Flood 2014); not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Starts the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from `low` to `high`, both included; `low` if they are the wrong way round.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        // The remainder's bias is far below anything a demo shows.
        let sides = high.saturating_sub(low).saturating_add(1);
        low + self.roll() % sides
    }

    /// A number from 0 to below `most`; 0 where that is 0.
    pub fn below(&mut self, most: u64) -> u64 {
        self.roll().checked_rem(most).unwrap_or(0)
    }

    /// Brings `items` into an order of chance.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.between(0, last as u64) as usize;
            items.swap(last, other);
        }
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_sequence_within_its_bounds() {
        let mut first = Dice::new(7);
        let mut second = Dice::new(7);
        let mut other = Dice::new(8);
        let rolls: Vec<u64> = (0..200).map(|_| first.between(3, 9)).collect();
        assert!(rolls.iter().all(|n| (3..=9).contains(n)));
        assert!((3..=9).all(|n| rolls.contains(&n)));
        assert_eq!(rolls, (0..200).map(|_| second.between(3, 9)).collect::<Vec<_>>());
        assert_ne!(rolls, (0..200).map(|_| other.between(3, 9)).collect::<Vec<_>>());
        assert_eq!((first.between(5, 2), first.below(0)), (5, 0));
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Dice::new(1).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
