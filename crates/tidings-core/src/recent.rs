//! The newest events of a room, in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use hashbrown::HashMap;

use crate::publication::{Epoch, Mark, MessageId, Position, Publication};

/// The newest events of a room: a ring with epoch and offset, and the idempotency keys seen.
#[derive(Debug)]
pub struct Recent {
    epoch: Epoch,
    size: usize,
    ttl: Duration,
    /// What the events may take together, and what they take.
    most: usize,
    bytes: usize,
    events: VecDeque<Arc<Publication>>,
    top: Position,
    /// The numbers of the newest event that is no longer kept.
    trimmed: Mark,
    /// The highest offset that the log does not keep, of a room that is in the log.
    log_trimmed: Option<u64>,
    /// The number in the log of the newest event that was read from there.
    read_to: u64,
    /// When the newest event was accepted, in milliseconds since 1970.
    newest_at_ms: u64,
    /// The hub has forgotten this history; nothing may be appended any more.
    retired: bool,
    keys: Keys,
}

/// A part of a room's history.
#[derive(Debug, Clone)]
pub struct Read {
    /// The newest position of the room.
    pub top: Position,
    /// The events asked for, oldest first.
    pub events: Vec<Arc<Publication>>,
    /// Whether nothing between the position asked for and the first event is missing.
    pub complete: bool,
}

/// All that a history in memory is made of.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The newest position.
    pub top: Position,
    /// The numbers of the newest event that is no longer kept.
    pub trimmed: Mark,
    /// When the newest event was accepted, in milliseconds since 1970.
    pub newest_at_ms: u64,
    /// What is kept, oldest first.
    pub events: Vec<Arc<Publication>>,
    /// The idempotency keys seen, oldest first.
    pub keys: Vec<(CompactString, KeyRecord)>,
}

impl Contents {
    /// The bytes it takes, about.
    pub fn bytes(&self) -> usize {
        let events = self.events.iter().map(|event| event.bytes()).sum::<usize>();
        events + self.keys.iter().map(|(key, _)| key.len() + KEY_BYTES).sum::<usize>()
    }
}

/// What a key takes besides its text.
const KEY_BYTES: usize = 64;

impl Recent {
    /// An empty history that keeps `size` events for `ttl` each, of `most` bytes together.
    pub fn new(epoch: Epoch, size: usize, ttl: Duration, most: usize) -> Self {
        let keys = Keys::default();
        let (events, top) = (VecDeque::new(), Position::start(epoch));
        Self {
            epoch,
            size,
            ttl,
            most,
            bytes: 0,
            events,
            top,
            trimmed: Mark::default(),
            log_trimmed: None,
            read_to: 0,
            newest_at_ms: 0,
            retired: false,
            keys,
        }
    }

    /// What is stored of a room: where it stands, and its newest events; `trimmed` is the number in the log
    /// of the one before them. They have no number among the recorded events of this process (0), since nobody
    /// has heard them from it.
    pub fn stored(
        top: Position,
        trimmed: u64,
        size: usize,
        ttl: Duration,
        most: usize,
        events: VecDeque<Arc<Publication>>,
        now_ms: u64,
    ) -> Self {
        let mut recent = Self { top, newest_at_ms: now_ms, ..Self::new(top.epoch, size, ttl, most) };
        recent.bytes = events.iter().map(|event| event.bytes()).sum();
        recent.read_to = events.back().map_or(trimmed, |event| event.durable);
        recent.events = events;
        recent.trimmed.durable = trimmed;
        recent
    }

    /// All it is made of, for another process; what is too old is left out.
    pub fn contents(&mut self, now_ms: u64) -> Contents {
        self.expire(now_ms);
        let known = self.keys.order.iter();
        let keys = known.filter_map(|(_, key)| Some((key.clone(), *self.keys.known.get(key)?)));
        Contents {
            top: self.top,
            trimmed: self.trimmed,
            newest_at_ms: self.newest_at_ms,
            events: self.events.iter().cloned().collect(),
            keys: keys.collect(),
        }
    }

    /// A history as another process had it.
    pub fn of(contents: Contents, size: usize, ttl: Duration, most: usize, now_ms: u64) -> Self {
        let Contents { top, trimmed, newest_at_ms, events, keys } = contents;
        let mut recent = Self { top, trimmed, newest_at_ms, ..Self::new(top.epoch, size, ttl, most) };
        recent.bytes = events.iter().map(|event| event.bytes()).sum();
        recent.events = events.into();
        keys.into_iter().for_each(|(key, record)| recent.keys.remember(&key, record));
        recent.shorten();
        recent.expire(now_ms);
        recent
    }

    /// The newest position.
    pub fn top(&self) -> Position {
        self.top
    }

    /// How many events are kept here.
    pub fn kept(&self) -> usize {
        self.events.len()
    }

    /// The bytes they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The position the next event will have.
    pub fn next(&self, id: MessageId) -> Position {
        Position::of(self.epoch, self.top.offset + 1, id)
    }

    /// Appends the event that has [`Recent::next`] as its position.
    pub fn append(&mut self, publication: Arc<Publication>) {
        debug_assert_eq!(publication.position.map(|p| p.offset), Some(self.top.offset + 1));
        self.expire(publication.at_ms);
        self.newest_at_ms = publication.at_ms;
        if let Some(position) = publication.position {
            self.top = position;
        }
        self.bytes += publication.bytes();
        self.events.push_back(publication);
        self.shorten();
    }

    /// Drops what is more than is kept.
    fn shorten(&mut self) {
        while self.events.len() > self.size || (self.bytes > self.most && self.events.len() > 1) {
            self.trim();
        }
    }

    /// Drops what is older than the time each event is kept.
    pub fn expire(&mut self, now_ms: u64) {
        let ttl = self.ttl.as_millis() as u64;
        while self.events.front().is_some_and(|event| event.at_ms.saturating_add(ttl) <= now_ms) {
            self.trim();
        }
        self.keys.expire(now_ms);
    }

    /// Whether the room can be forgotten: nothing is kept, and nobody can hold a position that
    /// would have to be answered for.
    pub fn retire(&mut self, now_ms: u64) -> bool {
        self.expire(now_ms);
        let unknown = self.top.offset == 0 || self.newest_at_ms + META_TTL_MS <= now_ms;
        self.retired = self.events.is_empty() && self.keys.is_empty() && unknown;
        self.retired
    }

    /// Notes the highest offset that the log does not keep.
    pub fn note_log(&mut self, trimmed: u64) {
        self.log_trimmed = self.log_trimmed.max(Some(trimmed));
    }

    /// The number in the log of the newest event that is not here.
    pub fn begins_behind(&self) -> u64 {
        self.trimmed.durable
    }

    /// The highest offset that the log does not keep, if what came after `since` is not all here but some of it
    /// may be in the log.
    pub fn behind(&self, since: Position) -> Option<u64> {
        let known = since.epoch == self.epoch && since.offset <= self.top.offset;
        // What the room does not keep is deleted a little later.
        let trimmed = self.log_trimmed?.max(self.top.offset.saturating_sub(self.size as u64));
        (known && since.offset + 1 < self.first() && trimmed + 1 < self.first()).then_some(trimmed)
    }

    /// The number in the log of the newest event that was read from there: nobody has heard it, or what came before
    /// it, by a number of this process.
    pub fn read_to(&self) -> u64 {
        self.read_to
    }

    /// Whether the event at a position is here or is the newest, so that one can go on behind it.
    pub fn reaches(&self, position: Position) -> bool {
        position.epoch != self.epoch || position.offset >= self.first().min(self.top.offset)
    }

    /// The offset of the oldest event that is here, or of the next one.
    fn first(&self) -> u64 {
        self.top.offset + 1 - self.events.len() as u64
    }

    /// Whether what the log has anyway can be dropped from memory: no session of this process can ask
    /// for it by number any more, or nothing was ever said that it could ask for.
    pub fn rest(&mut self, now_ms: u64) -> bool {
        let rest_ms = if self.top.offset == 0 { UNHEARD_REST_MS } else { REST_MS };
        self.retired = self.newest_at_ms + rest_ms <= now_ms;
        self.retired
    }

    /// Takes an event that the log has numbered; `false` if it is known already.
    ///
    /// One that does not follow the newest starts anew: what came between is in the log alone.
    pub fn take_logged(&mut self, publication: Arc<Publication>) -> bool {
        let Some(position) = publication.position else { return false };
        let follows = position.epoch == self.epoch && position.offset == self.top.offset + 1;
        if position.epoch == self.epoch && position.offset <= self.top.offset {
            return false;
        }
        if !follows {
            while !self.events.is_empty() {
                self.trim();
            }
            self.epoch = position.epoch;
            self.trimmed.durable = publication.durable.saturating_sub(1);
            self.top = Position { offset: position.offset - 1, tag: 0, ..position };
        }
        self.append(publication);
        true
    }

    /// Whether the hub has forgotten this history, so that the room has to be looked up again.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// The events after `since`, at most `limit`.
    ///
    /// Incomplete if `since` is of another epoch, lies in the future, names another message than
    /// the one at that offset, or if events after it are no longer kept.
    pub fn after(&self, since: Position, limit: usize) -> Read {
        let same = since.epoch == self.epoch && since.offset <= self.top.offset && self.tag_fits(since);
        let first = self.first();
        let complete = same && since.offset + 1 >= first;
        let skip = if same { (since.offset + 1).saturating_sub(first) } else { 0 };
        let events = self.events.iter().skip(skip as usize).take(limit).cloned().collect();
        Read { top: self.top, events, complete }
    }

    /// The events after `since` for one who may not read the history, but may hear what it missed.
    ///
    /// So it has to know the message at that offset by its tag: an epoch and an offset that were
    /// made up would open everything that was said before it came. Without that proof nothing is
    /// read, and the answer is incomplete unless there is nothing to read.
    pub fn after_heard(&self, since: Position) -> Read {
        let known =
            if since.offset == self.top.offset { Some(self.top.tag) } else { self.tag_at(since.offset) };
        if since.epoch == self.epoch && known == Some(since.tag) {
            return self.after(since, usize::MAX);
        }
        let complete = since.epoch == self.epoch && since.offset == self.top.offset && since.tag == 0;
        Read { top: self.top, events: Vec::new(), complete }
    }

    /// The events after an offset that was heard from here, at most `limit`.
    ///
    /// # Errors
    /// The position from which on events are kept, if that is not all.
    pub fn following(
        &self,
        epoch: Epoch,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Publication>>, Position> {
        let first = self.top.offset + 1 - self.events.len() as u64;
        if epoch != self.epoch || offset + 1 < first {
            return Err(Position { offset: first, ..self.top });
        }
        let skip = (offset + 1 - first) as usize;
        Ok(self.events.iter().skip(skip).take(limit).cloned().collect())
    }

    /// The newest `count` events.
    pub fn newest(&self, count: usize) -> Read {
        let skip = self.events.len().saturating_sub(count);
        let events = self.events.iter().skip(skip).cloned().collect();
        Read { top: self.top, events, complete: true }
    }

    /// The events whose sequence is greater than `sequence`; incomplete if one is no longer kept.
    pub fn after_sequence(&self, sequence: u64) -> Read {
        let from = self.events.partition_point(|event| event.sequence <= sequence);
        let events = self.events.iter().skip(from).cloned().collect();
        Read { top: self.top, events, complete: self.trimmed.memory <= sequence }
    }

    /// The events whose number in the log is greater than `durable`; incomplete if one is no longer kept here.
    pub fn after_durable(&self, durable: u64) -> Read {
        let from = self.events.partition_point(|event| event.durable <= durable);
        let events = self.events.iter().skip(from).cloned().collect();
        Read { top: self.top, events, complete: self.trimmed.durable <= durable }
    }

    /// What is known of an idempotency key.
    pub fn key(&self, key: &str) -> Option<&KeyRecord> {
        self.keys.known.get(key)
    }

    /// Remembers an idempotency key.
    pub fn remember(&mut self, key: &str, record: KeyRecord) {
        self.keys.remember(key, record);
    }

    /// Says where the event of a key stands that was recorded later than its key was taken.
    pub fn place(&mut self, key: &str, position: Position) {
        if let Some(record) = self.keys.known.get_mut(key) {
            record.position = Some(position);
        }
    }

    /// A tag of 0 is "not given".
    fn tag_fits(&self, since: Position) -> bool {
        if since.tag == 0 || since.offset == 0 {
            return true;
        }
        if since.offset == self.top.offset {
            return since.tag == self.top.tag;
        }
        self.tag_at(since.offset).is_none_or(|tag| tag == since.tag)
    }

    /// The tag of an event that is kept.
    fn tag_at(&self, offset: u64) -> Option<u32> {
        let first = self.first();
        let event = self.events.get(usize::try_from(offset.checked_sub(first)?).ok()?)?;
        event.position.map(|position| position.tag)
    }

    fn trim(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.bytes();
            self.trimmed = self.trimmed.max(event.mark());
        }
    }
}

/// The newest position is known this long after the last event, though the events are gone: a
/// client that was away while nothing was published has missed nothing.
const META_TTL_MS: u64 = 24 * 3_600_000;

/// A durable room that nobody is in stays in memory this long after its last event or its reading; no
/// session can be taken up again after so long.
const REST_MS: u64 = 3_600_000;

/// One in which nothing was ever said stays so long after its reading, for whoever is about to enter or speak.
const UNHEARD_REST_MS: u64 = 30_000;

/// What the first publish with a key became.
#[derive(Debug, Clone, Copy)]
pub struct KeyRecord {
    /// A hash of event name and data: the same key with another body is a conflict.
    pub body: u64,
    /// The message it became.
    pub id: MessageId,
    /// Where it stands.
    pub position: Option<Position>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Keys are good for ten minutes, and a room remembers so many.
const KEY_TTL_MS: u64 = 600_000;
const KEYS: usize = 10_000;

#[derive(Debug, Default)]
struct Keys {
    known: HashMap<CompactString, KeyRecord>,
    order: VecDeque<(u64, CompactString)>,
}

impl Keys {
    fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn remember(&mut self, key: &str, record: KeyRecord) {
        if self.known.len() >= KEYS {
            self.forget_oldest();
        }
        self.order.push_back((record.at_ms, key.into()));
        self.known.insert(key.into(), record);
    }

    fn expire(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(at, _)| at + KEY_TTL_MS <= now_ms) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.known.remove(&key);
        }
    }
}
