//! Rooms, members and dirty connections of one thread.

mod ahead;
mod attending;
mod flush;
mod gathered;
mod lag;
mod look_back;
mod members;
mod run;
mod traced;
mod tracked;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hashbrown::HashMap;
use slab::Slab;

use crate::frame::{self, Form, Namespaces};
use crate::hub::Entry;
use crate::lane::Lane;
use crate::outbox::{Item, NO_ROOM, Outbox, Pushed, QueueLimits};
use crate::publication::{MessageId, Position, Publication};
use crate::recorder::Trace;
use crate::room::Room;

pub use ahead::InLog;
use attending::Attending;
pub use flush::{Sent, Sink};
use gathered::Waiting;
use lag::Lag;
pub use lag::{Caught, Lost, Step};
pub use members::{Filter, Left};
use members::{LocalRoom, Membership};
use run::Run;
pub use tracked::Reached;

/// Rooms, members and dirty connections of one thread: plain data, no locks, no I/O.
///
/// Driven in turns: `join`, `leave`, `take` and `reply` only note what is to be sent, then
/// [`Shard::flush`] writes once per dirty connection. A publication to a big room is not pushed to
/// its members at all but kept as a *run* that goes round them: the events under way are gathered once and
/// the same bytes go to every member. Whatever would disturb that order (a member that comes or
/// goes, a connection that is behind) turns the run into ordinary outbox items first.
pub struct Shard {
    index: usize,
    conns: Slab<Conn>,
    generation: u32,
    rooms: HashMap<Room, u32, foldhash::fast::RandomState>,
    local: Slab<LocalRoom>,
    runs: VecDeque<Run>,
    hot: Vec<u32>,
    limits: QueueLimits,
    namespaces: Arc<Namespaces>,
    now_ms: u64,
    attending: Attending,
    /// Connections in whose outboxes events wait for others.
    gathered: gathered::Queue,
    overflowed: Vec<ConnKey>,
    /// Connections that were behind and have little left to be sent.
    drained: Vec<ConnKey>,
    scratch: Vec<u8>,
    replays: Replays,
    /// Whom publications that ask for acknowledgement went to, until the caller takes note.
    reached: Vec<Reached>,
    /// When measured publications were handed over that are flushed with this turn.
    timed: Vec<Instant>,
    /// What is noted of its connections; `None`: nothing.
    trace: Option<Box<Trace>>,
    /// What happened so far; read by metrics.
    pub counters: Counters,
}

/// What happened on a shard since it started.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counters {
    /// Messages handed to sockets.
    pub delivered: u64,
    /// Writes it took.
    pub writes: u64,
    /// Bytes handed to sockets.
    pub bytes: u64,
    /// Volatile messages dropped for slow connections.
    pub dropped: u64,
    /// Publications taken.
    pub taken: u64,
    /// Of the dropped ones, those of each lane, in the order of [`Lane::ALL`].
    pub dropped_by_lane: [u64; Lane::ALL.len()],
    /// How often each step was taken against slow connections, in the order of [`Step::ALL`].
    pub steps: [u64; Step::ALL.len()],
}

/// A connection on its shard: the slot, and a generation that tells reuses apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnKey {
    /// The slot.
    pub slot: u32,
    /// Differs for every connection the slot ever held.
    pub generation: u32,
}

#[derive(Debug)]
struct Conn {
    generation: u32,
    /// It is on the list of connections to flush.
    dirty: bool,
    /// Its socket takes nothing until it is writable again.
    blocked: bool,
    /// Something it is owed did not fit: nothing may follow, since that would hide the hole.
    overflowed: bool,
    /// Recorded events are not pushed to it: it has to catch up first.
    paused: bool,
    outbox: Outbox,
    /// What of it waits for more to come.
    waiting: Waiting,
    /// What it was spared, and how far it is; `None` for one that keeps up.
    lag: Option<Box<Lag>>,
    memberships: Vec<Membership>,
    /// The last recorded event that went out whole.
    flushed: u64,
    /// When it came, as a moment of the recorder.
    came: u64,
    /// Nothing older than this moment of the recorder waits; 0: nothing waits.
    stuck: u64,
}

/// More measured publications in one turn are not told.
const TIMED: usize = 1_024;

/// From this many members on, a room's publications are gathered as a run.
const RUN_FROM_MEMBERS: usize = 32;

impl Shard {
    /// The shard of this index, without connections.
    pub fn new(index: usize, namespaces: Arc<Namespaces>, limits: QueueLimits) -> Self {
        Self {
            index,
            conns: Slab::new(),
            generation: 0,
            rooms: HashMap::default(),
            local: Slab::new(),
            runs: VecDeque::new(),
            hot: Vec::new(),
            limits,
            namespaces,
            now_ms: 0,
            attending: Attending::default(),
            gathered: gathered::Queue::default(),
            overflowed: Vec::new(),
            drained: Vec::new(),
            scratch: Vec::new(),
            replays: Replays::default(),
            reached: Vec::new(),
            timed: Vec::new(),
            trace: None,
            counters: Counters::default(),
        }
    }

    /// Sets the time of this turn, in milliseconds of the caller's monotonic clock.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        if let Some(trace) = &mut self.trace {
            trace.turn();
        }
    }

    /// Takes in a connection.
    pub fn open(&mut self) -> ConnKey {
        self.generation = self.generation.wrapping_add(1);
        let came = self.moment();
        let slot = self.conns.insert(Conn {
            generation: self.generation,
            dirty: false,
            blocked: false,
            overflowed: false,
            paused: false,
            outbox: Outbox::default(),
            waiting: Waiting::default(),
            lag: None,
            memberships: Vec::new(),
            flushed: 0,
            came,
            stuck: 0,
        });
        ConnKey { slot: slot as u32, generation: self.generation }
    }

    /// Whether this very connection is still here.
    pub fn holds(&self, key: ConnKey) -> bool {
        self.conns.get(key.slot as usize).is_some_and(|conn| conn.generation == key.generation)
    }

    /// Lets a connection go; it must have left its rooms ([`Shard::leave_all`]).
    pub fn close(&mut self, key: ConnKey) {
        if self.holds(key) {
            self.conns.remove(key.slot as usize);
            self.attending.forget(key.slot);
        }
    }

    /// Which of the node's shards it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many connections are here.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether no connection is here.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// The namespaces its members speak through.
    pub fn namespaces(&self) -> &Arc<Namespaces> {
        &self.namespaces
    }

    /// Takes a publication for the members this shard has.
    pub fn take(&mut self, publication: &Arc<Publication>) {
        self.counters.taken += 1;
        if publication.ack.is_some() {
            return self.take_tracked(publication);
        }
        let Some(&room) = self.rooms.get(&publication.room) else { return };
        if publication.position.is_some() {
            self.settle_recorded(room);
        }
        let local = &self.local[room as usize];
        let plain_fan_out = publication.skip.is_none() && local.catching_up.is_empty() && local.choosy == 0;
        if publication.position.is_some()
            && let Some(gather) = self.gather_of(room)
        {
            // How long it is meant to wait is nothing that a measurement should find.
            self.settle_room(room);
            self.push_to_members(room, publication, Some(gather));
        } else if plain_fan_out && local.members.len() >= RUN_FROM_MEMBERS {
            self.add_to_run(room, publication);
        } else {
            self.settle_room(room);
            self.push_to_members(room, publication, None);
            self.note_timed(publication.timed);
        }
    }

    /// When those of the measured publications were handed over that have left since the last call, as far as
    /// sockets took them; of a big room's each is told when its last member was written to.
    pub fn take_timed(&mut self) -> std::vec::Drain<'_, Instant> {
        self.timed.drain(..)
    }

    fn note_timed(&mut self, timed: impl IntoIterator<Item = Instant>) {
        let left = TIMED.saturating_sub(self.timed.len());
        self.timed.extend(timed.into_iter().take(left));
    }

    /// Writes a reply into a connection's outbox.
    pub fn reply(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(conn) = self.conns.get_mut(slot as usize).filter(|conn| !conn.overflowed) else { return };
        let pushed = conn.outbox.reply(&self.limits, write);
        mark(&mut self.hot, conn, slot);
        if pushed != Pushed::Queued {
            self.note_loss(slot, pushed, NO_ROOM, Lane::Normal, 0);
        }
    }

    /// Sends one recorded event to one connection, as part of what it missed.
    ///
    /// The bytes are kept for a while: many who come back at once have missed the same. Without
    /// the offset of recovery in its form the event does not count for [`Shard::flushed`]: it may
    /// be newer than events of other rooms that are still on their way here.
    pub fn replay(&mut self, slot: u32, publication: &Publication, form: Form) {
        let bytes = self.replays.get(publication, form, &self.namespaces);
        let Some(conn) = self.conns.get_mut(slot as usize).filter(|conn| !conn.overflowed) else { return };
        let sequence = if form.offset { publication.sequence } else { 0 };
        let item = Item { bytes, messages: 1, room: NO_ROOM, sequence, subject: 0, volatile: false };
        conn.outbox.replay(item);
        mark(&mut self.hot, conn, slot);
    }

    /// Adds an item to a connection's outbox.
    pub fn push(&mut self, slot: u32, item: Item, lane: Lane) {
        let Some(conn) = self.conns.get_mut(slot as usize).filter(|conn| !conn.overflowed) else { return };
        let (room, messages) = (item.room, item.messages);
        let pushed = conn.outbox.push(item, lane, &self.limits, self.now_ms);
        mark(&mut self.hot, conn, slot);
        if pushed != Pushed::Queued {
            self.note_loss(slot, pushed, room, lane, messages);
        }
    }

    /// Connections whose outbox overflowed since the last call; they have to be closed.
    ///
    /// What waited before goes out, and nothing that comes after: it would follow a hole.
    pub fn take_overflowed(&mut self) -> Vec<ConnKey> {
        std::mem::take(&mut self.overflowed)
    }

    /// Connections that have been over half full for longer than `lag_ms`.
    pub fn laggards(&self, lag_ms: u64) -> Vec<ConnKey> {
        let lags = |conn: &Conn| {
            conn.outbox.lagging_since().is_some_and(|since| self.now_ms.saturating_sub(since) >= lag_ms)
        };
        let slow = self.conns.iter().filter(|(_, conn)| conn.blocked && lags(conn));
        slow.map(|(slot, conn)| ConnKey { slot: slot as u32, generation: conn.generation }).collect()
    }

    /// Drops the volatile messages that wait for a connection.
    ///
    /// Lanes order them around recorded events and replies; without them a reply comes after everything
    /// that was pushed before it.
    pub fn drop_volatile(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let dropped = conn.outbox.drop_volatile();
        self.note_skips(slot, &dropped);
    }

    /// The last recorded event that went out whole to a connection.
    pub fn flushed(&self, slot: u32) -> u64 {
        self.conns.get(slot as usize).map_or(0, |conn| conn.flushed)
    }

    /// What is left of the message to a connection whose begin has been sent.
    pub fn unfinished(&self, slot: u32) -> &[u8] {
        self.conns.get(slot as usize).map_or(&[], |conn| conn.outbox.unfinished())
    }

    /// Says which recorded event a connection has heard before it came.
    pub fn set_flushed(&mut self, slot: u32, sequence: u64) {
        if let Some(conn) = self.conns.get_mut(slot as usize) {
            conn.flushed = sequence;
        }
    }

    /// Bytes of what a connection missed that wait for it.
    pub fn owed(&self, slot: u32) -> usize {
        self.conns.get(slot as usize).map_or(0, |conn| conn.outbox.owed())
    }

    /// Bytes that wait for a connection.
    pub fn waiting(&self, slot: u32) -> usize {
        self.conns.get(slot as usize).map_or(0, |conn| conn.outbox.bytes())
    }

    /// Messages that wait for a connection.
    pub fn messages_waiting(&self, slot: u32) -> usize {
        self.conns.get(slot as usize).map_or(0, |conn| conn.outbox.messages())
    }

    /// Whether everything a room has heard here was handed to a connection's socket.
    pub fn is_all_sent(&self, slot: u32, room: &Room) -> bool {
        let Some(&room) = self.rooms.get(room) else { return false };
        let empty = self.conns.get(slot as usize).is_some_and(|conn| conn.outbox.is_empty());
        empty && !self.is_behind(slot) && !self.runs.iter().any(|run| run.room == room)
    }

    /// The place of the last recorded event of a room that was taken here.
    pub fn last_taken(&self, room: &Room) -> Option<Position> {
        self.rooms.get(room).and_then(|&at| self.local[at as usize].last)
    }

    /// The entry of a room that has members here.
    pub fn entry(&self, room: &Room) -> Option<&Arc<Entry>> {
        self.rooms.get(room).map(|&at| &self.local[at as usize].entry)
    }
}

/// Puts a connection on the list of those to flush, once.
fn mark(hot: &mut Vec<u32>, conn: &mut Conn, slot: u32) {
    if !conn.dirty && !conn.blocked {
        conn.dirty = true;
        hot.push(slot);
    }
}

/// The bytes of events that were replayed lately.
#[derive(Default)]
struct Replays {
    made: HashMap<(MessageId, u64, Form), Bytes, foldhash::fast::RandomState>,
    bytes: usize,
}

/// Replayed bytes kept for those who missed the same; when it is full it starts anew.
const REPLAY_BYTES: usize = 8 << 20;

impl Replays {
    fn get(&mut self, publication: &Publication, form: Form, namespaces: &Namespaces) -> Bytes {
        // The same event may stand behind others of this process, which its offset then says.
        let key = (publication.id, publication.sequence, form);
        if let Some(bytes) = self.made.get(&key) {
            return bytes.clone();
        }
        let bytes = match publication.ack {
            None => frame::encode(publication, form, namespaces),
            // Who comes later is asked for nothing: it is no recipient of what was tracked then.
            Some(_) => frame::encode(&Publication { ack: None, ..publication.clone() }, form, namespaces),
        };
        if self.bytes + bytes.len() > REPLAY_BYTES {
            *self = Self::default();
        }
        self.bytes += bytes.len();
        self.made.insert(key, bytes.clone());
        bytes
    }
}

/// The bytes of one publication in each form asked for so far.
#[derive(Default)]
struct Forms {
    made: Vec<(Form, Bytes)>,
}

impl Forms {
    fn get(&mut self, form: Form, make: impl FnOnce() -> Bytes) -> &Bytes {
        if let Some(at) = self.made.iter().position(|(known, _)| *known == form) {
            return &self.made[at].1;
        }
        self.made.push((form, make()));
        &self.made[self.made.len() - 1].1
    }
}
