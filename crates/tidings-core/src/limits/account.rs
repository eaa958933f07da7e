//! What one user, organisation, address or network has used up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::SharedBucket;
use super::occupancy::Occupancy;
use super::rate::{OWN_RATES, OwnRate, Rate, Wait};

/// What one user, organisation, address or network has used up.
///
/// One type for all of them: which parts are used depends on whose account it is. An account that
/// is at rest says the same as none, so it may be forgotten.
#[derive(Debug, Default)]
pub struct Account {
    /// Connections: WebSockets and polling sessions.
    pub connections: Occupancy,
    /// Sockets that are not yet a connection, or carry requests only.
    pub opening: Occupancy,
    /// Connections and sockets that have not signed in or not spoken yet.
    pub strangers: Occupancy,
    /// Messages said on connections.
    pub messages: SharedBucket,
    /// Those of clients at this address that have not signed in, as one user's.
    pub strangers_messages: SharedBucket,
    /// Publishes and commands of apps.
    pub publishes: SharedBucket,
    /// The same, of a server's token.
    pub server_publishes: SharedBucket,
    /// Rooms that were not there before.
    pub rooms: SharedBucket,
    /// HTTP requests.
    pub requests: SharedBucket,
    /// Tokens and passwords that were wrong.
    failures: SharedBucket,
    /// Until when nobody signs in, in nanoseconds; 0: nobody is kept out.
    barred_until_ns: AtomicU64,
    /// Publishes to kinds of rooms with a rate of their own; made when one is first used.
    kinds: OnceLock<Box<[SharedBucket]>>,
}

impl Account {
    /// The bucket of a kind of rooms with its own rate.
    pub fn of_kind(&self, own: OwnRate) -> &SharedBucket {
        let buckets = self.kinds.get_or_init(|| (0..OWN_RATES).map(|_| SharedBucket::default()).collect());
        buckets.get(own.at).unwrap_or(&self.publishes)
    }

    /// Notes that a sign-in failed; the one that uses the rate up bars the account for `bar_ns`.
    ///
    /// Whether it has.
    pub fn failed(&self, rate: Rate, bar_ns: u64, now_ns: u64) -> bool {
        let used_up = !matches!(self.failures.take(rate, now_ns), Ok(1..));
        if used_up {
            self.barred_until_ns.store(now_ns.saturating_add(bar_ns), Ordering::Relaxed);
        }
        used_up
    }

    /// How long nobody signs in.
    ///
    /// # Errors
    /// The time that is left.
    pub fn may_sign_in(&self, now_ns: u64) -> Result<(), Wait> {
        match self.barred_until_ns.load(Ordering::Relaxed).checked_sub(now_ns) {
            None | Some(0) => Ok(()),
            Some(left) => Err(Wait(left)),
        }
    }

    /// Whether it says no more than no account at all would.
    pub fn is_at_rest(&self, now_ns: u64) -> bool {
        let buckets = [
            &self.messages,
            &self.strangers_messages,
            &self.publishes,
            &self.server_publishes,
            &self.rooms,
            &self.requests,
            &self.failures,
        ];
        let kinds = self.kinds.get().into_iter().flat_map(|kinds| kinds.iter());
        self.connections.count() == 0
            && self.opening.count() == 0
            && self.strangers.count() == 0
            && self.may_sign_in(now_ns).is_ok()
            && buckets.into_iter().chain(kinds).all(|bucket| bucket.is_full(now_ns))
    }
}
