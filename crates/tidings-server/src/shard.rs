//! A shard's thread: sockets, timers and mail around the core's plain shard.

mod admin_ui;
mod apps;
pub(crate) mod busy;
mod catch_up;
pub(crate) mod census;
mod closing;
mod comeback;
mod command;
mod entry;
mod expiry;
pub(crate) mod explained;
mod gaps;
mod handled;
pub(crate) mod inbox;
mod kept;
mod ladder;
mod lane;
mod link;
pub(crate) mod listed;
mod mail;
mod mailbox;
mod meter;
mod owing;
mod persistent;
mod plain;
pub(crate) mod polling;
mod present;
mod read;
pub(crate) mod recovery;
mod renewal;
pub(crate) mod rounds;
pub(crate) mod sent_out;
mod sessions;
mod socketio;
mod subscribe;
mod timers;
mod tracking;
pub(crate) mod walk;
mod wheel;
mod written;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use tidings_core::limits::Wait;
use tidings_core::{ConnKey, Node, Shard};

use crate::admin::rates::own_thread;
use crate::gate::Limit;
use crate::ids::Entropy;
use crate::settings::Settings;
use crate::shared::Shared;
pub(crate) use command::{AckTo, position};
pub(crate) use socketio::Admission;
pub(crate) use written::{write_position, write_published, write_remaining};

use closing::Lingering;
use inbox::Inbox;
use kept::CarriedOut;
use link::Links;
use owing::Owing;
use persistent::Persistent;
use recovery::Sessions;
use rounds::Rounds;
use tidings_app::registry::Snapshot;
use wheel::Wheel;

/// The token of the waker; connections use their slot, lingering sockets the range above.
const WAKER: Token = Token(usize::MAX);
const LINGERING: usize = 1 << 40;

/// After so many sends of big rooms a shard lets reads and small rooms run.
const SENDS_PER_TURN: usize = 512;

/// After so many letters of one turn what they led to is sent.
const LETTERS: usize = 256;

/// A hundredth of what one send costs.
const GRACE_PER_MEMBER: Duration = Duration::from_nanos(30);

/// Bytes one read may bring; shared by all connections of the shard.
const READ_BYTES: usize = 64 * 1024;

/// A shard's thread.
pub(crate) struct ShardLoop {
    shard: Shard,
    links: Links,
    wheel: Wheel,
    poll: Poll,
    inbox: Arc<Inbox>,
    node: Arc<Node>,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    sessions: Sessions,
    lingering: Lingering,
    entropy: Entropy,
    started: Instant,
    now_ms: u64,
    /// The time as limits see it, read once a turn.
    now_ns: u64,
    /// Why the message at hand is too much, if it is.
    over: Option<(Limit, Wait)>,
    read_buffer: Vec<u8>,
    /// Connections that may have more to read than one turn takes.
    unread: Vec<(ConnKey, bool)>,
    /// Connections that catch up from the log in some room.
    catching_up: Vec<ConnKey>,
    /// Connections whose commands wait for the front.
    laned: Vec<ConnKey>,
    /// The command that is being carried out after it waited.
    carried: Option<CarriedOut>,
    /// How the room stands that is joined by it, from its app.
    snapshot: Option<Box<Snapshot>>,
    /// Acknowledgements its clients owe for tracked messages.
    owing: Owing,
    /// Subscriptions that are kept for its clients' users.
    persistent: Persistent,
    /// Scratch for the timers that fire.
    fired: Vec<ConnKey>,
    /// When slow clients and kept sessions are looked at next.
    sweep_ms: u64,
    /// Scratch for the text of one packet and for the members of one answer.
    packet: Vec<u8>,
    body: Vec<u8>,
    /// Since when the next run waits for more events.
    fresh_since: Option<Instant>,
    /// A beat that is answered when this turn has been sent.
    beat: Option<u64>,
    /// Walks over all connections.
    rounds: Rounds,
    /// When the next connection whose token is over may be closed, in microseconds of the shard.
    expiry_free_us: u64,
    /// The server is going away: nobody is taken in any more.
    draining: bool,
    /// When each connection has to leave, the last one first.
    leaving: Vec<(u64, ConnKey)>,
    /// Who waits for an answer then is closed all the same.
    leave_by_ms: u64,
    running: bool,
}

impl ShardLoop {
    /// A shard's thread, not yet running.
    pub(crate) fn new(poll: Poll, inbox: Arc<Inbox>, index: usize, shared: Arc<Shared>) -> Self {
        let (settings, started) = (shared.settings.clone(), shared.started);
        let mut shard = Shard::new(index, settings.namespaces.clone(), settings.queue);
        if let Some(recorder) = shared.node.recorder() {
            shard.trace_with(recorder.clock(), settings.recorded_per_shard);
        }
        Self {
            shard,
            links: Links::default(),
            wheel: Wheel::new(0),
            poll,
            inbox,
            node: shared.node.clone(),
            sessions: Sessions::new(settings.sessions_per_shard, settings.window_ms),
            settings,
            shared,
            lingering: Lingering::default(),
            entropy: Entropy::default(),
            started,
            now_ms: 0,
            now_ns: 0,
            over: None,
            read_buffer: vec![0; READ_BYTES],
            unread: Vec::new(),
            catching_up: Vec::new(),
            laned: Vec::new(),
            carried: None,
            snapshot: None,
            owing: Owing::default(),
            persistent: Persistent::default(),
            fired: Vec::new(),
            sweep_ms: 0,
            packet: Vec::new(),
            body: Vec::new(),
            fresh_since: None,
            beat: None,
            rounds: Rounds::default(),
            expiry_free_us: 0,
            draining: false,
            leaving: Vec::new(),
            leave_by_ms: 0,
            running: true,
        }
    }

    /// Runs until it is stopped.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut mail = Vec::new();
        self.shared.counts[self.shard.index()].thread.store(own_thread(), Ordering::Relaxed);
        while self.running {
            self.wait(&mut events);
            self.tick();
            for event in &events {
                self.ready(event);
            }
            self.reread();
            let refused = self.inbox.take(&mut mail);
            for (at, letter) in mail.drain(..).enumerate() {
                self.receive(letter);
                if at % LETTERS == LETTERS - 1 {
                    // A burst must not fill the outboxes of those who keep up.
                    self.shard.flush(&mut self.links, 0);
                }
            }
            if refused {
                self.shard.look_back();
            }
            self.timers();
            self.walk();
            self.dispatch_lanes();
            self.read_on();
            let sends = self.sends();
            self.shard.flush(&mut self.links, sends);
            self.after_flush();
            if sends == 0 {
                std::thread::yield_now();
            }
        }
    }

    /// How many sends of big rooms this turn may make.
    ///
    /// Events that come one by one from other threads would each be sent by itself, if the first
    /// began at once. It waits for the others a hundredth of the time its own sends will take.
    fn sends(&mut self) -> usize {
        let Some(members) = self.shard.fresh_run() else {
            self.fresh_since = None;
            return SENDS_PER_TURN;
        };
        let since = self.fresh_since.get_or_insert_with(Instant::now);
        let grace = GRACE_PER_MEMBER * members as u32;
        if since.elapsed() < grace { 0 } else { SENDS_PER_TURN }
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, events: &mut Events) {
        let left = !self.unread.is_empty() || !self.rounds.is_empty() || self.has_pages_to_send();
        let at_work = left || self.shard.has_work();
        let busy = at_work || !self.inbox.sleep();
        let timeout = if busy {
            Duration::ZERO
        } else {
            Duration::from_millis(self.next_ms().saturating_sub(self.elapsed_ms()).max(1))
        };
        if let Err(error) = self.poll.poll(events, Some(timeout))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "a shard cannot wait for its sockets");
        }
        self.inbox.wakes();
    }

    /// When something is due by the clock.
    fn next_ms(&self) -> u64 {
        // Without connections, kept sessions and closed sockets there is nothing to sweep.
        let idle = self.shard.is_empty() && self.sessions.is_empty() && self.lingering.is_empty();
        let sweep = if idle { u64::MAX } else { self.sweep_ms };
        let leave = self.leaving.last().map_or(u64::MAX, |(at_ms, _)| *at_ms);
        let timers = self.wheel.next_ms().unwrap_or(u64::MAX);
        let gathered = self.shard.gathered_due_ms().unwrap_or(u64::MAX);
        timers.min(sweep).min(leave).min(gathered).min(self.now_ms + 60_000)
    }

    fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn tick(&mut self) {
        self.now_ms = self.elapsed_ms();
        self.now_ns = self.shared.gate.now_ns();
        self.shard.tick(self.now_ms);
    }

    fn ready(&mut self, event: &mio::event::Event) {
        let token = event.token().0;
        if token == WAKER.0 {
            return;
        }
        if token >= LINGERING {
            return self.lingering.ready(token - LINGERING);
        }
        let slot = token as u32;
        let Some(key) = self.links.key(slot) else { return };
        if event.is_writable() {
            self.shard.writable(slot);
        }
        let ended = event.is_read_closed() || event.is_error();
        if event.is_readable() || ended {
            self.readable(key, ended);
        }
    }

    fn after_flush(&mut self) {
        self.go_on_with_drained();
        // Closing one may overflow others, to whom what it left unsettled now falls.
        loop {
            let overflowed = self.shard.take_overflowed();
            if overflowed.is_empty() {
                break;
            }
            for key in overflowed {
                self.close(key, tidings_wire::CloseReason::TooSlow);
            }
        }
        self.note_sent();
        let counts = &self.shared.counts[self.shard.index()];
        counts.connections.store(self.shard.len(), Ordering::Relaxed);
        counts.sessions.store(self.sessions.known(), Ordering::Relaxed);
        counts.publish(&self.shard.counters);
        if let Some(number) = self.beat.take() {
            counts.beats.answer(number);
        }
        self.shard.take_timed().for_each(|handed| counts.latency.note(handed.elapsed()));
    }
}

/// The token under which a waker for a shard's poll is registered.
pub(crate) fn waker(poll: &Poll) -> std::io::Result<mio::Waker> {
    mio::Waker::new(poll.registry(), WAKER)
}
