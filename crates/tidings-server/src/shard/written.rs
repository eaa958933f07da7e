//! Members of answers, appended as JSON.

use std::io::Write as _;

use tidings_app::registry::Snapshot;
use tidings_core::{Joined, Position, Published};
use tidings_wire::json::write_string;

/// Appends `,"epoch":…,"offset":…` and, if wanted, `,"tag":…`.
pub(crate) fn write_position(out: &mut Vec<u8>, position: Position, tag: bool) {
    out.extend_from_slice(
        format!(",\"epoch\":\"{}\",\"offset\":{}", position.epoch, position.offset).as_bytes(),
    );
    if tag {
        out.extend_from_slice(format!(",\"tag\":\"{:08x}\"", position.tag).as_bytes());
    }
}

/// Appends the members of a publish answer.
pub(crate) fn write_published(out: &mut Vec<u8>, room: &str, published: &Published) {
    out.extend_from_slice(b",\"room\":");
    write_string(out, room);
    out.extend_from_slice(format!(",\"messageId\":\"{}\"", published.id).as_bytes());
    if let Some(position) = published.position {
        write_position(out, position, true);
    }
    let word: &[u8] = if published.synced { b"synced" } else { b"memory" };
    out.extend_from_slice(b",\"durability\":\"");
    out.extend_from_slice(word);
    out.push(b'"');
    if published.duplicate {
        out.extend_from_slice(b",\"duplicate\":true");
    }
    if published.held {
        out.extend_from_slice(b",\"held\":true");
    }
}

/// Appends how many more publishes the budget lets through, where there is one.
pub(crate) fn write_remaining(out: &mut Vec<u8>, remaining: Option<u64>) {
    if let Some(remaining) = remaining {
        out.extend_from_slice(b",\"remaining\":");
        // Writing to memory does not fail.
        let _ = write!(out, "{remaining}");
    }
}

/// Appends what one who joined a room is told.
pub(super) fn write_joined(out: &mut Vec<u8>, room: &str, joined: &Joined) {
    out.extend_from_slice(b",\"room\":");
    write_string(out, room);
    if let Some(top) = joined.top {
        write_position(out, top, true);
    }
    if let Some(recovered) = joined.recovered {
        out.extend_from_slice(if recovered { b",\"recovered\":true" } else { b",\"recovered\":false" });
    }
}

/// Appends how the room stands, if its app says something of it.
pub(super) fn write_snapshot(out: &mut Vec<u8>, snapshot: Option<&Snapshot>) {
    if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.json != "null") {
        out.extend_from_slice(b",\"snapshot\":");
        out.extend_from_slice(snapshot.json.as_bytes());
    }
}
