//! A server with the arena on one of the databases, and those who talk to it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::SystemTime;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tidings_testkit::client::{Heard, PlainClient, http};
use tidings_testkit::{Place, Postgres, Serving};

const SECRET: &str = "the secret of the arena's tests, long enough";

/// A database of a test's own.
pub(crate) struct Bed {
    pub(crate) place: Place,
    pub(crate) url: String,
}

impl Bed {
    /// One on SQLite, one on PostgreSQL.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::sqlite(), Self { place: Place::new(), url: Postgres::shared().database().await }]
    }

    pub(crate) fn sqlite() -> Self {
        let place = Place::new();
        let url = format!("sqlite:{}", place.path().join("arena.db").display());
        Self { place, url }
    }

    /// The real binary.
    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    /// The same with more flags.
    pub(crate) fn serve_with(&self, more: &[&str]) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(self.place.path()).env("JWT_SECRET", SECRET);
        command.env("DATABASE_URL", &self.url);
        let flags = ["serve", "--listen", "127.0.0.1:0", "--no-limits", "--host-publish=false"];
        Serving::run(command.args(flags).args(more))
    }
}

/// A token of somebody, with more claims.
pub(crate) fn token(user: &str, more: &Value) -> String {
    let exp = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 3_600;
    let mut claims = json!({"sub": user, "exp": exp});
    more.as_object().unwrap().iter().for_each(|(name, value)| claims[name] = value.clone());
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Somebody who asks by HTTP.
#[derive(Clone)]
pub(crate) struct Rest {
    pub(crate) addr: SocketAddr,
    token: String,
}

impl Rest {
    /// The studio's server.
    pub(crate) fn server(addr: SocketAddr) -> Self {
        Self { addr, token: token("studio", &json!({"scope": "publish"})) }
    }

    /// A player.
    pub(crate) fn player(addr: SocketAddr, user: &str) -> Self {
        Self { addr, token: token(user, &json!({"name": user})) }
    }

    /// Somebody with claims.
    pub(crate) fn with(addr: SocketAddr, user: &str, more: &Value) -> Self {
        Self { addr, token: token(user, more) }
    }

    /// A request under a key, as it is answered; an error if the server is gone.
    pub(crate) async fn try_ask(
        &self,
        request: &str,
        key: Option<&str>,
        body: &Value,
    ) -> std::io::Result<(u16, Value)> {
        let (method, path) = request.split_once(' ').unwrap();
        let mut headers =
            format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.token);
        if let Some(key) = key {
            headers += &format!("Idempotency-Key: {key}\r\n");
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, body) = http(self.addr, &format!("{method} /api/arena{path}"), &headers, &body).await?;
        Ok((status, serde_json::from_str(&body).unwrap_or(Value::Null)))
    }

    pub(crate) async fn ask(&self, request: &str, body: Value) -> (u16, Value) {
        self.try_ask(request, None, &body).await.unwrap()
    }

    /// Something that is not refused.
    pub(crate) async fn done(&self, request: &str, body: Value) -> Value {
        let (status, answer) = self.ask(request, body).await;
        assert!(status < 300, "{request}: {status} {answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.done(&format!("GET {path}"), Value::Null).await
    }

    /// The code something is refused with.
    pub(crate) async fn refused(&self, request: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.ask(request, body).await;
        assert_eq!(answer["ok"], false, "{request}: {answer}");
        (status, answer["error"]["code"].as_str().unwrap().to_owned())
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
        more.as_object().into_iter().flatten().for_each(|(name, value)| body[name] = value.clone());
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

/// A player who listens.
pub(crate) async fn listens(addr: SocketAddr, user: &str) -> PlainClient {
    PlainClient::sign_in(addr, Some(&token(user, &json!({})))).await.unwrap()
}

/// Says a command of a namespace; the answer.
pub(crate) async fn say(client: &mut PlainClient, ns: &str, name: &str, data: Value) -> Value {
    client.ask(json!({"type": "command", "ns": ns, "name": name, "data": data})).await.unwrap()
}

/// Comes into a room; the answer.
pub(crate) async fn subscribe(client: &mut PlainClient, room: &str) -> Value {
    client.ask(json!({"type": "subscribe", "room": room})).await.unwrap()
}

/// The next event of a name, whatever else is said; with its room and data.
pub(crate) async fn hear(client: &mut PlainClient, event: &str) -> Value {
    loop {
        match client.hear().await.unwrap() {
            Heard::Event { body, .. } if body["event"] == event => return body,
            Heard::Closed(code) => panic!("closed ({code:?}) before {event}"),
            _ => {}
        }
    }
}

/// The code of a refused command.
pub(crate) fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("none")
}

/// Who stands on a board, in order, with rank and rating.
pub(crate) fn places(entries: &Value) -> Vec<(String, u64, i64)> {
    let of = |entry: &Value| {
        let id = entry["playerId"].as_str().unwrap().to_owned();
        (id, entry["rank"].as_u64().unwrap(), entry["eloRating"].as_i64().unwrap())
    };
    entries.as_array().unwrap().iter().map(of).collect()
}
