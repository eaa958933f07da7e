//! Rooms of whose objects only the changes are said.

use std::sync::{Arc, MutexGuard};

use super::{Node, Publish, Published};
use crate::hub::Entry;
use crate::lane::Lane;
use crate::pace::{Diffs, Topic};
use crate::publication::Publication;
use crate::room::Keep;

/// What was last said in a room, held until what is said next is handed over: every shard gets both in this order.
pub(super) struct Saying<'a> {
    said: MutexGuard<'a, Option<Box<Diffs>>>,
    topic: Topic<'a>,
    full_every: u32,
    lane: Lane,
}

impl<'a> Saying<'a> {
    /// `None` where all is said always.
    pub(super) fn new(entry: &'a Entry, what: &Publish<'a>) -> Option<Self> {
        let full_every = entry.spec.diff?;
        let topic = Topic { event: what.event, slot: what.slot };
        Some(Self { said: entry.said(), topic, full_every, lane: entry.spec.lane })
    }

    /// Notes what is said, and what of it has changed.
    pub(super) fn take_in(&mut self, entry: &Entry, publication: &mut Publication) {
        let diffs = self.said.get_or_insert_with(|| Box::new(Diffs::new(self.full_every)));
        if entry.take_wants_whole() {
            diffs.ask_full();
        }
        if matches!(entry.spec.keep, Keep::Nothing) {
            publication.said = diffs.count_one();
        }
        // What could overtake what was said before, or come twice, is whole, and so is what follows it.
        let in_order = publication.lane == self.lane
            && publication.position.is_some() == entry.spec.keep.bounds().is_some()
            && publication.ack.is_none()
            && publication.payload.attachments.is_empty();
        if !in_order {
            return diffs.forget(self.topic);
        }
        let told = diffs.offer(self.topic, publication.payload.text());
        if let Some(whole) = told.whole {
            publication.payload.json = whole.into();
        }
        publication.part = told.part.map(Into::into);
        // A newer part says less than an older one: none may take the other's place.
        publication.subject = 0;
    }
}

impl Node {
    /// Publishes a volatile event of which only the changes are said: by mail to every shard, the own one too.
    pub(super) fn publish_diffed(
        &self,
        entry: &Entry,
        mut saying: Saying<'_>,
        mut publication: Publication,
    ) -> Published {
        saying.take_in(entry, &mut publication);
        let id = publication.id;
        let handed = self.hand_over(entry, &Arc::new(publication), None, false);
        if handed.refused != 0 {
            entry.want_whole();
        }
        Published::now(id, None)
    }
}
