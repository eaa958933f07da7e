//! What waits in memory for somebody to come back, once, within a time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tidings_core::{Code, Refusal, lock};
use tidings_store::Digest;

/// A bounded number of things that wait; one more is refused, since dropping another would end its sign-in.
pub(super) struct Pending<T> {
    most: usize,
    time: Duration,
    waiting: Mutex<HashMap<Digest, (Instant, T)>>,
}

impl<T> Pending<T> {
    pub(super) fn new(most: usize, time: Duration) -> Self {
        Self { most, time, waiting: Mutex::new(HashMap::new()) }
    }

    /// Lets something wait under the digest of a secret.
    ///
    /// # Errors
    /// `unavailable` if too much waits.
    pub(super) fn put(&self, key: Digest, what: T) -> Result<(), Refusal> {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= self.most {
            waiting.retain(|_, (since, _)| since.elapsed() < self.time);
        }
        if waiting.len() >= self.most {
            return Err(Refusal::new(Code::Unavailable, "too many sign in now"));
        }
        waiting.insert(key, (Instant::now(), what));
        Ok(())
    }

    /// Takes what waits, so that nobody gets it twice; what is over is not there.
    pub(super) fn take(&self, key: &Digest) -> Option<T> {
        let (since, what) = lock(&self.waiting).remove(key)?;
        (since.elapsed() < self.time).then_some(what)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_waits_is_taken_once_and_in_time() {
        let pending = Pending::new(2, Duration::from_secs(60));
        let key = |number: u8| Digest::of(&[number]);
        pending.put(key(1), 1).unwrap();
        pending.put(key(2), 2).unwrap();
        assert_eq!(pending.put(key(3), 3).unwrap_err().code, Code::Unavailable);
        assert_eq!((pending.take(&key(1)), pending.take(&key(1))), (Some(1), None));
        pending.put(key(3), 3).unwrap();
        let over = Pending::new(1, Duration::ZERO);
        over.put(key(1), 1).unwrap();
        over.put(key(2), 2).unwrap();
        assert_eq!(over.take(&key(2)), None);
    }
}
