//! The bench's clock: nanoseconds since 1970 that never go back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A steady clock that was set to the time of day once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    base: u64,
}

impl Clock {
    /// Sets it.
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), base: nanoseconds(since) }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.base + nanoseconds(self.origin.elapsed())
    }
}

/// A duration as nanoseconds.
pub(crate) fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
