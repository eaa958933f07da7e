//! What was stored without its being known: the connection to the database broke at the commit.
//!
//! Its publishers were refused, and their keys tell. Its rooms' members have not heard it, and must, in its
//! place: before anything else is stored, what memory does not know of these rooms is read and delivered.

use std::collections::HashSet;

use tidings_core::{Publish, Room};
use tidings_store::StoreError;
use tidings_store::log::Record;

use super::write::Writer;
use crate::failpoint;

impl Writer {
    /// Notes that the events of a batch may be stored.
    pub(super) fn unsettle<'a>(&mut self, rooms: impl Iterator<Item = &'a Room>) {
        if !failpoint::is_off("heal") {
            self.unsettled.extend(rooms.cloned());
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
        let mut missed = Vec::new();
        for room in &self.unsettled {
            missed.extend(self.unheard(room).await?.into_iter().map(|record| (room.clone(), record)));
        }
        // In the order in which the organisation's events became readable.
        missed.sort_by_key(|(_, record)| record.sequence);
        for (room, record) in missed {
            self.deliver_unheard(&room, record);
        }
        self.unsettled = HashSet::new();
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

    fn deliver_unheard(&self, room: &Room, record: Record) {
        let Record { id, position, sequence, at_ms, event, payload, damaged, .. } = record;
        if damaged {
            return tracing::error!(room = room.name(), "an event that was just stored is damaged");
        }
        let (event, room) = (&*event, room.clone());
        let what = Publish::new(room, event, payload);
        if let Err(refusal) = self.node.deliver_logged(what, id, position, sequence, at_ms) {
            tracing::debug!(%refusal, "an event was stored whose kind is gone");
        }
    }
}
