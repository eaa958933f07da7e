//! Competitive games: players, matches, ratings, live leaderboards.
//!
//! A studio submits results; ratings, places on every board, events and notices of a result are one transaction.
//! Boards are in memory, in order, and told as they change; the store alone is what is true.
//!
//! | module | what it is |
//! |---|---|
//! | [`wire`] | the contract: commands, events, snapshots |
//! | [`model`] | the rules of rating, on plain data |
//! | [`ranks`] | boards in order, and windows of them |
//! | [`replay`] | results computed again |
//! | [`countries`] | which countries there are |
//! | [`store`] | the tables |
//! | [`boards`], [`windows`], [`arena`] | what is kept in memory, and how it follows the store |
//! | [`acts`] | what happens: each a transaction |
//! | [`leaderboard`], [`matches`], [`players`] | the channels |
//! | [`views`], [`telling`] | how things are shown and told |
//! | [`api`] | REST below `/api/arena` |
//! | [`demo`] | people who play where nobody does |

pub mod acts;
pub mod api;
pub mod arena;
pub mod boards;
pub mod countries;
pub mod demo;
pub mod leaderboard;
pub mod matches;
pub mod model;
pub mod players;
pub mod ranks;
pub mod replay;
pub mod store;
pub mod telling;
pub mod views;
pub mod windows;
pub mod wire;

use std::sync::Arc;

use tidings_app::App;

use arena::Arena;

/// The app, to be mounted in one line.
pub fn app() -> App<axum::Router> {
    let arena = Arc::new(Arena::default());
    let (routes, lively) = (arena.clone(), arena.clone());
    App::new("arena", env!("CARGO_PKG_VERSION"), "Competitive games: matches, ratings, live leaderboards.")
        .channel(leaderboard::Leaderboard(arena.clone()))
        .channel(matches::Matches(arena.clone()))
        .channel(players::PlayersChannel(arena))
        .migrations(store::MIGRATIONS)
        .routes(|stage| api::routes(routes, stage))
        .paths(api::paths())
        .demo(move |stage| demo::play(lively.clone(), stage))
}
