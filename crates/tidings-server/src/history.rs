//! Answers that read a room: its history, and where it stands.

use std::collections::VecDeque;
use std::sync::Arc;

use tidings_core::frame::plain_data;
use tidings_core::recent::Read;
use tidings_core::{Asker, Denied, Epoch, Position, Publication, Refusal, Room};
use tidings_wire::json::write_string;

use crate::hooks::{Caller, Draft};
use crate::receipts::Figures;
use crate::shard::write_position;
use crate::shared::Shared;
use crate::time::iso8601;

impl Shared {
    /// The answer of the command `history`, as its JSON object: from memory, and what memory does not have from
    /// the log.
    ///
    /// # Errors
    /// The room's rules; [`tidings_core::Code::Unavailable`] if the log cannot be read now.
    pub(crate) async fn history(
        &self,
        caller: &Caller<'_>,
        room: &Room,
        since: Option<Position>,
        limit: usize,
    ) -> Result<Vec<u8>, Refusal> {
        let most = limit;
        // Who wants none is told whether there would be one, and who wants the newest whether there are older ones.
        let limit = if since.is_some() { limit.max(1) } else { limit + 1 };
        let read = |asker: Asker<'_>| self.node.history(asker, room, since, limit);
        let in_memory = |asker: Asker<'_>| match read(asker) {
            Err(Denied::Load) => Ok(Err(Unread)),
            done => done.map(Ok),
        };
        let read = match self.settle(caller, room, Draft::default(), in_memory).await? {
            Ok(read) => read,
            Err(Unread) if self.is_in_log(room).await? => {
                self.settle(caller, room, Draft::default(), read).await?
            }
            // Looking into a room does not make it.
            Err(Unread) => {
                let top = Position::start(self.first_epoch(room).await?);
                let complete = since.is_none_or(|since| (since.epoch, since.offset) == (top.epoch, 0));
                let read = Read { top, events: Vec::new(), complete };
                return Ok(answer(room, Some(read), since.is_some(), most));
            }
        };
        let read = match (read, since) {
            (Some(read), Some(since)) => Some(self.read_from(room, read, since, limit).await?),
            (Some(read), None) => Some(self.read_back(room, read, limit).await?),
            (None, _) => None,
        };
        Ok(answer(room, read, since.is_some(), most))
    }

    /// Reads on from a position in the log, where memory begins later.
    async fn read_from(
        &self,
        room: &Room,
        read: Read,
        since: Position,
        limit: usize,
    ) -> Result<Read, Refusal> {
        let Some(trimmed) = self.node.behind(room, since) else { return Ok(read) };
        let begin = since.offset.max(trimmed);
        let (mut events, mut bytes, mut after) = (Vec::new(), 0, begin.saturating_sub(1).max(trimmed));
        let mut complete = since.offset >= trimmed;
        while events.len() < limit && bytes < ANSWER_BYTES {
            let page = self.page(room, since.epoch, after).await?;
            let place = |event: &Arc<Publication>| event.position.map(|position| position.offset);
            let Some((first, last)) = page.first().and_then(place).zip(page.last().and_then(place)) else {
                complete &= after >= read.top.offset;
                break;
            };
            // What stood between may have been trimmed since memory heard of it last.
            complete &= first == after + 1;
            after = last;
            for event in page {
                let Some(position) = event.position else { continue };
                // The message at that offset shows whether it is the one the reader means.
                complete &= position.offset != since.offset || since.tag == 0 || since.tag == position.tag;
                if position.offset > begin && events.len() < limit {
                    bytes += event.bytes();
                    events.push(event);
                }
            }
        }
        Ok(Read { events, complete, ..read })
    }

    /// Reads back in the log, where memory has fewer of the newest than are wanted.
    async fn read_back(&self, room: &Room, read: Read, limit: usize) -> Result<Read, Refusal> {
        let Some(trimmed) = self.node.behind(room, Position::start(read.top.epoch)) else { return Ok(read) };
        let first = read.events.first().and_then(|event| event.position);
        let mut end = first.map_or(read.top.offset, |position| position.offset - 1);
        let mut events: VecDeque<_> = read.events.into();
        let mut bytes: usize = events.iter().map(|event| event.bytes()).sum();
        while end > trimmed && events.len() < limit && bytes < ANSWER_BYTES {
            let begin = end.saturating_sub(BACK.min((limit - events.len()) as u64)).max(trimmed);
            let part = self.part(room, read.top.epoch, begin, end).await?;
            bytes += part.iter().map(|event| event.bytes()).sum::<usize>();
            part.into_iter().rev().for_each(|event| events.push_front(event));
            end = begin;
        }
        Ok(Read { events: events.into(), ..read })
    }

    /// The events behind one offset, up to another.
    async fn part(
        &self,
        room: &Room,
        epoch: Epoch,
        begin: u64,
        end: u64,
    ) -> Result<Vec<Arc<Publication>>, Refusal> {
        let (mut part, mut after) = (Vec::new(), begin);
        while after < end {
            let page = self.page(room, epoch, after).await?;
            let Some(last) = page.last().and_then(|event| event.position) else { break };
            let until = |event: &Arc<Publication>| event.position.is_some_and(|at| at.offset <= end);
            part.extend(page.into_iter().filter(until));
            after = last.offset;
        }
        Ok(part)
    }
}

/// A durable room that is not in memory.
struct Unread;

/// Events that are read back from the log at once, before one looks whether they are enough.
const BACK: u64 = 32;

fn answer(room: &Room, read: Option<Read>, oldest_first: bool, most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HISTORY_BYTES);
    out.extend_from_slice(b"{\"ok\":true,\"room\":");
    write_string(&mut out, room.name());
    let Some(read) = read else {
        out.extend_from_slice(b",\"events\":[],\"more\":false}");
        return out;
    };
    out.extend_from_slice(format!(",\"epoch\":\"{}\",\"events\":[", read.top.epoch).as_bytes());
    let whole = !read.events.iter().any(|event| event.is_damaged());
    let events = what_fits(&read.events, oldest_first, most);
    for (at, event) in events.iter().filter(|event| !event.is_damaged()).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("{{\"messageId\":\"{}\",\"event\":", event.id).as_bytes());
        write_string(&mut out, &event.event);
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(plain_data(event).as_bytes());
        let offset = event.position.map_or(0, |position| position.offset);
        out.extend_from_slice(
            format!(",\"offset\":{offset},\"at\":\"{}\"}}", iso8601(event.at_ms)).as_bytes(),
        );
    }
    let last = events.last().and_then(|event| event.position);
    let withheld = events.len() < read.events.len();
    let more = withheld || (oldest_first && last.is_some_and(|last| last.offset < read.top.offset));
    out.extend_from_slice(format!("],\"more\":{more}").as_bytes());
    if oldest_first {
        out.extend_from_slice(format!(",\"complete\":{}", read.complete && whole).as_bytes());
    }
    out.push(b'}');
    out
}

/// The events of one answer, `most` of them: the first where more can be asked for, else the newest; at least one
/// unless none is wanted.
fn what_fits(events: &[Arc<Publication>], oldest_first: bool, most: usize) -> &[Arc<Publication>] {
    let mut left = ANSWER_BYTES;
    let mut fits = |event: &&Arc<Publication>| {
        let bytes = event.bytes();
        let first = left == ANSWER_BYTES;
        left = left.saturating_sub(bytes);
        first || left > 0
    };
    if oldest_first {
        let count = events.iter().take(most).take_while(|event| fits(event)).count();
        return &events[..count];
    }
    let count = events.iter().rev().take(most).take_while(|event| fits(event)).count();
    &events[events.len() - count..]
}

/// Bytes of the events of one answer, about: who asks must not make us build more than a message may have.
const ANSWER_BYTES: usize = 1_000_000;

/// Room for an answer with a few events, so that it is not moved while it grows.
const HISTORY_BYTES: usize = 256;

/// A room's numbers, as a JSON object: its connections, where its history stands, and how deliveries went.
pub(crate) fn stats(
    room: &Room,
    connections: usize,
    top: Option<Position>,
    figures: Option<&Figures>,
) -> Vec<u8> {
    let mut out = b"{\"ok\":true,\"room\":".to_vec();
    write_string(&mut out, room.name());
    out.extend_from_slice(format!(",\"connections\":{connections}").as_bytes());
    if let Some(top) = top {
        write_position(&mut out, top, true);
    }
    if let Some(figures) = figures {
        out.extend_from_slice(b",\"receipts\":");
        figures.write_json(&mut out);
    }
    out.push(b'}');
    out
}
