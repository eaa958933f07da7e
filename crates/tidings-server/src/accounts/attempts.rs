//! How often something may be tried, by whom it concerns.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tidings_core::{Code, Org, Refusal, lock};
use tidings_store::Digest;
use tidings_store::users::email_key;

/// Addresses that are remembered at once; then those that were counted longest ago are forgotten.
const REMEMBERED: usize = 50_000;

/// Counts by address, known or not: what is refused must not tell which accounts exist.
pub(crate) struct Attempts {
    most: u32,
    time: Duration,
    counted: Mutex<HashMap<Digest, Counted>>,
}

#[derive(Clone, Copy)]
struct Counted {
    times: u32,
    since: Instant,
}

/// Of whom is counted.
pub(crate) fn key(org: &Org, email: &str) -> Digest {
    Digest::of(format!("{}\0{}", org.as_str(), email_key(email)).as_bytes())
}

impl Attempts {
    /// `most` are free in `time`.
    pub(crate) fn new(most: u32, time: Duration) -> Self {
        Self { most, time, counted: Mutex::new(HashMap::new()) }
    }

    /// Whether there is still one free.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait.
    pub(crate) fn admit(&self, key: &Digest) -> Result<(), Refusal> {
        let counted = lock(&self.counted).get(key).copied();
        let left = |counted: Counted| self.time.saturating_sub(counted.since.elapsed());
        match counted.filter(|counted| counted.times >= self.most).map(left) {
            Some(left) if !left.is_zero() => {
                let refusal = Refusal::new(Code::RateLimited, "too many attempts; wait before the next");
                Err(Refusal { retry_after_ms: u32::try_from(left.as_millis()).ok(), ..refusal })
            }
            _ => Ok(()),
        }
    }

    /// Counts one. The time begins anew with each, so that it ends `time` after the last.
    pub(crate) fn count(&self, key: Digest) {
        let now = Instant::now();
        let mut counted = lock(&self.counted);
        if counted.len() >= REMEMBERED && !counted.contains_key(&key) {
            self.make_room(&mut counted);
        }
        let entry = counted.entry(key).or_insert(Counted { times: 0, since: now });
        if entry.since.elapsed() >= self.time {
            entry.times = 0;
        }
        *entry = Counted { times: entry.times.saturating_add(1), since: now };
    }

    /// Forgets what was counted.
    pub(crate) fn forget(&self, key: &Digest) {
        lock(&self.counted).remove(key);
    }

    /// Forgets what is over, and if that is not enough the older half.
    fn make_room(&self, counted: &mut HashMap<Digest, Counted>) {
        counted.retain(|_, one| one.since.elapsed() < self.time);
        if counted.len() >= REMEMBERED {
            let mut times: Vec<Instant> = counted.values().map(|one| one.since).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            counted.retain(|_, one| one.since > median);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn after_the_last_free_one_everybody_waits_known_or_not() {
        let attempts = Attempts::new(2, Duration::from_secs(60));
        let (ada, bob) = (key(&Org::default(), "Ada@x.y"), key(&Org::default(), "bob@x.y"));
        attempts.count(ada);
        assert!(attempts.admit(&ada).is_ok());
        attempts.count(key(&Org::default(), " ada@x.Y"));
        let refused = attempts.admit(&ada).unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert!((59_000..=60_000).contains(&refused.retry_after_ms.unwrap()));
        assert!(attempts.admit(&bob).is_ok());
        assert!(attempts.admit(&key(&Org::new("b"), "ada@x.y")).is_ok(), "another organisation's");
        attempts.forget(&ada);
        assert!(attempts.admit(&ada).is_ok());
    }

    #[test]
    fn a_count_ends_with_its_time() {
        let attempts = Attempts::new(1, Duration::ZERO);
        let ada = key(&Org::default(), "ada@x.y");
        attempts.count(ada);
        assert!(attempts.admit(&ada).is_ok());
    }

    #[test]
    fn a_full_memory_forgets_the_oldest() {
        let attempts = Attempts::new(1, Duration::from_secs(600));
        for number in 0..REMEMBERED + 1 {
            attempts.count(key(&Org::default(), &number.to_string()));
        }
        assert!(lock(&attempts.counted).len() <= REMEMBERED);
        assert!(attempts.admit(&key(&Org::default(), &REMEMBERED.to_string())).is_err());
        assert!(attempts.admit(&key(&Org::default(), "0")).is_ok());
    }
}
