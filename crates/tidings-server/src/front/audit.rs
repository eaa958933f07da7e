//! `GET /api/audit`: the audit log, for those whom it concerns.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};
use tidings_core::{Code, Identity, Org, Refusal, Shuffle};
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

/// Whoever has numbered so many entries has another log: such a number comes of an id that is none.
const ENTRIES_MOST: u64 = 1 << 40;

/// The newest entries first: `?since=MS&until=MS&actor=&action=&result=&before=ID&limit=`.
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
    let ids = if all { Ids::Numbers } else { Ids::Shuffled(&shared.audit.order) };
    let Asked { filter, before, limit } = asked(query, ids)?;
    let records = shared.records.as_ref();
    let records = records.ok_or_else(|| Refusal::new(Code::Unavailable, "there is no audit log to read"))?;
    let mut reader = records.store.read().await.map_err(|error| Refusal::from(&error))?;
    let read = match all {
        true => reader.audit_of_all(&filter, limit).await,
        false => reader.audit(&who.org, &filter, limit).await,
    };
    let read = read.map_err(|error| Refusal::from(&error))?;
    // Who reads it is written down where it reads.
    let object = described(&filter, before.as_deref());
    shared.audit.note(Entry::ok(Action::AuditRead).by_identity(who).from(from).on(object));
    let next = read.last().filter(|_| read.len() == limit as usize).map(|last| ids.of(last.seq));
    let entries: Vec<Value> = read.iter().map(|recorded| shown(recorded, ids)).collect();
    Ok(json!({ "ok": true, "all": all, "entries": entries, "next": next }))
}

/// How entries are named to who reads them.
#[derive(Clone, Copy)]
enum Ids<'a> {
    /// By their place in the log.
    Numbers,
    /// By what does not show it, for as long as the process lives.
    Shuffled(&'a Shuffle),
}

impl Ids<'_> {
    fn of(self, seq: u64) -> String {
        match self {
            Self::Numbers => seq.to_string(),
            Self::Shuffled(order) => format!("{:016x}", order.place(seq)),
        }
    }

    /// The place of the entry of an id; `None` if it cannot be one.
    fn seq(self, id: &str) -> Option<u64> {
        match self {
            Self::Numbers => id.parse().ok(),
            Self::Shuffled(order) => {
                let place = u64::from_str_radix(id, 16).ok()?;
                Some(order.number(place)).filter(|seq| *seq < ENTRIES_MOST)
            }
        }
    }
}

struct Asked {
    filter: AuditFilter,
    /// The id, as it was given.
    before: Option<String>,
    limit: u32,
}

fn asked(query: &str, ids: Ids<'_>) -> Result<Asked, Refusal> {
    let bad = |text: &str| Refusal::new(Code::BadRequest, text);
    let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
    let (mut filter, mut before, mut limit) = (AuditFilter::default(), None, PAGE_DEFAULT);
    for (name, value) in query.pairs() {
        let number = || value.parse::<u64>().map_err(|_| bad(&format!("{name}: is no number")));
        match name.as_ref() {
            "since" => filter.from_ms = Some(number()?),
            "until" => filter.until_ms = Some(number()?),
            "before" => {
                let seq = ids.seq(&value).ok_or_else(|| {
                    bad("before: is no id of an entry, or one of before the server's last start")
                })?;
                (filter.before_seq, before) = (Some(seq), Some(value.into_owned()));
            }
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
    Ok(Asked { filter, before, limit })
}

/// What was asked for, for the entry about the reading.
fn described(filter: &AuditFilter, before: Option<&str>) -> String {
    let number = |name: &str, value: Option<u64>| value.map(|value| format!("{name}={value}"));
    let text = |name: &str, value: Option<&str>| value.map(|value| format!("{name}={value}"));
    let parts = [
        number("since", filter.from_ms),
        number("until", filter.until_ms),
        text("before", before),
        text("actor", filter.actor.as_deref()),
        text("action", filter.action.as_deref()),
        text("result", filter.result.as_deref()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("&")
}

/// An entry as it is answered, for those who see the whole chain with its place in it.
fn shown(recorded: &Recorded, ids: Ids<'_>) -> Value {
    let mut shown = members(&recorded.entry);
    shown.insert("id".into(), ids.of(recorded.seq).into());
    if let Ids::Numbers = ids {
        shown.insert("seq".into(), recorded.seq.into());
    }
    shown.insert("writtenAt".into(), iso8601(recorded.written_ms).into());
    shown.insert("hash".into(), recorded.hash.to_string().into());
    Value::Object(shown)
}
