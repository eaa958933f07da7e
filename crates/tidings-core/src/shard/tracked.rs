//! Publications whose recipients are asked to acknowledge them: who they are has to be known.

use std::sync::Arc;

use super::{ConnKey, Forms, Membership, Shard};
use crate::frame::{self, Form};
use crate::outbox::{Item, NO_ROOM};
use crate::publication::Publication;

/// To whom a publication went that asks to be acknowledged.
#[derive(Debug)]
pub struct Reached {
    /// The publication.
    pub publication: Arc<Publication>,
    /// Its recipients here, each in the form it was served in.
    pub recipients: Vec<(ConnKey, Form)>,
}

impl Shard {
    /// Takes a publication, and remembers to whom it goes until [`Shard::take_reached`].
    ///
    /// It joins no run, however big the room is: what goes round has no recipients yet.
    pub(super) fn take_tracked(&mut self, publication: &Arc<Publication>) {
        let Some(&room) = self.rooms.get(&publication.room) else { return };
        if publication.position.is_some() {
            self.settle_recorded(room);
        }
        self.settle_room(room);
        let recipients = self.recipients(room, publication);
        self.push_to_members(room, publication, None);
        self.reached.push(Reached { publication: publication.clone(), recipients });
    }

    /// To whom publications went since the last call that ask to be acknowledged.
    pub fn take_reached(&mut self) -> Vec<Reached> {
        std::mem::take(&mut self.reached)
    }

    /// Sends a publication once more to some connections.
    ///
    /// It may be dropped where a connection is slow, and counts for no position: it has been sent before.
    pub fn send_again(&mut self, to: impl IntoIterator<Item = (ConnKey, Form)>, publication: &Publication) {
        let Some(&room) = self.rooms.get(&publication.room) else { return };
        let mut forms = Forms::default();
        let namespaces = self.namespaces.clone();
        for (key, form) in to {
            if self.holds(key) {
                // Who has left the room meanwhile keeps nothing that has its number.
                let is_in = |membership: &Membership| membership.room == room;
                let room =
                    if self.conns[key.slot as usize].memberships.iter().any(is_in) { room } else { NO_ROOM };
                let bytes = forms.get(form, || frame::encode(publication, form, &namespaces)).clone();
                let item = Item { bytes, messages: 1, room, sequence: 0, subject: 0, volatile: true };
                self.push(key.slot, item, publication.lane);
            }
        }
    }

    fn recipients(&self, room: u32, publication: &Publication) -> Vec<(ConnKey, Form)> {
        let members = self.local[room as usize].members.iter().filter(|member| {
            !self.is_skipped(publication, member.slot)
                && !self.has_read(room, member, publication)
                && self.wants(member, publication)
        });
        let found = members.filter_map(|member| {
            let conn = self.conns.get(member.slot as usize).filter(|conn| !conn.overflowed)?;
            Some((ConnKey { slot: member.slot, generation: conn.generation }, member.form))
        });
        found.collect()
    }
}
