//! Reading a durable room from the log into memory, before it is needed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidings_core::recent::Recent;
use tidings_core::{Epoch, Node, Position, Publication, Refusal, Room};
use tidings_store::log::Record;
use tidings_store::{Store, StoreError};

use super::Log;
use crate::failpoint;
use crate::shared::wall_ms;

/// Notes how far the log of each organisation had come before this process.
///
/// What is said in memory before anything of the log is read here stands behind what was said before it all the same: its
/// offset would take a stock client back to the beginning of its durable rooms.
///
/// # Errors
/// [`StoreError`]: nobody may be let in who would hear such an offset.
pub(crate) async fn know_logs(node: &Node, store: &Store) -> Result<(), StoreError> {
    for (org, sequence) in store.read().await?.log_sequences().await? {
        node.know_log(&org, sequence);
    }
    Ok(())
}

impl Log {
    /// Reads a room from the log, unless it is in memory; or says why it cannot be there. `may_make` is asked about
    /// one that the log does not know.
    pub(super) async fn load(
        &self,
        node: &Node,
        room: &Room,
        may_make: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let _turn = self.turn(room).await;
        if !node.wants_loading(room) {
            return Ok(Ok(()));
        }
        let bounds = node.kinds().spec(room).ok().and_then(|spec| spec.keep.bounds());
        let Some((size, _, bytes)) = bounds else { return Ok(Ok(())) };
        // What is one too many is neither read nor made.
        if let Err(refusal) = node.has_place(room) {
            return Ok(Err(refusal));
        }
        // Before anything of the organisation's log is delivered here, nobody writes to it here.
        node.know_log(room.org(), self.store.read().await?.log_sequence(room.org()).await?);
        let Stand { top, trimmed, log_trimmed, events } =
            match self.read_newest(room, size as u64, bytes).await? {
                Some(stored) => stored,
                // The log knows no room in which nothing was said.
                None => match may_make() {
                    Ok(()) => Stand::first(self.origin.epoch_of(room).await?),
                    Err(refusal) => return Ok(Err(refusal)),
                },
            };
        let install = |size, ttl, bytes| Recent::stored(top, trimmed, size, ttl, bytes, events, wall_ms());
        if let Err(refusal) = node.install(room, install) {
            return Ok(Err(refusal));
        }
        // Memory that knows of no log helps nobody beyond what it has itself.
        node.note_log(room, if failpoint::is_off("log_behind") { u64::MAX >> 1 } else { log_trimmed });
        Ok(Ok(()))
    }

    /// Whether something was ever said in a room.
    pub(super) async fn knows(&self, room: &Room) -> Result<bool, StoreError> {
        Ok(self.store.read().await?.log_room(room).await?.is_some())
    }

    /// Waits until nobody else reads or forgets a room of the same part.
    pub(super) async fn turn(&self, room: &Room) -> tokio::sync::MutexGuard<'_, ()> {
        super::commit::turn(&self.loading, room).await
    }

    /// The newest events of a room, so many and so many bytes of them; a page more is held while it reads.
    async fn read_newest(&self, room: &Room, size: u64, bytes: usize) -> Result<Option<Stand>, StoreError> {
        let mut reader = self.store.read().await?;
        let Some(head) = reader.log_room(room).await? else { return Ok(None) };
        let (mut events, mut held): (VecDeque<Arc<Publication>>, usize) = (VecDeque::new(), 0);
        let mut after = head.trimmed.max(head.top.offset.saturating_sub(size));
        let mut trimmed = reader.log_sequence_at(&head, after).await?;
        while after < head.top.offset {
            let page = reader.log_after(&head, after).await?;
            self.pages.fetch_add(1, Ordering::Relaxed);
            let (Some(first), Some(last)) = (page.first(), page.last()) else { break };
            if first.position.offset > after + 1 {
                // Trimmed meanwhile.
                trimmed = first.sequence.saturating_sub(1);
                events.clear();
                held = 0;
            }
            after = last.position.offset;
            for event in self.publications(room, page, trimmed) {
                held += event.bytes();
                events.push_back(event);
            }
            while held > bytes && events.len() > 1 {
                let oldest = events.pop_front();
                held -= oldest.as_ref().map_or(0, |oldest| oldest.bytes());
                trimmed = oldest.map_or(trimmed, |oldest| oldest.durable);
            }
        }
        // What was appended since is read as well; whoever appended it hands it over only if it is new.
        let top = events.back().and_then(|event| event.position).unwrap_or(head.top);
        Ok(Some(Stand { top, trimmed, log_trimmed: head.trimmed, events }))
    }

    /// The events of a page, behind one of that number in the organisation's log; damaged ones are counted
    /// and told of.
    pub(super) fn publications(&self, room: &Room, page: Vec<Record>, before: u64) -> Vec<Arc<Publication>> {
        let mut events: Vec<Publication> = Vec::with_capacity(page.len());
        for record in page {
            let previous = events.last().map_or(before, |event| event.durable);
            let (damaged, offset) = (record.damaged, record.position.offset);
            let mut event = publication(room, record);
            if damaged {
                self.damaged.fetch_add(1, Ordering::Relaxed);
                let (org, room) = (room.org().as_str(), room.name());
                tracing::error!(
                    org,
                    room,
                    offset,
                    "an event of the log is damaged: who reads the room is told of a gap"
                );
                event.durable = event.durable.max(previous + 1);
            } else if let Some(last) = events.last_mut().filter(|last| last.is_damaged()) {
                // What a damaged one says of itself is not believed where it cannot be.
                last.durable = last.durable.min(event.durable.saturating_sub(1));
            }
            events.push(event);
        }
        events.into_iter().map(Arc::new).collect()
    }
}

/// Where a room stands, its newest events, the number in the log of the one before them, and the highest offset
/// that the log does not keep.
struct Stand {
    top: Position,
    trimmed: u64,
    log_trimmed: u64,
    events: VecDeque<Arc<Publication>>,
}

impl Stand {
    fn first(epoch: Epoch) -> Self {
        Self { top: Position::start(epoch), trimmed: 0, log_trimmed: 0, events: VecDeque::new() }
    }
}

fn publication(room: &Room, record: Record) -> Publication {
    Publication {
        position: Some(record.position),
        durable: record.sequence,
        ..Publication::new(room.clone(), record.event, record.payload, record.id, record.at_ms)
    }
}
