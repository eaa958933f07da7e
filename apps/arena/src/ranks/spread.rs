//! How many entries have each score, where there are more entries than scores.

/// A board of fewer entries is small enough for the caches as it is.
pub(super) const SPREAD_FROM: u32 = 512;
/// Scores between the lowest and the highest at most; 256 KiB.
const SCORES_MOST: i128 = 1 << 16;
/// Scores that are counted together once more, so that a sum is two short ones; shortest for a few thousand scores.
const BLOCK: usize = 64;

/// How many entries have each score.
///
/// A shared rank is how many have a higher score. Where ratings are a few thousand numbers, these counts lie in the
/// cache, while the leaf in which a score begins mostly does not. Boards whose scores lie further apart do without.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    /// The lowest score that is counted: the first of a block.
    lowest: i64,
    counts: Vec<u32>,
    blocks: Vec<u32>,
}

impl Spread {
    /// Nothing, from one score to another; `None` if these are too far apart for so many entries.
    pub(super) fn new(lowest: i64, highest: i64, entries: u32) -> Option<Self> {
        let lowest = lowest.checked_sub(lowest.rem_euclid(BLOCK as i64))?;
        let scores = i128::from(highest) - i128::from(lowest) + 1;
        if scores > SCORES_MOST.min(i128::from(entries.max(SPREAD_FROM))) {
            return None;
        }
        let blocks = (scores.max(1) as usize).div_ceil(BLOCK);
        Some(Self { lowest, counts: vec![0; blocks * BLOCK], blocks: vec![0; blocks] })
    }

    /// Counts an entry in; `false` if its score is not among those that are counted.
    pub(super) fn add(&mut self, score: i64) -> bool {
        let Some(at) = self.offset(score) else { return false };
        self.counts[at] += 1;
        self.blocks[at / BLOCK] += 1;
        true
    }

    /// Counts an entry out that was counted in.
    pub(super) fn remove(&mut self, score: i64) {
        if let Some(at) = self.offset(score) {
            self.counts[at] -= 1;
            self.blocks[at / BLOCK] -= 1;
        }
    }

    /// How many entries have a higher score.
    pub(super) fn above(&self, score: i64) -> u32 {
        let Some(at) = self.offset(score) else {
            return if score < self.lowest { self.blocks.iter().sum() } else { 0 };
        };
        let block = at / BLOCK;
        let within = &self.counts[at + 1..(block + 1) * BLOCK];
        within.iter().sum::<u32>() + self.blocks[block + 1..].iter().sum::<u32>()
    }

    fn offset(&self, score: i64) -> Option<usize> {
        let offset = usize::try_from(i128::from(score) - i128::from(self.lowest)).ok()?;
        (offset < self.counts.len()).then_some(offset)
    }
}
