//! Apps in a real server: what they are asked, what they commit, and what is left of what failed.

mod commands;
mod commits;
mod doors;
mod rooms;
mod shop;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tidings_server::{Config, Extras};
use tidings_store::{Reader, Store, StoreOptions};
use tidings_testkit::{Place, Postgres};

use crate::common::{Wire, config, with_extras};
use crate::people::{plain, token};
use shop::{Seen, shop};

/// A shop and its database, which outlives servers.
pub(crate) struct Shop {
    url: String,
    _place: Place,
    config: Config,
    seen: Arc<Seen>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        let url = format!("sqlite:{}", place.path().join("tidings.db").display());
        Self { url, _place: place, config: config(), seen: Arc::default() }
    }

    /// One for each database.
    fn on_both() -> [Self; 2] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = runtime.block_on(Postgres::shared().database());
        [Self::new(), Self { url, ..Self::new() }]
    }

    /// Runs a server with the shop in it until `test` is done.
    pub(crate) fn served<T: Send + 'static>(
        &self,
        test: impl FnOnce(SocketAddr, &Rows) -> T + Send + 'static,
    ) -> T {
        let url = self.url.clone();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
        let apps = vec![shop(&self.seen)];
        let extras = Extras { store: Some(store.clone()), apps, ..Extras::default() };
        let rows = Rows(store.clone(), runtime.handle().clone());
        let done = with_extras(&self.config, extras, move |addr, _| test(addr, &rows));
        runtime.block_on(store.close());
        done
    }
}

/// What is stored.
pub(crate) struct Rows(Store, tokio::runtime::Handle);

impl Rows {
    /// A whole number of a query's first row.
    fn int(&self, sql: &'static str) -> i64 {
        self.1.block_on(async {
            let mut reader: Reader = self.0.read().await.unwrap();
            reader.row(sql, &[]).await.unwrap().unwrap().int(0).unwrap()
        })
    }

    /// Rows and events of the shop.
    fn takes(&self) -> (i64, i64) {
        (self.int("SELECT count(*) FROM shop_takes"), self.int("SELECT count(*) FROM log_events"))
    }
}

fn ada(addr: SocketAddr) -> Wire {
    plain(addr, &token("ada", 600, json!({}))).0
}

/// A plain client that did not say who it is.
fn nobody(addr: SocketAddr) -> Wire {
    let mut wire = Wire::open(addr, "/ws");
    wire.say("{\"type\":\"auth\"}");
    wire.hear("auth:ok");
    wire
}

/// Says a command of the shop by the plain protocol; the answer.
fn say(wire: &mut Wire, id: u64, name: &str, data: &Value) -> Value {
    say_with(wire, id, name, data, "")
}

fn say_with(wire: &mut Wire, id: u64, name: &str, data: &Value, more: &str) -> Value {
    wire.ask(id, &format!("\"type\":\"command\",\"ns\":\"/shop\",\"name\":\"{name}\",\"data\":{data}{more}"))
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("none")
}
