//! `/api/dead-letters`: messages to users that nobody acknowledged, for administrators.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tidings_core::{Code, Identity, MessageId, Refusal};
use tidings_store::dead_letters::{Before, DeadLetter};
use tidings_store::{Store, StoreError};
use tidings_wire::engineio::Query;
use tidings_wire::plain::ReceiptWish;
use tidings_wire::socketio::inline_attachments;

use super::body::{Received, at_most, bad, read, received, signed_in_first, told};
use super::named::Named;
use super::to_the_end::to_the_end;
use super::{Remote, signed_in};
use crate::audit::{Action, Entry, Outcome};
use crate::object::Object;
use crate::receipts::{Terms, id_of};
use crate::shared::{Shared, wall_ms};
use crate::time::iso8601;

/// Letters of a page where no number is asked for, and at most.
const PAGE: u32 = 100;

/// Bytes of a request.
const BODY: usize = 4_096;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/api/dead-letters", get(list).delete(|s, r, q, h| to_the_end(purge(s, r, q, h))))
        .route("/api/dead-letters/redrive", post(|s, r, h, b| to_the_end(redrive_page(s, r, h, b))))
        .route("/api/dead-letters/{id}", get(one).delete(|s, r, i, h| to_the_end(drop_one(s, r, i, h))))
        .route("/api/dead-letters/{id}/redrive", post(|s, r, i, h, b| to_the_end(redrive(s, r, i, h, b))))
        .layer(from_fn_with_state(shared.clone(), signed_in_first));
    at_most(BODY, routes).with_state(shared)
}

/// The newest first: `?before=&limit=`, without their data.
async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let listed = async {
        let who = administrator(&shared, &headers, None).await?;
        let (before, limit) = part(query.as_deref().unwrap_or(""))?;
        let mut reader = store(&shared)?.read().await.map_err(down)?;
        let letters = reader.dead_letters(&who.org, before, limit).await.map_err(down)?;
        let count = reader.count_dead_letters(&who.org).await.map_err(down)?;
        let next = letters.last().filter(|_| letters.len() == limit as usize);
        let next = next.map(|last| format!("{}:{}", last.died_ms, last.id));
        let letters: Vec<Value> = letters.iter().map(shown).collect();
        Ok(json!({ "ok": true, "letters": letters, "count": count, "next": next }))
    };
    told(listed.await)
}

/// One letter, with its data.
async fn one(State(shared): State<Arc<Shared>>, id: Named, headers: HeaderMap) -> Response<Body> {
    let found = async {
        let who = administrator(&shared, &headers, None).await?;
        let letter = find(&shared, &who, id_of(&id.known(none)?)?).await?;
        let data = inline_attachments(letter.payload.text(), &letter.payload.attachments);
        let data = RawValue::from_string(data).map_err(|_| bad("the data is no JSON"))?;
        let mut shown = shown(&letter);
        if let Some(members) = shown.as_object_mut() {
            members.insert("ok".into(), true.into());
        }
        Ok(Whole { letter: shown, data })
    };
    told(found.await)
}

/// A letter as it is shown alone: its data byte for byte.
#[derive(serde::Serialize)]
struct Whole {
    #[serde(flatten)]
    letter: Value,
    data: Box<RawValue>,
}

async fn drop_one(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    id: Named,
    headers: HeaderMap,
) -> Response<Body> {
    let dropped = async {
        let who = administrator(&shared, &headers, Some(Action::DeadLetterPurge)).await?;
        let id = id_of(&id.known(none)?)?;
        let mut tx = store(&shared)?.begin().await.map_err(down)?;
        let dropped = tx.drop_dead_letter(&who.org, id).await.map_err(down)?;
        tx.commit().await.map_err(down)?;
        if !dropped {
            return Err(none());
        }
        let entry = Entry::ok(Action::DeadLetterPurge).by_identity(&who).from(remote.0);
        shared.audit.note(entry.on(format!("dead letter {id}")));
        Ok(json!({ "ok": true, "purged": 1 }))
    };
    told(dropped.await)
}

/// Throws away all that were given up before a time: `?before=MS`; without one, all.
async fn purge(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let purged = async {
        let who = administrator(&shared, &headers, Some(Action::DeadLetterPurge)).await?;
        let query = Query::parse(query.as_deref().unwrap_or("")).map_err(|_| bad("too many parameters"))?;
        let before = query.pairs().find(|(name, _)| name == "before").map(|(_, value)| value.parse::<u64>());
        let before = before.transpose().map_err(|_| bad("before: is no number"))?;
        let mut tx = store(&shared)?.begin().await.map_err(down)?;
        let purged = tx.purge_dead_letters(&who.org, before.unwrap_or(u64::MAX)).await.map_err(down)?;
        tx.commit().await.map_err(down)?;
        let entry = Entry::ok(Action::DeadLetterPurge).by_identity(&who).from(remote.0);
        shared.audit.note(entry.on("dead letters").with(format!("{{\"purged\":{purged}}}")));
        Ok(json!({ "ok": true, "purged": purged }))
    };
    told(purged.await)
}

/// How a letter is sent again; what is not said is the server's to choose.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    timeout_ms: Option<u32>,
    tries: Option<u32>,
}

/// Sends one letter again, under its id; it is kept until it is acknowledged.
async fn redrive(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    id: Named,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let redriven = async {
        let who = administrator(&shared, &headers, Some(Action::DeadLetterRedrive)).await?;
        let terms = terms(&headers, &body)?;
        let letter = find(&shared, &who, id_of(&id.known(none)?)?).await?;
        send_again(&shared, &who, remote, &letter, terms).await?;
        let (id, key) = (letter.id.to_string(), &letter.key);
        Ok(json!({ "ok": true, "messageId": id, "key": key, "room": letter.room }))
    };
    told(redriven.await)
}

/// Sends the newest page of letters again; what cannot be sent now stays.
async fn redrive_page(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let redriven = async {
        let who = administrator(&shared, &headers, Some(Action::DeadLetterRedrive)).await?;
        let terms = terms(&headers, &body)?;
        let mut reader = store(&shared)?.read().await.map_err(down)?;
        let letters = reader.dead_letters(&who.org, None, PAGE).await.map_err(down)?;
        drop(reader);
        let mut redriven = 0;
        for letter in &letters {
            redriven += u64::from(send_again(&shared, &who, remote, letter, terms).await.is_ok());
        }
        Ok(json!({ "ok": true, "redriven": redriven, "left": letters.len() as u64 - redriven }))
    };
    told(redriven.await)
}

async fn send_again(
    shared: &Shared,
    who: &Identity,
    remote: Remote,
    letter: &DeadLetter,
    terms: Terms,
) -> Result<(), Refusal> {
    let done = shared.receipts.redrive(&who.org, letter, terms);
    let outcome = if done.is_ok() { Outcome::Ok } else { Outcome::Refused };
    let entry = Entry::new(Action::DeadLetterRedrive, outcome).by_identity(who).from(remote.0);
    let entry = entry.on(format!("dead letter {}", letter.id));
    shared.audit.note(match &done {
        Ok(()) => entry,
        Err(refusal) => entry.because(refusal.code.as_str()),
    });
    done?;
    let mut tx = store(shared)?.begin().await.map_err(down)?;
    tx.count_redrive(&who.org, letter.id).await.map_err(down)?;
    tx.commit().await.map_err(down)
}

fn terms(headers: &HeaderMap, body: &Received) -> Result<Terms, Refusal> {
    let Object(Wanted { timeout_ms, tries }) =
        if received(body)?.is_empty() { Object(Wanted::default()) } else { read(headers, body)? };
    Terms::of(ReceiptWish { timeout_ms, tries }, false)
}

async fn find(shared: &Shared, who: &Identity, id: MessageId) -> Result<DeadLetter, Refusal> {
    let mut reader = store(shared)?.read().await.map_err(down)?;
    reader.dead_letter(&who.org, id).await.map_err(down)?.ok_or_else(none)
}

/// An administrator of an organisation; for others there is nothing to see, and what they tried is noted.
async fn administrator(
    shared: &Shared,
    headers: &HeaderMap,
    tried: Option<Action>,
) -> Result<Identity, Refusal> {
    let who = signed_in(shared, headers).await?;
    if who.is_admin() {
        return Ok(who);
    }
    if let Some(action) = tried {
        shared.audit.note(Entry::refused(action).by_identity(&who).because("forbidden"));
    }
    Err(Refusal::new(Code::Forbidden, "dead letters are for administrators"))
}

/// Which part of the list is wanted.
fn part(query: &str) -> Result<(Option<Before>, u32), Refusal> {
    let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
    let value = |wanted: &str| query.pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let limit = match value("limit") {
        Some(text) => text.parse::<u32>().map_err(|_| bad("limit: is no number"))?.clamp(1, PAGE),
        None => PAGE,
    };
    let place = |text: &str| {
        let (at_ms, id) = text.split_once(':')?;
        Some((at_ms.parse().ok()?, MessageId::parse(id)?))
    };
    let before = match value("before") {
        Some(text) => Some(place(&text).ok_or_else(|| bad("before: is not what `next` said"))?),
        None => None,
    };
    Ok((before, limit))
}

fn shown(letter: &DeadLetter) -> Value {
    json!({
        "messageId": letter.id.to_string(),
        "userId": letter.user,
        "room": letter.room,
        "event": letter.event,
        "key": letter.key,
        "lane": letter.lane.as_str(),
        "reason": letter.reason,
        "tries": letter.tries,
        "firstError": letter.first_error,
        "lastError": letter.last_error,
        "publishedAt": iso8601(letter.published_ms),
        "diedAt": iso8601(letter.died_ms.min(wall_ms())),
        "redriven": letter.redriven,
    })
}

fn store(shared: &Shared) -> Result<&Store, Refusal> {
    let records = shared.records.as_ref().ok_or_else(none)?;
    Ok(&records.store)
}

fn none() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such dead letter")
}

fn down(error: StoreError) -> Refusal {
    Refusal::from(&error)
}
