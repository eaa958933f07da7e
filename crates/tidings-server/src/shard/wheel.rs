//! One coarse wheel of timers for all connections of a shard.

use tidings_core::ConnKey;

/// The wheel's step in milliseconds: heartbeats are not held to more.
const TICK_MS: u64 = 20;

const SLOTS: usize = 2_048;

/// A wheel of timers: a connection stands in one slot and is asked when that comes round.
///
/// Timers are never removed. A connection whose time has moved on, or which has gone, is found out
/// when its entry fires; what lies beyond the wheel's reach is put in again on the way.
pub(super) struct Wheel {
    slots: Vec<Vec<(ConnKey, u64)>>,
    /// The next tick to be handled.
    tick: u64,
    /// A tick before which no entry fires.
    earliest: u64,
}

impl Wheel {
    /// An empty wheel that starts at `now_ms`.
    pub(super) fn new(now_ms: u64) -> Self {
        Self { slots: vec![Vec::new(); SLOTS], tick: now_ms / TICK_MS, earliest: u64::MAX }
    }

    /// Has a connection fire at `at_ms` or a little later.
    pub(super) fn insert(&mut self, key: ConnKey, at_ms: u64) {
        let due = at_ms.div_ceil(TICK_MS).max(self.tick);
        let slot = due.min(self.tick + SLOTS as u64 - 1);
        self.earliest = self.earliest.min(slot);
        self.slots[slot as usize % SLOTS].push((key, due));
    }

    /// When [`Wheel::advance`] has something to do, in milliseconds; `None` if nothing is waiting.
    pub(super) fn next_ms(&self) -> Option<u64> {
        (self.earliest != u64::MAX).then(|| self.earliest * TICK_MS)
    }

    /// Moves on to `now_ms` and collects the connections that fire.
    pub(super) fn advance(&mut self, now_ms: u64, fired: &mut Vec<ConnKey>) {
        let now = now_ms / TICK_MS;
        if now < self.earliest {
            return;
        }
        let mut early = Vec::new();
        self.tick = self.tick.max(self.earliest);
        // After a long stop of the process every slot is visited once, which finds everything.
        let end = now.min(self.tick + SLOTS as u64 - 1);
        for tick in self.tick..=end {
            for (key, due) in self.slots[tick as usize % SLOTS].drain(..) {
                if due <= now { fired.push(key) } else { early.push((key, due)) }
            }
        }
        self.tick = now + 1;
        for (key, due) in early {
            self.insert(key, due * TICK_MS);
        }
        let ahead =
            (self.tick..self.tick + SLOTS as u64).find(|tick| !self.slots[*tick as usize % SLOTS].is_empty());
        self.earliest = ahead.unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> ConnKey {
        ConnKey { slot, generation: 1 }
    }

    fn fired(wheel: &mut Wheel, now_ms: u64) -> Vec<u32> {
        let mut keys = Vec::new();
        wheel.advance(now_ms, &mut keys);
        keys.iter().map(|key| key.slot).collect()
    }

    #[test]
    fn a_timer_fires_once_and_not_before_its_time() {
        let mut wheel = Wheel::new(0);
        wheel.insert(key(1), 300);
        wheel.insert(key(2), 500);
        assert_eq!(wheel.next_ms(), Some(300));
        assert_eq!(fired(&mut wheel, 299), Vec::<u32>::new());
        assert_eq!(fired(&mut wheel, 320), vec![1]);
        assert_eq!(wheel.next_ms(), Some(500));
        assert_eq!(fired(&mut wheel, 600), vec![2]);
        assert_eq!(wheel.next_ms(), None);
    }

    #[test]
    fn a_timer_beyond_the_wheel_fires_in_time() {
        let mut wheel = Wheel::new(0);
        wheel.insert(key(1), 100_000);
        let mut at = 0;
        while fired(&mut wheel, at).is_empty() {
            at = wheel.next_ms().unwrap_or(at + TICK_MS);
            assert!(at <= 100_020, "late: {at}");
        }
        assert!(at >= 100_000, "early: {at}");
    }

    #[test]
    fn everything_due_fires_after_a_long_stop() {
        let mut wheel = Wheel::new(0);
        for slot in 0..3_000 {
            wheel.insert(key(slot), u64::from(slot) * 37);
        }
        let mut all = fired(&mut wheel, 500_000);
        all.sort_unstable();
        assert_eq!(all, (0..3_000).collect::<Vec<_>>());
    }
}
