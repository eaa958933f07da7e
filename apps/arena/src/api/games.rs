//! Matches: made, started, scored, decided and voided by servers, read by everybody.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tidings_app::{Many, Text};
use tidings_routes::{Answer, Asked, Asker, Nothing, bad, limit, new_id, path, query, told, told_from};

use super::Api;
use crate::acts::ending::Ending;
use crate::acts::life::{self, NewMatch, SCORE_MOST};
use crate::acts::{result, void};
use crate::arena::the_match;
use crate::store::matches::{self, Which};
use crate::telling::match_room;
use crate::views;
use crate::wire::{Id, MatchView, Players, ResultType, Score, Status};

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/matches", get(list).post(create))
        .route("/matches/{id}", get(one))
        .route("/matches/{id}/start", post(start))
        .route("/matches/{id}/score", post(score))
        .route("/matches/{id}/result", post(decide))
        .route("/matches/{id}/void", post(void_it))
}

type AtPath = Result<axum::extract::Path<String>, axum::extract::rejection::PathRejection>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listed {
    status: Option<String>,
    session_id: Option<String>,
    before: Option<String>,
    limit: Option<u64>,
}

async fn list(
    State(api): State<Arc<Api>>,
    asker: Asker,
    listed: Result<axum::extract::Query<Listed>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let listed = query(listed)?;
    let status = listed.status.unwrap_or_default();
    if !status.is_empty() && Status::parse(&status).is_none() {
        return Err(bad("status: is not one of a match").into());
    }
    let session = listed.session_id.unwrap_or_default();
    let mut reader = api.stage.read().await?;
    let before = match &listed.before {
        Some(id) => Some(the_match(&mut reader, asker.org(), id).await?),
        None => None,
    };
    let which = Which { status: &status, session: &session, before: before.as_ref() };
    let most = limit(listed.limit);
    let mut found = matches::newest(&mut reader, asker.org(), &which, most + 1).await?;
    let more = found.len() as u64 > most;
    found.truncate(most as usize);
    let mut views = Vec::new();
    for game in found {
        views.push(views::match_of(&mut reader, asker.org(), game).await?);
    }
    told(&json!({ "matches": views, "more": more }))
}

async fn one(State(api): State<Arc<Api>>, asker: Asker, id: AtPath) -> Answer {
    let id = path(id)?;
    let position = api.stage.position(&match_room(asker.org(), &id)?).await;
    told_from(position, &views::of_match(&mut api.stage.read().await?, asker.org(), &id).await?)
}

/// A match that is wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Its id; one is made if none is named.
    id: Option<Id>,
    /// Who plays.
    players: Players,
    /// Its format, in the studio's words.
    format: Option<Text<1, 40>>,
    /// The session it is of.
    session_id: Option<Id>,
    /// The highest score there can be; 1,000,000 if none is named.
    max_score: Option<i64>,
}

async fn create(State(api): State<Arc<Api>>, asked: Asked) -> Answer {
    let org = asked.asker().server()?.org().clone();
    let wanted: Wanted = asked.read()?;
    let _pass = api.arena.pass(&api.stage).await?;
    let new = NewMatch {
        id: wanted.id.map_or_else(|| new_id("m"), Id::into_string),
        players: wanted.players.into_vec().into_iter().map(Id::into_string).collect(),
        format: wanted.format.map_or_else(|| "1v1".into(), Text::into_string),
        session: wanted.session_id.map(Id::into_string),
        max_score: wanted.max_score.unwrap_or(SCORE_MOST),
    };
    api.make::<MatchView, _>(&asked, "matches".into(), move |tx| {
        Box::pin(async move {
            life::create(tx, &org, &new).await?;
            views::of_match(tx, &org, &new.id).await
        })
    })
    .await
}

async fn start(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (id, org) = (path(id)?, asked.asker().server()?.org().clone());
    let Nothing {} = asked.read()?;
    api.commit::<MatchView, _>(&asked, format!("start {id}"), move |tx| {
        Box::pin(async move {
            life::start(tx, &org, &id).await?;
            views::of_match(tx, &org, &id).await
        })
    })
    .await
}

/// Scores that have changed.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Scored {
    /// Whose, and how much.
    scores: Option<Many<Score, 0, 8>>,
    /// Which round it is.
    current_round: Option<i64>,
}

async fn score(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (id, org) = (path(id)?, asked.asker().server()?.org().clone());
    let scored: Scored = asked.read()?;
    api.commit::<MatchView, _>(&asked, format!("score {id}"), move |tx| {
        Box::pin(async move {
            let scores = scored.scores.as_deref().unwrap_or_default();
            life::score(tx, &org, &id, (scores, scored.current_round)).await?;
            views::of_match(tx, &org, &id).await
        })
    })
    .await
}

/// How a match has ended.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Decided {
    /// Who has won; nobody in a draw.
    winner_id: Option<Id>,
    /// In which way.
    result_type: ResultType,
    /// Scores that have changed.
    scores: Option<Many<Score, 0, 8>>,
}

async fn decide(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (id, org) = (path(id)?, asked.asker().server()?.org().clone());
    let decided: Decided = asked.read()?;
    let submitted = result::Submitted {
        winner: decided.winner_id.map(Id::into_string),
        kind: decided.result_type,
        scores: decided.scores.map(Many::into_vec).unwrap_or_default(),
    };
    let ending = Ending::of(&api.arena, &api.stage, &org, &id).await?;
    let arena = api.arena.clone();
    let decided = api.commit(&asked, format!("result {id}"), move |tx| {
        Box::pin(async move { result::submit(&arena, tx, &org, &id, &submitted).await })
    });
    ended(&api, ending, decided).await
}

/// Why a match does not count.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Doubted {
    /// For people.
    reason: Option<Text<1, 200>>,
}

async fn void_it(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (id, org) = (path(id)?, asked.asker().server()?.org().clone());
    let doubted: Doubted = asked.read()?;
    let ending = Ending::of(&api.arena, &api.stage, &org, &id).await?;
    let arena = api.arena.clone();
    let voided = api.commit(&asked, format!("void {id}"), move |tx| {
        Box::pin(async move {
            let reason = doubted.reason.as_deref();
            void::void(&arena, tx, &org, &id, reason).await
        })
    });
    ended(&api, ending, voided).await
}

/// Does it, and what follows from it.
async fn ended(api: &Api, ending: Ending<'_>, deed: impl Future<Output = Answer>) -> Answer {
    let answer = deed.await?;
    ending.told(&api.stage);
    Ok(answer)
}
