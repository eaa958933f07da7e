//! A database that outlives servers.

use std::net::SocketAddr;

use tidings_core::{Org, Room};
use tidings_server::{Config, Extras, Publisher};
use tidings_store::{Store, StoreOptions};
use tidings_testkit::{Place, Postgres};

use crate::common::{DEADLINE, End, with_end};

/// A database, and what the servers over it are configured with.
pub(crate) struct Disk {
    url: String,
    pub(crate) config: Config,
    _place: Option<Place>,
}

impl Disk {
    /// A file of its own.
    pub(crate) fn sqlite(config: Config) -> Self {
        let place = Place::new();
        let url = format!("sqlite:{}", place.path().join("tidings.db").display());
        Self { url, config, _place: Some(place) }
    }

    /// A database of the test's PostgreSQL.
    pub(crate) fn postgres(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = runtime.block_on(Postgres::shared().database());
        Self { url, config, _place: None }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs a server over it until `test` is done; then it stops as if it were killed: its connections are
    /// cut, and nothing is written any more.
    pub(crate) fn served<T: Send + 'static>(
        &self,
        test: impl FnOnce(SocketAddr, &Store) -> T + Send + 'static,
    ) -> T {
        self.served_with(|addr, store, _| test(addr, store))
    }

    /// The same, but it stops in order; who is connected still is so then.
    pub(crate) fn served_to_the_end<T: Send + 'static>(
        &self,
        test: impl FnOnce(SocketAddr) -> T + Send + 'static,
    ) -> T {
        self.served_until(End::InOrder, |addr, _, _| test(addr))
    }

    /// The same for a test that publishes for the process itself.
    pub(crate) fn served_with<T: Send + 'static>(
        &self,
        test: impl FnOnce(SocketAddr, &Store, Publisher) -> T + Send + 'static,
    ) -> T {
        self.served_until(End::AtOnce, test)
    }

    fn served_until<T: Send + 'static>(
        &self,
        end: End,
        test: impl FnOnce(SocketAddr, &Store, Publisher) -> T + Send + 'static,
    ) -> T {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let patient = StoreOptions { acquire: DEADLINE, statement: DEADLINE, ..StoreOptions::default() };
        let store = runtime.block_on(Store::open(&self.url, &patient)).unwrap();
        let extras = Extras { store: Some(store.clone()), ..Extras::default() };
        let for_test = store.clone();
        let done = with_end(&self.config, extras, end, move |addr, _, said| test(addr, &for_test, said));
        runtime.block_on(store.close());
        done
    }
}

/// Whether the log knows a room.
pub(crate) fn is_in_log(store: &Store, name: &str) -> bool {
    let room = Room::new(&Org::default(), name, 200).unwrap();
    let read = async { store.read().await.unwrap().log_room(&room).await.unwrap() };
    tokio::runtime::Handle::current().block_on(read).is_some()
}
