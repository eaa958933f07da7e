//! What the server does for apps.

use std::sync::Arc;

use tidings_core::{Identity, Position, Refusal, Room, UserKey};
use tidings_store::Reader;

use crate::Pending;
use crate::commit::{Emitted, Work};

/// What the server does for apps; there is one for all of them.
pub trait Engine: Send + Sync + 'static {
    /// Takes a connection that sees one moment of the store.
    fn read(&self) -> Pending<'_, Result<Reader, Refusal>>;

    /// Does work in a transaction, stores what it emitted beside its rows, and delivers that in the order of
    /// the log; the answer comes after both.
    ///
    /// Of several at once each stands and falls by itself.
    fn commit(&self, work: Work) -> Pending<'_, Result<(), Refusal>>;

    /// Publishes an event without rows.
    fn publish(&self, event: Emitted) -> Pending<'_, Result<(), Refusal>>;

    /// Where a room stands, as far as it was delivered here; `None` if nothing of it is in memory.
    fn top(&self, room: &Room) -> Option<Position>;

    /// Where a room stands, in memory or in the log; by then apps know what was committed up to there. `None` of one
    /// that keeps nothing or is kept in memory and is not there, and if it cannot be said.
    fn stands<'a>(&'a self, room: &'a Room) -> Pending<'a, Option<Position>> {
        Box::pin(async move { self.top(room) })
    }

    /// How many subscriptions a room has here.
    fn members(&self, room: &Room) -> usize;

    /// Whether a user wishes to be seen by nobody but itself.
    fn is_invisible(&self, user: &UserKey) -> bool {
        let _ = user;
        false
    }

    /// Takes everybody out of a room, behind what was said in it, and tells them so.
    fn close(&self, room: &Room);

    /// Whether a user has a connection here, seen by others or not, as far as that is known.
    fn is_connected(&self, user: &UserKey) -> bool {
        self.members(&user.room()) > 0
    }

    /// Whether somebody may take data away as a whole now: who has signed in may have to give the password again. Without
    /// a server behind it there are no passwords.
    ///
    /// # Errors
    /// `password_again`
    fn may_export<'a>(&'a self, who: &'a Identity) -> Pending<'a, Result<(), Refusal>> {
        let _ = who;
        Box::pin(async { Ok(()) })
    }

    /// Writes into the audit log that somebody took data away as a whole; waits for nobody. Without a server behind it
    /// there is no such log.
    fn exported(&self, who: &Identity, what: String) {
        let _ = (who, what);
    }

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// Bytes of a room's name at most.
    fn room_name_bytes(&self) -> usize;
}

/// The connection a command came by.
pub trait Peer: Send + Sync {
    /// Sends an event to this connection alone, behind the answer to what it said.
    fn send(&self, event: &str, json: String);

    /// Takes the connection into a room, by the room's rules.
    fn join(&self, room: Room) -> Pending<'_, Result<(), Refusal>>;

    /// Takes it out.
    fn leave(&self, room: Room);
}

/// Who asks: the identity, and the connection if it came by one.
#[derive(Clone)]
pub struct Caller {
    /// Who.
    pub who: Arc<Identity>,
    /// By which connection; `None` by HTTP.
    pub peer: Option<Arc<dyn Peer>>,
}

impl Caller {
    /// One without a connection.
    pub fn new(who: Arc<Identity>) -> Self {
        Self { who, peer: None }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("who", &self.who).field("connected", &self.peer.is_some()).finish()
    }
}
