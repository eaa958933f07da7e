//! Leaderboards: the top, pages, around somebody; now, and as they stood at a moment.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings_app::{Org, Refusal};
use tidings_routes::{Answer, Asker, bad, path, query, told, told_from};

use super::Api;
use crate::arena::the_session;
use crate::boards::{OrgBoards, Scope, TOP};
use crate::countries::{self, is_code};
use crate::ranks::{Board, Ranking};
use crate::store::ladders::{self, GLOBAL, of_session};
use crate::telling::board_room;
use crate::wire::{Entry, Where};
use tidings_app::time;

/// Places of one answer at most.
const PAGE_MOST: u32 = 1_000;
/// Places on each side of somebody at most.
const AROUND_MOST: u32 = 100;
/// Places of a board as it stood at a moment, from the top.
const AT_MOST: u64 = 10_000;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/leaderboards", get(list))
        .route("/leaderboards/global", get(global))
        .route("/leaderboards/global/around/{player}", get(around_global))
        .route("/leaderboards/country/{code}", get(country))
        .route("/leaderboards/country/{code}/around/{player}", get(around_country))
        .route("/leaderboards/session/{id}", get(session))
        .route("/leaderboards/session/{id}/around/{player}", get(around_session))
}

type AtPath<T> = Result<axum::extract::Path<T>, axum::extract::rejection::PathRejection>;
type Asked = Result<Query<Page>, axum::extract::rejection::QueryRejection>;

/// Which part of a board, how its places are counted, and when.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
    offset: Option<u32>,
    k: Option<u32>,
    ranking: Option<String>,
    at: Option<String>,
}

impl Page {
    /// Whether every change of it is told: the board's room tells of the first places alone.
    fn is_top(&self) -> bool {
        let (offset, limit) = (self.offset.unwrap_or(0), self.limit.unwrap_or(TOP));
        offset.saturating_add(limit) <= TOP
    }
}

/// A part of a board.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    place: Where,
    total: u32,
    ranking: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    entries: Vec<Entry>,
}

async fn list(State(api): State<Arc<Api>>, asker: Asker) -> Answer {
    let _pass = api.arena.pass(&api.stage).await?;
    let mut boards: Vec<(Scope, u32)> = api.arena.with(asker.org(), |boards| {
        boards.scopes().map(|(scope, players)| (scope.clone(), players)).collect()
    });
    boards.sort();
    #[derive(Serialize)]
    struct Line {
        #[serde(flatten)]
        place: Where,
        players: u32,
    }
    let lines: Vec<Line> =
        boards.into_iter().map(|(scope, players)| Line { place: scope.place(), players }).collect();
    told(&json!({ "boards": lines }))
}

async fn global(State(api): State<Arc<Api>>, asker: Asker, page: Asked) -> Answer {
    show(&api, asker, Scope::Global, query(page)?, None).await
}

async fn around_global(
    State(api): State<Arc<Api>>,
    asker: Asker,
    player: AtPath<String>,
    page: Asked,
) -> Answer {
    show(&api, asker, Scope::Global, query(page)?, Some(path(player)?)).await
}

async fn country(State(api): State<Arc<Api>>, asker: Asker, code: AtPath<String>, page: Asked) -> Answer {
    show(&api, asker, of_country(&path(code)?)?, query(page)?, None).await
}

async fn around_country(
    State(api): State<Arc<Api>>,
    asker: Asker,
    at: AtPath<(String, String)>,
    page: Asked,
) -> Answer {
    let (code, player) = path(at)?;
    show(&api, asker, of_country(&code)?, query(page)?, Some(player)).await
}

async fn session(State(api): State<Arc<Api>>, asker: Asker, id: AtPath<String>, page: Asked) -> Answer {
    show(&api, asker, Scope::session(&path(id)?), query(page)?, None).await
}

async fn around_session(
    State(api): State<Arc<Api>>,
    asker: Asker,
    at: AtPath<(String, String)>,
    page: Asked,
) -> Answer {
    let (id, player) = path(at)?;
    show(&api, asker, Scope::session(&id), query(page)?, Some(player)).await
}

fn of_country(code: &str) -> Result<Scope, Refusal> {
    if is_code(code) {
        Ok(Scope::country(code))
    } else {
        Err(bad(&format!("the path: {}", countries::EXPECTED)))
    }
}

/// A part of a board: a page, or what is around somebody.
async fn show(api: &Api, asker: Asker, scope: Scope, page: Page, player: Option<String>) -> Answer {
    let org = asker.org();
    let mut position = None;
    let shown = match &page.at {
        None => {
            // Before the pass, which boards are read behind that are in doubt.
            if page.is_top() && player.is_none() {
                position = api.stage.position(&board_room(org, &scope)?).await;
            }
            let _pass = api.arena.pass_to(&api.stage, org, &scope).await?;
            api.arena.with(org, |boards| part(boards, &scope, &page, player.as_deref()))?
        }
        Some(at) => {
            let at_ms =
                time::parse(at).ok_or_else(|| bad("at: expected a time such as 2026-11-21T21:45:00Z"))?;
            let boards = at_moment(api, org, &scope, at_ms).await?;
            part(&boards, &scope, &page, player.as_deref())?
        }
    };
    told_from(position, &shown)
}

/// A board as it stood at a moment.
async fn at_moment(api: &Api, org: &Org, scope: &Scope, at_ms: u64) -> Result<OrgBoards, Refusal> {
    let mut reader = api.stage.read().await?;
    let (ladder, country) = match scope {
        Scope::Global => (GLOBAL.to_owned(), None),
        Scope::Country(code) => (GLOBAL.to_owned(), Some(code.as_str())),
        Scope::Session(id) => {
            the_session(&mut reader, org, id).await?;
            (of_session(id), None)
        }
    };
    let placed = ladders::at(&mut reader, org, (&ladder, country), at_ms, AT_MOST).await?;
    let mut boards = OrgBoards::default();
    // Places are equal in the order in which players came.
    let mut came: Vec<_> = placed.iter().collect();
    came.sort_by_key(|placed| placed.number);
    let entries = came.into_iter().map(|placed| boards.enter(placed)).collect::<Result<Vec<_>, _>>()?;
    boards.install(scope.clone(), Board::load(Ranking::Ordinal, entries), Vec::new());
    Ok(boards)
}

/// How places are counted.
fn ranking(name: Option<&str>) -> Result<(Ranking, &'static str), Refusal> {
    match name.unwrap_or("1234") {
        "1234" => Ok((Ranking::Ordinal, "1234")),
        "1224" => Ok((Ranking::Competition, "1224")),
        "1223" => Ok((Ranking::Dense, "1223")),
        _ => Err(bad("ranking: is one of 1234, 1224, 1223")),
    }
}

fn part(boards: &OrgBoards, scope: &Scope, page: &Page, player: Option<&str>) -> Result<Shown, Refusal> {
    let (by, name) = ranking(page.ranking.as_deref())?;
    let empty = Board::new(Ranking::Ordinal);
    let board = boards.board(scope).unwrap_or(&empty);
    let rows = match player {
        None => board.page(page.offset.unwrap_or(0), page.limit.unwrap_or(50).clamp(1, PAGE_MOST)),
        Some(player) => {
            let handle = boards.find(player).filter(|handle| board.row(*handle).is_some());
            let handle = handle.ok_or_else(|| Refusal::not_found("player on this board"))?;
            board.around(handle, page.k.unwrap_or(5).min(AROUND_MOST))
        }
    };
    let entries = rows.into_iter().map(|row| boards.entry(board, row, Some(by))).collect();
    let at = page.at.clone();
    Ok(Shown { place: scope.place(), total: board.len(), ranking: name.into(), at, entries })
}
