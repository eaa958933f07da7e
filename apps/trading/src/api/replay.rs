//! Prices from a file.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings_app::time::iso8601;
use tidings_app::{Text, Whole};
use tidings_routes::{Answer, Asked, Asker, AtPath, at_most, bad, make, path, told};

use super::{Api, NAME, key};
use crate::replay::rows::Replay;
use crate::replay::tape::{BYTES_MOST, Tape};
use crate::replay::{self, RATE_MOST, rows};

/// A file as a JSON string: each of its lines ends with two bytes for one.
const BODY_BYTES: usize = BYTES_MOST + BYTES_MOST / 4;

pub(super) fn routes() -> Router<Arc<Api>> {
    let replay = get(shown).post(set).layer(at_most(BODY_BYTES));
    Router::new().route("/rooms/{id}/replay", replay)
}

/// From which prices a room is fed.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// A file of the server: `sample`, which comes with it, or `server`, which its operator has set.
    tape: Option<Text<1, 16>>,
    /// Or the prices themselves, as CSV: `at,symbol,price,volume` and a line for each in order of time; for servers.
    csv: Option<String>,
    /// How many times as fast as they came; as fast, if not said.
    rate: Option<Whole<1, { RATE_MOST as i64 }>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    tape: String,
    rate: u64,
    /// How many prices are done with.
    given: u64,
    total: u64,
    /// What the file is known by: its SHA-256.
    hash: String,
    /// When the next price comes, by the clock of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
}

impl View {
    fn of(replay: Replay) -> Self {
        let Replay { tape, name, rate, given, total, due_ms } = replay;
        let next_at = due_ms.filter(|due| *due > 0).map(iso8601);
        Self { tape: name, rate, given, total, hash: tape.to_string(), next_at }
    }
}

async fn shown(State(api): State<Arc<Api>>, id: AtPath, asker: Asker) -> Answer {
    let key = key(&asker, path(id)?);
    api.look(&asker, &key, |_, _| ()).await?;
    let replay = rows::find(&mut api.stage.read().await?, &key).await?;
    // That a room is not fed is no fault of who asks.
    told(&replay.map_or_else(|| json!({ "tape": null }), |replay| json!(View::of(replay))))
}

async fn set(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let key = key(asked.asker(), path(id)?);
    api.owner(asked.asker(), &key).await?;
    let Wanted { tape, csv, rate } = asked.read()?;
    let (name, text, tape) = match (tape, csv) {
        (Some(name), None) => {
            let (text, tape) = api.tapes.named(&name)?;
            (name.into_string(), text, tape)
        }
        (None, Some(csv)) => {
            // Who trades makes no prices.
            asked.asker().server()?;
            let tape = Tape::parse(&csv).map_err(|problem| bad(&format!("csv: {problem}")))?;
            ("own".to_owned(), csv, Arc::new(tape))
        }
        _ => return Err(bad("expected either tape or csv").into()),
    };
    let rate = rate.and_then(|rate| u64::try_from(rate.get()).ok()).unwrap_or(1);
    let what = format!("rooms/{}/replay", key.1);
    make(&api.stage, &asked, [NAME, &what], move |tx| {
        Box::pin(async move { replay::set(tx, &key, (&name, &text), (&tape, rate)).await.map(View::of) })
    })
    .await
}
