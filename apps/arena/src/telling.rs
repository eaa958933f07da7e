//! Where it is heard what has happened.

use tidings_app::{Changes, Org, Refusal, Room, Tells, room};

use crate::boards::Scope;
use crate::wire::PlayerEvent;

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

/// Says something to a player behind what is being done.
///
/// # Errors
/// What cannot be said.
pub fn say_to_player(tells: &mut Tells, org: &Org, id: &str, event: &PlayerEvent) -> Result<(), Refusal> {
    heard_by(org, id).map_or(Ok(()), |room| tells.say(&room, event))
}

/// Says something to a player with what is being done.
///
/// # Errors
/// As [`say_to_player`].
pub fn emit_to_player(tx: &mut Changes, org: &Org, id: &str, event: &PlayerEvent) -> Result<(), Refusal> {
    heard_by(org, id).map_or(Ok(()), |room| tx.emit(&room, event))
}

/// The room of a player who may have been taken in before ids were refused that are in no room's name. Nobody can be in
/// that room, so nothing is said there, and others who play with this one, or are friends, are not held up.
fn heard_by(org: &Org, id: &str) -> Option<Room> {
    let room = player_room(org, id);
    if room.is_err() {
        tracing::warn!(org = org.as_str(), player = ?id, "a player's id is in no room's name: nothing is said there");
    }
    room.ok()
}
