//! Trading competitions: rooms in which members trade with the same cash at the same prices, and are ranked.
//!
//! A room is a deterministic state machine, made of its rules and its journal alone; every amount is exact.
//!
//! | module | what it is |
//! |---|---|
//! | [`decimal`] | exact decimals |
//! | [`instrument`], [`rules`] | what is traded, within which bounds |
//! | [`order`], [`market`], [`account`], [`pace`] | what a room is made of |
//! | [`room`] | the state machine |
//! | [`journal`], [`digest`], [`export`] | what happened, and how it is proven |
//! | [`standing`] | who stands where, by named rules |
//! | [`refused`] | what a room says no to |
//! | [`wire`] | the contract: commands, events, snapshots |
//! | [`store`], [`rooms`] | the tables; rooms in memory, and how they follow them |
//! | [`acts`], [`byitself`], [`prices`] | what happens, asked for or by itself; prices, which are not kept |
//! | `line`, `together` | who waits for a room, and what they ask in one transaction |
//! | [`trading`], [`api`] | the channel; REST below `/api/trading` |
//! | [`views`], [`telling`] | how things are shown and told |

pub mod account;
pub mod acts;
pub mod api;
pub mod byitself;
pub mod decimal;
pub mod digest;
pub mod export;
pub mod instrument;
pub mod journal;
mod line;
pub mod market;
pub mod order;
pub mod pace;
pub mod prices;
pub mod refused;
pub mod room;
pub mod rooms;
pub mod rules;
pub mod standing;
pub mod store;
pub mod telling;
mod together;
pub mod trading;
pub mod views;
pub mod wire;

use std::sync::Arc;

use tidings_app::App;

use rooms::Rooms;
use trading::{Hearing, Switches, Trading};

/// The app, to be mounted in one line.
pub fn app() -> App<axum::Router> {
    let rooms = Arc::new(Rooms::default());
    let (routes, switches, hearing) = (rooms.clone(), rooms.clone(), rooms.clone());
    App::new(
        "trading",
        env!("CARGO_PKG_VERSION"),
        "Trading competitions: rooms, orders, positions, standings.",
    )
    .channel(Trading::new(rooms))
    .channel(Switches(switches))
    .channel(Hearing(hearing))
    .migrations(store::MIGRATIONS)
    .routes(|stage| api::routes(routes, stage))
    .paths(api::paths())
}
