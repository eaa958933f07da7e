//! Presence as JSON.

use tidings_core::presence::{RoomNews, View};
use tidings_core::roster::{Counts, Seen};
use tidings_core::{Room, UserKey};
use tidings_wire::json::write_string;

use crate::shared::Shared;
use crate::time::iso8601;

/// The data of `userOnline` and `userOffline`.
pub(super) fn user(user: &UserKey) -> Vec<u8> {
    let mut out = b"{\"userId\":".to_vec();
    write_string(&mut out, user.id());
    out.push(b'}');
    out
}

/// The data of `tidings:presence`.
pub(crate) fn room_news(shared: &Shared, news: &RoomNews) -> Vec<u8> {
    let mut out = b"{\"room\":".to_vec();
    write_string(&mut out, news.room.name());
    out.extend_from_slice(format!(",\"version\":{}", news.version).as_bytes());
    if let Some(changes) = &news.changes {
        let lists = [("joined", &changes.joined), ("left", &changes.left), ("changed", &changes.changed)];
        for (name, list) in lists {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            write_list(shared, &mut out, list, name != "left");
        }
    }
    if news.reread {
        out.extend_from_slice(b",\"reread\":true");
    }
    write_counts(&mut out, news.counts);
    out.push(b'}');
    out
}

/// Whether a user is there; `stored`: when it last was, in milliseconds since 1970.
pub(super) fn of_user(shared: &Shared, user: &UserKey, seen: Option<&Seen>, stored: Option<u64>) -> Vec<u8> {
    let mut out = b"{\"ok\":true,\"userId\":".to_vec();
    write_string(&mut out, user.id());
    let (status, devices) = seen.map_or(("offline", 0), |seen| (seen.status.as_str(), seen.devices));
    out.extend_from_slice(format!(",\"status\":\"{status}\",\"devices\":{devices}").as_bytes());
    if let Some(at_ms) = seen.map(|seen| shared.wall_of(seen.seen_ms)).or(stored) {
        out.extend_from_slice(format!(",\"lastSeen\":\"{}\"", iso8601(at_ms)).as_bytes());
    }
    out.push(b'}');
    out
}

/// The answer of the command `presence`.
pub(super) fn answer(shared: &Shared, room: &Room, view: &View) -> Vec<u8> {
    let mut out = b"{\"ok\":true,\"room\":".to_vec();
    write_string(&mut out, room.name());
    write_counts(&mut out, view.counts);
    if let Some(page) = &view.page {
        out.extend_from_slice(b",\"members\":");
        write_list(shared, &mut out, &page.members, true);
    }
    let more = view.page.as_ref().is_some_and(|page| page.more);
    out.extend_from_slice(format!(",\"more\":{more}}}").as_bytes());
    out
}

/// Appends what a newcomer sees, as `,"presence":{…}`.
pub(crate) fn write_view(shared: &Shared, out: &mut Vec<u8>, view: &View) {
    out.extend_from_slice(format!(",\"presence\":{{\"version\":{}", view.version).as_bytes());
    write_counts(out, view.counts);
    if let Some(page) = &view.page {
        out.extend_from_slice(b",\"members\":");
        write_list(shared, out, &page.members, true);
    }
    out.push(b'}');
}

fn write_counts(out: &mut Vec<u8>, Counts { connections, users }: Counts) {
    let text = format!(",\"counts\":{{\"connections\":{connections},\"users\":{users}}}");
    out.extend_from_slice(text.as_bytes());
}

fn write_list(shared: &Shared, out: &mut Vec<u8>, list: &[Seen], here: bool) {
    out.push(b'[');
    for (at, seen) in list.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_seen(shared, out, seen, here);
    }
    out.push(b']');
}

/// One member; of one who is not here any more only when that was.
fn write_seen(shared: &Shared, out: &mut Vec<u8>, seen: &Seen, here: bool) {
    out.extend_from_slice(b"{\"userId\":");
    write_string(out, seen.user.id());
    if here {
        if let Some(name) = &seen.name {
            out.extend_from_slice(b",\"name\":");
            write_string(out, name);
        }
        let (status, devices) = (seen.status.as_str(), seen.devices);
        out.extend_from_slice(format!(",\"status\":\"{status}\",\"devices\":{devices}").as_bytes());
    }
    let at_ms = shared.wall_of(seen.seen_ms);
    out.extend_from_slice(format!(",\"lastSeen\":\"{}\"", iso8601(at_ms)).as_bytes());
    if let Some(info) = seen.info.as_deref().filter(|_| here) {
        out.extend_from_slice(b",\"info\":");
        out.extend_from_slice(info.as_bytes());
    }
    out.push(b'}');
}
