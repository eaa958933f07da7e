//! Durable rooms: what they keep is read from the log before it is needed, and what is said in them is stored
//! before anybody hears it. Both take time, so the front does them.

use std::sync::Arc;
use std::time::Duration;

use super::{Node, Publish, full, refuse_large};
use crate::access::Refusal;
use crate::kinds::Denied;
use crate::lock;
use crate::publication::{Epoch, Mark, MessageId, Position};
use crate::recent::Recent;
use crate::room::{Keep, Org, Room, RoomSpec};

impl Node {
    pub(super) fn for_the_log(&self, spec: &RoomSpec, what: &Publish<'_>) -> Denied {
        match refuse_large(spec, what) {
            Err(refusal) => refusal.into(),
            Ok(()) if self.wants_loading(&what.room) => Denied::Load,
            Ok(()) => Denied::Log,
        }
    }

    /// Whether a room's events go through the log.
    pub fn is_durable(&self, room: &Room) -> bool {
        self.spec(room).is_ok_and(|spec| spec.keep.is_durable())
    }

    /// Whether a durable room's history is not read yet.
    pub fn wants_loading(&self, room: &Room) -> bool {
        self.is_durable(room) && self.hub.find(room).is_none_or(|entry| entry.wants_loading())
    }

    /// Has somebody told of each room whose first event is kept in memory alone, before it is delivered; must not
    /// block. The first who asks is told.
    pub fn tell_first_heard(&self, tell: impl Fn(&Room) + Send + Sync + 'static) {
        // A second one would be a mistake of the program that nobody has made.
        let _ = self.first_heard.set(Box::new(tell));
    }

    /// Notes the highest offset of a durable room that the log does not keep any more.
    pub fn note_log(&self, room: &Room, trimmed: u64) {
        let Some(entry) = self.hub.find(room) else { return };
        if let Some(mut recent) = entry.history() {
            recent.note_log(trimmed);
        }
    }

    /// The highest offset that the log does not keep of a room, if what came after `since` is not all in memory
    /// but some of it may be in the log.
    pub fn behind(&self, room: &Room, since: Position) -> Option<u64> {
        self.hub.find(room)?.history()?.behind(since)
    }

    /// Whether one can go on in memory behind a position; `None` if the room has to be read first.
    pub fn reaches(&self, room: &Room, position: Position) -> Option<bool> {
        Some(self.hub.find(room)?.history()?.reaches(position))
    }

    /// The number in the log of the newest event of a room that is not in memory.
    pub fn begins_behind(&self, room: &Room) -> Option<u64> {
        Some(self.hub.find(room)?.history()?.begins_behind())
    }

    /// Whether a room is in memory, or one more of its organisation can be.
    ///
    /// # Errors
    /// As [`Node::install`], which may find the last place taken meanwhile.
    pub fn has_place(&self, room: &Room) -> Result<(), Refusal> {
        self.hub.has_place(room).map_err(full)
    }

    /// Puts what is stored of a durable room into memory; `stored` is told how much of it is kept.
    ///
    /// # Errors
    /// [`Code::Unavailable`](crate::Code::Unavailable) if the room would be one too many for its organisation.
    pub fn install(
        &self,
        room: &Room,
        stored: impl FnOnce(usize, Duration, usize) -> Recent,
    ) -> Result<(), Refusal> {
        let spec = self.spec(room)?;
        let Keep::Durable { size, ttl, bytes, .. } = spec.keep else { return Ok(()) };
        let entry = self.hub.entry(room, &spec, || self.epoch()).map_err(full)?;
        if entry.wants_loading() {
            entry.install(stored(size, ttl, bytes));
        }
        Ok(())
    }

    /// The epoch of a durable room that was read.
    pub fn epoch_of(&self, room: &Room) -> Option<Epoch> {
        self.hub.find(room).and_then(|entry| entry.top()).map(|top| top.epoch)
    }

    /// The id of a message that is about to be published.
    pub fn next_message_id(&self) -> MessageId {
        self.message_id()
    }

    /// Notes how far an organisation's log had come before anything of it was delivered here.
    pub fn know_log(&self, org: &Org, sequence: u64) {
        let numbers = self.hub.sequence(org);
        lock(&numbers).durable.get_or_insert(sequence);
    }

    /// The point up to which an organisation's recorded events were delivered.
    pub fn mark_of(&self, org: &Org) -> Mark {
        let numbers = self.hub.sequence(org);
        let numbers = lock(&numbers);
        numbers.mark()
    }

    /// Delivers an event that the log has stored and numbered: `position` in its room, `sequence` among those of
    /// its organisation. Events of an organisation have to come in the order of `sequence`.
    ///
    /// # Errors
    /// [`Code::NotFound`] if its kind is not declared any more; it is stored all the same.
    pub fn deliver_logged(
        &self,
        what: Publish<'_>,
        id: MessageId,
        position: Position,
        sequence: u64,
        at_ms: u64,
    ) -> Result<(), Refusal> {
        let spec = self.spec(&what.room)?;
        let numbers = self.hub.sequence(what.room.org());
        let mut numbers = lock(&numbers);
        let mark = numbers.count(Some(sequence));
        let Some(entry) = self.hub.find(&what.room) else { return Ok(()) };
        let Some(mut recent) = entry.history() else { return Ok(()) };
        let publication = Arc::new(self.publication(&spec, what, id, Some(position), mark, at_ms));
        let is_new = recent.take_logged(publication.clone());
        drop(recent);
        if is_new {
            self.hand_over(&entry, &publication, None, true);
        }
        Ok(())
    }
}
