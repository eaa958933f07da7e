//! Durable rooms: what they keep is read from the log before it is needed, and what is said in them is stored
//! before anybody hears it. Both take time, so the front does them.

use std::sync::Arc;
use std::time::Duration;

use super::{Node, Publish, full, refuse_large};
use crate::access::Refusal;
use crate::hub::lock;
use crate::kinds::Denied;
use crate::publication::{Epoch, MessageId, Position};
use crate::recent::Recent;
use crate::room::{Keep, Room, RoomSpec};

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

    /// An epoch that no room has had.
    pub fn next_epoch(&self) -> Epoch {
        self.epoch()
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
        let Keep::Durable { size, ttl, bytes } = spec.keep else { return Ok(()) };
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

    /// Delivers an event that the log has stored and numbered.
    ///
    /// # Errors
    /// [`Code::NotFound`] if its kind is not declared any more; it is stored all the same.
    pub fn deliver_logged(
        &self,
        what: Publish<'_>,
        id: MessageId,
        position: Position,
        at_ms: u64,
    ) -> Result<(), Refusal> {
        let spec = self.spec(&what.room)?;
        let sequence = self.hub.sequence(what.room.org());
        let mut sequence = lock(&sequence);
        let Some(entry) = self.hub.find(&what.room) else { return Ok(()) };
        let Some(mut recent) = entry.history() else { return Ok(()) };
        *sequence += 1;
        let publication = Arc::new(self.publication(&spec, what, id, Some(position), *sequence, at_ms));
        let is_new = recent.take_logged(publication.clone());
        drop(recent);
        if is_new {
            self.hub.deliver(&entry, &publication, None);
        }
        Ok(())
    }
}
