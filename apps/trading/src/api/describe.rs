//! The routes as they are described.

use tidings_app::describe::Path;
use tidings_routes::Nothing;
use tidings_routes::describe::{self, DONE, Line, MADE, schema};

use super::results::EXPORTED;
use super::{orders, replay, rooms};

const LIMIT: (&str, &str) = ("limit", "How many at most.");
const WHOSE: (&str, &str) = ("userId", "Whose, where a server asks.");

#[rustfmt::skip]
const LINES: &[Line] = &[
    ("get", "/rooms", "Rooms, the newest first.", &[LIMIT, ("state", "draft, open, running or ended."), ("before", "Those older than this room.")], None, DONE),
    ("post", "/rooms", "Makes a room, which is its maker's.", &[], Some(schema::<rooms::Wanted>), MADE),
    ("get", "/rooms/{id}", "A room, with prices and the first of the standings.", &[], None, DONE),
    ("post", "/rooms/{id}/open", "Lets members come; for its owner and servers.", &[], Some(schema::<Nothing>), DONE),
    ("post", "/rooms/{id}/join", "Takes a member in: oneself, or for servers anybody.", &[], Some(schema::<rooms::Joining>), DONE),
    ("post", "/rooms/{id}/leave", "Takes a member out.", &[], Some(schema::<rooms::Leaving>), DONE),
    ("post", "/rooms/{id}/start", "Begins trading; for its owner and servers.", &[], Some(schema::<Nothing>), DONE),
    ("post", "/rooms/{id}/end", "Ends trading; for its owner and servers.", &[], Some(schema::<Nothing>), DONE),
    ("get", "/rooms/{id}/prices", "How a price went, the oldest first: some hundred points since the server has the room in memory.", &[("symbol", "Of which instrument."), ("limit", "How many of the newest at most, 600 if not said.")], None, DONE),
    ("post", "/rooms/{id}/prices", "Takes prices; for servers.", &[], Some(schema::<rooms::Prices>), DONE),
    ("get", "/rooms/{id}/replay", "From which file a room is fed, and how far.", &[], None, DONE),
    ("post", "/rooms/{id}/replay", "Has a room fed from a file of prices; for its owner and servers.", &[], Some(schema::<replay::Wanted>), MADE),
    ("get", "/rooms/{id}/orders", "One's orders, the newest first.", &[LIMIT, WHOSE, ("status", "Only those that stand so."), ("before", "Those before this order.")], None, DONE),
    ("post", "/rooms/{id}/orders", "Places an order.", &[], Some(schema::<orders::Placing>), MADE),
    ("delete", "/rooms/{id}/orders/{order}", "Cancels what is left of an order.", &[], None, DONE),
    ("post", "/rooms/{id}/cancel-after", "Has one's open orders cancelled after a while, unless it is said again.", &[], Some(schema::<orders::After>), DONE),
    ("get", "/rooms/{id}/positions", "One's positions.", &[WHOSE], None, DONE),
    ("get", "/rooms/{id}/portfolio", "What one has, with a digest of it.", &[WHOSE], None, DONE),
    ("get", "/rooms/{id}/standings", "Where everybody stands.", &[LIMIT, ("offset", "How many are left out from the top.")], None, DONE),
    ("get", "/rooms/{id}/snapshots", "Standings that were kept, the newest first.", &[LIMIT, ("offset", "How many of the newest are left out.")], None, DONE),
    ("post", "/rooms/{id}/snapshots", "Keeps the standings of this moment; for its owner and servers.", &[], Some(schema::<Nothing>), MADE),
    ("get", "/rooms/{id}/snapshots/{snapshot}", "One of them.", &[], None, DONE),
    ("get", "/rooms/{id}/export", "The journal of a room that has ended, as lines of JSON.", &[("after", "What follows this entry."), ("chain", "That entry's link.")], None, DONE),
];

/// The routes, for the description of the HTTP API.
pub fn paths() -> Vec<Path> {
    let path = |path: Path| match (path.method, path.path) {
        ("get", "/rooms/{id}/prices") => Path { needs: &["symbol"], ..path },
        ("get", "/rooms/{id}/export") => Path { text: Some(EXPORTED), ..path },
        _ => path,
    };
    describe::paths("trading", LINES).into_iter().map(path).collect()
}
