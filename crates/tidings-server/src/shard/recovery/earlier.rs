//! What a session missed that memory does not have: read from the log before it joins its rooms again.

use std::sync::Arc;

use tidings_core::node::Heard;
use tidings_core::{Publication, Room};

use super::rejoin::RESUME_BYTES;
use super::{Kept, Parked, Resume};
use crate::comeback::Proof;
use crate::shard::ShardLoop;
use crate::shard::inbox::Mail;
use crate::shared::Shared;

/// What a session missed that memory does not have.
#[derive(Default)]
pub(crate) struct Earlier {
    rooms: Vec<OfRoom>,
    /// It is more than a session is given.
    pub(super) too_much: bool,
}

/// The same of one room.
pub(super) struct OfRoom {
    room: Room,
    /// The number in the log up to which it was read.
    until: u64,
    pub(super) events: Vec<Arc<Publication>>,
    /// Why something is missing, if it is.
    pub(super) lost: Option<&'static str>,
}

/// What has to be read of one room: from what was heard, up to where memory begins.
struct Wanted {
    room: Room,
    heard: u64,
}

impl Earlier {
    pub(super) fn of(&self, room: &Room) -> Option<&OfRoom> {
        self.rooms.iter().find(|one| one.room == *room)
    }

    /// From where memory has to go on in a room.
    pub(super) fn then(&self, room: &Room, heard: Heard) -> Heard {
        match (heard, self.of(room)) {
            (Heard::To(mark), Some(one)) => Heard::Then(mark, one.until),
            _ => heard,
        }
    }
}

impl ShardLoop {
    /// Whether something of a session's rooms is in the log alone.
    pub(super) fn has_to_read(&self, resume: &Resume, parked: &Parked) -> bool {
        parked.rooms.iter().any(|kept| {
            self.node.wants_loading(&kept.room)
                || self.wanted(resume, parked, kept).is_some_and(|wanted| self.is_missing(&wanted))
        })
    }

    /// Reads that, on the front.
    ///
    /// While the log cannot be read nobody knows what was missed: the session stays, and its client has to
    /// come again.
    pub(super) fn read_rooms(&mut self, mut resume: Resume, parked: Parked) {
        let rooms: Vec<Room> = parked.rooms.iter().map(|kept| kept.room.clone()).collect();
        let wanted = parked.rooms.iter().filter_map(|kept| self.wanted(&resume, &parked, kept));
        let wanted: Vec<_> = wanted.collect();
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        self.shared.front.spawn(async move {
            let read = read_all(&shared, &rooms, wanted).await;
            let Some(earlier) = read else {
                return inbox.push(Mail::NotResumed(Box::new((resume, Some(parked)))));
            };
            (resume.earlier, resume.loaded) = (earlier, true);
            inbox.push(Mail::Resumed(Box::new((resume, Some(parked)))));
        });
    }

    /// What of a room a client has heard, by its own word or since it subscribed.
    fn wanted(&self, resume: &Resume, parked: &Parked, kept: &Kept) -> Option<Wanted> {
        let Heard::To(mark) = self.heard(resume, parked)? else { return None };
        let heard = mark.max(kept.since).durable;
        (kept.proof == Proof::Log).then(|| Wanted { room: kept.room.clone(), heard })
    }

    fn is_missing(&self, wanted: &Wanted) -> bool {
        self.node.begins_behind(&wanted.room).is_some_and(|begins| begins > wanted.heard)
    }
}

/// Reads rooms that are not in memory, and what was missed in them before memory begins; `None` if that cannot
/// be read now.
async fn read_all(shared: &Shared, rooms: &[Room], wanted: Vec<Wanted>) -> Option<Earlier> {
    for room in rooms.iter().filter(|room| shared.node.wants_loading(room)) {
        shared.load(room).await.ok()?;
    }
    let (mut earlier, mut left) = (Earlier::default(), RESUME_BYTES);
    for Wanted { room, heard } in wanted {
        let Some(until) = shared.node.begins_behind(&room).filter(|begins| *begins > heard) else { continue };
        let Some(epoch) = shared.node.epoch_of(&room) else { continue };
        let Some((events, whole)) = shared.between(&room, (epoch, heard, until), left).await.ok()? else {
            earlier.too_much = true;
            return Some(earlier);
        };
        left = left.saturating_sub(events.iter().map(|event| event.bytes()).sum());
        let lost = (!whole).then_some("trimmed");
        earlier.rooms.push(OfRoom { room, until, events, lost });
    }
    Some(earlier)
}
