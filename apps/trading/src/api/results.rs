//! Standings, what was kept of them, exports.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tidings_app::Refusal;
use tidings_app::time::iso8601;
use tidings_routes::{
    Answer, Asked, Asker, AtPath, AtQuery, Nothing, limit, make, path, query, respond, told, told_from,
};

use super::{Api, NAME, key};
use crate::acts;
use crate::export;
use crate::journal::Hash;
use crate::room::{Room, State as Stands};
use crate::standing::Measure;
use crate::store::{self, Kept, RoomRow};
use crate::telling::place;

/// The media type of a journal, which is lines of JSON.
pub(super) const EXPORTED: &str = "application/x-ndjson";

/// Entries of a journal that an answer holds at most.
const ENTRIES_MOST: u64 = 5_000;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/rooms/{id}/standings", get(standings))
        .route("/rooms/{id}/snapshots", get(snapshots).post(keep))
        .route("/rooms/{id}/snapshots/{snapshot}", get(snapshot))
        .route("/rooms/{id}/export", get(exported))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Paged {
    offset: Option<usize>,
    limit: Option<u64>,
}

async fn standings(State(api): State<Arc<Api>>, id: AtPath, asker: Asker, paged: AtQuery<Paged>) -> Answer {
    let (key, paged) = (key(&asker, path(id)?), query(paged)?);
    let position = api.stage.position(&place(&key.0, &key.1, None)?).await;
    let (offset, most) = (paged.offset.unwrap_or(0), limit(paged.limit) as usize);
    let now_ms = api.stage.now_ms();
    let shown = api.look(&asker, &key, |row, room| {
        // By time alone others stand otherwise where an average over it counts; elsewhere it would make every answer another.
        let at_ms = match row.rules.ranking.measure {
            Measure::TimeWeighted => room.time(row.time(now_ms)),
            Measure::Absolute | Measure::Roi => room.at_ms().max(row.created_ms),
        };
        let all = room.standings_at(at_ms);
        let total = all.len();
        let page: Vec<_> = all.into_iter().skip(offset).take(most).collect();
        json!({"state": room.state(), "journal": room.seq(), "at": iso8601(at_ms), "total": total, "standings": page})
    });
    told_from(position, &shown.await?)
}

fn shown(kept: &Kept) -> Result<serde_json::Value, Refusal> {
    let entries: Box<RawValue> = serde_json::from_str(&kept.entries)
        .map_err(|_| Refusal::unavailable("this snapshot cannot be read"))?;
    let (id, at) = (kept.number.to_string(), iso8601(kept.at_ms));
    Ok(json!({"snapshotId": id, "journal": kept.seq, "at": at, "entries": entries}))
}

async fn snapshots(State(api): State<Arc<Api>>, id: AtPath, asker: Asker, paged: AtQuery<Paged>) -> Answer {
    let (key, paged) = (key(&asker, path(id)?), query(paged)?);
    api.look(&asker, &key, |_, _| ()).await?;
    let part = (paged.offset.unwrap_or(0) as u64, limit(paged.limit));
    let (kept, total) = store::all_kept(&mut api.stage.read().await?, &key.0, &key.1, part).await?;
    let kept = kept.iter().map(
        |kept| json!({"snapshotId": kept.number.to_string(), "journal": kept.seq, "at": iso8601(kept.at_ms)}),
    );
    told(&json!({ "snapshots": kept.collect::<Vec<_>>(), "total": total }))
}

async fn snapshot(State(api): State<Arc<Api>>, at: AtPath<(String, String)>, asker: Asker) -> Answer {
    let (id, number) = path(at)?;
    let key = key(&asker, id);
    api.look(&asker, &key, |_, _| ()).await?;
    let gone = || Refusal::not_found("snapshot");
    let number = number.parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(gone)?;
    let kept = store::kept(&mut api.stage.read().await?, &key.0, &key.1, number).await?;
    told(&shown(&kept.ok_or_else(gone)?)?)
}

async fn keep(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let Nothing {} = asked.read()?;
    let key = key(asked.asker(), path(id)?);
    api.owner(asked.asker(), &key).await?;
    api.rooms.warm(&api.stage, &key).await?;
    let rooms = api.rooms.clone();
    let what = format!("rooms/{}/snapshots", key.1);
    make(&api.stage, &asked, [NAME, &what], move |tx| {
        Box::pin(async move {
            let kept = acts::snapshot(&rooms, tx, &key).await?;
            Ok(json!({ "snapshotId": kept }))
        })
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct From {
    after: Option<u64>,
    chain: Option<Hash>,
}

/// A part of an export: what follows `after`, whose link is `chain`. The first has the rules, the last the end; in
/// between `Tidings-Next` says how to go on.
async fn exported(State(api): State<Arc<Api>>, id: AtPath, asker: Asker, from: AtQuery<From>) -> Answer {
    let (key, from) = (key(&asker, path(id)?), query(from)?);
    let Some((row, seq)) = api.look(&asker, &key, ended).await? else {
        return Err(Refusal::conflict("this room has not ended").into());
    };
    api.stage.may_export(asker.who()).await?;
    let (after, fresh) = (from.after.unwrap_or(0), Room::new(&row.id, row.rules.clone()));
    let fresh = fresh.map_err(|_| Refusal::unavailable("this room cannot be read"))?;
    let mut chain = from.chain.filter(|_| after > 0).unwrap_or_else(|| fresh.chain());
    let mut text = if after == 0 { export::head(&row.id, &row.rules) + "\n" } else { String::new() };
    let mut last = after;
    for entry in store::read(&mut api.stage.read().await?, &key.0, &key.1, (after, ENTRIES_MOST)).await? {
        chain = chain.then(&entry);
        last = entry.seq;
        text += &export::line(&entry, chain);
        text.push('\n');
    }
    if last >= seq {
        text += &api.look(&asker, &key, |_, room| export::end(room)).await?;
        text.push('\n');
    }
    // Each part by itself: whoever begins in the middle takes data away as well.
    api.stage.exported(asker.who(), format!("trading room {}, from entry {after} to {last}", key.1));
    lines(text, (last < seq).then_some((last, chain)))
}

fn ended(row: &RoomRow, room: &Room) -> Option<(RoomRow, u64)> {
    (room.state() == Stands::Ended).then(|| (row.clone(), room.seq()))
}

fn lines(text: String, next: Option<(u64, Hash)>) -> Answer {
    let mut response = respond(StatusCode::OK, Vec::new());
    *response.body_mut() = Body::from(text);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EXPORTED));
    if let Some((after, chain)) = next
        && let Ok(next) = HeaderValue::try_from(format!("after={after}&chain={chain}"))
    {
        headers.insert("tidings-next", next);
    }
    Ok(response)
}
