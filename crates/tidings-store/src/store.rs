//! The store: its pools, and the way into them.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgPool, SqlitePool};

use crate::checkpoint::Checkpoints;
use crate::error::{Result, StoreError};
use crate::in_place::InPlace;
use crate::kept_out::KeptOut;
use crate::migrate::{self, Migration};
use crate::open;
use crate::options::StoreOptions;
use crate::sql::{Reader, Session, Tx, within};

/// Records and transactions; cloning it counts a reference.
#[derive(Clone)]
pub struct Store {
    pub(crate) pools: Pools,
    options: StoreOptions,
}

#[derive(Clone)]
pub(crate) enum Pools {
    /// One connection writes, the others read; in memory both are the same one, and there is no log.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        checkpoints: Option<Checkpoints>,
        in_place: Option<InPlace>,
        kept_out: KeptOut,
    },
    Postgres(PgPool),
}

impl Store {
    /// Opens the database at `url` and brings it to the shape this version needs.
    ///
    /// `sqlite:PATH` is a file, made for its owner alone if it is missing; `sqlite::memory:` is gone with
    /// the store; `postgres://…` is a server's. Several processes may open the same one at once.
    ///
    /// # Errors
    /// [`StoreError::Unusable`](crate::StoreError::Unusable) with a sentence for the operator;
    /// [`StoreError::Unavailable`](crate::StoreError::Unavailable) if it does not answer.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self> {
        let store = Self { pools: open::pools(url, options).await?, options: options.clone() };
        store.migrate(migrate::OURS).await?;
        Ok(store)
    }

    /// Brings the tables of an owner to the shape its list describes; what was done before is left.
    ///
    /// # Errors
    /// [`StoreError::Unusable`](crate::StoreError::Unusable) if the database is newer than the list, or an
    /// old migration was changed.
    pub async fn migrate(&self, list: &[Migration]) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.patience = self.options.migration;
        migrate::run(&mut tx, list).await?;
        tx.commit().await
    }

    /// Whether what is committed outlives the process: all but `sqlite::memory:`.
    pub fn is_kept(&self) -> bool {
        !matches!(&self.pools, Pools::Sqlite { checkpoints: None, .. })
    }

    /// Takes a connection for reading.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`](crate::StoreError::Unavailable) if none becomes free in time.
    pub async fn read(&self) -> Result<Reader> {
        let session = match &self.pools {
            Pools::Sqlite { readers, .. } => Session::Sqlite(within(self.whole(), readers.acquire()).await?),
            Pools::Postgres(pool) => Session::Postgres(within(self.whole(), pool.acquire()).await?),
        };
        Ok(Reader::new(session, self.options.statement))
    }

    /// Takes a connection that sees one moment for as long as it is held, which should be short.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`](crate::StoreError::Unavailable) if none becomes free in time.
    pub async fn snapshot(&self) -> Result<Reader> {
        let session = match &self.pools {
            Pools::Sqlite { readers, .. } => {
                Session::SqliteTx(within(self.whole(), readers.begin_with("BEGIN DEFERRED")).await?)
            }
            Pools::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Session::PostgresTx(within(self.whole(), pool.begin_with(begin)).await?)
            }
        };
        Ok(Reader::new(session, self.options.statement))
    }

    /// Begins a transaction. On SQLite there is one at a time, so that none fails half-way.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`](crate::StoreError::Unavailable) if its turn does not come in time, or a file is no
    /// longer where it was opened: what was committed there would be lost with the process.
    pub async fn begin(&self) -> Result<Tx> {
        let session = match &self.pools {
            Pools::Sqlite { writer, checkpoints, kept_out, .. } => {
                checkpoints.iter().for_each(Checkpoints::begun);
                let begin = writer.begin_with("BEGIN IMMEDIATE");
                let begun = kept_out.or(self.whole(), begin).await?;
                self.in_place()?;
                Session::SqliteTx(begun)
            }
            Pools::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
                Session::PostgresTx(within(self.whole(), pool.begin_with(begin)).await?)
            }
        };
        Ok(Tx(Reader::new(session, self.options.statement)))
    }

    /// Opens a connection to PostgreSQL outside of the pool; PostgreSQL itself ends a statement on it that takes longer
    /// than `statement`.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError), mostly `Unavailable`.
    pub(crate) async fn own(&self, statement: Duration) -> Result<Reader> {
        let Pools::Postgres(pool) = &self.pools else {
            return Err(StoreError::Bug("SQLite has one connection that writes".into()));
        };
        let ms = statement.min(self.options.statement).as_millis().to_string();
        // Of two settings of the same name the last counts.
        let connect = PgConnectOptions::clone(&pool.connect_options()).options([("statement_timeout", ms)]);
        let connection = within(self.whole(), connect.connect()).await?;
        Ok(Reader::new(Session::PostgresOwn(Box::new(connection)), self.options.statement))
    }

    /// Whether a file is still where it was opened.
    fn in_place(&self) -> Result<()> {
        let Pools::Sqlite { in_place: Some(in_place), .. } = &self.pools else { return Ok(()) };
        in_place.check()
    }

    /// Asks whether the database answers, and a file is where it was opened.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError), mostly `Unavailable`.
    pub async fn ping(&self) -> Result<()> {
        self.in_place()?;
        self.read().await?.row("SELECT seq FROM audit_head", &[]).await.map(drop)
    }

    /// Asks whether something could be stored now: who can be read may not be written. Of a file, whether no other process
    /// keeps us from it; of PostgreSQL, whether it is no replica and takes what is written.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError), mostly `Unavailable`.
    pub async fn try_to_begin(&self) -> Result<()> {
        if !self.is_postgres() {
            return self.begin().await.map(drop);
        }
        let mut reader = self.read().await?;
        let sql = "SELECT CAST(CASE current_setting('transaction_read_only') WHEN 'on' THEN 1 ELSE 0 END AS BIGINT)";
        if reader.row(sql, &[]).await?.map(|row| row.flag(0)).transpose()? != Some(true) {
            return Ok(());
        }
        // After a failover another server may have its address, and a connection stays with the one it was made to.
        reader.close_instead_of_returning();
        Err(StoreError::Unavailable("it can only be read".into()))
    }

    /// Whether the database is PostgreSQL, which several nodes can share.
    pub fn is_postgres(&self) -> bool {
        matches!(self.pools, Pools::Postgres(_))
    }

    /// Waits for what is under way and closes every connection.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers, checkpoints, .. } => {
                readers.close().await;
                if let Some(checkpoints) = checkpoints {
                    checkpoints.close().await;
                }
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    /// The longest a connection and its first statement may take.
    fn whole(&self) -> Duration {
        self.options.acquire + self.options.statement
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_postgres() { "Store(PostgreSQL)" } else { "Store(SQLite)" })
    }
}
