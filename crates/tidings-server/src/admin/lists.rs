//! Pages of rooms, clients and users.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::{Value, json};
use tidings_core::hub::Entry;
use tidings_core::{Keep, Org, Refusal, Room, UserKey};

use super::ask;
use super::sight::Sight;
use crate::ids::id_text;
use crate::shard::listed::{
    DeviceRow, SocketRow, Sockets, SocketsFound, SocketsWanted, UserRow, Users, UsersFound,
};
use crate::shard::walk::Walk;
use crate::shared::{Shared, wall_ms};
use crate::time::iso8601;

/// Rows of a page where no number is asked for, and at most.
pub(crate) const PAGE_DEFAULT: usize = 50;
pub(crate) const PAGE_MOST: usize = 100;

/// Milliseconds over which the events of a room are counted.
const RATE_MS: u64 = 60_000;

/// Which rooms are wanted.
pub(crate) struct RoomsWanted {
    pub(crate) sight: Sight,
    /// Part of the name, in small letters; empty: all.
    pub(crate) part: String,
    pub(crate) kind: Option<String>,
    /// Organisation and name of the last room of the page before.
    pub(crate) after: Option<(String, String)>,
    pub(crate) limit: usize,
}

/// A page of rooms, by organisation and name.
///
/// # Errors
/// `unavailable` if too many lists are being made.
pub(crate) async fn rooms(shared: &Shared, wanted: &RoomsWanted) -> Result<Value, Refusal> {
    let _leave = shared.admin.may_walk()?;
    // A room that somebody only looked for in the log is none.
    let exists = |entry: &Entry| entry.members() > 0 || entry.top().is_some_and(|top| top.offset > 0);
    let fits = |entry: &Entry| {
        let room = &entry.room;
        wanted.sight.sees(room.org())
            && wanted.kind.as_ref().is_none_or(|kind| room.kind() == kind)
            && (wanted.part.is_empty() || room.name().to_lowercase().contains(&wanted.part))
            && exists(entry)
    };
    let after = wanted.after.as_ref().map(|(org, name)| (org.as_str(), name.as_str()));
    let (page, more) = shared.node.hub().page(after, wanted.limit, fits);
    let rates = rates(shared, &page);
    let rows: Vec<Value> = page.iter().zip(rates).map(|(entry, rate)| room_row(entry, rate)).collect();
    let last = page.last().filter(|_| more).map(|entry| &entry.room);
    let next = last.map(|room| place(room.org(), room.name()));
    Ok(json!({ "ok": true, "rooms": rows, "next": next }))
}

/// Events a second of each room, as far as they are remembered; `None` where nothing is.
fn rates(shared: &Shared, page: &[Arc<Entry>]) -> Vec<Option<f64>> {
    let Some(recorder) = shared.node.recorder() else { return vec![None; page.len()] };
    let rooms: Vec<Room> = page.iter().map(|entry| entry.room.clone()).collect();
    let now_ms = wall_ms();
    let (counts, since_ms) = recorder.counts(&rooms, now_ms.saturating_sub(RATE_MS));
    let seconds = now_ms.saturating_sub(since_ms).max(1_000) as f64 / 1_000.0;
    counts.into_iter().map(|count| Some((count as f64 * 100.0 / seconds).round() / 100.0)).collect()
}

fn room_row(entry: &Entry, rate: Option<f64>) -> Value {
    let keep = match entry.spec.keep {
        Keep::Nothing => "nothing",
        Keep::Recent { .. } => "recent",
        Keep::Durable { .. } => "durable",
    };
    // What was never needed is not made to be looked at.
    let kept = entry.top().filter(|top| top.offset > 0).and_then(|top| {
        let recent = entry.history()?;
        Some((recent.kept(), recent.bytes(), top))
    });
    let position = kept.map(|(_, _, top)| json!({ "epoch": top.epoch.to_string(), "offset": top.offset }));
    json!({
        "room": entry.room.name(),
        "org": entry.room.org().as_str(),
        "kind": entry.room.kind(),
        "keep": keep,
        "members": entry.members(),
        "kept": kept.map_or(0, |(kept, ..)| kept),
        "bytes": kept.map_or(0, |(_, bytes, _)| bytes),
        "position": position,
        "eventsPerSecond": rate,
    })
}

/// A page of clients from a place on, given as shard and slot.
///
/// # Errors
/// `unavailable` if too many lists are being made, or a shard has too much to do.
pub(crate) async fn sockets(shared: &Shared, wanted: &SocketsWanted, shard: usize) -> Result<Value, Refusal> {
    let _leave = shared.admin.may_walk()?;
    let (rows, next) = socket_rows(shared, wanted, shard).await?;
    let next = next.map(|(shard, slot)| format!("{shard}.{slot}"));
    let rows: Vec<Value> = rows.iter().map(|(shard, row)| socket_row(shared, *shard, row)).collect();
    Ok(json!({ "ok": true, "sockets": rows, "next": next }))
}

/// Clients with their shards, and the shard and slot to go on from.
pub(crate) type Rows = (Vec<(usize, SocketRow)>, Option<(usize, usize)>);

/// The rows of such a page.
///
/// # Errors
/// `unavailable` if a shard has too much to do.
pub(crate) async fn socket_rows(
    shared: &Shared,
    wanted: &SocketsWanted,
    mut shard: usize,
) -> Result<Rows, Refusal> {
    let (mut rows, mut next) = (Vec::new(), None);
    let mut from = wanted.from;
    while shard < shared.inboxes.len() && rows.len() < wanted.limit {
        let wanted = SocketsWanted { limit: wanted.limit - rows.len(), from, ..wanted.clone() };
        let (found, behind): SocketsFound = ask::one(shared, shard, |reply| {
            Box::new(Sockets { wanted, found: Vec::new(), reply }) as Box<dyn Walk>
        })
        .await?;
        rows.extend(found.into_iter().map(|row| (shard, row)));
        (shard, from) = behind.map_or((shard + 1, 0), |slot| (shard, slot));
        next = (shard < shared.inboxes.len()).then_some((shard, from));
    }
    Ok((rows, next))
}

fn socket_row(shared: &Shared, shard: usize, row: &SocketRow) -> Value {
    let names: Vec<&str> = row.names.iter().map(Room::name).collect();
    json!({
        "id": id_text(&row.id),
        "userId": row.who.user.as_deref(),
        "name": row.who.name.as_deref(),
        "org": row.who.org.as_str(),
        "transport": row.door,
        "namespace": shared.settings.namespaces.name(row.namespace),
        "since": row.since_ms.map(iso8601),
        "rooms": { "count": row.rooms, "names": names },
        "bytesBehind": row.bytes,
        "messagesBehind": row.messages,
        "address": row.address.to_canonical().to_string(),
        "shard": shard,
    })
}

/// Which users are wanted.
pub(crate) struct UsersWanted {
    pub(crate) sight: Sight,
    /// Part of the id or the name, in small letters; empty: all.
    pub(crate) part: String,
    pub(crate) after: Option<UserKey>,
    pub(crate) limit: usize,
}

/// A page of the users who are connected, by organisation and id.
///
/// # Errors
/// As [`sockets`].
pub(crate) async fn users(shared: &Shared, wanted: &UsersWanted) -> Result<Value, Refusal> {
    let _leave = shared.admin.may_walk()?;
    // One more than the page tells that there are more.
    let limit = wanted.limit + 1;
    let walk = |reply| {
        let UsersWanted { sight, part, after, .. } = wanted;
        let (sight, part, after) = (sight.clone(), part.clone(), after.clone());
        Box::new(Users { sight, part, after, limit, found: UsersFound::new(), reply }) as Box<dyn Walk>
    };
    let mut all = UsersFound::new();
    for found in ask::everywhere(shared, walk).await? {
        found.into_iter().for_each(|(user, row)| all.entry(user).or_default().add(row));
    }
    let more = all.len() > wanted.limit;
    let page: Vec<(UserKey, UserRow)> = all.into_iter().take(wanted.limit).collect();
    let next = page.last().filter(|_| more).map(|(user, _)| place(user.org(), user.id()));
    let rows: Vec<Value> = page.iter().map(|(user, row)| user_row(shared, user, row)).collect();
    Ok(json!({ "ok": true, "users": rows, "next": next }))
}

fn user_row(shared: &Shared, user: &UserKey, row: &UserRow) -> Value {
    let device = |device: &DeviceRow| {
        json!({
            "socketId": id_text(&device.id),
            "transport": device.door,
            "namespace": shared.settings.namespaces.name(device.namespace),
            "since": device.since_ms.map(iso8601),
            "address": device.address.to_canonical().to_string(),
        })
    };
    json!({
        "userId": user.id(),
        "name": row.name.as_ref().map(CompactString::as_str),
        "org": user.org().as_str(),
        "connections": row.connections,
        "devices": row.devices.iter().map(device).collect::<Vec<_>>(),
    })
}

/// A place in the order of organisation and name, as one text; names are no secret to whom they were shown.
fn place(org: &Org, name: &str) -> String {
    json!([org.as_str(), name]).to_string()
}

/// Reads what [`place`] wrote.
pub(crate) fn parse_place(text: &str) -> Option<(String, String)> {
    serde_json::from_str(text).ok()
}
