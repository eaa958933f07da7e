//! Events of one big room on their way round its members, the same bytes for all of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::members::{Member, item_of};
use super::{Forms, Shard};
use crate::frame::{self, Form, Namespaces};
use crate::lane::Lane;
use crate::outbox::Item;
use crate::publication::Publication;

/// Events of one big room on their way round its members.
///
/// A cursor goes round the members; an event joins wherever the cursor is and is done when it comes
/// by there again. So a member is written to once a round with everything that came since, and an
/// event that comes in the middle of a round waits for none to end: it takes one round, not two.
/// All events under way are wanted by the member at the cursor, whence the same bytes for all.
pub(super) struct Run {
    pub(super) room: u32,
    under_way: VecDeque<UnderWay>,
    /// Bytes of payload under way.
    bytes: usize,
    /// The next member to be sent to.
    cursor: usize,
    /// Members sent to since the run began.
    sent: u64,
    /// When measured events that are done were handed over.
    pub(super) timed: Vec<Instant>,
    /// All events under way, one behind the other.
    gathered: Forms,
}

struct UnderWay {
    publication: Arc<Publication>,
    frames: Forms,
    /// It is done when so many members have been sent to.
    until: u64,
}

/// More than this is not gathered: a write should stay within a socket's buffer.
const RUN_BYTES: usize = 128 * 1024;

/// Nor more events than a queue holds.
const RUN_EVENTS: usize = 1_024;

/// More runs than this do not wait: the oldest becomes outbox items, which are bounded by size.
const RUNS: usize = 64;

impl Run {
    fn new(room: u32) -> Self {
        let (under_way, gathered) = (VecDeque::new(), Forms::default());
        Self { room, under_way, bytes: 0, cursor: 0, sent: 0, timed: Vec::new(), gathered }
    }

    fn takes(&self, publication: &Publication) -> bool {
        self.bytes + publication.payload.json.len() <= RUN_BYTES
            && self.under_way.len() < RUN_EVENTS
            && self.lane() == publication.lane
            && self.is_recorded() == publication.position.is_some()
    }

    fn add(&mut self, publication: &Arc<Publication>, members: usize) {
        self.bytes += publication.payload.json.len();
        self.gathered = Forms::default();
        let (publication, frames) = (publication.clone(), Forms::default());
        self.under_way.push_back(UnderWay { publication, frames, until: self.sent + members as u64 });
    }

    /// How many of `members` come next that want the same events, within a budget.
    pub(super) fn stretch(&self, members: usize, budget: usize) -> std::ops::Range<usize> {
        let same = self.under_way.front().map_or(0, |first| (first.until - self.sent) as usize);
        self.cursor..members.min(self.cursor + same.min(budget))
    }

    /// Notes that so many members were sent to; `false` when nothing is under way any more.
    pub(super) fn advance(&mut self, count: usize, members: usize) -> bool {
        self.sent += count as u64;
        self.cursor = (self.cursor + count) % members.max(1);
        while self.under_way.front().is_some_and(|first| first.until <= self.sent) {
            if let Some(done) = self.under_way.pop_front() {
                self.bytes -= done.publication.payload.json.len();
                self.timed.extend(done.publication.timed);
            }
            self.gathered = Forms::default();
        }
        !self.under_way.is_empty()
    }

    /// All events under way as one item in the given form; made once per form.
    pub(super) fn item(&mut self, form: Form, namespaces: &Namespaces) -> Item {
        let under_way = &mut self.under_way;
        let bytes = self.gathered.get(form, || gather(under_way, form, namespaces)).clone();
        let last = under_way.back().map(|last| &last.publication);
        Item {
            bytes,
            messages: under_way.len() as u32,
            room: self.room,
            sequence: last.map_or(0, |last| last.sequence),
            subject: 0,
            volatile: last.is_none_or(|last| last.position.is_none()),
        }
    }

    /// Whether an event under way may take the place of an older one.
    fn is_about_something(&self) -> bool {
        self.under_way.iter().any(|event| event.publication.subject != 0)
    }

    /// The offset of the first event under way; 0 if they are not recorded.
    fn first_offset(&self) -> u64 {
        let first = self.under_way.front().and_then(|first| first.publication.position);
        first.map_or(0, |position| position.offset)
    }

    pub(super) fn lane(&self) -> Lane {
        self.under_way.front().map_or(Lane::Normal, |first| first.publication.lane)
    }

    fn is_recorded(&self) -> bool {
        self.under_way.front().is_some_and(|first| first.publication.position.is_some())
    }
}

impl UnderWay {
    fn frame(&mut self, form: Form, namespaces: &Namespaces) -> &Bytes {
        let publication = &self.publication;
        self.frames.get(form, || frame::encode_live(publication, form, namespaces))
    }
}

fn gather(under_way: &mut VecDeque<UnderWay>, form: Form, namespaces: &Namespaces) -> Bytes {
    if under_way.len() == 1 {
        return under_way[0].frame(form, namespaces).clone();
    }
    let mut all = BytesMut::new();
    for event in under_way {
        all.extend_from_slice(event.frame(form, namespaces));
    }
    all.freeze()
}

impl Shard {
    /// The members of the next run, if nothing of it has been sent: more events may join it.
    pub fn fresh_run(&self) -> Option<usize> {
        let run = self.runs.front().filter(|run| run.sent == 0)?;
        self.local.get(run.room as usize).map(|local| local.members.len())
    }

    /// Adds a publication to the room's run, or makes one.
    pub(super) fn add_to_run(&mut self, room: u32, publication: &Arc<Publication>) {
        if self.runs.iter().any(|run| run.room == room && !run.takes(publication)) {
            self.settle_room(room);
        }
        let local = &mut self.local[room as usize];
        local.note_taken(publication);
        let members = local.members.len();
        if let Some(run) = self.runs.iter_mut().find(|run| run.room == room) {
            return run.add(publication, members);
        }
        if self.runs.len() >= RUNS
            && let Some(oldest) = self.runs.pop_front()
        {
            self.settle(oldest);
        }
        let mut run = Run::new(room);
        run.add(publication, members);
        self.runs.push_back(run);
    }

    /// Turns the run of `room`, if there is one, into outbox items.
    pub(super) fn settle_room(&mut self, room: u32) {
        if let Some(at) = self.runs.iter().position(|run| run.room == room)
            && let Some(run) = self.runs.remove(at)
        {
            self.settle(run);
        }
    }

    /// Turns the recorded runs of other rooms into outbox items.
    ///
    /// Recorded events of an organisation reach a connection in the order of their sequence, so
    /// that the single offset a stock client keeps is true for all its rooms. A room's run keeps
    /// that order by itself.
    pub(super) fn settle_recorded(&mut self, next: u32) {
        while let Some(at) = self.runs.iter().position(|run| run.is_recorded() && run.room != next) {
            if let Some(run) = self.runs.remove(at) {
                self.settle(run);
            }
        }
    }

    /// Pushes to each member what it has not had yet.
    fn settle(&mut self, mut run: Run) {
        let Some(local) = self.local.get_mut(run.room as usize) else { return };
        let members = std::mem::take(&mut local.members);
        for (at, member) in members.iter().enumerate() {
            self.settle_member(&mut run, at, member, members.len());
        }
        if let Some(local) = self.local.get_mut(run.room as usize) {
            local.members = members;
        }
        // What is left of it goes out with this turn.
        let left = run.under_way.iter().filter_map(|event| event.publication.timed);
        self.note_timed(run.timed.drain(..).chain(left));
    }

    fn settle_member(&mut self, run: &mut Run, at: usize, member: &Member, members: usize) {
        // The cursor would come to it when so many members had been sent to.
        let reached = run.sent + ((at + members - run.cursor) % members) as u64;
        let namespaces = self.namespaces.clone();
        for event in run.under_way.iter_mut().filter(|event| event.until > reached) {
            self.push_under_way(event, run.room, member, &namespaces);
        }
    }

    /// Pushes the events under way to a member that has something waiting.
    pub(super) fn push_run(&mut self, run: &mut Run, member: &Member, item: Item) {
        if item.volatile && run.is_about_something() {
            let namespaces = self.namespaces.clone();
            for event in &mut run.under_way {
                self.push_under_way(event, run.room, member, &namespaces);
            }
        } else {
            self.push_event(member, item, run.lane(), run.first_offset());
        }
    }

    fn push_under_way(&mut self, event: &mut UnderWay, room: u32, member: &Member, names: &Namespaces) {
        let bytes = event.frame(member.form, names).clone();
        let publication = &event.publication;
        let offset = publication.position.map_or(0, |position| position.offset);
        self.push_event(member, item_of(publication, bytes, room), publication.lane, offset);
    }
}
