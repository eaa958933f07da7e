//! The hits of one source within the window.

use super::kind::Level;

/// The window moves on in so many steps.
const STEPS: usize = 8;
/// Different origins of hits that are told apart; nothing asks for more.
const SPREAD: usize = 3;

/// The hits of one source: counts by step of the window, and how bad it has become.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    steps: [u32; STEPS],
    /// The number of the newest step since 1970.
    newest: u64,
    from: [u64; SPREAD],
    spread: usize,
    level: Option<Level>,
    since_ms: u64,
}

impl Track {
    /// Counts a hit that came from `from`; answers how many there are in the window.
    pub(super) fn hit(&mut self, from: u64, now_ms: u64, window_ms: u64) -> u32 {
        if self.advance(now_ms, window_ms) == 0 {
            *self = Self { newest: self.newest, since_ms: now_ms, ..Self::default() };
        }
        if !self.from[..self.spread].contains(&from) && self.spread < SPREAD {
            self.from[self.spread] = from;
            self.spread += 1;
        }
        let step = &mut self.steps[(self.newest % STEPS as u64) as usize];
        *step = step.saturating_add(1);
        self.count()
    }

    /// Moves the window on to `now_ms`, and answers how many hits are in it. Time never goes back.
    pub(super) fn advance(&mut self, now_ms: u64, window_ms: u64) -> u32 {
        let step = now_ms / (window_ms / STEPS as u64).max(1);
        let passed = step.saturating_sub(self.newest).min(STEPS as u64);
        for at in 1..=passed {
            self.steps[((self.newest + at) % STEPS as u64) as usize] = 0;
        }
        if passed == STEPS as u64 {
            self.steps = [0; STEPS];
        }
        self.newest = self.newest.max(step);
        self.count()
    }

    /// Whether the level has risen; it falls back to none when half of a notice is left.
    pub(super) fn rises(&mut self, count: u32, alert: u32) -> Option<Level> {
        if self.level.is_some() && count.saturating_mul(2) < Level::Notice.hits(alert) {
            self.level = None;
        }
        let reached = Level::reached(count, alert)?;
        if self.level.is_some_and(|level| level >= reached) {
            return None;
        }
        self.level = Some(reached);
        Some(reached)
    }

    /// From how many different origins hits came, up to three.
    pub(super) const fn spread(&self) -> usize {
        self.spread
    }

    /// When the first hit came.
    pub(super) const fn since_ms(&self) -> u64 {
        self.since_ms
    }

    fn count(&self) -> u32 {
        self.steps.iter().fold(0, |sum, step| sum.saturating_add(*step))
    }
}
