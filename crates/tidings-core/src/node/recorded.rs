//! What the flight recorder is told of publications: each once, whoever hears it.

use super::{Node, Publish};
use crate::hub::Handed;
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

    /// The moment before a publication is handed over: what shards note of it comes later.
    pub(super) fn moment(&self) -> u64 {
        self.recorder.as_ref().map_or(0, Recorder::moment)
    }

    pub(super) fn note(&self, publication: &Publication, stage: Stage, is_stored: bool, moment: u64) {
        if let Some(recorder) = &self.recorder {
            recorder.note(publication, stage, is_stored, moment);
        }
    }

    /// Notes that a message's key was used again for the same event.
    pub fn note_duplicate(&self, id: MessageId) {
        if let Some(recorder) = &self.recorder {
            recorder.repeat(id);
        }
    }

    /// Notes a volatile event for a room in which nobody is.
    pub(super) fn note_unheard(&self, spec: &RoomSpec, what: &Publish<'_>, id: MessageId, at_ms: u64) {
        self.note_without(spec, what, id, Stage::Handed(Handed::default()), at_ms);
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
