//! The routes as they are described.

use tidings_app::describe::Path;
use tidings_routes::Nothing;
use tidings_routes::describe::{self, DONE, Line, MADE, schema};

use super::{games, people, tournaments};

const LIMIT: (&str, &str) = ("limit", "How many at most.");
const BOARD: &[(&str, &str)] = &[
    LIMIT,
    ("offset", "How many are left out from the top."),
    ("ranking", "How places are counted: 1234, 1224 or 1223."),
    ("at", "As it stood at this moment, by today's results."),
];
const AROUND: &[(&str, &str)] = &[
    ("k", "How many on each side."),
    ("ranking", "How places are counted: 1234, 1224 or 1223."),
    ("at", "As it stood at this moment, by today's results."),
];

#[rustfmt::skip]
const LINES: &[Line] = &[
    ("get", "/players", "Players, by id.", &[LIMIT, ("after", "Those after this id.")], None, DONE),
    ("post", "/players", "Takes a player in: oneself, or for servers anybody.", &[], Some(schema::<people::Wanted>), MADE),
    ("get", "/players/{id}", "A player, with rating, places and what was reached.", &[], None, DONE),
    ("patch", "/players/{id}", "Changes name or country.", &[], Some(schema::<people::Changed>), DONE),
    ("get", "/players/{id}/history", "Ratings after each result, the newest first.", &[LIMIT], None, DONE),
    ("get", "/players/{id}/matches", "Matches, the newest first.", &[LIMIT], None, DONE),
    ("get", "/players/{id}/friends", "Friends, and who is there of them.", &[], None, DONE),
    ("put", "/players/{id}/friends/{friend}", "Wishes somebody for a friend; two wishes are a friendship.", &[], None, DONE),
    ("delete", "/players/{id}/friends/{friend}", "Wishes it no more.", &[], None, DONE),
    ("get", "/matches", "Matches, the newest first.", &[LIMIT, ("status", "Only those that stand so."), ("sessionId", "Only those of a session."), ("before", "Those older than this match.")], None, DONE),
    ("post", "/matches", "Makes a match; for servers.", &[], Some(schema::<games::Wanted>), MADE),
    ("get", "/matches/{id}", "A match.", &[], None, DONE),
    ("post", "/matches/{id}/start", "Starts it; for servers.", &[], Some(schema::<Nothing>), DONE),
    ("post", "/matches/{id}/score", "Takes scores; for servers.", &[], Some(schema::<games::Scored>), DONE),
    ("post", "/matches/{id}/result", "Takes the result, under an Idempotency-Key once; for servers.", &[], Some(schema::<games::Decided>), DONE),
    ("post", "/matches/{id}/void", "Voids it and computes again what depended on it; for servers.", &[], Some(schema::<games::Doubted>), DONE),
    ("get", "/leaderboards", "Every board that somebody is on.", &[], None, DONE),
    ("get", "/leaderboards/global", "The board of everybody.", BOARD, None, DONE),
    ("get", "/leaderboards/global/around/{player}", "Those around a player.", AROUND, None, DONE),
    ("get", "/leaderboards/country/{code}", "The board of a country.", BOARD, None, DONE),
    ("get", "/leaderboards/country/{code}/around/{player}", "Those around a player of it.", AROUND, None, DONE),
    ("get", "/leaderboards/session/{id}", "The board of a session.", BOARD, None, DONE),
    ("get", "/leaderboards/session/{id}/around/{player}", "Those around a player of it.", AROUND, None, DONE),
    ("get", "/sessions", "Sessions, the newest first.", &[LIMIT, ("status", "open, or closed: those whose time is up, too.")], None, DONE),
    ("post", "/sessions", "Makes a session; for servers.", &[], Some(schema::<tournaments::Wanted>), MADE),
    ("get", "/sessions/{id}", "A session.", &[], None, DONE),
    ("post", "/sessions/{id}/players", "Takes a player in: oneself, or for servers anybody.", &[], Some(schema::<tournaments::Joining>), DONE),
    ("delete", "/sessions/{id}/players/{player}", "Takes a player out.", &[], None, DONE),
    ("post", "/sessions/{id}/close", "Ends it; for servers.", &[], Some(schema::<Nothing>), DONE),
];

/// The routes, for the description of the HTTP API.
pub fn paths() -> Vec<Path> {
    describe::paths("arena", LINES)
}
