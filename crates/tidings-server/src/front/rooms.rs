//! `GET /api/rooms` and what can be read of one room.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::from_fn;
use axum::routing::get;
use tidings_app::ctx::place;
use tidings_core::hub::Entry;
use tidings_core::kinds::Action;
use tidings_core::{Asker, Code, Epoch, Identity, Position, Refusal, Room};
use tidings_wire::engineio::Query;
use tidings_wire::json::write_string;

use super::body::bad;
use super::named::Named;
use super::{Remote, etag, refuse, respond, signed_in};
use crate::accounts::keys;
use crate::history;
use crate::hooks::{Caller, Draft};
use crate::presence;
use crate::receipts::Of;
use crate::shared::Shared;

/// Where the room stood that tells of changes.
const POSITION: &str = "tidings-position";

/// Events a history answer holds where none are asked for, and at most.
pub(super) const HISTORY_DEFAULT: usize = 100;
pub(super) const HISTORY_MOST: usize = 1_000;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/rooms", get(rooms))
        .route("/api/rooms/{room}/history", get(history))
        .route("/api/rooms/{room}/presence", get(presence))
        .route("/api/rooms/{room}/stats", get(stats))
        .layer(from_fn(etag::tagged))
        .with_state(shared)
}

/// Rooms of one page of the list.
const ROOMS: usize = 1_000;

/// The organisation's rooms on this node, for its servers, keys that read and administrators:
/// `?after=ROOM&limit=N`.
async fn rooms(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let who = signed_in(&shared, &headers).await;
    answer(who.and_then(|who| list(&shared, &who, query.as_deref().unwrap_or_default())))
}

fn list(shared: &Shared, who: &Identity, query: &str) -> Result<Vec<u8>, Refusal> {
    keys::allows(who, "read")?;
    if !who.is_server() && !who.is_key {
        return Err(Refusal::new(Code::Forbidden, "only servers and administrators list rooms"));
    }
    let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
    let value = |wanted: &str| query.pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let after = value("after").unwrap_or_default();
    let limit = match value("limit").map(|text| text.parse()) {
        None => ROOMS,
        Some(Ok(limit @ 1..=ROOMS)) => limit,
        Some(_) => return Err(bad("limit: is a number from 1 to 1000")),
    };
    let mut entries = shared.node.hub().entries();
    // A room that somebody only looked for in the log is none.
    let exists = |entry: &Entry| entry.members() > 0 || entry.top().is_some_and(|top| top.offset > 0);
    let wanted =
        |entry: &Entry| *entry.room.org() == who.org && entry.room.name() > after.as_ref() && exists(entry);
    entries.retain(|entry| wanted(entry));
    entries.sort_by(|a, b| a.room.name().cmp(b.room.name()));
    let more = entries.len() > limit;
    entries.truncate(limit);
    let mut out = b"{\"ok\":true,\"rooms\":[".to_vec();
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"room\":");
        write_string(&mut out, entry.room.name());
        out.extend_from_slice(format!(",\"connections\":{}}}", entry.members()).as_bytes());
    }
    out.push(b']');
    if let Some(last) = entries.last().filter(|_| more) {
        out.extend_from_slice(b",\"next\":");
        write_string(&mut out, last.room.name());
    }
    out.push(b'}');
    Ok(out)
}

/// A room's history: `?since=EPOCH:OFFSET[:TAG]&limit=N`.
async fn history(
    State(shared): State<Arc<Shared>>,
    room: Named,
    RawQuery(query): RawQuery,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
) -> Response<Body> {
    let asked = who_and_room(&shared, &headers, room).await.and_then(|(who, room)| {
        shared.gate.may_read_back()?;
        let (since, limit) = part(query.as_deref().unwrap_or(""))?;
        Ok((who, room, since, limit))
    });
    let (who, room, since, limit) = match asked {
        Ok(asked) => asked,
        Err(refusal) => return refuse(&refusal),
    };
    // Before it is read: what is said meanwhile may be in the answer, and drops it all the same.
    let top = shared.stands(&room).await;
    from(answer(shared.history(&remote.caller(&who), &room, since, limit).await), &room, top)
}

/// Says in an answer where its room stood before it was read; who is refused learns nothing of the room.
fn from(mut response: Response<Body>, room: &Room, top: Option<Position>) -> Response<Body> {
    if let Some(place) = top.filter(|_| response.status() == StatusCode::OK).and_then(|top| place(room, top))
        && let Ok(place) = HeaderValue::try_from(place)
    {
        response.headers_mut().insert(POSITION, place);
    }
    response
}

/// Which part of a history is wanted.
fn part(query: &str) -> Result<(Option<Position>, usize), Refusal> {
    let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
    let value = |wanted: &str| query.pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let since = value("since").map(|text| position(&text)).transpose()?;
    let limit = match value("limit") {
        Some(text) => text.parse::<usize>().map_err(|_| bad("limit: is no number"))?.min(HISTORY_MOST),
        None => HISTORY_DEFAULT,
    };
    Ok((since, limit))
}

/// A room whose presence the asker may see.
async fn seen(
    shared: &Shared,
    headers: &HeaderMap,
    remote: Remote,
    room: Named,
) -> Result<(Identity, Room), Refusal> {
    let (who, room) = who_and_room(shared, headers, room).await?;
    may_see(shared, &remote.caller(&who), &room).await?;
    Ok((who, room))
}

/// Whether somebody may see who is in a room.
///
/// # Errors
/// The room's rules.
pub(super) async fn may_see(shared: &Shared, caller: &Caller<'_>, room: &Room) -> Result<(), Refusal> {
    let may = |asker: Asker<'_>| shared.node.admit(asker, room, Action::Presence).map(drop);
    shared.settle(caller, room, Draft::default(), may).await
}

/// Who is in a room: `?page=N`.
async fn presence(
    State(shared): State<Arc<Shared>>,
    room: Named,
    RawQuery(query): RawQuery,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
) -> Response<Body> {
    let (who, room) = match seen(&shared, &headers, remote, room).await {
        Ok(seen) => seen,
        Err(refusal) => return refuse(&refusal),
    };
    match which_page(query.as_deref().unwrap_or("")) {
        Ok(page) => answer(Ok(presence::answer(&shared, &who, &room, page).await)),
        Err(refusal) => refuse(&refusal),
    }
}

/// Which page of a list is wanted, the first if nothing is said.
fn which_page(query: &str) -> Result<usize, Refusal> {
    let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
    let page = query.pairs().find(|(name, _)| name == "page").map(|(_, value)| value);
    page.map_or(Ok(0), |text| text.parse().map_err(|_| bad("page: is no number")))
}

/// A room's numbers: connections, and where its history stands.
async fn stats(
    State(shared): State<Arc<Shared>>,
    room: Named,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
) -> Response<Body> {
    let (who, room) = match seen(&shared, &headers, remote, room).await {
        Ok(seen) => seen,
        Err(refusal) => return refuse(&refusal),
    };
    let top = shared.stands(&room).await;
    // How deliveries went tells who is in the room: that is for those who run it.
    let figures = who.is_server().then(|| shared.receipts.figures(&who.org, Of::Room(room.name())));
    let connections = presence::connections(&shared, &who, &room).await;
    from(answer(Ok(history::stats(&room, connections, top, figures.as_ref()))), &room, top)
}

async fn who_and_room(
    shared: &Shared,
    headers: &HeaderMap,
    room: Named,
) -> Result<(Identity, Room), Refusal> {
    let who = signed_in(shared, headers).await?;
    keys::allows(&who, "read")?;
    let room = room.known(|| bad("the room's name is not UTF-8"))?;
    let most = shared.settings.limits.room_name_bytes;
    let room = Room::new(&who.org, &room, most).map_err(|error| bad(&error.to_string()))?;
    Ok((who, room))
}

fn position(text: &str) -> Result<Position, Refusal> {
    let mut parts = text.split(':');
    let wrong = || bad("since: is not EPOCH:OFFSET or EPOCH:OFFSET:TAG");
    let epoch = parts.next().and_then(Epoch::parse).ok_or_else(wrong)?;
    let offset = parts.next().and_then(|offset| offset.parse().ok()).ok_or_else(wrong)?;
    let tag = match parts.next() {
        Some(tag) => u32::from_str_radix(tag, 16).map_err(|_| wrong())?,
        None => 0,
    };
    if parts.next().is_some() { Err(wrong()) } else { Ok(Position { epoch, offset, tag }) }
}

fn answer(result: Result<Vec<u8>, Refusal>) -> Response<Body> {
    match result {
        Ok(body) => respond(StatusCode::OK, "application/json", body),
        Err(refusal) => refuse(&refusal),
    }
}
