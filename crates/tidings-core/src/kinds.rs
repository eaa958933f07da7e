//! The declared kinds of rooms: a room whose kind is not declared does not exist.

use std::sync::Arc;

use compact_str::CompactString;
use hashbrown::HashMap;

use crate::access::{Identity, Refusal};
use crate::room::{Room, RoomSpec};

/// The declared kinds of rooms, by the word before the first colon.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    specs: HashMap<CompactString, Arc<RoomSpec>>,
}

impl Kinds {
    /// Declares a kind, or replaces its policy.
    pub fn declare(&mut self, kind: &str, spec: RoomSpec) {
        self.specs.insert(kind.into(), Arc::new(spec));
    }

    /// The policy of a room's kind.
    ///
    /// # Errors
    /// [`Refusal::no_such_room`] if the kind is not declared.
    pub fn spec(&self, room: &Room) -> Result<&Arc<RoomSpec>, Refusal> {
        self.specs.get(room.kind()).ok_or_else(Refusal::no_such_room)
    }

    /// Every kind with its policy, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RoomSpec)> {
        self.specs.iter().map(|(kind, spec)| (kind.as_str(), spec.as_ref()))
    }
}

/// What one may do with a room; see [`admit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Hear its events.
    Subscribe,
    /// Say something in it.
    Publish,
    /// Read what was said.
    History,
    /// See who is there.
    Presence,
}

/// Decides whether `who` may do `action` in `room`.
///
/// # Errors
/// A room one may not see is absent ([`Refusal::no_such_room`]); one that may be seen (subscribed
/// to) but not acted on is forbidden, and so is every room for what only an identity lacks.
pub fn admit(spec: &RoomSpec, who: &Identity, room: &Room, action: Action) -> Result<(), Refusal> {
    let rule = match action {
        Action::Subscribe => &spec.subscribe,
        Action::Publish => &spec.publish,
        Action::History => &spec.history,
        Action::Presence => &spec.presence,
    };
    if rule.admits(who, room) {
        return Ok(());
    }
    if action != Action::Subscribe && spec.subscribe.admits(who, room) {
        return Err(Refusal::new(crate::access::Code::Forbidden, "not allowed in this room"));
    }
    Err(Refusal::no_such_room())
}
