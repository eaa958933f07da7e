//! What all threads of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidings_core::shard::{Counters, Step};
use tidings_core::{Identity, Lane, Node};
use tidings_wire::CloseReason;

use crate::accounts::Accounts;
use crate::accounts::keys::StoredKeys;
use crate::admin::Admin;
use crate::admin::delivery::{Beats, DEAD_MS};
use crate::admin::latency::Latency;
use crate::apps::Apps;
use crate::audit::Audit;
use crate::beside::{Beside, Deaths};
use crate::client::Handler;
use crate::comeback::Comebacks;
use crate::durable::Log;
use crate::gate::Gate;
use crate::hooks::Hooks;
use crate::ledger::Ledger;
use crate::presence;
use crate::receipts::Receipts;
use crate::records::Records;
use crate::server::Extras;
use crate::settings::Settings;
use crate::shard::inbox::{Inbox, Mail};
use crate::shard::rounds::Errand;
use crate::signin::{ApiKeys, SignIn};
use crate::subscriptions::Subscriptions;

/// What all threads of a server share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) node: Arc<Node>,
    pub(crate) sign_in: Arc<SignIn>,
    /// The team's own backend, if anything is left to it.
    pub(crate) hooks: Option<Hooks>,
    /// From here on the milliseconds of shards and of kept answers are counted.
    pub(crate) started: Instant,
    /// When that was, in milliseconds since 1970.
    began_ms: AtomicU64,
    /// Limits of rate and count.
    pub(crate) gate: Gate,
    /// The identity of clients without a token.
    pub(crate) anonymous: Arc<Identity>,
    /// The mailbox of each shard.
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    /// What each shard has counted.
    pub(crate) counts: Vec<Counts>,
    /// Who lets clients in and answers their events, if code is mounted for that.
    pub(crate) handler: Option<Arc<dyn Handler>>,
    /// The mounted apps.
    pub(crate) apps: Apps,
    /// Who keeps the keys of other programs.
    pub(crate) api_keys: Option<Arc<dyn ApiKeys>>,
    /// The same where they are in the store, for administrators.
    pub(crate) stored_keys: Option<Arc<StoredKeys>>,
    /// People who sign in here; none without a store, or if they are switched off.
    pub(crate) accounts: Option<Arc<Accounts>>,
    /// Only the mounted handler answers events, but for `ping`.
    pub(crate) handler_only: bool,
    /// Accounts, keys and the audit log.
    pub(crate) records: Option<Records>,
    /// Where what happened is noted.
    pub(crate) audit: Arc<Audit>,
    /// Where durable rooms are kept, if they can be.
    pub(crate) log: Option<Log>,
    /// Where sessions are kept that outlive this process, if they are.
    pub(crate) comebacks: Option<Comebacks>,
    /// Which recipients have acknowledged what.
    pub(crate) receipts: Arc<Receipts>,
    /// Rooms that users want to be in whenever they are connected.
    pub(crate) subscriptions: Subscriptions,
    /// Where sessions are written down, if they are.
    pub(crate) ledger: Option<Ledger>,
    /// What was told of who is there.
    pub(crate) presence_told: presence::Told,
    /// Who is in large rooms that keep no roster, for those who ask at once.
    pub(crate) walks: presence::Walks,
    /// What administrators ask.
    pub(crate) admin: Admin,
    /// Which tasks have died.
    pub(crate) deaths: Arc<Deaths>,
    pub(crate) front: tokio::runtime::Handle,
    /// It does not take anybody in any more.
    pub(crate) draining: AtomicBool,
    closes: [AtomicU64; CloseReason::ALL.len()],
}

impl Shared {
    /// Has to be called on the front's runtime.
    #[expect(clippy::too_many_arguments, reason = "called once, by the server's start")]
    pub(crate) fn new(
        settings: Arc<Settings>,
        node: Arc<Node>,
        sign_in: Arc<SignIn>,
        hooks: Option<Hooks>,
        gate: Gate,
        inboxes: Vec<Arc<Inbox>>,
        audit: Arc<Audit>,
        extras: &Extras,
        beside: &Beside,
    ) -> Self {
        let stored_keys = extras.store.clone().map(|store| Arc::new(StoredKeys::new(store)));
        let of_store = || stored_keys.clone().map(|keys| keys as Arc<dyn ApiKeys>);
        let api_keys = extras.api_keys.clone().or_else(of_store);
        let comebacks = extras.store.clone().filter(|_| settings.stores_sessions).map(|store| {
            let window = Duration::from_millis(settings.window_ms);
            let comebacks = Comebacks::start(store, node.clone(), window, beside);
            let notes = comebacks.clone();
            node.tell_first_heard(move |room| notes.spoke(room));
            comebacks
        });
        let (store, bounds) = (extras.store.clone(), settings.receipts.clone());
        let most = bounds.subscriptions_per_user;
        let receipts = Receipts::new(node.clone(), inboxes.clone(), store, audit.clone(), bounds);
        Self {
            settings,
            node: node.clone(),
            sign_in,
            hooks,
            started: Instant::now(),
            began_ms: AtomicU64::new(wall_ms()),
            gate,
            anonymous: Arc::new(Identity::anonymous()),
            counts: inboxes.iter().map(|_| Counts::default()).collect(),
            inboxes,
            handler: extras.handler.clone(),
            apps: Apps::default(),
            api_keys,
            stored_keys,
            accounts: None,
            handler_only: extras.conformance,
            records: extras.store.clone().map(Records::new),
            audit,
            log: extras.store.clone().map(|store| Log::start(store, node, beside)),
            comebacks,
            subscriptions: Subscriptions::start(extras.store.clone(), most, beside),
            receipts,
            ledger: None,
            admin: Admin::default(),
            deaths: beside.deaths(),
            presence_told: presence::Told::default(),
            walks: presence::Walks::default(),
            front: tokio::runtime::Handle::current(),
            draining: AtomicBool::new(false),
            closes: Default::default(),
        }
    }

    /// The shard with the fewest connections, of those that are alive.
    pub(crate) fn least_loaded(&self) -> usize {
        let now_ms = self.uptime_ms();
        let load = |at: &usize| {
            let counts = &self.counts[*at];
            let is_dead = counts.beats.silent_ms(now_ms) >= DEAD_MS;
            let connections =
                counts.connections.load(Ordering::Relaxed) + counts.coming.load(Ordering::Relaxed);
            (is_dead, connections)
        };
        (0..self.inboxes.len()).min_by_key(load).unwrap_or(0)
    }

    /// Sends every shard on an errand.
    pub(crate) fn send_errand(&self, errand: impl Fn() -> Errand) {
        self.inboxes.iter().for_each(|inbox| inbox.push(Mail::Errand(errand())));
    }

    /// Counts a close by its reason.
    pub(crate) fn closed(&self, reason: CloseReason) {
        if let Some(at) = CloseReason::ALL.iter().position(|known| *known == reason) {
            self.closes[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each reason has closed a connection.
    pub(crate) fn closes(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        CloseReason::ALL
            .into_iter()
            .zip(&self.closes)
            .map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
    }

    /// Milliseconds since the server started.
    pub(crate) fn uptime_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// A time of the shards' clock in milliseconds since 1970, the same whenever it is asked for.
    pub(crate) fn wall_of(&self, at_ms: u64) -> u64 {
        let began_ms =
            began(self.began_ms.load(Ordering::Relaxed), wall_ms().saturating_sub(self.uptime_ms()));
        self.began_ms.store(began_ms, Ordering::Relaxed);
        began_ms.saturating_add(at_ms)
    }
}

/// One shard's numbers, as other threads may read them.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicUsize,
    /// Sessions whose keys name it and that have left their first connection.
    pub(crate) sessions: AtomicUsize,
    /// Sockets handed over and not yet taken.
    pub(crate) coming: AtomicUsize,
    delivered: AtomicU64,
    writes: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    taken: AtomicU64,
    /// How long measured publications took to the sockets.
    pub(crate) latency: Latency,
    /// Whether it answers.
    pub(crate) beats: Beats,
    /// The number by which the system knows its thread; 0: not known.
    pub(crate) thread: AtomicU64,
    dropped_by_lane: [AtomicU64; Lane::ALL.len()],
    steps: [AtomicU64; Step::ALL.len()],
}

impl Counts {
    /// Publishes a shard's own counters.
    pub(crate) fn publish(&self, counters: &Counters) {
        self.delivered.store(counters.delivered, Ordering::Relaxed);
        self.writes.store(counters.writes, Ordering::Relaxed);
        self.bytes.store(counters.bytes, Ordering::Relaxed);
        self.dropped.store(counters.dropped, Ordering::Relaxed);
        self.taken.store(counters.taken, Ordering::Relaxed);
        store(&self.dropped_by_lane, &counters.dropped_by_lane);
        store(&self.steps, &counters.steps);
    }

    /// The shard's counters as they were last published.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            delivered: self.delivered.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            dropped_by_lane: std::array::from_fn(|at| self.dropped_by_lane[at].load(Ordering::Relaxed)),
            steps: std::array::from_fn(|at| self.steps[at].load(Ordering::Relaxed)),
        }
    }
}

fn store(into: &[AtomicU64], values: &[u64]) {
    for (into, value) in into.iter().zip(values) {
        into.store(*value, Ordering::Relaxed);
    }
}

/// When the server began, as it was taken to be and as two clocks say now: they are read one after the other and round
/// each for itself, so a little between them is nothing. More is a clock that was set.
fn began(known_ms: u64, now_ms: u64) -> u64 {
    if known_ms.abs_diff(now_ms) > CLOCKS_APART_MS { now_ms } else { known_ms }
}

/// Two clocks that run apart by more than that tell another time.
const CLOCKS_APART_MS: u64 = 1_000;

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::began;

    #[test]
    fn two_clocks_that_round_for_themselves_tell_one_time_and_one_that_was_set_is_followed() {
        let began_ms = 1_700_000_000_000;
        for waver in [-1_000, -1, 0, 1, 1_000] {
            assert_eq!(began(began_ms, began_ms.saturating_add_signed(waver)), began_ms, "{waver}");
        }
        for set in [-3_600_000, -1_001, 1_001, 3_600_000] {
            let now_ms = began_ms.saturating_add_signed(set);
            assert_eq!(began(began_ms, now_ms), now_ms, "{set}");
        }
    }
}
