//! Events of one room that met in one turn, sent to all its members as the same bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Forms, Shard};
use crate::frame::{self, Form, Namespaces};
use crate::lane::Lane;
use crate::outbox::Item;
use crate::publication::Publication;

/// Events of one room that met in one turn.
pub(super) struct Run {
    pub(super) room: u32,
    pub(super) publications: Vec<Arc<Publication>>,
    /// Bytes of payload gathered so far.
    bytes: usize,
    /// The next member to be sent to; from the first send on nothing is added.
    pub(super) cursor: usize,
    forms: Forms,
}

/// More than this is not gathered into one run: a write should stay within a socket's buffer.
const RUN_BYTES: usize = 128 * 1024;

/// More runs than this do not wait: the oldest becomes outbox items, which are bounded by size.
const RUNS: usize = 64;

impl Run {
    fn takes(&self, room: u32, publication: &Publication) -> bool {
        self.room == room
            && self.cursor == 0
            && self.forms.made.is_empty()
            && self.bytes + publication.payload.json.len() <= RUN_BYTES
            && self.publications[0].lane == publication.lane
            && self.publications[0].position.is_some() == publication.position.is_some()
    }

    /// All events as one item in the given form; made once per form.
    pub(super) fn item(&mut self, form: Form, namespaces: &Namespaces) -> Item {
        let publications = &self.publications;
        let bytes = self.forms.get(form, || gather(publications, form, namespaces)).clone();
        let last = &publications[publications.len() - 1];
        Item {
            bytes,
            messages: publications.len() as u32,
            sequence: last.sequence,
            volatile: last.position.is_none(),
        }
    }

    pub(super) fn lane(&self) -> Lane {
        self.publications[0].lane
    }
}

fn gather(publications: &[Arc<Publication>], form: Form, namespaces: &Namespaces) -> Bytes {
    if let [only] = publications {
        return frame::encode(only, form, namespaces);
    }
    let mut all = BytesMut::new();
    for publication in publications {
        all.extend_from_slice(&frame::encode(publication, form, namespaces));
    }
    all.freeze()
}

impl Shard {
    /// The members of the next run, if nothing of it has been sent: more events may join it.
    pub fn fresh_run(&self) -> Option<usize> {
        let run = self.runs.front().filter(|run| run.cursor == 0)?;
        self.local.get(run.room as usize).map(|local| local.members.len())
    }

    /// Adds a publication to a run of the same kind that has not begun, or makes one.
    pub(super) fn add_to_run(&mut self, room: u32, publication: &Arc<Publication>) {
        if let Some(position) = publication.position {
            self.local[room as usize].taken = position.offset;
        }
        // Only the room's newest run will do: an older one with space would turn the order round.
        let newest = self.runs.iter_mut().rev().find(|run| run.room == room);
        if let Some(run) = newest.filter(|run| run.takes(room, publication)) {
            run.bytes += publication.payload.json.len();
            run.publications.push(publication.clone());
            return;
        }
        if self.runs.len() >= RUNS {
            self.settle_first(1);
        }
        self.runs.push_back(Run {
            room,
            publications: vec![publication.clone()],
            bytes: publication.payload.json.len(),
            cursor: 0,
            forms: Forms::default(),
        });
    }

    /// Turns the runs up to the last one of `room` into outbox items.
    pub(super) fn settle_room(&mut self, room: u32) {
        if let Some(last) = self.runs.iter().rposition(|run| run.room == room) {
            self.settle_first(last + 1);
        }
    }

    /// Turns the runs up to the last recorded one of another room into outbox items.
    ///
    /// Recorded events of an organisation reach a connection in the order of their sequence, so
    /// that the single offset a stock client keeps is true for all its rooms. Runs of one room
    /// keep that order by themselves.
    pub(super) fn settle_recorded(&mut self, next: u32) {
        let other = |run: &Run| run.publications[0].position.is_some() && run.room != next;
        if let Some(last) = self.runs.iter().rposition(other) {
            self.settle_first(last + 1);
        }
    }

    fn settle_first(&mut self, count: usize) {
        let namespaces = self.namespaces.clone();
        for _ in 0..count {
            let Some(mut run) = self.runs.pop_front() else { return };
            let Some(local) = self.local.get_mut(run.room as usize) else { continue };
            let members = std::mem::take(&mut local.members);
            let lane = run.lane();
            for member in members.iter().skip(run.cursor) {
                let item = run.item(member.form, &namespaces);
                self.push(member.slot, item, lane);
            }
            if let Some(local) = self.local.get_mut(run.room as usize) {
                local.members = members;
            }
        }
    }
}
