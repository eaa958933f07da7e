//! How often something may happen.

/// How often something may happen: so many in a time, and so many at once after a rest.
///
/// Judged by the generic cell rate algorithm (ITU-T I.371): of a bucket only the time is kept at
/// which it will be full again. In any window of a length `t` at most `burst` plus `t` over the
/// interval events pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    interval_ns: u64,
    burst: u64,
}

/// How long to wait until the same is let through, in nanoseconds; exact, not a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u64);

impl Wait {
    /// Milliseconds, rounded up: who waits so long is let through.
    pub fn ms(self) -> u32 {
        u32::try_from(self.0.div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }
}

impl Rate {
    /// `events` a second, and `burst` at once; both count as 1 where they are 0.
    pub const fn per_second(events: u64, burst: u64) -> Self {
        Self::over(1_000_000_000, events, burst)
    }

    /// `events` a minute, and as many at once.
    pub const fn per_minute(events: u64) -> Self {
        Self::per_minute_at_once(events, events)
    }

    /// `events` a minute, and `burst` at once.
    pub const fn per_minute_at_once(events: u64, burst: u64) -> Self {
        Self::over(60_000_000_000, events, burst)
    }

    const fn over(window_ns: u64, events: u64, burst: u64) -> Self {
        let events = if events == 0 { 1 } else { events };
        let burst = if burst == 0 { 1 } else { burst };
        // Rounded up, so that rounding never lets one more through.
        Self { interval_ns: window_ns.div_ceil(events), burst }
    }

    /// How many pass at once after a rest.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// Nanoseconds after which one more passes.
    pub const fn interval_ns(self) -> u64 {
        self.interval_ns
    }

    /// Nanoseconds in which an empty bucket fills.
    pub const fn span_ns(self) -> u64 {
        self.interval_ns.saturating_mul(self.burst)
    }

    /// Judges one event: the time the bucket is full again after it, and how many more would pass.
    pub(super) fn step(self, full_at_ns: u64, now_ns: u64) -> Result<(u64, u64), Wait> {
        let next = full_at_ns.max(now_ns).saturating_add(self.interval_ns);
        let (ahead, span) = (next - now_ns, self.span_ns());
        if ahead > span {
            return Err(Wait(ahead - span));
        }
        Ok((next, (span - ahead) / self.interval_ns))
    }

    /// How many would pass now.
    pub(super) fn left(self, full_at_ns: u64, now_ns: u64) -> u64 {
        self.span_ns().saturating_sub(full_at_ns.saturating_sub(now_ns)) / self.interval_ns
    }
}

/// Kinds of rooms that may have a rate of their own.
pub const OWN_RATES: usize = 32;

/// A rate that a kind of rooms sets instead of the general one, and its bucket's place in an
/// [`Account`](super::Account).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRate {
    /// Which of an account's [`OWN_RATES`] buckets for kinds.
    pub at: usize,
    /// The rate.
    pub rate: Rate,
}
