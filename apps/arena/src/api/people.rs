//! Players and friends.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::{get, put};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use tidings_app::{Org, Text};
use tidings_routes::{Answer, Asked, Asker, bad, limit, path, query, told};

use super::Api;
use crate::acts::people::{self, NewPlayer};
use crate::arena::the_player;
use crate::boards::Scope;
use crate::store::ladders::{self, GLOBAL};
use crate::store::{matches, players};
use crate::views;
use crate::wire::{Id, PlayerView};
use tidings_app::time::iso8601;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/players", get(list).post(create))
        .route("/players/{id}", get(one).patch(change))
        .route("/players/{id}/history", get(history))
        .route("/players/{id}/matches", get(played))
        .route("/players/{id}/friends", get(friends))
        .route("/players/{id}/friends/{friend}", put(befriend).delete(part))
}

type AtPath<T> = Result<axum::extract::Path<T>, axum::extract::rejection::PathRejection>;
type AtPage = Result<Query<Page>, axum::extract::rejection::QueryRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u64>,
    after: Option<String>,
}

/// A player in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    display_name: String,
    country: Option<String>,
    elo_rating: Option<i64>,
    rank: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutual: Option<bool>,
}

fn line(api: &Api, org: &Org, player: players::Player) -> Line {
    let place = api.arena.with(org, |boards| boards.board(&Scope::Global)?.row(boards.find(&player.id)?));
    Line {
        id: player.id,
        display_name: player.name,
        country: player.country,
        elo_rating: place.map(|row| row.score),
        rank: place.map(|row| row.rank),
        online: None,
        mutual: None,
    }
}

async fn list(State(api): State<Arc<Api>>, asker: Asker, page: AtPage) -> Answer {
    let page = query(page)?;
    let _pass = api.arena.pass(&api.stage).await?;
    let (most, after) = (limit(page.limit), page.after.unwrap_or_default());
    let mut found = players::page(&mut api.stage.read().await?, asker.org(), &after, most + 1).await?;
    let more = found.len() as u64 > most;
    found.truncate(most as usize);
    let lines: Vec<Line> = found.into_iter().map(|player| line(&api, asker.org(), player)).collect();
    told(&json!({ "players": lines, "more": more }))
}

/// Somebody who wants to play.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// The user's id; one's own if none is named.
    id: Option<Id>,
    /// The name that is shown; that of the token if none is named.
    display_name: Option<Text<1, 64>>,
    /// The country's code (ISO 3166-1 alpha-2).
    country: Option<Text<2, 2>>,
}

async fn create(State(api): State<Arc<Api>>, asked: Asked) -> Answer {
    let (asker, wanted): (_, Wanted) = (asked.asker(), asked.read()?);
    let id = wanted.id.map(Id::into_string).or_else(|| asker.user().map(str::to_owned));
    let id = id.ok_or_else(|| bad("id: is needed"))?;
    let asker = asker.himself_or_server(&id)?;
    let own = asker.name().filter(|_| asker.user() == Some(&*id)).map(|name| name.chars().take(64).collect());
    let name = wanted.display_name.map(Text::into_string).or(own);
    let name = name.ok_or_else(|| bad("displayName: is needed"))?;
    let new = NewPlayer { id, name, country: wanted.country.map(Text::into_string), rating: None };
    let _pass = api.arena.pass(&api.stage).await?;
    let (arena, org, stage) = (api.arena.clone(), asker.org().clone(), api.stage.clone());
    let asker = asker.user().map(str::to_owned);
    api.make::<PlayerView, _>(&asked, "players".into(), move |tx| {
        Box::pin(async move {
            people::create(&arena, tx, &org, &new).await?;
            views::of_changed(&arena, (&stage, asker.as_deref()), tx, &org, &new.id).await
        })
    })
    .await
}

async fn one(State(api): State<Arc<Api>>, asker: Asker, id: AtPath<String>) -> Answer {
    let _pass = api.arena.pass(&api.stage).await?;
    let mut reader = api.stage.read().await?;
    let seen = (&api.stage, asker.user());
    told(&views::of_player(&api.arena, seen, &mut reader, asker.org(), &path(id)?).await?)
}

/// What is to be otherwise.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Changed {
    /// The name that is shown.
    display_name: Option<Text<1, 64>>,
    /// The country's code (ISO 3166-1 alpha-2); null takes it away.
    #[serde(default, deserialize_with = "said")]
    // What is not said stays as it is: that is not what null does.
    #[schemars(!default)]
    country: Option<Option<Text<2, 2>>>,
}

/// A field that was said, be it null.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(reader: D) -> Result<Option<T>, D::Error> {
    T::deserialize(reader).map(Some)
}

async fn change(State(api): State<Arc<Api>>, id: AtPath<String>, asked: Asked) -> Answer {
    let id = path(id)?;
    let asker = asked.asker().himself_or_server(&id)?;
    let changed: Changed = asked.read()?;
    let _pass = api.arena.pass(&api.stage).await?;
    let (arena, org, stage) = (api.arena.clone(), asker.org().clone(), api.stage.clone());
    let asker = asker.user().map(str::to_owned);
    api.commit::<PlayerView, _>(&asked, format!("change {id}"), move |tx| {
        Box::pin(async move {
            let country = changed.country.as_ref().map(Option::as_deref);
            people::change(&arena, tx, &org, &id, (changed.display_name.as_deref(), country)).await?;
            views::of_changed(&arena, (&stage, asker.as_deref()), tx, &org, &id).await
        })
    })
    .await
}

async fn history(State(api): State<Arc<Api>>, asker: Asker, id: AtPath<String>, page: AtPage) -> Answer {
    let (id, page) = (path(id)?, query(page)?);
    let mut reader = api.stage.read().await?;
    the_player(&mut reader, asker.org(), &id).await?;
    let pasts = ladders::of_player(&mut reader, asker.org(), GLOBAL, &id, limit(page.limit)).await?;
    let lines = pasts.into_iter().map(|past| {
        json!({
            "at": iso8601(past.at_ms), "matchId": past.match_id, "ladder": past.ladder,
            "rating": past.standing.rating, "change": past.change,
        })
    });
    told(&json!({ "history": lines.collect::<Vec<_>>() }))
}

async fn played(State(api): State<Arc<Api>>, asker: Asker, id: AtPath<String>, page: AtPage) -> Answer {
    let (id, page) = (path(id)?, query(page)?);
    let mut reader = api.stage.read().await?;
    the_player(&mut reader, asker.org(), &id).await?;
    let mut views = Vec::new();
    for game in matches::of_player(&mut reader, asker.org(), &id, limit(page.limit)).await? {
        views.push(views::of_match(&mut reader, asker.org(), &game).await?);
    }
    told(&json!({ "matches": views }))
}

async fn friends(State(api): State<Arc<Api>>, asker: Asker, id: AtPath<String>) -> Answer {
    let id = path(id)?;
    asker.himself_or_server(&id)?;
    let _pass = api.arena.pass(&api.stage).await?;
    let mut reader = api.stage.read().await?;
    the_player(&mut reader, asker.org(), &id).await?;
    let mut lines = Vec::new();
    for (friend, mutual) in players::friends(&mut reader, asker.org(), &id).await? {
        let Some(player) = players::find(&mut reader, asker.org(), &friend).await? else { continue };
        // Who is there is for friends, not for whoever wishes to be one.
        let online = mutual.then(|| views::is_online(&api.stage, asker.org(), &friend, asker.user()));
        lines.push(Line { online, mutual: Some(mutual), ..line(&api, asker.org(), player) });
    }
    told(&json!({ "friends": lines }))
}

async fn befriend(State(api): State<Arc<Api>>, at: AtPath<(String, String)>, asked: Asked) -> Answer {
    change_friends(&api, &asked, path(at)?, true).await
}

async fn part(State(api): State<Arc<Api>>, at: AtPath<(String, String)>, asked: Asked) -> Answer {
    change_friends(&api, &asked, path(at)?, false).await
}

/// Two players become friends or part; windows of friends then show others.
async fn change_friends(api: &Api, asked: &Asked, (id, friend): (String, String), wishes: bool) -> Answer {
    let asker = asked.asker().himself_or_server(&id)?;
    let _pass = api.arena.pass(&api.stage).await?;
    let (org, both, pair) = (asker.org().clone(), asker.is_server(), (id.clone(), friend.clone()));
    let answer = api.commit(asked, format!("friends {wishes} {id}\0{friend}"), move |tx| {
        Box::pin(async move {
            let pair = (pair.0.as_str(), pair.1.as_str());
            let mutual = match wishes {
                true => people::befriend(tx, &org, pair, both).await?,
                false => people::part(tx, &org, pair, both).await?,
            };
            Ok(json!({ "ok": true, "mutual": mutual }))
        })
    });
    let answer = answer.await?;
    let mut reader = api.stage.read().await?;
    for player in [id, friend] {
        let friends = players::mutual(&mut reader, asker.org(), &player).await?;
        api.arena.with(asker.org(), |boards| boards.friends_changed(&player, &friends));
    }
    Ok(answer)
}
