//! Pages of the log for those who have missed more than memory keeps: read once for all who want the same.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidings_core::{Epoch, Publication, Room, lock};
use tidings_store::StoreError;

use super::Log;
use crate::failpoint;

/// Pages begin at multiples of so many events, as far as they are not cut by their bytes, so that people who
/// missed different parts of the same past share them.
const ALIGNED: u64 = 256;

/// Bytes of pages that are kept for those who come next; the oldest go first.
const KEPT_BYTES: usize = 32 << 20;

/// Pages that were read lately, by room and first offset.
#[derive(Default)]
pub(super) struct Pages {
    rooms: HashMap<(Room, Epoch), BTreeMap<u64, Page>>,
    order: VecDeque<(Room, Epoch, u64)>,
    bytes: usize,
}

type Page = Arc<[Arc<Publication>]>;

impl Pages {
    /// What is at hand behind an offset, without a hole before it.
    fn behind(&self, room: &Room, epoch: Epoch, after: u64) -> Option<Vec<Arc<Publication>>> {
        let pages = self.rooms.get(&(room.clone(), epoch))?;
        let (first, page) = pages.range(..=after + 1).next_back()?;
        let events = page.get(usize::try_from(after + 1 - first).ok()?..)?;
        (!events.is_empty()).then(|| events.to_vec())
    }

    fn put(&mut self, room: &Room, epoch: Epoch, page: Page) {
        let Some(first) = page.first().and_then(|event| event.position).map(|position| position.offset)
        else {
            return;
        };
        self.bytes += size(&page);
        let replaced = self.rooms.entry((room.clone(), epoch)).or_default().insert(first, page);
        match replaced {
            Some(old) => self.bytes -= size(&old),
            None => self.order.push_back((room.clone(), epoch, first)),
        }
        while self.bytes > KEPT_BYTES && self.order.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Forgets the page with what follows an offset.
    fn forget(&mut self, room: &Room, epoch: Epoch, after: u64) {
        let Some(pages) = self.rooms.get_mut(&(room.clone(), epoch)) else { return };
        let first = pages.range(..=after + 1).next_back().map(|(first, _)| *first);
        let page = first.and_then(|first| pages.remove(&first));
        self.bytes -= page.as_ref().map_or(0, size);
    }

    fn drop_oldest(&mut self) {
        let Some((room, epoch, first)) = self.order.pop_front() else { return };
        let key = (room, epoch);
        let Some(pages) = self.rooms.get_mut(&key) else { return };
        self.bytes -= pages.remove(&first).as_ref().map_or(0, size);
        if pages.is_empty() {
            self.rooms.remove(&key);
        }
    }
}

fn size(page: &Page) -> usize {
    page.iter().map(|event| event.bytes()).sum()
}

impl Log {
    /// The events of a room behind an offset, if they were read lately.
    pub(super) fn at_hand(&self, room: &Room, epoch: Epoch, after: u64) -> Option<Vec<Arc<Publication>>> {
        let mut kept = lock(&self.kept);
        let events = kept.behind(room, epoch, after);
        if failpoint::is_off("shared_pages") {
            kept.forget(room, epoch, after);
        }
        events
    }

    /// The events of a room between two numbers in the log, and whether that is all of them; `room_for` bytes of
    /// them at most, else `None`.
    pub(super) async fn between(
        &self,
        room: &Room,
        (epoch, heard, until): (Epoch, u64, u64),
        room_for: usize,
    ) -> Result<Option<(Vec<Arc<Publication>>, bool)>, StoreError> {
        let at_hand = lock(&self.kept).offset_of(room, epoch, heard);
        let (mut after, mut whole) = match at_hand {
            Some(offset) => (offset, true),
            None => {
                let mut reader = self.store.read().await?;
                let Some(head) = reader.log_room(room).await? else { return Ok(Some((Vec::new(), false))) };
                self.pages.fetch_add(1, Ordering::Relaxed);
                let offset = reader.log_offset_of(&head, heard).await?;
                (offset, head.top.epoch == epoch && head.trimmed_sequence <= heard)
            }
        };
        let (mut events, mut bytes): (Vec<Arc<Publication>>, usize) = (Vec::new(), 0);
        while whole {
            let page = self.page(room, epoch, after).await?;
            let Some((first, last)) = page.first().zip(page.last()) else { break };
            let offset = |event: &Publication| event.position.map_or(0, |position| position.offset);
            whole = offset(first) == after + 1;
            after = offset(last);
            let ends = last.durable >= until;
            for event in page.into_iter().filter(|event| event.durable > heard && event.durable <= until) {
                bytes += event.bytes();
                events.push(event);
            }
            if bytes > room_for {
                return Ok(None);
            }
            if ends {
                break;
            }
        }
        Ok(Some((events, whole)))
    }

    /// The same, read if need be; it may begin later where events were trimmed, and is empty if there are none.
    pub(super) async fn page(
        &self,
        room: &Room,
        epoch: Epoch,
        after: u64,
    ) -> Result<Vec<Arc<Publication>>, StoreError> {
        if let Some(events) = self.at_hand(room, epoch, after) {
            return Ok(events);
        }
        // Whoever waited for the same page finds it.
        let _turn = self.turn(room).await;
        if let Some(events) = self.at_hand(room, epoch, after) {
            return Ok(events);
        }
        let mut reader = self.store.read().await?;
        let Some(head) = reader.log_room(room).await?.filter(|head| head.top.epoch == epoch) else {
            return Ok(Vec::new());
        };
        // One that was cut by its bytes goes on where it ended.
        let begin = lock(&self.kept).end_before(room, epoch, after).max(after / ALIGNED * ALIGNED);
        let begin = begin.max(head.trimmed);
        let before = reader.log_sequence_at(&head, begin).await?;
        let records = reader.log_after(&head, begin).await?;
        self.pages.fetch_add(1, Ordering::Relaxed);
        let page: Page = self.publications(room, records, before).into();
        lock(&self.kept).put(room, epoch, page.clone());
        let behind =
            |event: &Arc<Publication>| event.position.is_some_and(|position| position.offset > after);
        let events: Vec<_> = page.iter().filter(|event| behind(event)).cloned().collect();
        if events.is_empty() && begin < after {
            // It was cut before what is wanted.
            let records = reader.log_after(&head, after).await?;
            self.pages.fetch_add(1, Ordering::Relaxed);
            let page: Page = self.publications(room, records, before).into();
            lock(&self.kept).put(room, epoch, page.clone());
            return Ok(page.to_vec());
        }
        Ok(events)
    }
}

impl Pages {
    /// The offset of the newest event of a room up to a number in the log, where a page has it and the next.
    fn offset_of(&self, room: &Room, epoch: Epoch, sequence: u64) -> Option<u64> {
        let pages = self.rooms.get(&(room.clone(), epoch))?;
        pages.values().find_map(|page| {
            let at = page.partition_point(|event| event.durable <= sequence);
            let known = (1..page.len()).contains(&at);
            known.then(|| page[at - 1].position).flatten().map(|position| position.offset)
        })
    }

    /// The last offset of the page before an offset; 0 if it is not at hand.
    fn end_before(&self, room: &Room, epoch: Epoch, after: u64) -> u64 {
        let pages = self.rooms.get(&(room.clone(), epoch));
        let page = pages.and_then(|pages| pages.range(..=after).next_back());
        let end = page.map_or(0, |(first, page)| first + page.len() as u64 - 1);
        if end <= after { end } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::{MessageId, Org, Payload, Position};

    use super::*;

    fn page(room: &Room, offsets: std::ops::Range<u64>, bytes: usize) -> Page {
        let event = |offset| {
            let id = MessageId { node: 1, number: offset };
            Arc::new(Publication {
                position: Some(Position::of(Epoch(1), offset, id)),
                durable: offset,
                ..Publication::new(room.clone(), "e", Payload::json("x".repeat(bytes)), id, 0)
            })
        };
        offsets.map(event).collect()
    }

    fn offsets(events: Option<Vec<Arc<Publication>>>) -> Vec<u64> {
        events.unwrap_or_default().iter().map(|event| event.durable).collect()
    }

    #[test]
    fn what_is_at_hand_has_no_hole_before_it() {
        let room = Room::new(&Org::default(), "notes:1", 100).unwrap();
        let mut pages = Pages::default();
        pages.put(&room, Epoch(1), page(&room, 1..4, 1));
        pages.put(&room, Epoch(1), page(&room, 6..8, 1));
        assert_eq!(offsets(pages.behind(&room, Epoch(1), 0)), [1, 2, 3]);
        assert_eq!(offsets(pages.behind(&room, Epoch(1), 2)), [3]);
        assert_eq!(offsets(pages.behind(&room, Epoch(1), 6)), [7]);
        for after in [3, 4, 7, 99] {
            assert_eq!(pages.behind(&room, Epoch(1), after).map(|events| events.len()), None, "{after}");
        }
        assert!(pages.behind(&room, Epoch(2), 0).is_none());
        assert_eq!(pages.end_before(&room, Epoch(1), 3), 3);
        assert_eq!((pages.end_before(&room, Epoch(1), 5), pages.end_before(&room, Epoch(1), 2)), (3, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let room = Room::new(&Org::default(), "notes:1", 100).unwrap();
        let mut pages = Pages::default();
        for at in 0..100 {
            pages.put(&room, Epoch(1), page(&room, at + 1..at + 2, 1 << 20));
            assert!(pages.bytes <= KEPT_BYTES);
        }
        assert!(pages.behind(&room, Epoch(1), 0).is_none());
        assert!(pages.behind(&room, Epoch(1), 99).is_some());
        assert_eq!(pages.order.len(), pages.rooms.values().map(BTreeMap::len).sum::<usize>());
    }
}
