//! The limits of rate and count of a server, and what everybody has used up of them.
//!
//! One [`Gate`] for all threads. It decides and counts; what a refusal looks like is up to the
//! door: an HTTP answer before the 101, an answer to a command, a close.

mod bounds;
mod descriptors;
mod door;
mod limit;
mod memory;
mod standing;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_core::limits::{Account, Accounts, NoRoom, Occupancy, SharedBucket, Wait, network_of};
use tidings_core::{Code, Org, Refusal, UserKey};

use crate::audit::{Action, Audit, Entry};
use crate::config::Config;
pub(crate) use bounds::Bounds;
pub(crate) use door::{Arrival, Visit};
pub(crate) use limit::Limit;
use limit::Refusals;
pub(crate) use memory::taken;
use memory::{Level, Pressure};
pub(crate) use standing::Standing;

/// The limits of rate and count, and what everybody has used up of them.
pub(crate) struct Gate {
    /// `None`: `--no-limits`, nothing is counted.
    bounds: Option<Bounds>,
    started: Instant,
    /// Connections, and sockets that are not or not yet one.
    connections: Arc<Occupancy>,
    opening: Arc<Occupancy>,
    /// Who has not signed in.
    strangers: Arc<Occupancy>,
    accepts: SharedBucket,
    users: Accounts<UserKey>,
    orgs: Accounts<Org>,
    addresses: Accounts<IpAddr>,
    networks: Accounts<u64>,
    pressure: Pressure,
    refusals: Refusals,
    audit: Arc<Audit>,
}

/// Users, organisations, addresses and IPv6 networks that are known at once, each.
///
/// An account takes about 200 bytes, and is forgotten a minute after its last use, or once it may make all its rooms again.
const ACCOUNTS: usize = 1 << 18;

/// Accounts at rest are forgotten this often, and rooms nobody needs.
pub(crate) const SWEEP: Duration = Duration::from_secs(10);

/// The memory is looked at this often.
pub(crate) const MEMORY: Duration = Duration::from_secs(1);

impl Gate {
    pub(crate) fn new(config: &Config, audit: Arc<Audit>) -> Self {
        let gate = Self {
            bounds: (!config.no_limits).then(|| Bounds::new(config)),
            started: Instant::now(),
            connections: Arc::default(),
            opening: Arc::default(),
            strangers: Arc::default(),
            accepts: SharedBucket::default(),
            users: Accounts::new(ACCOUNTS),
            orgs: Accounts::new(ACCOUNTS),
            addresses: Accounts::new(ACCOUNTS),
            networks: Accounts::new(ACCOUNTS),
            pressure: Pressure::default(),
            refusals: Refusals::default(),
            audit,
        };
        gate.read_memory();
        gate
    }

    /// What is allowed; `None`: everything.
    pub(crate) fn bounds(&self) -> Option<&Bounds> {
        self.bounds.as_ref()
    }

    /// The time as buckets see it, the same for all threads.
    pub(crate) fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// How long the next socket has to wait until it is accepted.
    ///
    /// Those who come too fast are not refused: they wait in the kernel's queue.
    pub(crate) fn before_accept(&self) -> Option<Duration> {
        let bounds = self.bounds()?;
        let wait = self.accepts.take(bounds.accepts, self.now_ns()).err()?;
        self.note(Limit::Accepts, None);
        Some(Duration::from_nanos(wait.0))
    }

    /// Takes one HTTP request of an address; what is left, where it is limited.
    ///
    /// # Errors
    /// [`Code::RateLimited`] with the time to wait.
    pub(crate) fn request(&self, address: IpAddr) -> Result<Option<Budget>, Refusal> {
        let Some(bounds) = self.bounds() else { return Ok(None) };
        let account = self.rated(address).map_err(|full| self.no_room(full))?;
        let now_ns = self.now_ns();
        match account.requests.take(bounds.requests, now_ns) {
            Ok(left) => Ok(Some(Budget {
                limit: bounds.requests.burst(),
                left,
                full_in: Duration::from_nanos(account.requests.full_in_ns(now_ns)),
            })),
            Err(wait) => Err(self.refuse(Limit::Requests, Some(address), wait)),
        }
    }

    /// Gives a request back that was a server's: those are counted by what they publish.
    pub(crate) fn give_back_request(&self, address: IpAddr) {
        if let (Some(bounds), Ok(account)) = (self.bounds(), self.rated(address)) {
            account.requests.give_back(bounds.requests);
        }
    }

    /// Whether somebody at this address may try to sign in.
    ///
    /// # Errors
    /// [`Code::RateLimited`] while too many of its sign-ins were wrong.
    pub(crate) fn may_sign_in(&self, address: IpAddr) -> Result<(), Refusal> {
        if self.bounds.is_none() {
            return Ok(());
        }
        let account = self.rated(address).map_err(|full| self.no_room(full))?;
        account.may_sign_in(self.now_ns()).map_err(|wait| self.refuse(Limit::SignIn, Some(address), wait))
    }

    /// Counts a sign-in that was refused, if its token or password was wrong.
    ///
    /// An expired token was a good one: its bearer guesses nothing.
    pub(crate) fn sign_in_failed(&self, address: IpAddr, code: Code) {
        if code == Code::Unauthorized
            && let (Some(bounds), Ok(account)) = (self.bounds(), self.rated(address))
        {
            account.failed(bounds.failures, bounds.bar_ns, self.now_ns());
        }
    }

    /// Looks how close the process is to its cap of memory.
    pub(crate) fn read_memory(&self) {
        if let Some(bounds) = self.bounds() {
            let level = self.pressure.read(bounds.memory);
            tracing::trace!(?level, "memory");
        }
    }

    /// Refuses what the memory that is left does not allow.
    fn has_memory(&self, level: Level) -> Result<(), Refusal> {
        if self.pressure.is_at_least(level) {
            return Err(self.refuse_count(Limit::Memory, None));
        }
        Ok(())
    }

    /// Whether what was said before may be read: answers take memory as publishes do.
    ///
    /// # Errors
    /// [`Code::Unavailable`] without memory for more.
    pub(crate) fn may_read_back(&self) -> Result<(), Refusal> {
        self.has_memory(Level::Full)
    }

    /// Forgets accounts at rest.
    pub(crate) fn sweep(&self) {
        let now_ns = self.now_ns();
        self.users.sweep(now_ns);
        self.orgs.sweep(now_ns);
        self.addresses.sweep(now_ns);
        self.networks.sweep(now_ns);
    }

    /// How often each limit has refused somebody.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Limit, u64)> {
        self.refusals.counts()
    }

    /// What is there at once, by name.
    pub(crate) fn occupancy(&self) -> [(&'static str, usize); 7] {
        [
            ("connections", self.connections.count()),
            ("opening", self.opening.count()),
            ("unauthenticated", self.strangers.count()),
            ("users", self.users.len()),
            ("organisations", self.orgs.len()),
            ("addresses", self.addresses.len()),
            ("networks", self.networks.len()),
        ]
    }

    /// The account by which an address' rates are counted: its network's for IPv6.
    fn rated(&self, address: IpAddr) -> Result<Arc<Account>, NoRoom> {
        let now_ns = self.now_ns();
        match network_of(address) {
            Some(network) => self.networks.account(network, now_ns),
            None => self.addresses.account(address, now_ns),
        }
    }

    /// A refusal for coming too often, counted.
    pub(crate) fn refuse(&self, limit: Limit, address: Option<IpAddr>, wait: Wait) -> Refusal {
        self.note(limit, address);
        Refusal::too_often(limit.sentence(), wait)
    }

    /// A refusal for being too many, counted.
    fn refuse_count(&self, limit: Limit, address: Option<IpAddr>) -> Refusal {
        self.note(limit, address);
        Self::too_many(limit)
    }

    /// What somebody is told who is one too many.
    pub(crate) fn too_many(limit: Limit) -> Refusal {
        Refusal { retry_after_ms: Some(COUNT_RETRY_MS), ..Refusal::new(limit.code(), limit.sentence()) }
    }

    fn no_room(&self, full: NoRoom) -> Refusal {
        tracing::trace!(%full, "an account");
        self.refuse_count(Limit::Accounts, None)
    }

    /// Counts a refusal; some of them are logged and audited.
    pub(crate) fn note(&self, limit: Limit, address: Option<IpAddr>) {
        let from = |entry: Entry| match address {
            Some(address) => entry.because(limit.label()).from(address),
            None => entry.because(limit.label()),
        };
        if limit == Limit::SignIn {
            // Whoever is kept out still tries; the detector of threats counts on.
            self.audit.note(from(Entry::refused(Action::TokenRefused)));
        }
        if let Some(refused) = self.refusals.count(limit, self.now_ns()) {
            self.audit
                .note(from(Entry::refused(Action::LimitBreach).with(format!("{{\"count\":{refused}}}"))));
            let address = address.map(tracing::field::display);
            tracing::warn!(limit = limit.label(), address, refused, "a limit was reached");
        }
    }
}

/// Nobody knows when another will leave: who is one too many is told to try again so much later.
const COUNT_RETRY_MS: u32 = 5_000;

/// What is left of a budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// How many there are at most.
    pub(crate) limit: u64,
    /// How many more pass now.
    pub(crate) left: u64,
    /// Until nothing of it is used up.
    pub(crate) full_in: Duration,
}
