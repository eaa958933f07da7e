//! What was stored without its being known: the connection to the database broke at the commit.
//!
//! Its publishers were refused, and their keys tell. Its rooms' members have not heard it, and must, in its
//! place: before anything else is stored, what memory does not know of these rooms is read and delivered.

use std::collections::HashMap;

use tidings_core::{ConnKey, Lane, MessageId, Publish, Room};
use tidings_store::StoreError;
use tidings_store::log::Record;

use super::write::Writer;
use crate::failpoint;

/// Rooms that may have events in the log which nobody has heard, and what the log does not say of those events.
///
/// At most the events of the batches whose commit was not answered: before anything more is stored they are settled.
pub(super) type Unsettled = HashMap<Room, HashMap<MessageId, Manner>>;

/// How an event is to be delivered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    pub(super) lane: Option<Lane>,
    /// Who must not get it.
    pub(super) skip: Option<(usize, ConnKey)>,
}

impl Writer {
    /// Notes that an event of a batch may be stored.
    pub(super) fn unsettle(&mut self, room: &Room, id: MessageId, manner: Manner) {
        if !failpoint::is_off("heal") {
            self.unsettled.entry(room.clone()).or_default().insert(id, manner);
        }
    }

    /// Delivers what may have been stored without being heard.
    ///
    /// # Errors
    /// If the log cannot be read now; nothing is to be stored in these rooms before it is.
    pub(super) async fn heal(&mut self) -> Result<(), StoreError> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        if !failpoint::is_off("fence") {
            let mut orgs: Vec<_> = self.unsettled.keys().map(Room::org).collect();
            orgs.sort_unstable_by_key(|org| org.as_str());
            orgs.dedup();
            self.appender.settle(&orgs).await?;
        }
        let mut missed = Vec::new();
        for room in self.unsettled.keys() {
            missed.extend(self.unheard(room).await?.into_iter().map(|record| (room.clone(), record)));
        }
        // In the order in which the organisation's events became readable.
        missed.sort_by_key(|(_, record)| record.sequence);
        for (room, record) in missed {
            let known = self.unsettled.get(&room).and_then(|events| events.get(&record.id));
            let known = known.copied().filter(|_| !failpoint::is_off("manner"));
            self.deliver_unheard(&room, record, known.unwrap_or_default());
        }
        self.unsettled = HashMap::new();
        Ok(())
    }

    /// What the log has of a room behind what memory has; nothing of a room that nobody is in.
    async fn unheard(&self, room: &Room) -> Result<Vec<Record>, StoreError> {
        let Some(top) = self.node.hub().find(room).and_then(|entry| entry.top()) else {
            return Ok(Vec::new());
        };
        let mut reader = self.store.read().await?;
        let Some(head) = reader.log_room(room).await? else { return Ok(Vec::new()) };
        let (mut records, mut after) = (Vec::new(), top.offset);
        while after < head.top.offset {
            let page = reader.log_after(&head, after).await?;
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            records.extend(page);
        }
        Ok(records)
    }

    fn deliver_unheard(&self, room: &Room, record: Record, manner: Manner) {
        let Record { id, position, sequence, at_ms, event, payload, damaged, .. } = record;
        if damaged {
            return tracing::error!(room = room.name(), "an event that was just stored is damaged");
        }
        let (event, room) = (&*event, room.clone());
        let Manner { lane, skip } = manner;
        let what = Publish { lane, skip, ..Publish::new(room, event, payload) };
        if let Err(refusal) = self.node.deliver_logged(what, id, position, sequence, at_ms) {
            tracing::debug!(%refusal, "an event was stored whose kind is gone");
        }
    }
}
