//! Statements for both databases.
//!
//! One text serves both: placeholders are `$1, $2 …`, values are whole numbers, texts and bytes,
//! and types in tables are `BIGINT`, `TEXT` and `BYTEA`, which SQLite takes as they are.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Postgres, Row as _, Sqlite, Transaction};
use tidings_core::Org;

use crate::digest::Digest;
use crate::error::{Result, StoreError};

/// A value of a statement; absent ones keep their type.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A whole number; times are milliseconds since 1970, yes is 1.
    Int(Option<i64>),
    /// A text without NUL, which PostgreSQL cannot store.
    Text(Option<&'a str>),
    /// Bytes.
    Bytes(Option<&'a [u8]>),
}

impl<'a> Value<'a> {
    fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { *number } else { None }
    }

    fn text(&self) -> Option<&'a str> {
        if let Self::Text(text) = self { *text } else { None }
    }

    fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { *bytes } else { None }
    }

    /// The type of its column in PostgreSQL.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "bigint",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytea",
        }
    }
}

macro_rules! values {
    ($($from:ty => $with:expr),* $(,)?) => {
        $(impl<'a> From<$from> for Value<'a> {
            fn from(value: $from) -> Self {
                let with: fn($from) -> Self = $with;
                with(value)
            }
        })*
    };
}

values! {
    i64 => |number| Self::Int(Some(number)),
    u64 => |number| Self::Int(Some(stored(number))),
    u32 => |number| Self::Int(Some(number.into())),
    Option<u64> => |number| Self::Int(number.map(stored)),
    bool => |yes| Self::Int(Some(yes.into())),
    &'a str => |text| Self::Text(Some(text)),
    &'a String => |text| Self::Text(Some(text)),
    Option<&'a str> => Self::Text,
    &'a Option<String> => |text| Self::Text(text.as_deref()),
    &'a [u8] => |bytes| Self::Bytes(Some(bytes)),
    &'a Digest => |digest| Self::Bytes(Some(digest.as_bytes())),
    &'a Org => |org| Self::Text(Some(org.as_str())),
}

/// Both databases count to 2^63; a later time than that is as good as that.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Makes the values of a statement: `args![&org, id, now]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::Value::from($value)),*] };
}

/// A row that was read; columns are counted from 0.
#[derive(Debug)]
pub struct Row(AnyRow);

#[derive(Debug)]
enum AnyRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! column {
    ($row:expr, $at:expr) => {
        match &$row.0 {
            AnyRow::Sqlite(row) => row.try_get($at),
            AnyRow::Postgres(row) => row.try_get($at),
        }
        .map_err(StoreError::from)
    };
}

impl Row {
    /// A whole number.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn int(&self, at: usize) -> Result<i64> {
        column!(self, at)
    }

    /// A time or count; what is negative was never stored by us.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn count(&self, at: usize) -> Result<u64> {
        u64::try_from(self.int(at)?).map_err(|_| StoreError::Corrupt("a count is negative".into()))
    }

    /// A time or count that may be absent.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn count_or_none(&self, at: usize) -> Result<Option<u64>> {
        let number: Option<i64> = column!(self, at)?;
        number.map(u64::try_from).transpose().map_err(|_| StoreError::Corrupt("a count is negative".into()))
    }

    /// A whole number that may be absent.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn int_or_none(&self, at: usize) -> Result<Option<i64>> {
        column!(self, at)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn flag(&self, at: usize) -> Result<bool> {
        Ok(self.int(at)? != 0)
    }

    /// A text.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn text(&self, at: usize) -> Result<String> {
        column!(self, at)
    }

    /// A text that may be absent.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn text_or_none(&self, at: usize) -> Result<Option<String>> {
        column!(self, at)
    }

    /// Bytes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn bytes(&self, at: usize) -> Result<Vec<u8>> {
        column!(self, at)
    }

    /// Bytes that may be absent.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn bytes_or_none(&self, at: usize) -> Result<Option<Vec<u8>>> {
        column!(self, at)
    }

    /// An organisation.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn org(&self, at: usize) -> Result<Org> {
        Ok(Org::new(&self.text(at)?))
    }

    /// A digest.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the column holds something else.
    pub fn digest(&self, at: usize) -> Result<Digest> {
        Digest::from_bytes(&self.bytes(at)?).ok_or_else(|| StoreError::Corrupt("a digest is not one".into()))
    }
}

/// A connection, inside of a transaction or not.
pub(crate) enum Session {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTx(Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresTx(Transaction<'static, Postgres>),
    /// Outside of the pool.
    PostgresOwn(Box<PgConnection>),
}

enum Line<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Session {
    fn line(&mut self) -> Line<'_> {
        match self {
            Self::Sqlite(connection) => Line::Sqlite(connection),
            Self::SqliteTx(transaction) => Line::Sqlite(transaction),
            Self::Postgres(connection) => Line::Postgres(connection),
            Self::PostgresTx(transaction) => Line::Postgres(transaction),
            Self::PostgresOwn(connection) => Line::Postgres(connection),
        }
    }
}

macro_rules! bound {
    ($database:ty, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query::<$database>($sql);
        for value in $values {
            query = match *value {
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

/// Rows of a statement, one after the other, each of so many columns.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a>(pub(crate) usize, pub(crate) &'a [Value<'a>]);

/// Binds rows as one array for each of their columns.
fn in_columns<'q>(
    sql: &'static str,
    tables: &[Columns<'_>],
) -> sqlx::query::Query<'q, Postgres, PgArguments> {
    let mut query = sqlx::query::<Postgres>(sql);
    for Columns(columns, values) in tables {
        for (at, kind) in values.iter().take(*columns).enumerate() {
            let column = values.iter().skip(at).step_by(*columns);
            query = match kind {
                Value::Int(_) => query.bind(column.map(Value::int).collect::<Vec<_>>()),
                Value::Text(_) => query.bind(column.map(Value::text).collect::<Vec<_>>()),
                Value::Bytes(_) => query.bind(column.map(Value::bytes).collect::<Vec<_>>()),
            };
        }
    }
    query
}

/// Reads what is stored; a connection of its own until it is dropped.
///
/// Outside of a transaction each statement sees what is committed when it starts.
pub struct Reader {
    pub(crate) session: Session,
    /// How long one statement may take.
    pub(crate) patience: Duration,
    /// A statement failed; what a transaction did before is lost.
    pub(crate) failed: bool,
}

impl Reader {
    pub(crate) fn new(session: Session, patience: Duration) -> Self {
        Self { session, patience, failed: false }
    }

    /// Has a connection of the pool closed when it is dropped, so that the pool makes another.
    pub(crate) fn close_instead_of_returning(&mut self) {
        if let Session::Postgres(connection) = &mut self.session {
            connection.close_on_drop();
        }
    }

    /// Whether the database is PostgreSQL, for the rare text that has to differ.
    pub fn is_postgres(&self) -> bool {
        !matches!(self.session, Session::Sqlite(_) | Session::SqliteTx(_))
    }

    /// Every row of a statement, which has to bound their number itself.
    ///
    /// # Errors
    /// [`StoreError`]; a transaction is over after one.
    pub async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.refuse_unusable(values)?;
        let patience = self.patience;
        let found = match self.session.line() {
            Line::Sqlite(line) => {
                let rows = within(patience, bound!(Sqlite, sql, values).fetch_all(line)).await;
                rows.map(|rows| rows.into_iter().map(|row| Row(AnyRow::Sqlite(row))).collect())
            }
            Line::Postgres(line) => {
                let rows = within(patience, bound!(Postgres, sql, values).fetch_all(line)).await;
                rows.map(|rows| rows.into_iter().map(|row| Row(AnyRow::Postgres(row))).collect())
            }
        };
        self.noted(found)
    }

    /// Every row of a statement of PostgreSQL over arrays.
    pub(crate) async fn rows_in_columns(
        &mut self,
        sql: &'static str,
        tables: &[Columns<'_>],
    ) -> Result<Vec<Row>> {
        tables.iter().try_for_each(|Columns(_, values)| self.refuse_unusable(values))?;
        let patience = self.patience;
        let found = match self.session.line() {
            Line::Sqlite(_) => Err(StoreError::Bug("SQLite has no arrays".into())),
            Line::Postgres(line) => {
                let rows = within(patience, in_columns(sql, tables).fetch_all(line)).await;
                rows.map(|rows| rows.into_iter().map(|row| Row(AnyRow::Postgres(row))).collect())
            }
        };
        self.noted(found)
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// As [`Reader::rows`].
    pub async fn row(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    fn refuse_unusable(&self, values: &[Value<'_>]) -> Result<()> {
        if self.failed {
            return Err(StoreError::Bug("a transaction was used after an error".into()));
        }
        if values.iter().any(|value| matches!(value, Value::Text(Some(text)) if text.contains('\0'))) {
            return Err(StoreError::Invalid("a text holds a NUL character"));
        }
        Ok(())
    }

    fn noted<T>(&mut self, done: Result<T>) -> Result<T> {
        let inside = matches!(self.session, Session::SqliteTx(_) | Session::PostgresTx(_));
        self.failed |= done.is_err() && inside;
        done
    }
}

/// What surrounds a part of a transaction, in SQLite and in PostgreSQL.
///
/// PostgreSQL ends a statement of a part that takes too long, mostly since somebody else holds a lock. Whoever loses patience
/// with one cannot roll back before it is over, and all the others of the transaction would wait with it. A server gives
/// a whole command 500 ms.
const PART_BEGINS: (&str, &str) = ("SAVEPOINT part", "SET LOCAL statement_timeout = 450; SAVEPOINT part");
const PART_IS_KEPT: (&str, &str) =
    ("RELEASE SAVEPOINT part", "RELEASE SAVEPOINT part; SET LOCAL statement_timeout TO DEFAULT");
const PART_IS_FORGOTTEN: (&str, &str) = (
    "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part",
    "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part; SET LOCAL statement_timeout TO DEFAULT",
);

/// A transaction: it reads and writes, and is forgotten unless it is committed.
///
/// After an error it is over, on both databases; drop it and begin another.
pub struct Tx(pub(crate) Reader);

impl Deref for Tx {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.0
    }
}

impl Tx {
    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is over after one.
    pub async fn run(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        self.refuse_unusable(values)?;
        let patience = self.patience;
        let done = match self.session.line() {
            Line::Sqlite(line) => {
                let done = within(patience, bound!(Sqlite, sql, values).execute(line)).await;
                done.map(|done| done.rows_affected())
            }
            Line::Postgres(line) => {
                let done = within(patience, bound!(Postgres, sql, values).execute(line)).await;
                done.map(|done| done.rows_affected())
            }
        };
        self.noted(done)
    }

    /// The same with a statement of PostgreSQL over arrays.
    pub(crate) async fn run_in_columns(&mut self, sql: &'static str, rows: Columns<'_>) -> Result<u64> {
        self.refuse_unusable(rows.1)?;
        let patience = self.patience;
        let done = match self.session.line() {
            Line::Sqlite(_) => Err(StoreError::Bug("SQLite has no arrays".into())),
            Line::Postgres(line) => {
                let done = within(patience, in_columns(sql, &[rows]).execute(line)).await;
                done.map(|done| done.rows_affected())
            }
        };
        self.noted(done)
    }

    /// Runs a text of several statements without values.
    pub(crate) async fn run_script(&mut self, sql: &'static str) -> Result<()> {
        let patience = self.patience;
        let done = match self.session.line() {
            Line::Sqlite(line) => within(patience, sqlx::raw_sql(sql).execute(line)).await.map(drop),
            Line::Postgres(line) => within(patience, sqlx::raw_sql(sql).execute(line)).await.map(drop),
        };
        self.noted(done)
    }

    /// Marks a place to which [`Tx::roll_back`] comes back; one at a time. What follows is a part of the transaction.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn savepoint(&mut self) -> Result<()> {
        self.refuse_unusable(&[])?;
        let done = self.run_either(PART_BEGINS).await;
        self.noted(done)
    }

    /// Keeps what was done since [`Tx::savepoint`], as a part of the transaction.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if a statement failed since.
    pub async fn release(&mut self) -> Result<()> {
        self.refuse_unusable(&[])?;
        let done = self.run_either(PART_IS_KEPT).await;
        self.noted(done)
    }

    /// Forgets what was done since [`Tx::savepoint`]; after it the transaction can be used again, even if a
    /// statement has failed since.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is over then.
    pub async fn roll_back(&mut self) -> Result<()> {
        let done = self.run_either(PART_IS_FORGOTTEN).await;
        self.failed = done.is_err();
        done
    }

    async fn run_either(&mut self, (sqlite, postgres): (&'static str, &'static str)) -> Result<()> {
        let sql = if self.is_postgres() { postgres } else { sqlite };
        self.run_script(sql).await
    }

    /// Whether a statement has failed, after which nothing of it can be kept.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Makes everything that was done in it last, and visible to others.
    ///
    /// # Errors
    /// [`StoreError`]; if it is [`StoreError::Unavailable`] nobody knows whether it lasts.
    pub async fn commit(self) -> Result<()> {
        self.refuse_unusable(&[])?;
        let Reader { session, patience, .. } = self.0;
        match session {
            Session::SqliteTx(transaction) => within(patience, transaction.commit()).await,
            Session::PostgresTx(transaction) => within(patience, transaction.commit()).await,
            Session::Sqlite(_) | Session::Postgres(_) | Session::PostgresOwn(_) => {
                Err(StoreError::Bug("a commit outside of a transaction".into()))
            }
        }
    }
}

/// Bounds the time of one exchange with the database.
pub(crate) async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done.map_err(StoreError::from),
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {} ms", patience.as_millis()))),
    }
}

/// Refuses a text that is empty or too long, by what it is.
///
/// # Errors
/// [`StoreError::Invalid`]
pub fn bounded(text: &str, most: usize, why: &'static str) -> Result<()> {
    if text.is_empty() || text.len() > most { Err(StoreError::Invalid(why)) } else { Ok(()) }
}
