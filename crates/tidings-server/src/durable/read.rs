//! Reading a durable room from the log into memory, before it is needed.

use std::collections::VecDeque;
use std::sync::Arc;

use tidings_core::recent::Recent;
use tidings_core::{Epoch, Lane, Node, Position, Publication, Room};
use tidings_store::StoreError;
use tidings_store::log::Record;

use super::Log;
use crate::shared::wall_ms;

impl Log {
    /// Reads a room from the log, unless it is in memory.
    pub(super) async fn load(&self, node: &Node, room: &Room) -> Result<(), StoreError> {
        let _turn = self.turn(room).await;
        if !node.wants_loading(room) {
            return Ok(());
        }
        let bounds = node.kinds().spec(room).ok().and_then(|spec| spec.keep.bounds());
        let Some((size, _, bytes)) = bounds else { return Ok(()) };
        let (top, events) = match self.read_newest(room, size as u64, bytes).await? {
            Some(stored) => stored,
            None => self.make(room, node.next_epoch()).await?,
        };
        // A kind that is gone, or an organisation with too many rooms, is refused by what comes next.
        let install = |size, ttl, bytes| Recent::stored(top, size, ttl, bytes, events, wall_ms());
        let _ = node.install(room, install);
        Ok(())
    }

    /// Waits until nobody else reads or forgets a room of the same part.
    pub(super) async fn turn(&self, room: &Room) -> tokio::sync::MutexGuard<'_, ()> {
        super::commit::turn(&self.loading, room).await
    }

    /// Makes a room whose epoch lasts, so that who has heard nothing in it can prove that.
    async fn make(&self, room: &Room, epoch: Epoch) -> Result<Stand, StoreError> {
        let mut tx = self.store.begin().await?;
        tx.add_log_room(room, epoch, wall_ms()).await?;
        tx.commit().await?;
        let stored = self.read_newest(room, 0, 0).await?;
        stored.ok_or_else(|| StoreError::Corrupt("a room of the log is gone".into()))
    }

    /// The newest events of a room, so many and so many bytes of them; a page more is held while it reads.
    async fn read_newest(&self, room: &Room, size: u64, bytes: usize) -> Result<Option<Stand>, StoreError> {
        let mut reader = self.store.read().await?;
        let Some(head) = reader.log_room(room).await? else { return Ok(None) };
        let (mut events, mut held): (VecDeque<Arc<Publication>>, usize) = (VecDeque::new(), 0);
        let mut after = head.trimmed.max(head.top.offset.saturating_sub(size));
        while after < head.top.offset {
            let page = reader.log_after(&head, after).await?;
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            for record in page {
                let event = Arc::new(publication(room, record));
                held += event.bytes();
                events.push_back(event);
            }
            while held > bytes && events.len() > 1 {
                held -= events.pop_front().map_or(0, |oldest| oldest.bytes());
            }
        }
        // What was appended since is read as well; whoever appended it hands it over only if it is new.
        let top = events.back().and_then(|event| event.position).unwrap_or(head.top);
        Ok(Some((top, events)))
    }
}

/// Where a room stands, and its newest events.
type Stand = (Position, VecDeque<Arc<Publication>>);

fn publication(room: &Room, record: Record) -> Publication {
    Publication {
        subject: 0,
        room: room.clone(),
        event: record.event.into(),
        payload: record.payload,
        lane: Lane::Normal,
        skip: None,
        id: record.id,
        position: Some(record.position),
        sequence: 0,
        at_ms: record.at_ms,
    }
}
