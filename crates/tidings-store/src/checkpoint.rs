//! SQLite's write-ahead log is brought into the database beside the commits, not within one of them.
//!
//! By itself SQLite does it in the commit that makes the log 4 MiB long: that one, and all that wait behind it, wait for thousands
//! of pages to be written in places all over the file, and for the disk to have them
//! (<https://www.sqlite.org/wal.html>, section 2.1). Here a connection of its own does it while others commit. What
//! came meanwhile is left, so the log would grow as long as somebody writes: from [`BYTES`] on the rest, which is short then, is
//! done while nobody writes, and the log begins again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;

/// Transactions between two looks.
const TRANSACTIONS: u64 = 512;
/// Bytes of pages in the log from which on it is begun again: 32 MiB, which a server that was killed reads in a moment.
const BYTES: i64 = 32 << 20;
/// Bytes of pages in the log at which a commit does it after all, if this could not for a while: 128 MiB.
const BYTES_MOST: i64 = 128 << 20;
/// How long those who write may be held up for the rest, and how long readers of an older moment are waited for.
const PATIENCE: Duration = Duration::from_millis(20);

/// Bytes of a page of the database: SQLite counts in pages, and a file keeps those it was made with.
async fn page_bytes(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA page_size").fetch_one(connection).await
}

/// From here on a commit of this connection brings the log in if it is [`BYTES_MOST`] long, and not before.
pub(crate) async fn only_in_need(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let pages = BYTES_MOST / page_bytes(connection).await?;
    // A pragma takes no parameters; this one is a number.
    sqlx::query(AssertSqlSafe(format!("PRAGMA wal_autocheckpoint = {pages}"))).execute(connection).await?;
    Ok(())
}

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
        if passed.try_get::<i64, _>(1)? >= BYTES / page_bytes(&mut connection).await? {
            // It says that it was busy if somebody wrote or read for longer; then it is tried again the next time.
            sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(&mut connection).await?;
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

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

    /// Bytes of pages in the log.
    async fn bytes(inner: &Inner) -> i64 {
        let mut connection = inner.connect.connect().await.unwrap();
        let found = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut connection).await.unwrap();
        found.get::<i64, _>(1) * page_bytes(&mut connection).await.unwrap()
    }

    /// A database of its own, or the one that somebody made in `place` with pages of another size.
    async fn opened(place: &Place, made_with: Option<u32>) -> (Store, Checkpoints) {
        let path = place.path().join("filled.db");
        if let Some(page_bytes) = made_with {
            let connect =
                SqliteConnectOptions::new().filename(&path).create_if_missing(true).page_size(page_bytes);
            let mut made = connect.connect().await.unwrap();
            sqlx::query("CREATE TABLE older (number INTEGER)").execute(&mut made).await.unwrap();
            made.close().await.unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let options = StoreOptions { synced: false, ..StoreOptions::default() };
        let store = Store::open(&format!("sqlite:{}", path.display()), &options).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.run("CREATE TABLE filled (text TEXT)", &[]).await.unwrap();
        tx.commit().await.unwrap();
        let Pools::Sqlite { checkpoints: Some(checkpoints), .. } = &store.pools else { panic!("no SQLite") };
        let checkpoints = checkpoints.clone();
        (store, checkpoints)
    }

    #[tokio::test]
    async fn a_log_that_was_brought_in_begins_again_and_goes_on_otherwise() {
        for made_with in [None, Some(4_096)] {
            for looks in [true, false] {
                let place = Place::new();
                let (store, checkpoints) = opened(&place, made_with).await;
                write(&store, 40).await;
                if looks {
                    checkpoints.0.look().await;
                }
                write(&store, 1).await;
                let bytes = bytes(&checkpoints.0).await;
                assert!(if looks { bytes < 2 << 20 } else { bytes > BYTES }, "{bytes}");
            }
        }
    }

    #[tokio::test]
    async fn a_log_that_nobody_looks_at_is_brought_in_by_a_commit_at_last() {
        for made_with in [None, Some(4_096)] {
            let place = Place::new();
            let (store, _) = opened(&place, made_with).await;
            let length = || place.path().join("filled.db-wal").metadata().unwrap().len();
            write(&store, 120).await;
            assert!(length() > 120 << 20);
            write(&store, 15).await;
            let before = length();
            write(&store, 30).await;
            assert_eq!(length(), before, "it did not begin again");
        }
    }

    #[tokio::test]
    async fn a_log_that_somebody_still_reads_waits_for_the_next_look() {
        let place = Place::new();
        let (store, checkpoints) = opened(&place, None).await;
        write(&store, 1).await;
        let mut reads = store.snapshot().await.unwrap();
        assert_eq!(reads.row("SELECT count(*) FROM filled", &[]).await.unwrap().unwrap().int(0).unwrap(), 1);
        write(&store, 40).await;
        checkpoints.0.look().await;
        // Nobody who writes was held up by that, and what is read is what it was.
        write(&store, 1).await;
        assert!(bytes(&checkpoints.0).await > BYTES);
        assert_eq!(reads.row("SELECT count(*) FROM filled", &[]).await.unwrap().unwrap().int(0).unwrap(), 1);
        drop(reads);
        checkpoints.0.look().await;
        write(&store, 1).await;
        assert!(bytes(&checkpoints.0).await < 2 << 20);
    }
}
