//! Events whose recipients are asked to acknowledge them.

use std::sync::Arc;

use super::{Node, Publish, refuse_large};
use crate::access::Refusal;
use crate::kinds::{Action, Asker, Denied};
use crate::publication::{Mark, MessageId};
use crate::room::Room;

impl Node {
    /// Whether somebody may publish an event to a room; nothing is published.
    ///
    /// # Errors
    /// The room's rules.
    pub fn may_publish<'a>(&self, who: impl Into<Asker<'a>>, room: &Room, event: &str) -> Result<(), Denied> {
        self.admit_event(&who.into(), room, Action::Publish, event).map(drop)
    }

    /// Whether a room's events are held back and replaced by newer ones.
    pub fn is_paced(&self, room: &Room) -> bool {
        self.spec(room).is_ok_and(|spec| spec.pacing.is_some() && !spec.keep.is_durable())
    }

    /// How many subscriptions a room has on this node.
    pub fn members(&self, room: &Room) -> usize {
        self.hub.find(room).map_or(0, |entry| entry.members())
    }

    /// Sends a message once more, under the id it has, to those who are in its room now.
    ///
    /// It is not recorded again: where its room keeps events, it stands there already or has stood there.
    ///
    /// # Errors
    /// [`Code::NotFound`](crate::Code::NotFound) if its kind is not declared any more,
    /// [`Code::TooLarge`](crate::Code::TooLarge) for more data than the kind takes.
    pub fn send_again(&self, what: Publish<'_>, id: MessageId, at_ms: u64) -> Result<(), Refusal> {
        let spec = self.spec(&what.room)?;
        refuse_large(&spec, &what)?;
        let Some(entry) = self.hub.find(&what.room) else { return Ok(()) };
        let publication = Arc::new(self.publication(&spec, what, id, None, Mark::default(), at_ms));
        self.hub.deliver(&entry, &publication, None);
        Ok(())
    }
}
