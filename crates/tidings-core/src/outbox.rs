//! What one connection still has to be sent.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::lane::Lane;

/// How much may wait for one connection.
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

/// Finished bytes of one or more messages, waiting.
#[derive(Debug, Clone)]
pub struct Item {
    /// Whole WebSocket frames.
    pub bytes: Bytes,
    /// How many messages they are.
    pub messages: u32,
    /// The sequence of the last recorded event among them; 0 if none.
    pub sequence: u64,
    /// Whether it may be dropped when the connection is slow.
    pub volatile: bool,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It waits.
    Queued,
    /// It waits, and so many volatile messages were dropped to make room for it.
    Displaced(u32),
    /// It was dropped, being volatile and the connection slow.
    Dropped,
    /// It does not fit and may not be dropped: the connection has to go.
    Overflow,
}

/// What one connection still has to be sent: lanes by priority, bounded in bytes and messages.
///
/// An idle outbox is one pointer. Recorded events and replies share the normal lane, since their
/// order is promised; only volatile events overtake or give way.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Option<Box<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    lanes: [VecDeque<Item>; LANES],
    /// Replies written in place behind everything in the normal lane.
    own: Vec<u8>,
    own_messages: u32,
    bytes: usize,
    messages: usize,
    /// The bytes and messages of replays among them, which no limit counts: what a client missed may
    /// be more than a queue holds, and what follows it must find room all the same. What stood in
    /// the normal lane before a replay goes out first and is taken off first, so they may be fewer
    /// than there are.
    owed: (usize, usize),
    /// The lane whose front item has been sent in part, and how much of it.
    started: Option<(usize, usize)>,
    /// Since when it is over half full, in the caller's milliseconds, and the bytes it had then.
    lagging: Option<(u64, usize)>,
}

const LANES: usize = 4;
const NORMAL: usize = 2;

fn index(lane: Lane) -> usize {
    match lane {
        Lane::Critical => 0,
        Lane::High => 1,
        Lane::Normal => NORMAL,
        Lane::Low => 3,
    }
}

impl Outbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_none()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |q| q.bytes)
    }

    /// Bytes of replays among them.
    pub fn owed(&self) -> usize {
        self.queue.as_ref().map_or(0, |q| q.owed.0)
    }

    /// Since when it has been over half full, in the caller's milliseconds.
    pub fn lagging_since(&self) -> Option<u64> {
        self.queue.as_ref().and_then(|q| q.lagging).map(|(since, _)| since)
    }

    /// Adds an item to a lane; `now_ms` marks the begin of lagging.
    pub fn push(&mut self, item: Item, lane: Lane, limits: &QueueLimits, now_ms: u64) -> Pushed {
        let queue = self.queue.get_or_insert_default();
        let lane = if item.volatile { index(lane) } else { NORMAL };
        queue.push(item, lane, limits, now_ms)
    }

    /// Writes a reply behind everything in the normal lane; replies are never dropped.
    pub fn reply(&mut self, limits: &QueueLimits, write: impl FnOnce(&mut Vec<u8>)) -> Pushed {
        let queue = self.queue.get_or_insert_default();
        let before = queue.own.len();
        write(&mut queue.own);
        let written = queue.own.len() - before;
        if written == 0 {
            self.free();
            return Pushed::Queued;
        }
        queue.bytes += written;
        queue.own_messages += 1;
        queue.messages += 1;
        let (bytes, messages) = queue.counted();
        // Replies are bounded in bytes alone: their number is what the client itself asked for.
        if bytes <= limits.bytes || messages == 1 {
            return Pushed::Queued;
        }
        if bytes - queue.droppable().0 > limits.bytes {
            return Pushed::Overflow;
        }
        Pushed::Displaced(queue.drop_volatile())
    }

    /// Adds an item of a replay, which is bounded by what the room keeps and not by the queue.
    pub fn replay(&mut self, item: Item) {
        let queue = self.queue.get_or_insert_default();
        queue.seal();
        queue.owed.0 += item.bytes.len();
        queue.owed.1 += item.messages as usize;
        queue.add(item, NORMAL);
    }

    /// Puts back the part of `item` that the socket did not take; it goes out before all else.
    ///
    /// Only for an outbox that is empty, where an item was sent without waiting in it.
    pub fn put_back(&mut self, item: Item, sent: usize) {
        debug_assert!(self.is_empty(), "what was begun would be torn");
        let queue = self.queue.get_or_insert_default();
        queue.bytes += item.bytes.len() - sent;
        queue.messages += item.messages as usize;
        queue.lanes[NORMAL].push_front(Item { volatile: false, ..item });
        queue.started = Some((NORMAL, sent));
    }

    /// The bytes to send next: one item as it stands, or several gathered in `scratch`.
    ///
    /// Returns an empty slice when nothing waits. Call [`Outbox::sent`] with how much was taken.
    pub fn gather<'a>(&'a mut self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(queue) = self.queue.as_deref_mut() else { return &[] };
        queue.seal();
        let skip = queue.started.map_or(0, |(_, sent)| sent);
        let alone = queue.lanes.iter().map(VecDeque::len).sum::<usize>() == 1;
        let first = queue.in_order().next().filter(|item| alone || item.bytes.len() >= GATHER_BYTES);
        if let Some(item) = first {
            return &item.bytes[skip..];
        }
        scratch.clear();
        for item in queue.in_order() {
            if !scratch.is_empty() && scratch.len() + item.bytes.len() > GATHER_BYTES {
                break;
            }
            scratch.extend_from_slice(&item.bytes);
        }
        &scratch[skip..]
    }

    /// Notes that the first `count` bytes of what [`Outbox::gather`] gave are gone.
    ///
    /// Returns the sequence of the last recorded event that is fully gone (0: none) and the number
    /// of messages that are.
    pub fn sent(&mut self, count: usize) -> (u64, usize) {
        let Some(queue) = self.queue.as_deref_mut() else { return (0, 0) };
        let done = queue.advance(count);
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
        let started = self.queue.as_deref().and_then(|queue| Some((queue, queue.started?)));
        started
            .and_then(|(queue, (lane, sent))| {
                queue.lanes[lane].front().and_then(|item| item.bytes.get(sent..))
            })
            .unwrap_or(&[])
    }

    /// Drops what is volatile and not begun; how many messages that were.
    pub fn drop_volatile(&mut self) -> u32 {
        let Some(queue) = self.queue.as_deref_mut() else { return 0 };
        let dropped = queue.drop_volatile();
        self.free();
        dropped
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.queue = None;
    }
}

/// Small items are copied together up to this; what is larger goes out by itself.
const GATHER_BYTES: usize = 128 * 1024;

impl Queue {
    fn push(&mut self, item: Item, lane: usize, limits: &QueueLimits, now_ms: u64) -> Pushed {
        let (waiting_bytes, waiting) = self.counted();
        let (bytes, messages) = (waiting_bytes + item.bytes.len(), waiting + item.messages as usize);
        let over = |part: usize| bytes > limits.bytes / part || messages > limits.messages / part;
        if over(2) {
            self.lagging.get_or_insert((now_ms, self.bytes));
            // One message may be larger than half the queue; it is the queue that must be short.
            if item.volatile && waiting > 0 {
                return Pushed::Dropped;
            }
        }
        let mut dropped = 0;
        if over(1) && waiting > 0 {
            // Nothing is dropped for an item that would not fit all the same.
            let (bytes, messages) = self.droppable();
            if waiting_bytes - bytes + item.bytes.len() > limits.bytes
                || waiting - messages >= limits.messages
            {
                return Pushed::Overflow;
            }
            dropped = self.drop_volatile();
        }
        self.seal();
        self.add(item, lane);
        if dropped == 0 { Pushed::Queued } else { Pushed::Displaced(dropped) }
    }

    /// The bytes and messages that the limits are for.
    fn counted(&self) -> (usize, usize) {
        (self.bytes - self.owed.0, self.messages - self.owed.1)
    }

    /// The bytes and messages that may be dropped: what is volatile and not begun.
    fn droppable(&self) -> (usize, usize) {
        let begun =
            |lane: usize, at: usize| at == 0 && self.started.is_some_and(|(started, _)| started == lane);
        let items = self.lanes.iter().enumerate().flat_map(|(lane, items)| {
            items.iter().enumerate().filter(move |(at, item)| item.volatile && !begun(lane, *at))
        });
        items.fold((0, 0), |(bytes, messages), (_, item)| {
            (bytes + item.bytes.len(), messages + item.messages as usize)
        })
    }

    fn add(&mut self, item: Item, lane: usize) {
        self.bytes += item.bytes.len();
        self.messages += item.messages as usize;
        self.lanes[lane].push_back(item);
    }

    fn drop_volatile(&mut self) -> u32 {
        let started = self.started.map(|(lane, _)| lane);
        let mut dropped = 0;
        for (lane, items) in self.lanes.iter_mut().enumerate() {
            let mut first = true;
            items.retain(|item| {
                let keep = !item.volatile || (first && started == Some(lane));
                first = false;
                if !keep {
                    self.bytes -= item.bytes.len();
                    self.messages -= item.messages as usize;
                    dropped += item.messages;
                }
                keep
            });
        }
        dropped
    }

    /// Turns the replies written so far into an item, so that what comes next stands behind them.
    fn seal(&mut self) {
        if self.own.is_empty() {
            return;
        }
        let bytes = Bytes::from(std::mem::take(&mut self.own));
        let messages = std::mem::take(&mut self.own_messages);
        self.lanes[NORMAL].push_back(Item { bytes, messages, sequence: 0, volatile: false });
    }

    /// The items as they go out: the one begun, then lane by lane.
    fn in_order(&self) -> impl Iterator<Item = &Item> {
        let started = self.started.map(|(lane, _)| lane);
        let first = started.and_then(|lane| self.lanes[lane].front());
        let rest = self.lanes.iter().enumerate();
        let rest = rest.flat_map(move |(lane, items)| items.iter().skip(usize::from(started == Some(lane))));
        first.into_iter().chain(rest)
    }

    fn advance(&mut self, count: usize) -> (u64, usize) {
        let (mut left, mut sequence, mut messages) = (count, 0, 0);
        while let Some(lane) = self.next_lane() {
            let sent = self.started.map_or(0, |(_, sent)| sent);
            let Some(item) = self.lanes[lane].front() else { break };
            let open = item.bytes.len() - sent;
            if left < open {
                if left + sent > 0 {
                    self.started = Some((lane, sent + left));
                }
                self.gone(lane, left, 0);
                break;
            }
            let whole = item.messages as usize;
            sequence = sequence.max(item.sequence);
            left -= open;
            messages += whole;
            self.gone(lane, open, whole);
            self.lanes[lane].pop_front();
            self.started = None;
        }
        if self.lagging.is_some_and(|(_, mark)| self.bytes <= mark / 2) {
            self.lagging = None;
        }
        (sequence, messages)
    }

    /// Takes off what has been sent of a lane.
    fn gone(&mut self, lane: usize, bytes: usize, messages: usize) {
        self.bytes -= bytes;
        self.messages -= messages;
        if lane == NORMAL {
            self.owed.0 = self.owed.0.saturating_sub(bytes);
            self.owed.1 = self.owed.1.saturating_sub(messages);
        }
    }

    fn next_lane(&self) -> Option<usize> {
        match self.started {
            Some((lane, _)) => Some(lane),
            None => self.lanes.iter().position(|lane| !lane.is_empty()),
        }
    }
}
