//! A server on one of the databases, a room in it, and those who trade there.

use std::net::SocketAddr;
use std::process::Command;
use std::time::SystemTime;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tidings_testkit::client::{Heard, PATIENCE, PlainClient, http};
use tidings_testkit::{Place, Postgres, Serving};

const SECRET: &str = "the secret of the tests of trading, long enough";

/// A database of a test's own.
pub(crate) struct Bed {
    place: Place,
    url: String,
}

impl Bed {
    /// One on SQLite, one on PostgreSQL.
    pub(crate) async fn both() -> [Self; 2] {
        let place = Place::new();
        let url = format!("sqlite:{}", place.path().join("trading.db").display());
        [Self { place, url }, Self { place: Place::new(), url: Postgres::shared().database().await }]
    }

    /// The real binary.
    pub(crate) fn serve(&self) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(self.place.path()).env("JWT_SECRET", SECRET);
        command.env("DATABASE_URL", &self.url);
        let flags = ["serve", "--listen", "127.0.0.1:0", "--no-limits", "--host-publish=false"];
        Serving::run(command.args(flags))
    }

    /// What `tidings verify room` says of an export: its exit code, and all it printed.
    pub(crate) fn verify_room(&self, export: &str) -> (Option<i32>, String) {
        let file = self.place.path().join("export.ndjson");
        std::fs::write(&file, export).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        let output = command.args(["verify", "room"]).arg(&file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
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
    addr: SocketAddr,
    token: String,
}

impl Rest {
    /// Who publishes prices.
    pub(crate) fn server(addr: SocketAddr) -> Self {
        Self { addr, token: token("exchange", &json!({"scope": "publish"})) }
    }

    /// Somebody with a name.
    pub(crate) fn user(addr: SocketAddr, user: &str) -> Self {
        Self { addr, token: token(user, &json!({"name": user.to_uppercase()})) }
    }

    /// A request as it is answered; an error if the server is gone.
    pub(crate) async fn try_ask(&self, request: &str, body: &Value) -> std::io::Result<(u16, String)> {
        let (method, path) = request.split_once(' ').unwrap();
        let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.token);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        http(self.addr, &format!("{method} /api/trading{path}"), &headers, &body).await
    }

    /// Something that is not refused.
    pub(crate) async fn done(&self, request: &str, body: Value) -> Value {
        let (status, answer) = self.try_ask(request, &body).await.unwrap();
        assert!(status < 300, "{request}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.done(&format!("GET {path}"), Value::Null).await
    }

    /// Status and sentence of what is refused.
    pub(crate) async fn refused(&self, request: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.try_ask(request, &body).await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["ok"], false, "{request}: {answer}");
        (status, answer["error"]["message"].as_str().unwrap().to_owned())
    }

    /// Publishes a price.
    pub(crate) async fn price(&self, room: &str, price: &str, volume: Option<&str>) {
        let body = json!({"prices": [{"symbol": "ACME", "price": price, "volume": volume}]});
        self.done(&format!("POST /rooms/{room}/prices"), body).await;
    }

    /// A room that runs, with members who join by themselves.
    pub(crate) async fn room(&self, id: &str, members: &[&str], more: Value) {
        self.done("POST /rooms", json!({"id": id, "name": "A room", "rules": rules(more)})).await;
        self.done(&format!("POST /rooms/{id}/open"), Value::Null).await;
        for member in members {
            Self::user(self.addr, member).done(&format!("POST /rooms/{id}/join"), Value::Null).await;
        }
        self.done(&format!("POST /rooms/{id}/start"), Value::Null).await;
    }

    /// The lines of a room's export.
    pub(crate) async fn export(&self, room: &str) -> Vec<String> {
        let (status, text) = self.try_ask(&format!("GET /rooms/{room}/export"), &Value::Null).await.unwrap();
        assert_eq!(status, 200, "{text}");
        text.lines().map(str::to_owned).collect()
    }
}

/// Rules of a room, with more of them.
pub(crate) fn rules(more: Value) -> Value {
    let mut rules = json!({
        "startingCash": "10000", "feeRate": "0.001", "ordersPerSecond": 1_000, "orderBurst": 1_000,
        "instruments": [{
            "symbol": "ACME", "tickSize": "0.01", "lotSize": "1", "minQuantity": "1", "maxQuantity": "1000",
            "maxPosition": "5000", "maxPrice": "100000",
        }],
    });
    more.as_object().into_iter().flatten().for_each(|(name, value)| rules[name] = value.clone());
    rules
}

/// A member who listens.
pub(crate) async fn listens(addr: SocketAddr, user: &str) -> PlainClient {
    PlainClient::sign_in(addr, Some(&token(user, &json!({})))).await.unwrap()
}

/// Says a command of trading; the answer.
pub(crate) async fn say(client: &mut PlainClient, name: &str, data: Value) -> Value {
    client.ask(json!({"type": "command", "ns": "/trading", "name": name, "data": data})).await.unwrap()
}

/// An order for the market, with more of it.
pub(crate) fn order(client: &str, side: &str, quantity: &str, more: Value) -> Value {
    let mut order = json!({
        "roomId": "r1", "clientOrderId": client, "symbol": "ACME", "side": side, "type": "market", "quantity": quantity,
    });
    more.as_object().into_iter().flatten().for_each(|(name, value)| order[name] = value.clone());
    order
}

/// Comes into a room; the answer.
pub(crate) async fn subscribe(client: &mut PlainClient, room: &str) -> Value {
    client.ask(json!({"type": "subscribe", "room": room})).await.unwrap()
}

/// The next event of a name, whatever else is said; with its room and data.
pub(crate) async fn hear(client: &mut PlainClient, event: &str) -> Value {
    let hearing = async {
        loop {
            match client.hear().await.unwrap() {
                Heard::Event { body, .. } if body["event"] == event => return body,
                Heard::Closed(code) => panic!("closed ({code:?}) before {event}"),
                _ => {}
            }
        }
    };
    // Heartbeats are heard for ever.
    tokio::time::timeout(PATIENCE, hearing).await.unwrap_or_else(|_| panic!("{event} was not heard"))
}
