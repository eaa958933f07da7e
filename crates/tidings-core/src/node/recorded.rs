//! What the flight recorder is told of publications: each once, whoever hears it.

use std::sync::Arc;

use super::{Node, Publish, Published};
use crate::hub::{Entry, Handed};
use crate::publication::{MessageId, Publication};
use crate::recorder::{Noted, Recorder, Stage};
use crate::room::RoomSpec;

impl Node {
    /// The same with a recorder of what happens.
    #[must_use]
    pub fn with_recorder(self, recorder: Option<Recorder>) -> Self {
        Self { recorder, ..self }
    }

    /// What happened lately; `None`: nothing is noted.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    /// Hands a publication to every shard that has members, and notes it.
    ///
    /// Its moment is taken before: what shards note of it comes later.
    pub(super) fn hand_over(
        &self,
        entry: &Entry,
        publication: &Arc<Publication>,
        here: Option<usize>,
        is_stored: bool,
    ) -> Handed {
        let moment = self.recorder.as_ref().map_or(0, Recorder::moment);
        let handed = self.hub.deliver(entry, publication, here);
        if let Some(recorder) = &self.recorder {
            recorder.note(publication, Stage::Handed(handed), is_stored, moment);
        }
        handed
    }

    /// The same for everybody of its organisation.
    pub(super) fn hand_to_everybody(&self, publication: &Arc<Publication>) {
        if let Some(recorder) = &self.recorder {
            recorder.note(publication, Stage::Announced, false, recorder.moment());
        }
        self.hub.announce(publication);
    }

    /// Notes that a message's key was used again for the same event.
    pub fn note_duplicate(&self, id: MessageId) {
        if let Some(recorder) = &self.recorder {
            recorder.repeat(id);
        }
    }

    /// What becomes of a volatile event for a room in which nobody is.
    pub(super) fn unheard(
        &self,
        spec: &RoomSpec,
        what: &Publish<'_>,
        id: MessageId,
        at_ms: u64,
    ) -> Published {
        self.note_without(spec, what, id, Stage::Handed(Handed::default()), at_ms);
        Published::now(id, None)
    }

    /// Notes an event that waits for the pace of its room.
    pub(super) fn note_held(&self, spec: &RoomSpec, what: &Publish<'_>, id: MessageId, at_ms: u64) {
        self.note_without(spec, what, id, Stage::Held, at_ms);
    }

    fn note_without(&self, spec: &RoomSpec, what: &Publish<'_>, id: MessageId, stage: Stage, at_ms: u64) {
        let Some(recorder) = &self.recorder else { return };
        recorder.keep(Noted {
            id,
            room: what.room.clone(),
            event: what.event.into(),
            moment: recorder.moment(),
            at_ms,
            lane: what.lane.unwrap_or(spec.lane),
            skip: what.skip,
            position: None,
            sequence: 0,
            is_stored: false,
            stage,
            duplicates: 0,
        });
    }
}
