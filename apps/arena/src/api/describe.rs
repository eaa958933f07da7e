//! The routes as they are described.

use tidings_app::describe::Path;
use tidings_routes::Nothing;
use tidings_routes::describe::{self, Line, schema};

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
    ("get", "/players", "Players, by id.", &[LIMIT, ("after", "Those after this id.")], None),
    ("post", "/players", "Takes a player in: oneself, or for servers anybody.", &[], Some(schema::<people::Wanted>)),
    ("get", "/players/{id}", "A player, with rating, places and what was reached.", &[], None),
    ("patch", "/players/{id}", "Changes name or country.", &[], Some(schema::<people::Changed>)),
    ("get", "/players/{id}/history", "Ratings after each result, the newest first.", &[LIMIT], None),
    ("get", "/players/{id}/matches", "Matches, the newest first.", &[LIMIT], None),
    ("get", "/players/{id}/friends", "Friends, and who is there of them.", &[], None),
    ("put", "/players/{id}/friends/{friend}", "Wishes somebody for a friend; two wishes are a friendship.", &[], None),
    ("delete", "/players/{id}/friends/{friend}", "Wishes it no more.", &[], None),
    ("get", "/matches", "Matches, the newest first.", &[LIMIT, ("status", "Only those that stand so."), ("sessionId", "Only those of a session."), ("before", "Those older than this match.")], None),
    ("post", "/matches", "Makes a match; for servers.", &[], Some(schema::<games::Wanted>)),
    ("get", "/matches/{id}", "A match.", &[], None),
    ("post", "/matches/{id}/start", "Starts it; for servers.", &[], Some(schema::<Nothing>)),
    ("post", "/matches/{id}/score", "Takes scores; for servers.", &[], Some(schema::<games::Scored>)),
    ("post", "/matches/{id}/result", "Takes the result, under an Idempotency-Key once; for servers.", &[], Some(schema::<games::Decided>)),
    ("post", "/matches/{id}/void", "Voids it and computes again what depended on it; for servers.", &[], Some(schema::<games::Doubted>)),
    ("get", "/leaderboards", "Every board that somebody is on.", &[], None),
    ("get", "/leaderboards/global", "The board of everybody.", BOARD, None),
    ("get", "/leaderboards/global/around/{player}", "Those around a player.", AROUND, None),
    ("get", "/leaderboards/country/{code}", "The board of a country.", BOARD, None),
    ("get", "/leaderboards/country/{code}/around/{player}", "Those around a player of it.", AROUND, None),
    ("get", "/leaderboards/session/{id}", "The board of a session.", BOARD, None),
    ("get", "/leaderboards/session/{id}/around/{player}", "Those around a player of it.", AROUND, None),
    ("get", "/sessions", "Sessions, the newest first.", &[LIMIT, ("status", "open, or closed: those whose time is up, too.")], None),
    ("post", "/sessions", "Makes a session; for servers.", &[], Some(schema::<tournaments::Wanted>)),
    ("get", "/sessions/{id}", "A session.", &[], None),
    ("post", "/sessions/{id}/players", "Takes a player in: oneself, or for servers anybody.", &[], Some(schema::<tournaments::Joining>)),
    ("delete", "/sessions/{id}/players/{player}", "Takes a player out.", &[], None),
    ("post", "/sessions/{id}/close", "Ends it; for servers.", &[], Some(schema::<Nothing>)),
];

/// The routes, for the description of the HTTP API.
pub fn paths() -> Vec<Path> {
    describe::paths("arena", LINES)
}
