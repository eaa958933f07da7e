//! What one connection still has to be sent.

mod queue;

use bytes::Bytes;

use crate::lane::Lane;
use queue::{HALF, Load, Queue, SHARE};

/// How much may wait for one connection.
///
/// Every lane has a share of an eighth for its volatile events, and recorded events have half of it all: more
/// of them is for the caller to hold back ([`Outbox::takes`]).
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Bytes at most; more is an overflow.
    pub bytes: usize,
    /// Messages at most; more is an overflow.
    pub messages: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, messages: 1_024 }
    }
}

/// The room of an item that is of none.
pub(crate) const NO_ROOM: u32 = u32::MAX;

/// Finished bytes of one or more messages, waiting.
#[derive(Debug, Clone)]
pub struct Item {
    /// Whole WebSocket frames.
    pub bytes: Bytes,
    /// How many messages they are.
    pub messages: u32,
    /// Where they come from, in the caller's own numbers; [`u32::MAX`]: from no room.
    pub room: u32,
    /// The sequence of the last recorded event among them; 0 if none.
    pub sequence: u64,
    /// What a volatile event is about: a newer one with the same subject and room may take its place. 0: nothing
    /// in particular. An item with a subject is one message.
    pub subject: u64,
    /// Whether it may be dropped when the connection is slow.
    pub volatile: bool,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It waits.
    Queued,
    /// It waits in the place of an older message of its subject.
    Replaced,
    /// It waits, and so many volatile messages were dropped to make room for it.
    Displaced(u32),
    /// It was dropped, being volatile and the connection slow.
    Dropped,
    /// It does not fit and may not be dropped: the connection has to go.
    Overflow,
}

/// Volatile messages of one room that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// Where they came from.
    pub room: u32,
    /// The lane they waited in.
    pub lane: Lane,
    /// How many.
    pub count: u32,
}

/// What one connection still has to be sent: lanes by priority, bounded in bytes and messages.
///
/// An idle outbox is two pointers. Recorded events and replies share the normal lane, since their
/// order is promised; only volatile events overtake or give way.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The only item that waits, as most do that go out with the turn they came in; then there is no queue.
    only: Option<Box<Only>>,
    queue: Option<Box<Queue>>,
}

#[derive(Debug)]
struct Only {
    item: Item,
    lane: Lane,
}

impl Outbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.only.is_none() && self.queue.is_none()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.waiting().bytes
    }

    /// Messages that wait.
    pub fn messages(&self) -> usize {
        self.waiting().messages
    }

    fn waiting(&self) -> Load {
        match (&self.only, &self.queue) {
            (Some(only), _) => Load::of(&only.item),
            (None, Some(queue)) => Load { bytes: queue.bytes, messages: queue.messages },
            (None, None) => Load::default(),
        }
    }

    /// Bytes of replays among them.
    pub fn owed(&self) -> usize {
        self.queue.as_ref().map_or(0, |q| q.owed.0)
    }

    /// The sequence of the last recorded event that waits; 0 if none does.
    pub fn last_sequence(&self) -> u64 {
        match &self.only {
            Some(only) => only.item.sequence,
            None => self.queue.as_ref().map_or(0, |queue| queue.last_sequence()),
        }
    }

    /// Since when it has been over half full, in the caller's milliseconds.
    pub fn lagging_since(&self) -> Option<u64> {
        self.queue.as_ref().and_then(|q| q.lagging).map(|(since, _)| since)
    }

    /// Whether a recorded item fits into the half that is for such.
    pub fn takes(&self, item: &Item, limits: &QueueLimits) -> bool {
        match &self.only {
            Some(only) => {
                let kept = if only.item.volatile { Load::default() } else { Load::of(&only.item) };
                (kept + Load::of(item)).fits(limits, HALF)
            }
            None => self.queue.as_ref().is_none_or(|queue| queue.takes(item, limits)),
        }
    }

    /// Notes that something was held back because too much waits.
    pub fn fell_behind(&mut self, now_ms: u64) {
        if !self.is_empty() {
            self.queue().fell_behind(now_ms);
        }
    }

    /// Whether so little waits that what was held back may follow.
    pub fn is_light(&self, limits: &QueueLimits) -> bool {
        match &self.only {
            Some(only) => Load::of(&only.item).fits(limits, SHARE),
            None => self.queue.as_ref().is_none_or(|queue| queue.is_light(limits)),
        }
    }

    /// The queue; an item that was alone is its first.
    fn queue(&mut self) -> &mut Queue {
        let queue = self.queue.get_or_insert_default();
        if let Some(only) = self.only.take() {
            queue.begin_with(only.item, only.lane);
        }
        queue
    }

    /// Adds an item to a lane; `now_ms` marks the begin of lagging.
    ///
    /// What was displaced is told by [`Outbox::take_displaced`].
    pub fn push(&mut self, item: Item, lane: Lane, limits: &QueueLimits, now_ms: u64) -> Pushed {
        if self.is_empty() && Load::of(&item).fits(limits, HALF) {
            self.only = Some(Box::new(Only { item, lane }));
            return Pushed::Queued;
        }
        let queue = self.queue();
        if item.volatile {
            queue.push_volatile(item, lane, limits, now_ms)
        } else {
            queue.push_kept(item, limits, now_ms)
        }
    }

    /// Takes what was dropped to make room for others since the last call.
    pub fn take_displaced(&mut self) -> Vec<Skip> {
        self.queue.as_deref_mut().map(Queue::take_displaced).unwrap_or_default()
    }

    /// Writes a reply behind everything in the normal lane; replies are never dropped.
    pub fn reply(&mut self, limits: &QueueLimits, write: impl FnOnce(&mut Vec<u8>)) -> Pushed {
        let queue = self.queue();
        let before = queue.own.len();
        write(&mut queue.own);
        let written = queue.own.len() - before;
        if written == 0 {
            self.free();
            return Pushed::Queued;
        }
        queue.replied(written, limits)
    }

    /// Adds an item of a replay, which is bounded by what the room keeps and not by the queue.
    pub fn replay(&mut self, item: Item) {
        self.queue().owe(item);
    }

    /// Puts back the part of `item` that the socket did not take; it goes out before all else.
    ///
    /// Only for an outbox that is empty, where an item was sent without waiting in it.
    pub fn put_back(&mut self, item: Item, sent: usize) {
        debug_assert!(self.is_empty(), "what was begun would be torn");
        self.queue().put_back(item, sent);
    }

    /// The bytes to send next: one item as it stands, or several gathered in `scratch`.
    ///
    /// Returns an empty slice when nothing waits. Call [`Outbox::sent`] with how much was taken.
    pub fn gather<'a>(&'a mut self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match (&self.only, self.queue.as_deref_mut()) {
            (Some(only), _) => &only.item.bytes,
            (None, Some(queue)) => queue.gather(scratch),
            (None, None) => &[],
        }
    }

    /// Notes that the first `count` bytes of what [`Outbox::gather`] gave are gone.
    ///
    /// Returns the sequence of the last recorded event that is fully gone (0: none) and the number
    /// of messages that are.
    pub fn sent(&mut self, count: usize) -> (u64, usize) {
        if let Some(only) = self.only.take_if(|only| only.item.bytes.len() <= count) {
            return (only.item.sequence, only.item.messages as usize);
        }
        if self.is_empty() || count == 0 {
            return (0, 0);
        }
        let done = self.queue().advance(count);
        self.free();
        done
    }

    fn free(&mut self) {
        if self.queue.as_ref().is_some_and(|queue| queue.messages == 0) {
            self.queue = None;
        }
    }

    /// What is left of the message whose begin has been sent; nothing else can follow before it.
    pub fn unfinished(&self) -> &[u8] {
        self.queue.as_deref().map_or(&[], Queue::unfinished)
    }

    /// Drops what is volatile and not begun, and says what that was.
    pub fn drop_volatile(&mut self) -> Vec<Skip> {
        if self.is_empty() {
            return Vec::new();
        }
        let queue = self.queue();
        queue.drop_volatile();
        let dropped = queue.take_displaced();
        self.free();
        dropped
    }

    /// Makes what waits of a room an item of none, once its number may stand for another room.
    pub fn disown(&mut self, room: u32) {
        let only = self.only.iter_mut().map(|only| &mut only.item);
        let queued = self.queue.iter_mut().flat_map(|queue| queue.items_mut());
        for item in only.chain(queued).filter(|item| item.room == room) {
            (item.room, item.subject) = (NO_ROOM, 0);
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
