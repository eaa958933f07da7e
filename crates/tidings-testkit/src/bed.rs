//! The real binary on a database of a test's own, and those who talk to an app on it.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::SystemTime;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::client::{Heard, PATIENCE, PlainClient, http};
use crate::{Place, Postgres, Serving};

/// What tokens of these tests are signed with.
const SECRET: &str = "the secret of the tests of apps, long enough";

/// A database of a test's own, and the program that serves it.
#[derive(Debug)]
pub struct Bed {
    /// Where it runs.
    pub place: Place,
    /// The database.
    pub url: String,
    program: &'static str,
}

impl Bed {
    /// One on SQLite, one on PostgreSQL.
    pub async fn both(program: &'static str) -> [Self; 2] {
        let url = Postgres::shared().database().await;
        [Self::sqlite(program), Self { place: Place::new(), url, program }]
    }

    /// One on SQLite.
    pub fn sqlite(program: &'static str) -> Self {
        let place = Place::new();
        let url = format!("sqlite:{}", place.path().join("apps.db").display());
        Self { place, url, program }
    }

    /// The program with its secret and database, to be given arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.env_clear().current_dir(self.place.path()).env("JWT_SECRET", SECRET);
        command.env("DATABASE_URL", &self.url);
        command
    }

    /// A server without limits.
    ///
    /// # Panics
    /// If it does not listen, here and below.
    pub fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    /// The same with more flags.
    ///
    /// # Panics
    /// As [`Bed::serve`].
    pub fn serve_with(&self, more: &[&str]) -> Serving {
        let flags = ["serve", "--listen", "127.0.0.1:0", "--no-limits", "--host-publish=false"];
        Serving::run(self.command().args(flags).args(more))
    }
}

/// A token of somebody, with more claims.
///
/// # Panics
/// If it cannot be made.
pub fn token(user: &str, more: &Value) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let mut claims = json!({"sub": user, "exp": now + 3_600});
    merge(&mut claims, more);
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))
        .unwrap_or_else(|error| panic!("no token: {error}"))
}

/// Adds the members of one object to another; nothing if it is none.
pub fn merge(object: &mut Value, more: &Value) {
    more.as_object().into_iter().flatten().for_each(|(name, value)| object[name] = value.clone());
}

/// Somebody who asks an app by HTTP.
#[derive(Debug, Clone)]
pub struct Rest {
    /// The server.
    pub addr: SocketAddr,
    base: &'static str,
    token: String,
}

impl Rest {
    /// Somebody with claims; `base` is what the app's paths begin with.
    pub fn new(addr: SocketAddr, base: &'static str, user: &str, more: &Value) -> Self {
        Self { addr, base, token: token(user, more) }
    }

    /// A request such as `GET /rooms`, under a key if there is one, as it is answered.
    ///
    /// # Errors
    /// If the server is gone.
    pub async fn try_text(
        &self,
        request: &str,
        key: Option<&str>,
        body: &Value,
    ) -> io::Result<(u16, String)> {
        let (method, path) = request.split_once(' ').unwrap_or(("GET", request));
        let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
        let token = &self.token;
        let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n{key}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        http(self.addr, &format!("{method} {}{path}", self.base), &headers, &body).await
    }

    /// The same with the answer as JSON.
    ///
    /// # Errors
    /// As [`Rest::try_text`].
    pub async fn try_ask(&self, request: &str, key: Option<&str>, body: &Value) -> io::Result<(u16, Value)> {
        let (status, text) = self.try_text(request, key, body).await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// The same without a key, of a server that is there.
    ///
    /// # Panics
    /// If it is not.
    pub async fn ask(&self, request: &str, body: Value) -> (u16, Value) {
        self.try_ask(request, None, &body).await.unwrap_or_else(|error| panic!("{request}: {error}"))
    }

    /// Something that is not refused.
    ///
    /// # Panics
    /// If it is, here and below.
    pub async fn done(&self, request: &str, body: Value) -> Value {
        let (status, answer) = self.ask(request, body).await;
        assert!(status < 300, "{request}: {status} {answer}");
        answer
    }

    /// Something that is read.
    ///
    /// # Panics
    /// As [`Rest::done`].
    pub async fn get(&self, path: &str) -> Value {
        self.done(&format!("GET {path}"), Value::Null).await
    }

    /// Status, code and sentence of something that is refused.
    ///
    /// # Panics
    /// If it is not.
    pub async fn refused(&self, request: &str, body: Value) -> (u16, String, String) {
        let (status, answer) = self.ask(request, body).await;
        assert_eq!(answer["ok"], false, "{request}: {answer}");
        let text = |name: &str| answer["error"][name].as_str().unwrap_or("none").to_owned();
        (status, text("code"), text("message"))
    }
}

/// Somebody who listens.
///
/// # Panics
/// If he is not let in, or the connection ends, here and below.
pub async fn listens(addr: SocketAddr, user: &str) -> PlainClient {
    let token = token(user, &Value::Null);
    PlainClient::sign_in(addr, Some(&token)).await.unwrap_or_else(|error| panic!("{user}: {error}"))
}

/// Says a command of a namespace; the answer.
///
/// # Panics
/// As [`listens`].
pub async fn say(client: &mut PlainClient, ns: &str, name: &str, data: Value) -> Value {
    let asked = json!({"type": "command", "ns": ns, "name": name, "data": data});
    client.ask(asked).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Comes into a room; the answer.
///
/// # Panics
/// As [`listens`].
pub async fn subscribe(client: &mut PlainClient, room: &str) -> Value {
    let asked = json!({"type": "subscribe", "room": room});
    client.ask(asked).await.unwrap_or_else(|error| panic!("{room}: {error}"))
}

/// The next event of a name, whatever else is said; with its room and data.
///
/// # Panics
/// If it does not come within [`PATIENCE`]: heartbeats are heard for ever.
pub async fn hear(client: &mut PlainClient, event: &str) -> Value {
    let hearing = async {
        loop {
            match client.hear().await {
                Ok(Heard::Event { body, .. }) if body["event"] == event => return body,
                Ok(Heard::Closed(code)) => panic!("closed ({code:?}) before {event}"),
                Ok(_) => {}
                Err(error) => panic!("{event}: {error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, hearing).await.unwrap_or_else(|_| panic!("{event} was not heard"))
}

/// The code of a refused command.
pub fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("none")
}
