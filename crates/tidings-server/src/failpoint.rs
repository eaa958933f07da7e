//! Places at which a test stops the process, or has it do what it must not.
//!
//! They are there with the feature `failpoints` alone, which nothing that is shipped is built with; then
//! the environment names them: `FAILPOINTS=after_commit:3:abort,unsynced` ends the process as it comes to
//! `after_commit` for the third time, as a crash would, and leaves out the flushes of the database. `hang`
//! stops the thread for good instead, `panic` panics, and `lose` loses what was about to be learned there.

/// A place is reached: what is armed for it happens.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(place: &str) {
    armed::reached(place);
}

/// A place is reached, and nothing happens.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn reached(_place: &str) {}

/// Whether what was about to be learned at a place is lost.
#[cfg(feature = "failpoints")]
pub(crate) fn is_lost(place: &str) -> bool {
    armed::is_lost(place)
}

/// Whether what was about to be learned at a place is lost: never.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn is_lost(_place: &str) -> bool {
    false
}

/// Whether a protection is switched off.
#[cfg(feature = "failpoints")]
pub fn is_off(protection: &str) -> bool {
    armed::POINTS.iter().any(|point| point.name == protection)
}

/// Whether a protection is switched off: never.
#[cfg(not(feature = "failpoints"))]
pub fn is_off(_protection: &str) -> bool {
    false
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) struct Point {
        pub(super) name: String,
        /// At which time it acts.
        at: u64,
        fails: Fails,
        times: AtomicU64,
    }

    enum Fails {
        Abort,
        Hang,
        Panic,
    }

    pub(super) static POINTS: LazyLock<Vec<Point>> = LazyLock::new(|| {
        let named = std::env::var("FAILPOINTS").unwrap_or_default();
        let points: Vec<_> = named.split(',').filter(|one| !one.is_empty()).map(point).collect();
        if !points.is_empty() {
            tracing::warn!(points = named, "this process is going to fail on purpose");
        }
        points
    });

    fn point(text: &str) -> Point {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().to_owned();
        let at = parts.next().and_then(|at| at.parse().ok()).unwrap_or(1);
        let fails = match parts.next() {
            Some("hang") => Fails::Hang,
            Some("panic") => Fails::Panic,
            _ => Fails::Abort,
        };
        Point { name, at, fails, times: AtomicU64::new(0) }
    }

    /// Once: what is tried again is learned.
    pub(super) fn is_lost(place: &str) -> bool {
        let mut here = POINTS.iter().filter(|point| point.name == place);
        here.any(|point| point.times.fetch_add(1, Ordering::SeqCst) + 1 == point.at)
    }

    pub(super) fn reached(place: &str) {
        for point in POINTS.iter().filter(|point| point.name == place) {
            if point.times.fetch_add(1, Ordering::SeqCst) + 1 < point.at {
                continue;
            }
            tracing::warn!(place, "the process fails here on purpose");
            match point.fails {
                Fails::Abort => std::process::abort(),
                Fails::Panic => panic!("on purpose"),
                Fails::Hang => loop {
                    std::thread::park();
                },
            }
        }
    }
}
