//! The contract: what clients say, what rooms hear, how rooms stand. Names on the wire are here and nowhere else.
//!
//! | module | namespace |
//! |---|---|
//! | `board` | `/leaderboard` |
//! | `matches` | `/matches` |
//! | `player` | `/players` |

mod board;
mod matches;
mod player;

use tidings_app::{Many, Text};

pub use board::*;
pub use matches::*;
pub use player::*;

/// An id of a player, match or session.
pub type Id = Text<1, 64>;
/// Players of one match at most: everybody in it is told of everybody.
pub const PLAYERS_MOST: usize = 8;

/// Players in a match, as a list with bounds.
pub type Players = Many<Id, 2, PLAYERS_MOST>;
