//! Where it is heard what has happened.

use tidings_app::{Org, Refusal, Room, room};

use crate::boards::Scope;

/// The room of those who hear a match.
///
/// # Errors
/// `bad_request` if the id cannot be in a room's name, here and below.
pub fn match_room(org: &Org, id: &str) -> Result<Room, Refusal> {
    room(org, &format!("match:{id}"))
}

/// The room of those who hear a board.
///
/// # Errors
/// As [`match_room`].
pub fn board_room(org: &Org, scope: &Scope) -> Result<Room, Refusal> {
    room(org, &scope.room())
}

/// The room of a player.
///
/// # Errors
/// As [`match_room`].
pub fn player_room(org: &Org, id: &str) -> Result<Room, Refusal> {
    room(org, &format!("player:{id}"))
}
