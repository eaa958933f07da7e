//! `GET /api/audit`: the audit log, for those whom it concerns.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};
use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::audit::{AuditFilter, Recorded};
use tidings_wire::engineio::Query;

use super::{Remote, refuse, respond, signed_in};
use crate::audit::{Action, Entry, Outcome, members};
use crate::shared::Shared;
use crate::time::iso8601;

/// Entries of a page where no number is asked for, and at most.
const PAGE_DEFAULT: u32 = 100;
const PAGE_MOST: u32 = 1_000;

/// The role that sees what concerns the whole server; it counts in the default organisation alone, so that
/// nobody who speaks for another one can give it.
const OPERATOR: &str = "operator";

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new().route("/api/audit", get(audit)).with_state(shared)
}

/// The newest entries first: `?since=MS&until=MS&actor=&action=&result=&before=SEQ&limit=`.
async fn audit(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let who = match signed_in(&shared, &headers).await {
        Ok(who) => who,
        Err(refusal) => return refuse(&refusal),
    };
    match page(&shared, &who, remote.0, query.as_deref().unwrap_or("")).await {
        Ok(page) => respond(StatusCode::OK, "application/json", page.to_string()),
        Err(refusal) => refuse(&refusal),
    }
}

async fn page(shared: &Shared, who: &Identity, from: IpAddr, query: &str) -> Result<Value, Refusal> {
    let all = who.org == Org::default() && who.roles.iter().any(|role| role == OPERATOR);
    if !all && !who.is_admin() {
        return Err(Refusal::new(Code::Forbidden, "the audit log is for administrators"));
    }
    let (filter, limit) = asked(query)?;
    let records = shared.records.as_ref();
    let records = records.ok_or_else(|| Refusal::new(Code::Unavailable, "there is no audit log to read"))?;
    let mut reader = records.store.read().await.map_err(|error| Refusal::from(&error))?;
    let read = match all {
        true => reader.audit_of_all(&filter, limit).await,
        false => reader.audit(&who.org, &filter, limit).await,
    };
    let read = read.map_err(|error| Refusal::from(&error))?;
    // Who reads it is written down where it reads.
    shared.audit.note(Entry::ok(Action::AuditRead).by_identity(who).from(from).on(described(&filter)));
    let next = read.last().filter(|_| read.len() == limit as usize).map(|last| last.seq);
    let entries: Vec<Value> = read.iter().map(shown).collect();
    Ok(json!({ "ok": true, "all": all, "entries": entries, "next": next }))
}

fn asked(query: &str) -> Result<(AuditFilter, u32), Refusal> {
    let bad = |text: &str| Refusal::new(Code::BadRequest, text);
    let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
    let (mut filter, mut limit) = (AuditFilter::default(), PAGE_DEFAULT);
    for (name, value) in query.pairs() {
        let number = || value.parse::<u64>().map_err(|_| bad(&format!("{name}: is no number")));
        match name.as_ref() {
            "since" => filter.from_ms = Some(number()?),
            "until" => filter.until_ms = Some(number()?),
            "before" => filter.before_seq = Some(number()?),
            "limit" => limit = number()?.clamp(1, PAGE_MOST.into()) as u32,
            "actor" => filter.actor = Some(value.into_owned()),
            "result" if Outcome::ALL.iter().any(|outcome| outcome.as_str() == value) => {
                filter.result = Some(value.into_owned());
            }
            "result" => return Err(bad("result: is ok, refused or failed")),
            "action" if Action::ALL.iter().any(|action| action.as_str() == value) => {
                filter.action = Some(value.into_owned());
            }
            "action" => return Err(bad("action: there is none of this name")),
            _ => {}
        }
    }
    Ok((filter, limit))
}

/// What was asked for, for the entry about the reading.
fn described(filter: &AuditFilter) -> String {
    let number = |name: &str, value: Option<u64>| value.map(|value| format!("{name}={value}"));
    let text = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}={value}"));
    let parts = [
        number("since", filter.from_ms),
        number("until", filter.until_ms),
        number("before", filter.before_seq),
        text("actor", &filter.actor),
        text("action", &filter.action),
        text("result", &filter.result),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("&")
}

/// An entry as it is answered, with its place in the chain.
fn shown(recorded: &Recorded) -> Value {
    let mut shown = members(&recorded.entry);
    shown.insert("seq".into(), recorded.seq.into());
    shown.insert("writtenAt".into(), iso8601(recorded.written_ms).into());
    shown.insert("hash".into(), recorded.hash.to_string().into());
    Value::Object(shown)
}
