//! Keys are read again in the background; no token makes it happen more often than it should.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidings_core::lock;
use tokio::sync::{Notify, watch};

use super::issuer::Issuer;

/// How often keys are read again, and how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshTimes {
    /// Between two fetches where the issuer does not say how long its keys are good.
    pub fetch: Duration,
    /// The least and the most that an issuer may say.
    pub good_for: (Duration, Duration),
    /// Between two readings of a file.
    pub file: Duration,
    /// After a failure; doubled with each further one up to `fetch`.
    pub retry: Duration,
    /// Between two fetches that tokens with an unknown key cause, all clients together.
    pub unknown: Duration,
    /// For one reading.
    pub most: Duration,
    /// Keys that could not be read again for so long are not believed any more.
    pub oldest: Duration,
}

impl Default for RefreshTimes {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            fetch: 10 * minute,
            good_for: (minute, 60 * minute),
            file: Duration::from_secs(30),
            retry: Duration::from_secs(30),
            unknown: Duration::from_secs(30),
            most: Duration::from_secs(5),
            oldest: 24 * 60 * minute,
        }
    }
}

/// How fresh an issuer's keys are, and who waits for fresher ones.
#[derive(Debug)]
pub(super) struct Freshness {
    /// Wakes the reader before its time.
    wake: Notify,
    /// An unknown key was seen and the reader has not yet looked.
    wanted: AtomicBool,
    /// When an unknown key last woke the reader.
    woken: Mutex<Option<Instant>>,
    /// Readings that are done.
    readings: watch::Sender<u64>,
    /// A background task reads.
    runs: AtomicBool,
    pub(super) good: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            wanted: AtomicBool::new(false),
            woken: Mutex::new(None),
            readings: watch::channel(0).0,
            runs: AtomicBool::new(false),
            good: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }
}

impl Freshness {
    /// Waits for at most one reading because of a key that is not known; `false`: there will be none.
    pub(super) async fn renewed(&self, times: &RefreshTimes) -> bool {
        if !self.runs.load(Ordering::Acquire) {
            return false;
        }
        let mut readings = self.readings.subscribe();
        if !self.want(times.unknown) {
            return false;
        }
        let looked = readings.wait_for(|_| !self.wanted.load(Ordering::Acquire));
        // A reading that began just before may have to end first.
        matches!(tokio::time::timeout(times.most * 2, looked).await, Ok(Ok(_)))
    }

    /// Asks for a reading, or joins those who have; `false` if that was done a moment ago.
    fn want(&self, pause: Duration) -> bool {
        let mut woken = lock(&self.woken);
        if self.wanted.load(Ordering::Acquire) {
            return true;
        }
        if woken.is_some_and(|at| at.elapsed() < pause) {
            return false;
        }
        *woken = Some(Instant::now());
        self.wanted.store(true, Ordering::Release);
        self.wake.notify_one();
        true
    }
}

/// Reads an issuer's keys again and again until told to stop.
pub(super) async fn keep_fresh(issuer: Arc<Issuer>, times: RefreshTimes, mut stop: watch::Receiver<bool>) {
    let Some(source) = &issuer.source else { return };
    let freshness = &issuer.freshness;
    freshness.runs.store(true, Ordering::Release);
    // A file was read at start; an address was not asked yet.
    let mut pause = if source.is_fetched() { Duration::ZERO } else { times.file };
    let mut failures = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = freshness.wake.notified() => {}
            _ = stop.changed() => break,
        }
        let wanted = freshness.wanted.load(Ordering::Acquire);
        let good_for = read(&issuer, &times, failures).await;
        failures = if good_for.is_some() { 0 } else { failures + 1 };
        pause = match good_for {
            Some(_) if !source.is_fetched() => times.file,
            Some(good_for) => good_for.unwrap_or(times.fetch).clamp(times.good_for.0, times.good_for.1),
            None => times.retry.saturating_mul(1 << (failures - 1).min(8)).min(times.fetch.max(times.retry)),
        };
        if wanted {
            freshness.wanted.store(false, Ordering::Release);
        }
        freshness.readings.send_modify(|readings| *readings += 1);
    }
    freshness.runs.store(false, Ordering::Release);
}

/// Reads once; `None` if that failed, else for how long the keys are good, if the issuer says so.
async fn read(issuer: &Issuer, times: &RefreshTimes, failures: u32) -> Option<Option<Duration>> {
    let source = issuer.source.as_ref()?;
    match source.read(times.most).await {
        Ok((keys, good_for)) => {
            issuer.freshness.good.fetch_add(1, Ordering::Relaxed);
            if failures > 0 {
                tracing::info!(issuer = issuer.name, "the issuer's keys can be read again");
            }
            issuer.replace(keys);
            Some(good_for)
        }
        Err(why) => {
            issuer.freshness.failed.fetch_add(1, Ordering::Relaxed);
            if failures == 0 {
                tracing::warn!(
                    issuer = issuer.name,
                    why,
                    "the issuer's keys cannot be read; the old ones stay"
                );
            }
            None
        }
    }
}
