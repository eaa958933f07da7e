//! Rows and events in one transaction.

use std::ops::{Deref, DerefMut};

use tidings_core::{Code, Lane, Payload, Refusal, Room};
use tidings_store::Tx;
use tidings_store::log::Append;

use crate::Pending;
use crate::command::{Event, written};
use crate::tells::Tells;

/// Events of one transaction at most, and bytes of their data; more are refused as `too_large`.
pub const EVENTS_MOST: usize = 1_000;
/// Events of [`Changes::tell`] that one transaction takes; the room that is left is for what it emits one by one.
pub const TOGETHER: usize = 900;
/// The same of bytes of their data.
pub const TOGETHER_BYTES: usize = 7 << 20;
/// Bytes of what an event is about.
const SLOT_BYTES: usize = 128;
/// Bytes of the data of one transaction's events at most.
pub const EVENT_BYTES_MOST: usize = 8 << 20;

/// An event that was emitted and is not stored yet.
#[derive(Debug, Clone)]
pub struct Emitted {
    /// The room.
    pub room: Room,
    /// The event's name.
    pub event: String,
    /// The event's data.
    pub payload: Payload,
    /// How urgent it is; the kind's lane if not said.
    pub lane: Option<Lane>,
    /// What it is about.
    pub slot: Option<String>,
    /// Not kept, whatever its kind keeps; in a transaction it has no meaning.
    pub volatile: bool,
}

impl Emitted {
    /// An event for a room.
    ///
    /// # Errors
    /// [`Code::BadRequest`] if it cannot be stored, [`Code::Unavailable`] if it cannot be written.
    pub fn new<E: Event>(room: &Room, event: &E) -> Result<Self, Refusal> {
        let slot = event.slot().map(str::to_owned);
        if slot.as_ref().is_some_and(|slot| slot.len() > SLOT_BYTES) {
            return Err(Refusal::new(Code::BadRequest, "a slot has at most 128 bytes"));
        }
        let (event, payload) = written(event)?;
        Append::check(room, &event, None)?;
        Ok(Self { room: room.clone(), event, payload, lane: None, slot, volatile: false })
    }
}

/// What is done once a transaction is stored and before its events are heard.
pub type After = Box<dyn FnOnce() + Send>;

/// A transaction of an app: the store's, and the events that belong to it.
///
/// It is given to the closure of [`Ctx::commit`](crate::Ctx::commit) and kept if that answers `Ok`. Other
/// events and commits wait meanwhile, so nothing slow belongs in it: no request, no lock that others hold.
pub struct Changes {
    tx: Tx,
    now_ms: u64,
    emitted: Vec<Emitted>,
    bytes: usize,
    after: Vec<After>,
    left: Tells,
}

impl Deref for Changes {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Changes {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

impl Changes {
    /// Says something in a room, once everything is stored. In a room that keeps its events in the log it is
    /// stored together with the rows; in others it is delivered after them, and lost in a crash.
    ///
    /// # Errors
    /// [`Code::TooLarge`] beyond [`EVENTS_MOST`] and [`EVENT_BYTES_MOST`]; else as [`Emitted::new`].
    pub fn emit<E: Event>(&mut self, room: &Room, event: &E) -> Result<(), Refusal> {
        self.emit_in(room, event, None)
    }

    /// The same in a lane of its own; `None`: the kind's.
    ///
    /// # Errors
    /// As [`Changes::emit`].
    pub fn emit_in<E: Event>(&mut self, room: &Room, event: &E, lane: Option<Lane>) -> Result<(), Refusal> {
        self.push(Emitted { lane, ..Emitted::new(room, event)? })
    }

    /// Says many things in their order: as many as fit in this transaction, the others in transactions of their own
    /// behind it, before the command is answered.
    ///
    /// If the server is killed in between, or cannot store them for two seconds, the others are never told, and whoever
    /// asks sees how things are: what must not be missed goes first. If the store loses its word on one of those
    /// transactions, its events may be told twice.
    ///
    /// # Errors
    /// [`Code::TooLarge`] for one that fits in no transaction.
    pub fn tell(&mut self, mut tells: Tells) -> Result<(), Refusal> {
        while self.left.is_empty()
            && let Some(next) = tells.first()
        {
            let bytes = self.bytes + next.payload.json.len();
            let is_full = self.emitted.len() >= TOGETHER || bytes > TOGETHER_BYTES;
            if is_full && !self.emitted.is_empty() {
                break;
            }
            tells.pop().map_or(Ok(()), |next| self.push(next))?;
        }
        self.left.append(tells);
        Ok(())
    }

    fn push(&mut self, emitted: Emitted) -> Result<(), Refusal> {
        self.bytes += emitted.payload.json.len();
        if self.emitted.len() >= EVENTS_MOST || self.bytes > EVENT_BYTES_MOST {
            return Err(Refusal::new(Code::TooLarge, "too many events for one command"));
        }
        self.emitted.push(emitted);
        Ok(())
    }

    /// Does something once everything is stored, before any of its events is heard: what an app keeps in
    /// memory beside its rows is changed here, in the order of the log. It must not wait for anything.
    pub fn after(&mut self, change: impl FnOnce() + Send + 'static) {
        self.after.push(Box::new(change));
    }

    /// When this is done, in milliseconds since 1970: one time for rows and events.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

/// For the server.
impl Changes {
    /// A transaction that is about to be used.
    pub fn new(tx: Tx, now_ms: u64) -> Self {
        Self { tx, now_ms, emitted: Vec::new(), bytes: 0, after: Vec::new(), left: Tells::default() }
    }

    /// What is to be told behind the transaction.
    pub(crate) fn left(&mut self) -> Tells {
        std::mem::take(&mut self.left)
    }

    /// What was emitted since the last call, and what is to be done after it.
    pub fn take(&mut self) -> (Vec<Emitted>, Vec<After>) {
        self.bytes = 0;
        (std::mem::take(&mut self.emitted), std::mem::take(&mut self.after))
    }

    /// The transaction, to be committed.
    pub fn into_tx(self) -> Tx {
        self.tx
    }
}

type Doing = dyn for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<(), Refusal>> + Send;

/// What is done within a transaction.
pub struct Work(Box<Doing>);

impl Work {
    /// Work as a closure.
    pub fn new<F>(work: F) -> Self
    where
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<(), Refusal>> + Send + 'static,
    {
        Self(Box::new(work))
    }

    /// Does it.
    ///
    /// # Errors
    /// What its client is told; nothing of it must be kept then.
    pub async fn run(self, changes: &mut Changes) -> Result<(), Refusal> {
        (self.0)(changes).await
    }
}
