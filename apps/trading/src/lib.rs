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
//! | [`images`] | what spares a start the reading of whole journals |
//! | [`acts`], [`byitself`], [`prices`] | what happens, asked for or by itself; prices, which are not kept |
//! | `misread` | orders that cannot be read |
//! | [`trail`] | how prices went, for charts |
//! | [`keyed`] | what is done once under a key |
//! | `line`, `together` | who waits for a room, and what they ask in one transaction |
//! | [`replay`] | prices from files |
//! | [`clean`] | rooms that are over are removed |
//! | [`demo`] | a room that is always traded in |
//! | [`trading`], [`api`] | the channel; REST below `/api/trading` |
//! | [`views`], [`telling`] | how things are shown and told |

pub mod account;
pub mod acts;
pub mod api;
pub mod byitself;
mod bytes;
pub mod clean;
pub mod decimal;
pub mod demo;
pub mod digest;
pub mod export;
pub mod images;
pub mod instrument;
pub mod journal;
pub mod keyed;
mod line;
pub mod market;
mod misread;
pub mod order;
pub mod pace;
pub mod prices;
pub mod refused;
pub mod replay;
pub mod room;
pub mod rooms;
pub mod rules;
pub mod standing;
pub mod store;
pub mod telling;
mod together;
pub mod trading;
pub mod trail;
pub mod views;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use tidings_app::App;

use clean::KeptFor;
use replay::Tapes;
use rooms::Rooms;
use trading::{Hearing, Switches, Trading};

/// What an operator may set of this app, in `[apps.trading]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A file of prices that rooms may be fed from, as the tape `server`.
    pub prices: Option<PathBuf>,
    /// Seconds that a room is kept after its end.
    pub keep_ended_seconds: u64,
    /// Seconds that a room is kept which was not started and in which nobody is.
    pub keep_unjoined_seconds: u64,
}

/// Thirty days.
const KEPT_SECONDS: u64 = 30 * 24 * 3_600;

impl Default for Config {
    fn default() -> Self {
        Self { prices: None, keep_ended_seconds: KEPT_SECONDS, keep_unjoined_seconds: KEPT_SECONDS }
    }
}

impl Config {
    fn keeps(&self) -> KeptFor {
        let ms = |seconds: u64| seconds.saturating_mul(1_000);
        KeptFor { ended_ms: ms(self.keep_ended_seconds), unjoined_ms: ms(self.keep_unjoined_seconds) }
    }

    fn tapes(&self) -> Result<Tapes, String> {
        let wrong =
            |path: &PathBuf, problem: String| format!("apps.trading.prices: {}: {problem}", path.display());
        let Some(path) = &self.prices else { return Tapes::new(None) };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(path, error.to_string()))?;
        Tapes::new(Some(text)).map_err(|problem| wrong(path, problem))
    }
}

/// The app, to be mounted in one line.
///
/// # Errors
/// What is wrong with its configuration.
pub fn app(config: &Config) -> Result<App<axum::Router>, String> {
    let (rooms, tapes) = (Arc::new(Rooms::default()), Arc::new(config.tapes()?));
    let (routes, switches, hearing, fed) = (rooms.clone(), rooms.clone(), rooms.clone(), tapes.clone());
    let lively = rooms.clone();
    let about = "Trading competitions: rooms, orders, positions, standings.";
    Ok(App::new("trading", env!("CARGO_PKG_VERSION"), about)
        .channel(Trading::new(rooms, tapes, config.keeps()))
        .channel(Switches(switches))
        .channel(Hearing(hearing))
        .migrations(store::MIGRATIONS)
        .routes(|stage| api::routes(routes, fed, stage))
        .paths(api::paths())
        .demo(move |stage| demo::trade(lively.clone(), stage)))
}
