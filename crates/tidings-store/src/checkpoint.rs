//! SQLite's write-ahead log is brought into the database beside the commits, not within one of them.
//!
//! By itself SQLite does it in the commit that makes the log 4 MiB long: that one, and all that wait behind it, wait for thousands
//! of pages to be written in places all over the file, and for the disk to have them
//! (<https://www.sqlite.org/wal.html>, section 2.1). Here a connection of its own does it while others commit. What
//! came meanwhile is left, so the log would grow as long as somebody writes: from [`PAGES`] on the rest, which is short then, is
//! done while nobody writes, and the log begins again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;

/// Transactions between two looks.
const TRANSACTIONS: u64 = 512;
/// Pages of the log from which on it is begun again: 64 MiB, which a server that was killed reads in a moment.
const PAGES: i64 = 16_384;
/// Pages of the log at which a commit does it after all, if this could not for a while: 256 MiB.
pub(crate) const PAGES_MOST: &str = "65536";
/// How long those who write may be held up for the rest, and how long readers of an older moment are waited for.
const PATIENCE: Duration = Duration::from_millis(20);

/// Brings the log of one database in, now and then; cloning it counts a reference.
#[derive(Clone)]
pub(crate) struct Checkpoints(Arc<Inner>);

struct Inner {
    begun: AtomicU64,
    connect: SqliteConnectOptions,
    connection: Mutex<Option<SqliteConnection>>,
}

impl Checkpoints {
    /// For the database that `connect` names.
    pub(crate) fn new(connect: SqliteConnectOptions) -> Self {
        let connect = connect.busy_timeout(PATIENCE);
        Self(Arc::new(Inner { begun: AtomicU64::new(0), connect, connection: Mutex::new(None) }))
    }

    /// Something is about to be written.
    pub(crate) fn begun(&self) {
        if (self.0.begun.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(TRANSACTIONS) {
            let inner = self.0.clone();
            tokio::spawn(async move { inner.look().await });
        }
    }

    /// Ends the connection; what is under way ends first.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.0.connection.lock().await.take() {
            // The database itself is sound, whatever this says.
            let _ = connection.close().await;
        }
    }
}

impl Inner {
    /// Brings in what there is; if that is being done, it is enough.
    async fn look(&self) {
        let Ok(mut connection) = self.connection.try_lock() else { return };
        // A connection that fails is made anew the next time; a commit brings the log in if this never can.
        if let Ok(made) = self.brought_in(connection.take()).await {
            *connection = Some(made);
        }
    }

    async fn brought_in(&self, connection: Option<SqliteConnection>) -> sqlx::Result<SqliteConnection> {
        let mut connection = match connection {
            Some(connection) => connection,
            None => self.connect.connect().await?,
        };
        let passed = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut connection).await?;
        if passed.try_get::<i64, _>(1)? >= PAGES {
            // It says that it was busy if somebody wrote or read for longer; then it is tried again the next time.
            sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(&mut connection).await?;
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidings_testkit::Place;

    use super::*;
    use crate::store::Pools;
    use crate::{Store, StoreOptions, Value};

    /// Writes so many MiB, each in a transaction; too few of them for a look.
    async fn write(store: &Store, mib: usize) {
        for _ in 0..mib {
            let mut tx = store.begin().await.unwrap();
            tx.run("INSERT INTO filled (text) VALUES ($1)", &[Value::from(&*"x".repeat(1 << 20))])
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
    }

    /// Pages of the log, and those that are in the database.
    async fn pages(inner: &Inner) -> (i64, i64) {
        let mut connection = inner.connect.connect().await.unwrap();
        let found = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut connection).await.unwrap();
        (found.get(1), found.get(2))
    }

    async fn opened(place: &Place) -> (Store, Checkpoints) {
        let url = format!("sqlite:{}", place.path().join("filled.db").display());
        let options = StoreOptions { synced: false, ..StoreOptions::default() };
        let store = Store::open(&url, &options).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.run("CREATE TABLE filled (text TEXT)", &[]).await.unwrap();
        tx.commit().await.unwrap();
        let Pools::Sqlite { checkpoints: Some(checkpoints), .. } = &store.pools else { panic!("no SQLite") };
        let checkpoints = checkpoints.clone();
        (store, checkpoints)
    }

    #[tokio::test]
    async fn a_log_that_was_brought_in_begins_again_and_goes_on_otherwise() {
        for looks in [true, false] {
            let place = Place::new();
            let (store, checkpoints) = opened(&place).await;
            write(&store, 80).await;
            if looks {
                checkpoints.0.look().await;
            }
            write(&store, 1).await;
            let (pages, _) = pages(&checkpoints.0).await;
            assert!(if looks { pages < 1_000 } else { pages > PAGES }, "{pages}");
        }
    }

    #[tokio::test]
    async fn a_log_that_somebody_still_reads_waits_for_the_next_look() {
        let place = Place::new();
        let (store, checkpoints) = opened(&place).await;
        write(&store, 1).await;
        let mut reads = store.snapshot().await.unwrap();
        assert_eq!(reads.row("SELECT count(*) FROM filled", &[]).await.unwrap().unwrap().int(0).unwrap(), 1);
        write(&store, 80).await;
        checkpoints.0.look().await;
        // Nobody who writes was held up by that, and what is read is what it was.
        write(&store, 1).await;
        assert!(pages(&checkpoints.0).await.0 > PAGES);
        assert_eq!(reads.row("SELECT count(*) FROM filled", &[]).await.unwrap().unwrap().int(0).unwrap(), 1);
        drop(reads);
        checkpoints.0.look().await;
        write(&store, 1).await;
        assert!(pages(&checkpoints.0).await.0 < 1_000);
    }
}
