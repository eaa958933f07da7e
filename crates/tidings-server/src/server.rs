//! A server: listeners, shards, and the way out.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidings_app::App;
use tidings_core::{Hub, Node, Org, Payload, Presence, Publish, Recorder, Refusal, Room};
use tidings_store::audit::AuditEntry;
use tidings_store::{Store, StoreError};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;

use crate::accounts::mail::{MailSender, Outbox, ToTheLog};
use crate::accounts::oidc::Oidc;
use crate::accounts::set_up::SetUp;
use crate::accounts::{Accounts, Rules};
use crate::admin::{Admin, pulse};
use crate::apps::{self, Backing};
use crate::audit::{Action, Actor, Audit, Entry, Noted, Writer, Writing};
use crate::beside::{Beside, Without};
use crate::carried;
use crate::client::Handler;
use crate::config::Config;
use crate::durable::{self, Said};
use crate::failpoint;
use crate::front::{Accepting, Administration, Door, Front, TestDoors};
use crate::gate::{self, Gate};
use crate::ids::Entropy;
use crate::ledger::Ledger;
use crate::listeners::{Listener, Listeners};
use crate::live::{self, Live};
use crate::plan::{Parts, Plan};
use crate::presence;
use crate::settings::{Footing, Settings};
use crate::shard::inbox::{Inbox, Mail, ShardPost};
use crate::shard::{self, ShardLoop};
use crate::shared::{Shared, wall_ms};
use crate::signin::{ApiKeys, SignIn};
use crate::threats::{self, Detector, Threat};

/// A running server.
pub struct Server {
    addr: SocketAddr,
    ws_addr: Option<SocketAddr>,
    admin_addr: Option<SocketAddr>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    accepting: Vec<Accepting>,
    beside: Beside,
    writing: Writing,
    drain: Duration,
}

/// What a server is given besides its configuration.
#[derive(Default)]
pub struct Extras {
    /// Answers events that are not the engine's own.
    pub handler: Option<Arc<dyn Handler>>,
    /// The apps, mounted in this order.
    pub apps: Vec<App<axum::Router>>,
    /// Who keeps the keys of other programs; none: no key is taken.
    pub api_keys: Option<Arc<dyn ApiKeys>>,
    /// Only the handler answers, but for `ping`; raw endpoints for conformance suites exist.
    pub conformance: bool,
    /// Accounts, keys and the audit log; without one the server is not ready only while it drains.
    pub store: Option<Store>,
    /// What happened before the server was there to note it, such as a secret that was made.
    pub happened: Vec<Entry>,
    /// What makes its reader the first administrator.
    pub set_up: Option<SetUp>,
    /// Who sends mail to people with accounts; none: it is written to the log.
    pub mail: Option<Arc<dyn MailSender>>,
    /// Socket.IO handshakes are answered so much later (conformance suites).
    pub handshake_delay: Duration,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}{}", hint(error, flag))]
    Listen {
        /// As it is configured.
        address: String,
        /// The flag that names another one, with its dashes.
        flag: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// A listener's thread could not be made.
    #[error("cannot accept connections: {0}")]
    Accept(io::Error),
    /// A thread or a poll could not be made.
    #[error("cannot start a shard: {0}")]
    Shard(io::Error),
    /// The tables of an app cannot be brought to their shape.
    #[error("cannot prepare the tables of the apps: {0}")]
    Apps(StoreError),
    /// What the server before has left could not be read: found later it would be old.
    #[error("cannot read what the server before has left: {0}")]
    Carried(StoreError),
    /// The revocations could not be read: without them people would be let in who must not.
    #[error("cannot read the revocations: {0}")]
    Revocations(StoreError),
}

/// What may help: only a port that is taken says that somebody else has it.
fn hint(error: &io::Error, flag: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("; is another server there? `{flag}` names another port"),
        _ => String::new(),
    }
}

impl Server {
    /// Starts a server; `config.auth.jwt_secret` has to be resolved.
    ///
    /// # Errors
    /// [`StartError`] says which part of the configuration cannot be used.
    pub async fn start(config: &Config, mut extras: Extras) -> Result<Self, StartError> {
        let listeners = Listeners::open(config)?;
        let (addr, ws_addr, admin_addr) = (listeners.addr(), listeners.ws_addr(), listeners.admin_addr());
        let footing = Footing { loopback: listeners.loopback(), stored: extras.store.is_some() };
        let base = format!("http://{addr}");
        let plan = Plan::of(config, std::mem::take(&mut extras.apps), footing, &base)?;
        let Plan { config, routes, proxies, origins, parts } = plan;
        let (config, loopback) = (&config, parts.loopback);
        if let Some(store) = extras.store.as_ref().filter(|_| !parts.apps.is_empty()) {
            parts.apps.migrate(store).await.map_err(StartError::Apps)?;
        }
        if !loopback && !origins.knows_a_name() {
            tracing::warn!(
                "no browser page may connect: neither accounts.public_url nor allow_origin names one"
            );
        }
        let (audit, noted) = new_audit(config);
        let mut beside = Beside::new();
        let kept = extras.store.clone().filter(|_| config.database.session_days > 0);
        let node = format!("{}:{}", node_name(), addr.port());
        let ledger = kept.map(|store| Ledger::start(store, node, &beside));
        let outbox = Arc::new(Outbox::default());
        let keepers = Keepers { outbox: outbox.clone(), ledger };
        let (shared, threads) = start_shards(config, &extras, &audit, keepers, parts, &beside)?;
        shared.apps.bind(Arc::new(Backing(Arc::downgrade(&shared))));

        let mut revocations = 0;
        if let Some(records) = &shared.records {
            durable::know_logs(&shared.node, &records.store).await.map_err(StartError::Carried)?;
            carried::take(&shared.node, &records.store).await.map_err(StartError::Carried)?;
            live::load(&shared, &records.store, &mut revocations).await.map_err(StartError::Revocations)?;
        }

        let tests = TestDoors { open: extras.conformance, handshake_delay: extras.handshake_delay };
        // An administrators' listener on loopback is not where a proxy leads to.
        let administration = Administration {
            apart: admin_addr.is_some(),
            guarded: admin_addr.map_or(!loopback, |addr| !addr.ip().is_loopback()),
        };
        let routes = routes.make(&shared.apps);
        let front = Front::new(shared.clone(), origins, proxies, administration, tests, routes);
        let accept = |Listener { socket, purpose, .. }| {
            Accepting::start(socket, Door::new(front.clone(), purpose)).map_err(StartError::Accept)
        };
        let accepting = listeners.all().map(accept).collect::<Result<Vec<_>, _>>()?;
        let stopped = beside.stopped();
        for task in shared.sign_in.readers(&stopped) {
            beside.run("issuer_keys", Without::Degraded, task);
        }
        if shared.records.is_some() {
            let following = live::follow(shared.clone(), revocations, stopped.clone());
            beside.run("revocations", Without::Unready, following);
        }
        let telling = tell_threats(shared.clone(), noted.threats, stopped.clone());
        beside.run("threats", Without::Degraded, telling);
        if let Some(accounts) = &shared.accounts {
            let sender = extras.mail.clone().unwrap_or_else(|| Arc::new(ToTheLog));
            let sending = outbox.run(accounts.store.clone(), sender, stopped.clone());
            beside.run("mail", Without::Degraded, sending);
        }
        if shared.log.is_some() {
            let trimming = durable::keep_trimmed(shared.clone(), stopped.clone());
            beside.run("log_trim", Without::Degraded, trimming);
        }
        beside.run("presence", Without::Unready, presence::tell(shared.clone(), stopped.clone()));
        if shared.node.presence().times().keeps_seen {
            let days = config.presence.last_seen_days;
            let keeping = presence::keep_seen(shared.clone(), days, stopped.clone());
            beside.run("last_seen", Without::Degraded, keeping);
        }
        apps::start(&shared, &mut beside);
        beside.run("sweep", Without::Degraded, sweep(shared.clone(), stopped.clone()));
        beside.run("paces", Without::Unready, keep_pace(shared.clone(), stopped.clone()));
        beside.run("figures", Without::Degraded, pulse::keep(shared.clone(), stopped.clone()));
        beside.run("memory", Without::Degraded, watch_memory(shared.clone(), stopped));
        let writing = start_writing(config, &audit, noted.entries, extras.store.clone(), &beside);
        extras.happened.into_iter().for_each(|entry| audit.note(entry));
        audit.note(Entry::ok(Action::Start).by(Actor::System).on(addr.to_string()));
        let drain = Duration::from_secs(config.drain.seconds);
        Ok(Self { addr, ws_addr, admin_addr, shared, threads, accepting, beside, writing, drain })
    }

    /// The address of the main listener.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the listener for the plain protocol, if there is one.
    pub fn ws_addr(&self) -> Option<SocketAddr> {
        self.ws_addr
    }

    /// The address of the listener for administrators, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// A handle through which this process itself publishes.
    pub fn publisher(&self) -> Publisher {
        Publisher(self.shared.clone())
    }

    /// Says that a user's rights have changed: what the backend said of it is asked for anew.
    pub fn forget(&self, org: &Org, user: &str) {
        self.shared.node.forget(org, user);
    }

    /// Where what happened is noted.
    pub fn audit(&self) -> &Audit {
        &self.shared.audit
    }

    /// A handle to change who may do what while they are connected.
    pub fn live(&self) -> Live {
        Live::new(self.shared.clone())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.counts.iter().map(|counts| counts.connections.load(Ordering::Relaxed)).sum()
    }

    /// Leaves: takes nobody in any more, closes connections one after the other so that they do
    /// not all come back at once, stops, and leaves what is in memory alone to the next process.
    ///
    /// The listeners stay open until then: a client over polling asks on a new connection each time, and has to
    /// hear that it is over. Who is new is refused.
    ///
    /// Small servers are done in a moment; large ones take the whole drain time.
    pub async fn drain(self) {
        if failpoint::is_off("drain") {
            return self.stop().await;
        }
        let hands_on = !failpoint::is_off("hand_on");
        self.shared.draining.store(true, Ordering::SeqCst);
        self.beside.tell();
        // What is held back stands in the mailboxes before the word to leave.
        self.shared.node.lift_paces(wall_ms());
        let budget = self.drain.min(PER_CONNECTION * self.connections() as u32);
        for inbox in &self.shared.inboxes {
            inbox.push(Mail::Drain(budget.as_millis() as u64));
        }
        let deadline = Instant::now() + budget + LEAVING;
        while self.connections() > 0 && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
        // The last have been told, and what they said meanwhile is answered.
        tokio::time::sleep(LOOK).await;
        self.end(hands_on).await;
    }

    /// Stops at once; what is in memory alone is gone.
    pub async fn stop(self) {
        self.end(false).await;
    }

    async fn end(mut self, hands_on: bool) {
        self.accepting.clear();
        self.beside.tell();
        for inbox in &self.shared.inboxes {
            inbox.push(Mail::Stop);
        }
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a shard panicked");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the shards could not be waited for");
        }
        // Whoever owns the store may close it behind this: nobody is to ask it then.
        self.beside.end(LEAVING).await;
        self.shared.receipts.finish().await;
        if let Some(log) = &self.shared.log {
            log.finish().await;
        }
        if hands_on {
            carried::leave(&self.shared).await;
        }
        if let Some(comebacks) = &self.shared.comebacks {
            comebacks.finish().await;
        }
        if let Some(ledger) = &self.shared.ledger {
            ledger.finish().await;
        }
        presence::write_seen(&self.shared).await;
        self.shared.audit.note(Entry::ok(Action::Stop).by(Actor::System));
        self.writing.end().await;
    }
}

/// What the last connection may take beyond the drain time: its notice, and the answer it waits for.
const LEAVING: Duration = Duration::from_secs(3);

/// How often is looked whether the last has left.
const LOOK: Duration = Duration::from_millis(20);

/// With fewer connections than fill the drain time at this pace, leaving is shorter.
const PER_CONNECTION: Duration = Duration::from_millis(10);

/// Publishes for the process itself, without asking for rights.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

impl Publisher {
    /// How many events this process has stored in the log.
    pub fn events_stored(&self) -> u64 {
        self.0.log.as_ref().map_or(0, |log| log.stored.load(Ordering::Relaxed))
    }

    /// Whether an older copy has taken the database's place while this process ran.
    pub fn has_moved_back(&self) -> bool {
        self.0.log.as_ref().is_some_and(|log| log.health.has_moved_back())
    }

    /// Publishes an event with JSON data in the default organisation's room.
    ///
    /// # Errors
    /// [`Refusal`] if the room's kind does not exist or the data is no JSON.
    pub fn publish(&self, room: &str, event: &str, json: String) -> Result<(), Refusal> {
        self.publish_payload(room, event, Payload::json(json))
    }

    /// The same with binary in the data.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub fn publish_payload(&self, room: &str, event: &str, payload: Payload) -> Result<(), Refusal> {
        let limits = &self.0.settings.limits;
        let org = tidings_core::Org::default();
        let bad = |text: &str| Refusal::new(tidings_core::Code::BadRequest, text);
        let room = Room::new(&org, room, limits.room_name_bytes).map_err(|error| bad(&error.to_string()))?;
        tidings_wire::json::check(payload.text(), limits.json_depth)
            .map_err(|violation| bad(violation.detail))?;
        let what = Publish::new(room, event, payload);
        let kinds = self.0.node.kinds();
        if !kinds.spec(&what.room)?.keep.is_durable() {
            return self.0.node.publish(what, None, wall_ms()).map(drop);
        }
        let (shared, said) = (self.0.clone(), Said::of(&what));
        self.0.front.spawn(async move {
            if let Err(refusal) = shared.store_own(said).await
                && !shared.is_over()
            {
                tracing::warn!(%refusal, "an event of the server's own could not be stored");
            }
        });
        Ok(())
    }
}

/// What happens is noted from here on, and written once the server has started.
fn new_audit(config: &Config) -> (Arc<Audit>, Noted) {
    let detector = Detector::new(&config.threats);
    let (audit, noted) = Audit::new(&node_name(), config.audit.sample_every, detector);
    (Arc::new(audit), noted)
}

fn start_writing(
    config: &Config,
    audit: &Arc<Audit>,
    entries: Receiver<AuditEntry>,
    store: Option<Store>,
    beside: &Beside,
) -> Writing {
    let retention = (config.audit.retention_days > 0)
        .then(|| Duration::from_secs(config.audit.retention_days.saturating_mul(24 * 3_600)));
    Writer::start(audit.clone(), entries, store, retention, beside)
}

async fn tell_threats(shared: Arc<Shared>, told: Receiver<Threat>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = threats::tell(shared, told) => {}
        _ = stop.changed() => {}
    }
}

/// The machine's name, by which several nodes are told apart in one audit log.
pub fn node_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    if name.is_empty() { "unnamed".into() } else { name }
}

/// What writes down who is connected, and what is mailed to people.
struct Keepers {
    outbox: Arc<Outbox>,
    ledger: Option<Ledger>,
}

/// The accounts, if there is a store for them and they are not switched off.
fn accounts(
    config: &Config,
    extras: &Extras,
    audit: &Arc<Audit>,
    outbox: Arc<Outbox>,
    (sign_in, rules, oidc): (Arc<SignIn>, Rules, Oidc),
) -> Option<Arc<Accounts>> {
    let store = extras.store.clone().filter(|_| config.accounts.enabled)?;
    let accounts = Accounts::new(store, sign_in, audit.clone(), rules, outbox, oidc);
    let mut accounts = accounts.with_set_up(extras.set_up.clone());
    accounts.sends_mail = extras.mail.is_some();
    Some(Arc::new(accounts))
}

fn start_shards(
    config: &Config,
    extras: &Extras,
    audit: &Arc<Audit>,
    keepers: Keepers,
    parts: Parts,
    beside: &Beside,
) -> Result<(Arc<Shared>, Vec<JoinHandle<()>>), StartError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = if config.shards == 0 { cores } else { config.shards }.clamp(1, tidings_core::hub::SHARDS);
    let Parts { apps, sign_in, kinds, hooks, rules, oidc, loopback } = parts;
    let settings = Arc::new(Settings::new(config, count, loopback, extras.handler.is_some()));
    let (mut polls, mut inboxes) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let poll = mio::Poll::new().map_err(StartError::Shard)?;
        inboxes.push(Arc::new(Inbox::new(shard::waker(&poll).map_err(StartError::Shard)?)));
        polls.push(poll);
    }
    let posts = inboxes.iter().map(|inbox| Box::new(ShardPost(inbox.clone())) as Box<dyn tidings_core::Post>);
    let gate = Gate::new(config, audit.clone());
    let rooms = if config.no_limits { usize::MAX } else { config.limits.rooms_per_org };
    let hub = Hub::new(posts.collect()).with_rooms_per_org(rooms);
    let times = presence::times(config, extras.conformance, extras.store.is_some());
    let recorder = (config.recorder.events > 0).then(|| Recorder::new(config.recorder.events.div_ceil(2)));
    let node = Node::new(hub, kinds, Entropy::default().secret() as u64)
        .with_presence(Presence::new(times))
        .with_recorder(recorder);
    let accounts = accounts(config, extras, audit, keepers.outbox, (sign_in.clone(), rules, oidc));
    let mut shared =
        Shared::new(settings, Arc::new(node), sign_in, hooks, gate, inboxes, audit.clone(), extras, beside);
    shared.ledger = keepers.ledger;
    shared.accounts = accounts;
    shared.admin = Admin::new(config);
    shared.apps = apps;
    let shared = Arc::new(shared);
    let mut threads = Vec::new();
    for (index, poll) in polls.into_iter().enumerate() {
        let shared = shared.clone();
        let (started, starts) = mpsc::channel();
        let run = move || {
            let inbox = shared.inboxes[index].clone();
            let shard = ShardLoop::new(poll, inbox, index, shared);
            // The starter waits only to learn that the thread lives.
            let _ = started.send(());
            shard.run();
        };
        let name = format!("shard-{index}");
        threads.push(std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Shard)?);
        starts.recv().map_err(|_| StartError::Shard(io::Error::other("the thread ended")))?;
    }
    Ok((shared, threads))
}

/// Forgets rooms nobody needs and accounts at rest.
async fn sweep(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(gate::SWEEP) => {}
            _ = stop.changed() => return,
        }
        let rooms = shared.node.sweep(wall_ms());
        shared.node.presence().sweep(shared.uptime_ms());
        shared.walks.sweep(shared.uptime_ms());
        shared.sign_in.revoked().remove_ended(wall_ms() / 1_000);
        shared.gate.sweep();
        shared.receipts.sweep();
        tracing::trace!(rooms, "swept");
    }
}

/// Publishes what has waited for the pace of its room.
async fn keep_pace(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let held = Arc::new(tokio::sync::Notify::new());
    let wake = held.clone();
    shared.node.on_held(move || wake.notify_one());
    loop {
        let due_ms = shared.node.release(wall_ms());
        let wait =
            due_ms.map_or(PACE_REST, |due| Duration::from_millis(due.saturating_sub(wall_ms()).max(1)));
        tokio::select! {
            () = tokio::time::sleep(wait.min(PACE_REST)) => {}
            () = held.notified() => {}
            _ = stop.changed() => return,
        }
    }
}

/// What is due is looked at this often, should the clock have been put back.
const PACE_REST: Duration = Duration::from_secs(1);

/// Reads how much memory is used, from time to time.
async fn watch_memory(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(gate::MEMORY) => {}
            _ = stop.changed() => return,
        }
        shared.gate.read_memory();
    }
}
