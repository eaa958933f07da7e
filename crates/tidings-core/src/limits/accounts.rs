//! The accounts of one sort, by key; bounded.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex};

use hashbrown::HashMap;

use super::account::Account;
use crate::lock;

/// The accounts of one sort: of users, organisations, addresses or networks.
///
/// Bounded: where no more fit, those at rest are forgotten, which loses nothing; where none is at
/// rest, the newcomer is turned away ([`NoRoom`]), since an account that is forgotten while it is
/// in use would be a way around its limits.
#[derive(Debug)]
pub struct Accounts<K> {
    parts: Box<[Mutex<Part<K>>]>,
    hasher: foldhash::fast::RandomState,
    most_per_part: usize,
}

/// No account can be had: all there is room for are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many are at work")]
pub struct NoRoom;

#[derive(Debug)]
struct Part<K> {
    accounts: HashMap<K, Arc<Account>, foldhash::fast::RandomState>,
    /// When those at rest may be looked for again.
    next_sweep_ns: u64,
}

/// Threads seldom meet at one lock.
const PARTS: usize = 64;

/// A full part is looked through this often at most: looking must not be dearer than what asks.
const SWEEP_NS: u64 = 1_000_000_000;

impl<K: Hash + Eq> Accounts<K> {
    /// Room for about `most` accounts.
    pub fn new(most: usize) -> Self {
        let part = || Mutex::new(Part { accounts: HashMap::default(), next_sweep_ns: 0 });
        Self {
            parts: (0..PARTS).map(|_| part()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            most_per_part: most.div_ceil(PARTS).max(1),
        }
    }

    /// The account of a key, made if there is none.
    ///
    /// It is not forgotten while the answer is held.
    ///
    /// # Errors
    /// [`NoRoom`] for a new key where all accounts are in use.
    pub fn account(&self, key: K, now_ns: u64) -> Result<Arc<Account>, NoRoom> {
        let part = self.hasher.hash_one(&key) as usize % PARTS;
        let mut part = lock(&self.parts[part]);
        if let Some(account) = part.accounts.get(&key) {
            return Ok(account.clone());
        }
        if part.accounts.len() >= self.most_per_part {
            part.make_room(now_ns);
        }
        if part.accounts.len() >= self.most_per_part {
            return Err(NoRoom);
        }
        Ok(part.accounts.entry(key).or_default().clone())
    }

    /// Forgets accounts at rest.
    pub fn sweep(&self, now_ns: u64) {
        for part in &self.parts {
            let mut part = lock(part);
            part.forget(now_ns);
            let left = part.accounts.len();
            part.accounts.shrink_to(left * 2);
        }
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| lock(part).accounts.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Hash + Eq> Part<K> {
    fn make_room(&mut self, now_ns: u64) {
        if now_ns >= self.next_sweep_ns {
            self.next_sweep_ns = now_ns.saturating_add(SWEEP_NS);
            self.forget(now_ns);
        }
    }

    fn forget(&mut self, now_ns: u64) {
        // One that somebody holds may be used in a moment.
        self.accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_at_rest(now_ns));
    }
}
