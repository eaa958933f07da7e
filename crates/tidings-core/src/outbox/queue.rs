//! What waits in an outbox that is not empty: four lanes, what each of them takes up, and who gives way.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Item, NO_ROOM, Pushed, QueueLimits, Skip};
use crate::lane::Lane;

#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: [VecDeque<Item>; LANES],
    /// What the volatile items of each lane take up that are not begun.
    volatile: [Load; LANES],
    /// Replies written in place behind everything in the normal lane.
    pub(super) own: Vec<u8>,
    own_messages: u32,
    pub(super) bytes: usize,
    pub(super) messages: usize,
    /// The bytes and messages of replays among them, which no limit counts: what a client missed may
    /// be more than a queue holds, and what follows it must find room all the same. What stood in
    /// the normal lane before a replay goes out first and is taken off first, so they may be fewer
    /// than there are.
    pub(super) owed: (usize, usize),
    /// The lane whose front item has been sent in part, and how much of it.
    started: Option<(usize, usize)>,
    /// Since when it is over half full, in the caller's milliseconds, and the bytes it had then.
    pub(super) lagging: Option<(u64, usize)>,
    /// What was dropped to make room for others, until somebody asks.
    displaced: Vec<Skip>,
}

/// Bytes and messages.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Load {
    pub(super) bytes: usize,
    pub(super) messages: usize,
}

impl Load {
    pub(super) fn of(item: &Item) -> Self {
        Self { bytes: item.bytes.len(), messages: item.messages as usize }
    }

    pub(super) fn fits(self, limits: &QueueLimits, part: usize) -> bool {
        self.bytes <= limits.bytes / part && self.messages <= limits.messages / part
    }
}

impl std::ops::Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, messages: self.messages + other.messages }
    }
}

impl std::ops::Sub for Load {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            messages: self.messages.saturating_sub(other.messages),
        }
    }
}

const LANES: usize = 4;
const NORMAL: usize = 2;

/// Up to a half anything may wait; beyond it a lane's volatile events have their own eighth, and a newer
/// event takes the place of an older one of its subject from a quarter on.
pub(super) const HALF: usize = 2;
const CROWDED: usize = 4;
pub(super) const SHARE: usize = 8;

/// Small items are copied together up to this; what is larger goes out by itself.
const GATHER_BYTES: usize = 128 * 1024;

/// Each lane at its place, in the order in which they are sent.
fn index(lane: Lane) -> usize {
    match lane {
        Lane::Critical => 0,
        Lane::High => 1,
        Lane::Normal => NORMAL,
        Lane::Low => 3,
    }
}

// What comes in.
impl Queue {
    /// Whether a recorded item fits beside what else may not be dropped.
    pub(super) fn takes(&self, item: &Item, limits: &QueueLimits) -> bool {
        let counted = self.counted();
        let kept = counted - self.droppable() + Load::of(item);
        counted.messages == 0 || kept.fits(limits, HALF)
    }

    /// Whether so little waits that more may be fetched.
    pub(super) fn is_light(&self, limits: &QueueLimits) -> bool {
        self.counted().fits(limits, SHARE)
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.lanes[NORMAL].iter().map(|item| item.sequence).max().unwrap_or(0)
    }

    /// Adds the item that was alone before there was a queue.
    pub(super) fn begin_with(&mut self, item: Item, lane: Lane) {
        if item.volatile {
            self.add_volatile(item, index(lane));
        } else {
            self.add(item, NORMAL);
        }
    }

    pub(super) fn fell_behind(&mut self, now_ms: u64) {
        self.lagging.get_or_insert((now_ms, self.bytes));
    }

    /// Adds what may be dropped, or drops it or others of its kind.
    pub(super) fn push_volatile(
        &mut self,
        item: Item,
        lane: Lane,
        limits: &QueueLimits,
        now_ms: u64,
    ) -> Pushed {
        let (lane, waiting, load) = (index(lane), self.counted(), Load::of(&item));
        let item = match self.replace(item, lane, limits) {
            Ok(()) => return Pushed::Replaced,
            Err(item) => item,
        };
        if !(waiting + load).fits(limits, HALF) {
            self.fell_behind(now_ms);
            let own = (self.volatile[lane] + load).fits(limits, SHARE) && (waiting + load).fits(limits, 1);
            // One message may be larger than half the queue; it is the queue that must be short.
            if !own && waiting.messages > 0 {
                return self.push_in_place_of_others(item, lane, limits);
            }
        }
        self.add_volatile(item, lane);
        Pushed::Queued
    }

    /// Adds a volatile item if less urgent lanes can give back what they have beyond their shares.
    fn push_in_place_of_others(&mut self, item: Item, lane: usize, limits: &QueueLimits) -> Pushed {
        let share = Load { bytes: limits.bytes / SHARE, messages: limits.messages / SHARE };
        let lent = self.volatile[lane + 1..].iter().fold(Load::default(), |sum, load| sum + (*load - share));
        if !(self.counted() + Load::of(&item) - lent).fits(limits, HALF) {
            return Pushed::Dropped;
        }
        let mut dropped = 0;
        for other in (lane + 1..LANES).rev() {
            dropped += self.drop_from(other, |load| !load.fits(limits, SHARE));
        }
        self.add_volatile(item, lane);
        if dropped == 0 { Pushed::Queued } else { Pushed::Displaced(dropped) }
    }

    /// Puts a volatile item in the place of the newest one of its subject, where much waits.
    fn replace(&mut self, item: Item, lane: usize, limits: &QueueLimits) -> Result<(), Item> {
        let counted = self.counted();
        if item.subject == 0 || counted.fits(limits, CROWDED) {
            return Err(item);
        }
        let begun = usize::from(self.started.is_some_and(|(started, _)| started == lane));
        let same = |old: &Item| old.volatile && old.subject == item.subject && old.room == item.room;
        let at = self.lanes[lane].iter().skip(begun).rposition(same).map(|at| at + begun);
        let Some(old) = at.and_then(|at| self.lanes[lane].get_mut(at)) else { return Err(item) };
        let (before, after) = (Load::of(old), Load::of(&item));
        if after.bytes > before.bytes && !(counted - before + after).fits(limits, HALF) {
            return Err(item);
        }
        *old = item;
        self.bytes = self.bytes - before.bytes + after.bytes;
        self.volatile[lane] = self.volatile[lane] - before + after;
        Ok(())
    }

    /// Adds what may not be dropped, in the place of what may if need be.
    pub(super) fn push_kept(&mut self, item: Item, limits: &QueueLimits, now_ms: u64) -> Pushed {
        let (waiting, load) = (self.counted(), Load::of(&item));
        if !(waiting + load).fits(limits, HALF) {
            self.fell_behind(now_ms);
        }
        let mut dropped = 0;
        if !(waiting + load).fits(limits, 1) && waiting.messages > 0 {
            // Nothing is dropped for an item that would not fit all the same.
            let kept = waiting - self.droppable();
            if !(kept + load).fits(limits, 1) && kept.messages > 0 {
                return Pushed::Overflow;
            }
            dropped = self.make_room(load, limits);
        }
        self.seal();
        self.add(item, NORMAL);
        if dropped == 0 { Pushed::Queued } else { Pushed::Displaced(dropped) }
    }

    /// Counts a reply of so many bytes that was written in place.
    pub(super) fn replied(&mut self, written: usize, limits: &QueueLimits) -> Pushed {
        self.bytes += written;
        self.own_messages += 1;
        self.messages += 1;
        let counted = self.counted();
        // Replies are bounded in bytes alone: their number is what the client itself asked for.
        if counted.bytes <= limits.bytes || counted.messages == 1 {
            return Pushed::Queued;
        }
        if counted.bytes - self.droppable().bytes > limits.bytes {
            return Pushed::Overflow;
        }
        let unlimited = QueueLimits { messages: usize::MAX, ..*limits };
        Pushed::Displaced(self.make_room(Load::default(), &unlimited))
    }

    /// Adds what was missed, which no limit counts.
    pub(super) fn owe(&mut self, item: Item) {
        self.seal();
        self.owed.0 += item.bytes.len();
        self.owed.1 += item.messages as usize;
        self.add(item, NORMAL);
    }

    /// Begins with an item of which so much has been sent.
    pub(super) fn put_back(&mut self, item: Item, sent: usize) {
        self.bytes += item.bytes.len() - sent;
        self.messages += item.messages as usize;
        self.lanes[NORMAL].push_front(Item { volatile: false, ..item });
        self.started = Some((NORMAL, sent));
    }

    /// What the limits are for.
    fn counted(&self) -> Load {
        Load { bytes: self.bytes - self.owed.0, messages: self.messages - self.owed.1 }
    }

    /// What may be dropped: what is volatile and not begun.
    fn droppable(&self) -> Load {
        self.volatile.iter().fold(Load::default(), |sum, load| sum + *load)
    }

    fn add_volatile(&mut self, item: Item, lane: usize) {
        self.volatile[lane] = self.volatile[lane] + Load::of(&item);
        if lane == NORMAL {
            self.seal();
        }
        self.add(item, lane);
    }

    fn add(&mut self, item: Item, lane: usize) {
        self.bytes += item.bytes.len();
        self.messages += item.messages as usize;
        self.lanes[lane].push_back(item);
    }

    /// Turns the replies written so far into an item, so that what comes next stands behind them.
    fn seal(&mut self) {
        if self.own.is_empty() {
            return;
        }
        let bytes = Bytes::from(std::mem::take(&mut self.own));
        let messages = std::mem::take(&mut self.own_messages);
        let item = Item { bytes, messages, room: NO_ROOM, sequence: 0, subject: 0, volatile: false };
        self.lanes[NORMAL].push_back(item);
    }
}

// What is dropped.
impl Queue {
    /// Drops volatile items until so much more fits, the least urgent lane first.
    fn make_room(&mut self, load: Load, limits: &QueueLimits) -> u32 {
        let mut dropped = 0;
        for lane in (0..LANES).rev() {
            if (self.counted() + load).fits(limits, 1) {
                break;
            }
            dropped += self.drop_from(lane, |_| true);
        }
        dropped
    }

    pub(super) fn drop_volatile(&mut self) {
        for lane in 0..LANES {
            self.drop_from(lane, |_| true);
        }
    }

    pub(super) fn take_displaced(&mut self) -> Vec<Skip> {
        std::mem::take(&mut self.displaced)
    }

    /// Drops volatile items of a lane, the oldest first, as long as what they take up is too much.
    fn drop_from(&mut self, at: usize, too_much: impl Fn(Load) -> bool) -> u32 {
        let mut first_is_begun = self.started.is_some_and(|(lane, _)| lane == at);
        let (mut load, before) = (self.volatile[at], self.volatile[at]);
        let displaced = &mut self.displaced;
        self.lanes[at].retain(|item| {
            let begun = std::mem::take(&mut first_is_begun);
            let keep = begun || !item.volatile || !too_much(load);
            if !keep {
                load = load - Load::of(item);
                note(displaced, item.room, Lane::ALL[at], item.messages);
            }
            keep
        });
        self.volatile[at] = load;
        let dropped = before - load;
        self.bytes -= dropped.bytes;
        self.messages -= dropped.messages;
        dropped.messages as u32
    }
}

fn note(displaced: &mut Vec<Skip>, room: u32, lane: Lane, count: u32) {
    match displaced.iter_mut().find(|skip| skip.room == room && skip.lane == lane) {
        Some(skip) => skip.count += count,
        None => displaced.push(Skip { room, lane, count }),
    }
}

// What goes out.
impl Queue {
    /// The bytes to send next: one item as it stands, or several gathered in `scratch`.
    pub(super) fn gather<'a>(&'a mut self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        self.seal();
        let skip = self.started.map_or(0, |(_, sent)| sent);
        let alone = self.lanes.iter().map(VecDeque::len).sum::<usize>() == 1;
        let first = self.in_order().next().filter(|item| alone || item.bytes.len() >= GATHER_BYTES);
        if let Some(item) = first {
            return &item.bytes[skip..];
        }
        scratch.clear();
        for item in self.in_order() {
            if !scratch.is_empty() && scratch.len() + item.bytes.len() > GATHER_BYTES {
                break;
            }
            scratch.extend_from_slice(&item.bytes);
        }
        &scratch[skip..]
    }

    /// What is left of the message whose begin has been sent.
    pub(super) fn unfinished(&self) -> &[u8] {
        let front = self.started.and_then(|(lane, sent)| self.lanes[lane].front()?.bytes.get(sent..));
        front.unwrap_or(&[])
    }

    /// The items as they go out: the one begun, then lane by lane.
    fn in_order(&self) -> impl Iterator<Item = &Item> {
        let started = self.started.map(|(lane, _)| lane);
        let first = started.and_then(|lane| self.lanes[lane].front());
        let rest = self.lanes.iter().enumerate();
        let rest = rest.flat_map(move |(lane, items)| items.iter().skip(usize::from(started == Some(lane))));
        first.into_iter().chain(rest)
    }

    /// All that waits, but for replies that are being written.
    pub(super) fn items_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.lanes.iter_mut().flatten()
    }

    /// Takes off what has been sent; the last sequence that is fully gone, and how many messages are.
    pub(super) fn advance(&mut self, count: usize) -> (u64, usize) {
        let (mut left, mut sequence, mut messages) = (count, 0, 0);
        while let Some(lane) = self.next_lane() {
            let sent = self.started.map_or(0, |(_, sent)| sent);
            let Some(item) = self.lanes[lane].front() else { break };
            let open = item.bytes.len() - sent;
            if left < open {
                self.begin(lane, sent, left);
                break;
            }
            let whole = item.messages as usize;
            sequence = sequence.max(item.sequence);
            left -= open;
            messages += whole;
            if self.started.is_none() {
                self.forget_volatile(lane);
            }
            self.gone(lane, open, whole);
            self.lanes[lane].pop_front();
            self.started = None;
        }
        if self.lagging.is_some_and(|(_, mark)| self.bytes <= mark / 2) {
            self.lagging = None;
        }
        (sequence, messages)
    }

    /// Notes that `more` bytes of a lane's front item have gone beside the `sent` ones, and not all.
    fn begin(&mut self, lane: usize, sent: usize, more: usize) {
        if self.started.is_none() && more > 0 {
            self.forget_volatile(lane);
        }
        if sent + more > 0 {
            self.started = Some((lane, sent + more));
        }
        self.gone(lane, more, 0);
    }

    /// What was begun can no longer be dropped.
    fn forget_volatile(&mut self, lane: usize) {
        if let Some(item) = self.lanes[lane].front().filter(|item| item.volatile) {
            self.volatile[lane] = self.volatile[lane] - Load::of(item);
        }
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
