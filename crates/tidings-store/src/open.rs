//! How the connections of a store are made.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Database, Postgres, Sqlite, SqlitePool};

use crate::checkpoint::{self, Checkpoints};
use crate::error::{Result, StoreError};
use crate::in_place::InPlace;
use crate::kept_out::{KeptOut, is};
use crate::options::StoreOptions;
use crate::sql::within;
use crate::store::Pools;

/// What SQLite says of a file that it cannot open (<https://www.sqlite.org/rescode.html#cantopen>).
const CANTOPEN: u32 = 14;
/// Statements that a connection to SQLite keeps prepared; those over rows have a text for each of a few sizes.
const STATEMENTS: usize = 256;
/// A connection to PostgreSQL that nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// A connection to PostgreSQL is asked whether it is alive if nobody used it for so long.
const FRESH: Duration = Duration::from_secs(1);
/// A transaction whose node went silent is ended by PostgreSQL after so long, and its locks with it: whoever wants the same
/// rows waits for that. A node that is there says the next statement at once.
const SILENT_TRANSACTION: Duration = Duration::from_secs(10);

/// What a URL names.
enum Named<'a> {
    Memory,
    File(&'a Path),
    Postgres(Box<PgConnectOptions>),
}

/// Reads a URL without opening anything.
fn named(url: &str) -> Result<Named<'_>> {
    if url == "sqlite::memory:" {
        return Ok(Named::Memory);
    }
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains('?') {
            return unusable("a SQLite URL is sqlite: and a path, without parameters".into());
        }
        return Ok(Named::File(Path::new(path)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        // The parser's error may quote the password.
        let Ok(connect) = PgConnectOptions::from_str(url) else {
            return unusable(
                "the database URL cannot be read; it is postgres://USER:PASSWORD@HOST:PORT/NAME".into(),
            );
        };
        return Ok(Named::Postgres(Box::new(connect)));
    }
    // The rest of it may hold a password, so none of it is repeated.
    unusable("the database URL begins with neither sqlite: nor postgres://".into())
}

/// Whether a URL could name a database; nothing is opened.
///
/// # Errors
/// [`StoreError::Unusable`] with a sentence, in which nothing of the URL is.
pub fn check_url(url: &str) -> Result<()> {
    named(url).map(drop)
}

/// Opens what `url` names.
pub(crate) async fn pools(url: &str, options: &StoreOptions) -> Result<Pools> {
    match named(url)? {
        Named::Memory => memory(options).await,
        Named::File(path) => file(path, options).await,
        Named::Postgres(connect) => postgres(url, *connect, options).await,
    }
}

fn unusable<T>(sentence: String) -> Result<T> {
    Err(StoreError::Unusable(sentence))
}

/// Every connection would have a memory of its own, so there is one.
async fn memory(options: &StoreOptions) -> Result<Pools> {
    let connect = SqliteConnectOptions::new().in_memory(true);
    let pool = here(1, options).min_connections(1).idle_timeout(None).max_lifetime(None);
    let writer = pool.connect_with(connect).await?;
    Ok(Pools::Sqlite {
        readers: writer.clone(),
        writer,
        checkpoints: None,
        in_place: None,
        kept_out: KeptOut::default(),
    })
}

/// Bytes of a page of a new file; one that was made with others keeps them.
///
/// What is committed is written by whole pages, and events of many rooms touch a page of the index each: with SQLite's 4,096
/// it is more than twice as many bytes (docs/decisions/0099).
const PAGE_BYTES: u32 = 1_024;

async fn file(path: &Path, options: &StoreOptions) -> Result<Pools> {
    if !options.create {
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return unusable(format!("there is no database at {}", path.display())),
            Err(error) => return unusable(format!("cannot look for {}: {error}", path.display())),
        }
    }
    let _alone = alone(path.to_owned(), options.migration).await?;
    create(path)?;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if options.synced { SqliteSynchronous::Full } else { SqliteSynchronous::Off })
        .page_size(PAGE_BYTES)
        .foreign_keys(true)
        .busy_timeout(options.lock)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let opened = |error: sqlx::Error| {
        let cannot_open = is(&error, CANTOPEN);
        match StoreError::from(error) {
            StoreError::Corrupt(_) => {
                StoreError::Unusable(format!("{} is damaged or no SQLite database", path.display()))
            }
            // One that is away would be there again some time.
            StoreError::Unavailable(said) if cannot_open => StoreError::Unusable(format!(
                "{} or what belongs beside it cannot be opened for writing: {said}",
                path.display()
            )),
            error => error,
        }
    };
    let writes =
        sound(here(1, options)).after_connect(|connection, _| Box::pin(checkpoint::only_in_need(connection)));
    let writer: SqlitePool = writes.connect_with(connect.clone()).await.map_err(opened)?;
    let connect = connect.pragma("query_only", "1");
    // Who may write nothing may bring in what was written (<https://www.sqlite.org/pragma.html#pragma_query_only>).
    let checkpoints = Checkpoints::new(connect.clone());
    let readers = sound(here(options.readers.max(1), options)).connect_with(connect).await.map_err(opened)?;
    let (checkpoints, in_place) = (Some(checkpoints), Some(InPlace::of(path)?));
    Ok(Pools::Sqlite { writer, readers, checkpoints, in_place, kept_out: KeptOut::default() })
}

/// Replaces a connection that is stuck in a transaction.
///
/// SQLite ends a transaction by itself when the disk is full or fails (<https://www.sqlite.org/lang_transaction.html>,
/// section 3); the driver's own rollback fails then, and it believes for ever that it is inside of one.
fn sound(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

/// Holds the directory's lock, so that of two who open a new file at once one makes it.
///
/// The file itself must not be opened by anybody but SQLite: closing it would drop SQLite's locks.
async fn alone(path: PathBuf, patience: Duration) -> Result<File> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let shown = folder.display().to_string();
    let lock = tokio::task::spawn_blocking(move || {
        let folder = File::open(folder)?;
        folder.lock().map(|()| folder)
    });
    match tokio::time::timeout(patience, lock).await {
        Ok(Ok(Ok(folder))) => Ok(folder),
        Ok(Ok(Err(error))) => unusable(format!("cannot open the directory {shown}: {error}")),
        Ok(Err(_)) => Err(StoreError::Bug("the lock's task ended".into())),
        Err(_) => Err(StoreError::Unavailable(format!("another process holds the lock of {shown}"))),
    }
}

/// Makes the file for its owner alone, and refuses one that others can read.
fn create(path: &Path) -> Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    if let Err(error) = made
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return unusable(format!("cannot make {}: {error}", path.display()));
    }
    match std::fs::metadata(path) {
        Err(error) => unusable(format!("cannot read {}: {error}", path.display())),
        Ok(found) if !found.is_file() => unusable(format!("{} is not a file", path.display())),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => unusable(format!(
            "{} can be read by other users and holds password hashes; `chmod 600` it",
            path.display()
        )),
        Ok(_) => Ok(()),
    }
}

async fn postgres(url: &str, connect: PgConnectOptions, options: &StoreOptions) -> Result<Pools> {
    let mut connect = connect.application_name("tidings").disable_statement_logging();
    if !url.contains("sslmode=") && !is_here(&connect) {
        connect = connect.ssl_mode(PgSslMode::VerifyFull);
    }
    let ms = |time: Duration| time.as_millis().to_string();
    let connect = connect.options([
        // Tables that are there already are no news.
        ("client_min_messages", "warning".into()),
        ("statement_timeout", ms(options.statement)),
        ("idle_in_transaction_session_timeout", ms(SILENT_TRANSACTION)),
    ]);
    let pool = fresh(pool(options.connections.max(2), options).idle_timeout(IDLE));
    let pool = answering(pool, options.statement);
    let opened = within(options.acquire + options.statement, pool.connect_with(connect.clone())).await;
    let opened = match opened {
        // The pool tries again until its time is over, and does not say what was in its way.
        Err(StoreError::Unavailable(said)) => Err(match within(options.acquire, connect.connect()).await {
            Err(why) => why,
            Ok(_) => StoreError::Unavailable(said),
        }),
        opened => opened,
    };
    opened.map(Pools::Postgres).map_err(|error| match error {
        StoreError::Unusable(said) => StoreError::Unusable(format!("PostgreSQL refuses us: {said}")),
        error => error,
    })
}

/// Asks a connection whether it is alive only if it rested: else every transaction would begin with one more
/// exchange, and one that breaks in use is found by its next statement either way.
fn fresh(pool: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    pool.test_before_acquire(false).before_acquire(|connection, about| {
        Box::pin(async move {
            if about.idle_for >= FRESH {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}

/// Closes a connection that is given back and does not answer in the time of a statement.
///
/// The driver waits without end for what was asked on it last. Where a firewall has forgotten the connection nothing comes
/// any more, not even that it is cut: each would take its place in the pool with it, until none is left.
fn answering(pool: PoolOptions<Postgres>, patience: Duration) -> PoolOptions<Postgres> {
    pool.after_release(move |connection, _| {
        Box::pin(async move {
            let silent = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
            tokio::time::timeout(patience, connection.ping()).await.unwrap_or_else(silent).map(|()| true)
        })
    })
}

/// Whether what is sent stays on this machine.
fn is_here(connect: &PgConnectOptions) -> bool {
    let host = connect.get_host();
    let loopback = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    connect.get_socket().is_some() || host.starts_with('/') || host == "localhost" || loopback
}

/// A pool of SQLite's connections. Each is a thread of this process, which nothing cuts off: to ask it whether it is
/// alive would be one more exchange for whoever takes it.
fn here(most: u32, options: &StoreOptions) -> PoolOptions<Sqlite> {
    pool(most, options).test_before_acquire(false)
}

fn pool<D: Database>(most: u32, options: &StoreOptions) -> PoolOptions<D> {
    PoolOptions::new().max_connections(most).acquire_timeout(options.acquire)
}
