//! A server with the arena, its studio and its players.

use std::net::SocketAddr;
use std::ops::Deref;

use serde_json::{Value, json};
use tidings_testkit::bed;
pub(crate) use tidings_testkit::bed::{code, hear, listens, merge, say, subscribe, token};

/// The database, and the server on it.
pub(crate) struct Bed(bed::Bed);

impl Bed {
    /// One on SQLite, one on PostgreSQL.
    pub(crate) async fn both() -> [Self; 2] {
        bed::Bed::both(env!("CARGO_BIN_EXE_tidings")).await.map(Self)
    }

    pub(crate) fn sqlite() -> Self {
        Self(bed::Bed::sqlite(env!("CARGO_BIN_EXE_tidings")))
    }
}

impl Deref for Bed {
    type Target = bed::Bed;

    fn deref(&self) -> &bed::Bed {
        &self.0
    }
}

/// Somebody who asks the arena by HTTP.
#[derive(Clone)]
pub(crate) struct Rest(bed::Rest);

impl Deref for Rest {
    type Target = bed::Rest;

    fn deref(&self) -> &bed::Rest {
        &self.0
    }
}

impl Rest {
    /// The studio's server.
    pub(crate) fn server(addr: SocketAddr) -> Self {
        Self::with(addr, "studio", &json!({"scope": "publish"}))
    }

    /// A player.
    pub(crate) fn player(addr: SocketAddr, user: &str) -> Self {
        Self::with(addr, user, &json!({"name": user}))
    }

    /// Somebody with claims.
    pub(crate) fn with(addr: SocketAddr, user: &str, more: &Value) -> Self {
        Self(bed::Rest::new(addr, "/api/arena", user, more))
    }

    /// The status and code something is refused with.
    pub(crate) async fn refused(&self, request: &str, body: Value) -> (u16, String) {
        let (status, code, _) = self.0.refused(request, body).await;
        (status, code)
    }

    /// Takes players in, each of a country.
    pub(crate) async fn people(&self, people: &[(&str, &str)]) {
        for (id, country) in people {
            self.done("POST /players", json!({"id": id, "displayName": id, "country": country})).await;
        }
    }

    /// Makes and starts a match.
    pub(crate) async fn start(&self, id: &str, players: &[&str], more: Value) {
        let mut body = json!({"id": id, "players": players});
        merge(&mut body, &more);
        self.done("POST /matches", body).await;
        self.done(&format!("POST /matches/{id}/start"), json!({})).await;
    }

    /// The winner wins a match that was started.
    pub(crate) async fn win(&self, id: &str, winner: &str) -> Value {
        let body = json!({"winnerId": winner, "resultType": "win"});
        self.done(&format!("POST /matches/{id}/result"), body).await
    }

    /// All of it.
    pub(crate) async fn play(&self, id: &str, players: &[&str], winner: &str) -> Value {
        self.start(id, players, Value::Null).await;
        self.win(id, winner).await
    }
}

/// Who stands on a board, in order, with rank and rating.
pub(crate) fn places(entries: &Value) -> Vec<(String, u64, i64)> {
    let of = |entry: &Value| {
        let id = entry["playerId"].as_str().unwrap().to_owned();
        (id, entry["rank"].as_u64().unwrap(), entry["eloRating"].as_i64().unwrap())
    };
    entries.as_array().unwrap().iter().map(of).collect()
}
