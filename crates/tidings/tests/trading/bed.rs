//! A server with trading, a room in it, and those who trade there.

use std::net::SocketAddr;
use std::ops::Deref;

use serde_json::{Value, json};
use tidings_testkit::Serving;
use tidings_testkit::bed;
pub(crate) use tidings_testkit::bed::{hear, listens, merge, subscribe, token};
use tidings_testkit::client::PlainClient;

/// The database, and the server on it.
pub(crate) struct Bed(bed::Bed);

impl Bed {
    /// One on SQLite, one on PostgreSQL.
    pub(crate) async fn both() -> [Self; 2] {
        bed::Bed::both(env!("CARGO_BIN_EXE_tidings")).await.map(Self)
    }

    /// One on SQLite.
    pub(crate) fn sqlite() -> Self {
        Self(bed::Bed::sqlite(env!("CARGO_BIN_EXE_tidings")))
    }

    /// The server at an address to which clients come back.
    pub(crate) fn serve_at(&self, addr: SocketAddr) -> Serving {
        let flags = ["serve", "--listen", &addr.to_string(), "--no-limits", "--host-publish=false"];
        Serving::run(self.command().args(flags))
    }

    /// What `tidings verify room` says of an export: its exit code, and all it printed.
    pub(crate) fn verify_room(&self, export: &str) -> (Option<i32>, String) {
        let file = self.place.path().join("export.ndjson");
        std::fs::write(&file, export).unwrap();
        let output = self.command().args(["verify", "room"]).arg(&file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }
}

impl Deref for Bed {
    type Target = bed::Bed;

    fn deref(&self) -> &bed::Bed {
        &self.0
    }
}

/// Somebody who asks by HTTP.
#[derive(Clone)]
pub(crate) struct Rest(bed::Rest);

impl Deref for Rest {
    type Target = bed::Rest;

    fn deref(&self) -> &bed::Rest {
        &self.0
    }
}

impl Rest {
    /// Who publishes prices.
    pub(crate) fn server(addr: SocketAddr) -> Self {
        Self(bed::Rest::new(addr, "/api/trading", "exchange", &json!({"scope": "publish"})))
    }

    /// Somebody with a name.
    pub(crate) fn user(addr: SocketAddr, user: &str) -> Self {
        Self(bed::Rest::new(addr, "/api/trading", user, &json!({"name": user.to_uppercase()})))
    }

    /// Status and sentence of what is refused.
    pub(crate) async fn refused(&self, request: &str, body: Value) -> (u16, String) {
        let (status, _, message) = self.0.refused(request, body).await;
        (status, message)
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
        let export = format!("GET /rooms/{room}/export");
        let (status, text) = self.try_text(&export, None, &Value::Null).await.unwrap();
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
    merge(&mut rules, &more);
    rules
}

/// Says a command of trading; the answer.
pub(crate) async fn say(client: &mut PlainClient, name: &str, data: Value) -> Value {
    bed::say(client, "/trading", name, data).await
}

/// An order for the market, with more of it.
pub(crate) fn order(client: &str, side: &str, quantity: &str, more: Value) -> Value {
    let mut order = json!({
        "roomId": "r1", "clientOrderId": client, "symbol": "ACME", "side": side, "type": "market", "quantity": quantity,
    });
    merge(&mut order, &more);
    order
}
