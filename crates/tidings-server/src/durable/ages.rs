//! By which time what is old is deleted.

use std::time::{Duration, Instant};

/// A clock that was set ahead by more is not believed at once; less is what clocks are corrected by.
const AHEAD_MS: u64 = 60_000;

/// It is believed after so long: by then somebody has put right what was wrong, or it was right.
const DOUBTED: Duration = Duration::from_secs(3_600);

/// The wall clock, but for one that was just set ahead: what it makes old would be gone for good though it was put
/// back a moment later. One that is put back makes nothing old and is believed.
pub(super) struct Ages {
    /// What the wall clock said when it was believed last.
    wall_ms: u64,
    at: Instant,
    /// Since when it is doubted.
    doubted: Option<Instant>,
}

impl Ages {
    pub(super) fn new(wall_ms: u64, at: Instant) -> Self {
        Self { wall_ms, at, doubted: None }
    }

    /// The time by which is deleted.
    pub(super) fn now_ms(&mut self, wall_ms: u64, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.at).as_millis() as u64;
        let expected_ms = self.wall_ms.saturating_add(passed);
        if wall_ms > expected_ms.saturating_add(AHEAD_MS) {
            let since = *self.doubted.get_or_insert_with(|| {
                let ahead_s = (wall_ms - expected_ms) / 1_000;
                tracing::warn!(
                    ahead_s,
                    "the clock was set ahead: for an hour nothing of the log is deleted for its age by it"
                );
                at
            });
            if at.saturating_duration_since(since) < DOUBTED {
                return expected_ms;
            }
        }
        *self = Self::new(wall_ms, at);
        wall_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN_MS: u64 = 1_700_000_000_000;
    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn a_clock_that_is_set_ahead_is_believed_an_hour_later_and_one_that_is_put_back_at_once() {
        let began = Instant::now();
        let after = |seconds| (BEGAN_MS + seconds * 1_000, began + Duration::from_secs(seconds));
        let mut ages = Ages::new(BEGAN_MS, began);
        let mut asked = |seconds, wrong_ms: i64| {
            let (right_ms, at) = after(seconds);
            ages.now_ms(right_ms.saturating_add_signed(wrong_ms), at).wrapping_sub(right_ms) as i64
        };
        // A little is what clocks are corrected by, and adds up to nothing that is doubted.
        assert_eq!(asked(10, 50_000), 50_000);
        assert_eq!(asked(20, 100_000), 100_000);
        assert_eq!(asked(30, 0), 0);
        // Two days, and put right again.
        let two = 2 * DAY_MS as i64;
        assert_eq!(asked(40, two), 0);
        assert_eq!(asked(3_000, two), 0);
        assert_eq!(asked(3_010, 0), 0);
        // Again: the hour begins anew, and ends.
        assert_eq!(asked(3_020, two), 0);
        assert_eq!(asked(6_619, two), 0);
        assert_eq!(asked(6_620, two), two);
        assert_eq!(asked(6_630, two), two);
        assert_eq!(asked(6_640, -two), -two);
    }
}
