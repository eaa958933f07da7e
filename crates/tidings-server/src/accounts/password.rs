//! Slow hashes of passwords, few at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use argon2::password_hash::Error;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tidings_core::{Code, Refusal};
use tokio::sync::Semaphore;

/// Memory in KiB, passes and lanes (OWASP Password Storage Cheat Sheet: 19 MiB, 2, 1).
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Passwords that wait for their turn; more are refused as `unavailable`.
const QUEUE: usize = 64;

/// Hashes and checks passwords on threads that may take their time: one for each core.
pub(crate) struct Passwords {
    queue: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    looked_at: Arc<AtomicU64>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let turns = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            queue: Arc::new(Semaphore::new(turns + QUEUE)),
            turns: Arc::new(Semaphore::new(turns)),
            looked_at: Arc::default(),
        }
    }

    /// Passwords that were hashed to be compared, right or wrong, of somebody or nobody.
    pub(crate) fn looked_at(&self) -> u64 {
        self.looked_at.load(Ordering::Relaxed)
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// `unavailable` if too many wait.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Refusal> {
        self.run(move || hash(&password)).await?.map_err(super::unavailable)
    }

    /// Checks a password; without a hash it takes as long and is wrong.
    ///
    /// # Errors
    /// `unavailable` if too many wait.
    pub(crate) async fn is_right(&self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        let looked_at = self.looked_at.clone();
        let look = move || {
            let outcome = compared(&password, hash.as_deref());
            looked_at.fetch_add(outcome.is_some().into(), Ordering::Relaxed);
            outcome.unwrap_or(false)
        };
        self.run(look).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let busy = |_| Refusal {
            retry_after_ms: Some(1_000),
            ..Refusal::new(Code::Unavailable, "too many sign in now")
        };
        let place = self.queue.clone().try_acquire_owned().map_err(|_| busy(()))?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| busy(()))?;
        // Both go along: whoever asked may be gone before the hash is done, and it still takes a core.
        let worked = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        });
        worked.await.map_err(super::unavailable)
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password with a salt of its own, in PHC form. It takes tens of milliseconds and 19 MiB.
///
/// # Errors
/// A sentence; the system has no randomness to give.
pub fn hash(password: &str) -> Result<String, String> {
    let hash = argon2().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Hashes a password and compares; `None` if what is kept is no hash, which takes no time.
fn compared(password: &str, hash: Option<&str>) -> Option<bool> {
    let kept = match hash {
        Some(hash) => hash,
        None => nobody(),
    };
    match argon2().verify_password(password.as_bytes(), kept) {
        Ok(()) => Some(hash.is_some()),
        Err(Error::PasswordInvalid) => Some(false),
        Err(_) => None,
    }
}

/// A hash that is nobody's, for addresses nobody has: checking it takes as long, making it takes nothing.
fn nobody() -> &'static str {
    static NOBODY: OnceLock<String> = OnceLock::new();
    NOBODY.get_or_init(|| {
        let (salt, hash) = ("A".repeat(22), "A".repeat(43));
        format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_hash_is_argon2id_with_19_mib_and_two_passes_and_its_own_salt() {
        let (one, two) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
        assert_eq!(compared("correct horse", Some(&one)), Some(true));
        assert_eq!(compared("correct house", Some(&one)), Some(false));
    }

    #[test]
    fn nobodys_password_is_never_right_and_is_hashed_all_the_same() {
        assert_eq!(compared("whatever", None), Some(false));
        // A hash that cannot be read is refused as such, without any work.
        assert_eq!((compared("", Some("")), compared("x", Some("no hash"))), (None, None));
    }

    #[tokio::test]
    async fn more_than_can_wait_are_refused_at_once() {
        let passwords = Arc::new(Passwords::new());
        let all = passwords.turns.available_permits() as u32;
        let held = passwords.turns.clone().acquire_many_owned(all).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..all as usize + QUEUE {
            let passwords = passwords.clone();
            waiting.push(tokio::spawn(async move { passwords.run(|| ()).await }));
        }
        while passwords.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.run(|| ()).await.unwrap_err().code, Code::Unavailable);
        drop(held);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        passwords.run(|| ()).await.unwrap();
    }
}
