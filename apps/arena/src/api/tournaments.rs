//! Sessions: tournaments with limits and a ladder of their own.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::{delete, get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings_app::{Org, Reader, Refusal, Text, Whole};
use tidings_routes::{Answer, Asked, Asker, Nothing, bad, limit, new_id, path, query, told};

use super::Api;
use crate::acts::tournaments;
use crate::arena::the_session;
use crate::boards::Scope;
use crate::model::INITIAL_RATING;
use crate::store::sessions::{self, Session};
use crate::telling::match_room;
use crate::wire::Id;
use tidings_app::time::{self, iso8601};

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/sessions", get(list).post(create))
        .route("/sessions/{id}", get(one))
        .route("/sessions/{id}/players", post(join))
        .route("/sessions/{id}/players/{player}", delete(leave))
        .route("/sessions/{id}/close", post(close))
}

type AtPath<T> = Result<axum::extract::Path<T>, axum::extract::rejection::PathRejection>;

/// A session as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: String,
    name: String,
    status: &'static str,
    starts_at: Option<String>,
    ends_at: Option<String>,
    max_players: Option<u64>,
    max_matches: Option<u64>,
    initial_rating: i64,
    k_factor: Option<i64>,
    players: u64,
    created_at: String,
}

impl View {
    fn of(session: Session, now_ms: u64) -> Self {
        let is_over = session.is_over(now_ms);
        Self {
            id: session.id,
            name: session.name,
            status: if is_over { "closed" } else { "open" },
            starts_at: session.starts_ms.map(iso8601),
            ends_at: session.ends_ms.map(iso8601),
            max_players: session.max_players,
            max_matches: session.max_matches,
            initial_rating: session.initial_rating,
            k_factor: session.k,
            players: session.players,
            created_at: iso8601(session.created_ms),
        }
    }
}

async fn view(reader: &mut Reader, org: &Org, id: &str, now_ms: u64) -> Result<View, Refusal> {
    the_session(reader, org, id).await.map(|session| View::of(session, now_ms))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    status: Option<String>,
    limit: Option<u64>,
}

async fn list(
    State(api): State<Arc<Api>>,
    asker: Asker,
    listed: Result<Query<Listed>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let listed = query(listed)?;
    let status = listed.status.unwrap_or_default();
    if !["", "open", "closed"].contains(&status.as_str()) {
        return Err(bad("status: is one of open, closed").into());
    }
    let (mut reader, now_ms) = (api.stage.read().await?, api.stage.now_ms());
    let found = sessions::newest(&mut reader, asker.org(), (&status, now_ms), limit(listed.limit)).await?;
    let views: Vec<View> = found.into_iter().map(|session| View::of(session, now_ms)).collect();
    told(&json!({ "sessions": views }))
}

async fn one(State(api): State<Arc<Api>>, asker: Asker, id: AtPath<String>) -> Answer {
    told(&view(&mut api.stage.read().await?, asker.org(), &path(id)?, api.stage.now_ms()).await?)
}

/// A session that is wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Its id; one is made if none is named.
    id: Option<Id>,
    /// Its name for people.
    name: Text<1, 80>,
    /// When it begins; at once if not said.
    starts_at: Option<String>,
    /// When it ends; when it is closed if not said.
    ends_at: Option<String>,
    /// How many may play in it.
    max_players: Option<Whole<2, 1_000_000>>,
    /// How many matches one may play in it.
    max_matches: Option<Whole<1, 100_000>>,
    /// The rating everybody begins with; 1200 if not said.
    initial_rating: Option<Whole<100, 4_000>>,
    /// Points a rating moves by at most; those of everybody's ladder if not said.
    k_factor: Option<Whole<1, 200>>,
}

fn moment(text: Option<&str>, field: &str) -> Result<Option<u64>, Refusal> {
    let wrong = || bad(&format!("{field}: expected a time such as 2026-11-21T21:45:00Z"));
    text.map(|text| time::parse(text).ok_or_else(wrong)).transpose()
}

async fn create(State(api): State<Arc<Api>>, asked: Asked) -> Answer {
    let org = asked.asker().server()?.org().clone();
    let wanted: Wanted = asked.read()?;
    let count = |whole: i64| u64::try_from(whole).unwrap_or(0);
    let new = Session {
        id: wanted.id.map_or_else(|| new_id("s"), Id::into_string),
        name: wanted.name.into_string(),
        open: true,
        starts_ms: moment(wanted.starts_at.as_deref(), "startsAt")?,
        ends_ms: moment(wanted.ends_at.as_deref(), "endsAt")?,
        max_players: wanted.max_players.map(|most| count(most.get())),
        max_matches: wanted.max_matches.map(|most| count(most.get())),
        initial_rating: wanted.initial_rating.map_or(INITIAL_RATING, Whole::get),
        k: wanted.k_factor.map(Whole::get),
        players: 0,
        created_ms: api.stage.now_ms(),
    };
    api.make::<View, _>(&asked, "sessions".into(), move |tx| {
        Box::pin(async move {
            tournaments::create(tx, &org, &new).await?;
            let now_ms = tx.now_ms();
            view(tx, &org, &new.id, now_ms).await
        })
    })
    .await
}

/// Who is to play.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Joining {
    /// The player; oneself if none is named.
    player_id: Option<Id>,
}

async fn join(State(api): State<Arc<Api>>, id: AtPath<String>, asked: Asked) -> Answer {
    let (asker, wanted): (_, Joining) = (asked.asker(), asked.read()?);
    let player = wanted.player_id.map(Id::into_string).or_else(|| asker.user().map(str::to_owned));
    let player = player.ok_or_else(|| bad("playerId: is needed"))?;
    let (id, org) = (path(id)?, asker.himself_or_server(&player)?.org().clone());
    let arena = api.arena.clone();
    let _pass = api.arena.pass_to(&api.stage, &org, &Scope::session(&id)).await?;
    api.commit::<View, _>(&asked, format!("join {id}"), move |tx| {
        Box::pin(async move {
            tournaments::join(&arena, tx, &org, (&id, &player)).await?;
            let now_ms = tx.now_ms();
            view(tx, &org, &id, now_ms).await
        })
    })
    .await
}

async fn leave(State(api): State<Arc<Api>>, at: AtPath<(String, String)>, asked: Asked) -> Answer {
    let (id, player) = path(at)?;
    let org = asked.asker().himself_or_server(&player)?.org().clone();
    let arena = api.arena.clone();
    let _pass = api.arena.pass_to(&api.stage, &org, &Scope::session(&id)).await?;
    api.commit::<View, _>(&asked, format!("leave {id}\0{player}"), move |tx| {
        Box::pin(async move {
            tournaments::leave(&arena, tx, &org, (&id, &player)).await?;
            let now_ms = tx.now_ms();
            view(tx, &org, &id, now_ms).await
        })
    })
    .await
}

async fn close(State(api): State<Arc<Api>>, id: AtPath<String>, asked: Asked) -> Answer {
    let (id, org) = (path(id)?, asked.asker().server()?.org().clone());
    let Nothing {} = asked.read()?;
    let ended: Arc<OnceLock<Vec<String>>> = Arc::default();
    let (of, noted) = (org.clone(), ended.clone());
    let closed = api.commit::<View, _>(&asked, format!("close {id}"), move |tx| {
        Box::pin(async move {
            let ended = tournaments::close(tx, &of, &id).await?;
            // Of a repeat under a key nothing is noted: the rooms are closed.
            noted.get_or_init(|| ended);
            let now_ms = tx.now_ms();
            view(tx, &of, &id, now_ms).await
        })
    });
    let answer = closed.await?;
    for game in ended.get().into_iter().flatten() {
        api.stage.close(&match_room(&org, game)?);
    }
    Ok(answer)
}
