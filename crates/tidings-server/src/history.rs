//! Answers that read a room: its history, and where it stands.

use std::sync::Arc;

use tidings_core::frame::plain_data;
use tidings_core::{Asker, Denied, Node, Position, Publication, Room};
use tidings_wire::json::write_string;

use crate::shard::write_position;
use crate::time::iso8601;

/// The answer of the command `history`, as its JSON object.
///
/// # Errors
/// The room's rules.
pub(crate) fn answer(
    node: &Node,
    asker: Asker<'_>,
    room: &Room,
    since: Option<Position>,
    limit: usize,
) -> Result<Vec<u8>, Denied> {
    let read = node.history(asker, room, since, limit)?;
    let mut out = Vec::with_capacity(HISTORY_BYTES);
    out.extend_from_slice(b"{\"ok\":true,\"room\":");
    write_string(&mut out, room.name());
    let Some(read) = read else {
        out.extend_from_slice(b",\"events\":[],\"more\":false}");
        return Ok(out);
    };
    out.extend_from_slice(format!(",\"epoch\":\"{}\",\"events\":[", read.top.epoch).as_bytes());
    let events = what_fits(&read.events, since.is_some());
    for (at, event) in events.iter().enumerate() {
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
    let more = last.is_some_and(|last| last.offset < read.top.offset);
    out.extend_from_slice(format!("],\"more\":{more}").as_bytes());
    if since.is_some() {
        out.extend_from_slice(format!(",\"complete\":{}", read.complete).as_bytes());
    }
    out.push(b'}');
    Ok(out)
}

/// The events of one answer: the first of them where more can be asked for, else the newest; at least one.
fn what_fits(events: &[Arc<Publication>], oldest_first: bool) -> &[Arc<Publication>] {
    let mut left = ANSWER_BYTES;
    let mut fits = |event: &&Arc<Publication>| {
        let bytes = event.bytes();
        let first = left == ANSWER_BYTES;
        left = left.saturating_sub(bytes);
        first || left > 0
    };
    if oldest_first {
        let count = events.iter().take_while(|event| fits(event)).count();
        return &events[..count];
    }
    let count = events.iter().rev().take_while(|event| fits(event)).count();
    &events[events.len() - count..]
}

/// Bytes of the events of one answer, about: who asks must not make us build more than a message may have.
const ANSWER_BYTES: usize = 1_000_000;

/// Room for an answer with a few events, so that it is not moved while it grows.
const HISTORY_BYTES: usize = 256;

/// A room's numbers, as a JSON object: connections on this node, and where its history stands.
pub(crate) fn stats(node: &Node, room: &Room) -> Vec<u8> {
    let entry = node.hub().find(room);
    let connections = entry.as_ref().map_or(0, |entry| entry.members());
    let mut out = b"{\"ok\":true,\"room\":".to_vec();
    write_string(&mut out, room.name());
    out.extend_from_slice(format!(",\"connections\":{connections}").as_bytes());
    if let Some(top) = entry.and_then(|entry| entry.top()) {
        write_position(&mut out, top, true);
    }
    out.push(b'}');
    out
}
