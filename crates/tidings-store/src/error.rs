//! Errors, sorted by who must act.

use tidings_core::{Code, Refusal};

/// What a call answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a call did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The caller: something with this name exists already.
    #[error("{0} exists already")]
    Conflict(&'static str),
    /// The caller: there is no such thing.
    #[error("there is no {0}")]
    NotFound(&'static str),
    /// The caller: a value cannot be stored.
    #[error("{0}")]
    Invalid(&'static str),
    /// Nobody, now: a bounded table is full until something in it is done.
    #[error("too many {0} are waiting")]
    Overflow(&'static str),
    /// Nobody, now: the database does not answer or is busy; the same call may succeed later.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The operator: the disk is full.
    #[error("the disk of the database is full")]
    Full,
    /// The operator: the database cannot be used as it is; the sentence says what to do.
    #[error("{0}")]
    Unusable(String),
    /// The operator: what is stored contradicts itself.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// Us.
    #[error("a fault in the store: {0}")]
    Bug(String),
}

impl StoreError {
    /// Says what exists already or is missing, where the database could only say that something is.
    pub(crate) fn about(self, existing: &'static str, missing: &'static str) -> Self {
        match self {
            Self::Conflict(_) => Self::Conflict(existing),
            Self::NotFound(_) => Self::NotFound(missing),
            other => other,
        }
    }

    /// Whether the same call may succeed later, be it that an operator has done something: a database that refuses us once it
    /// was opened, since its password or our rights were changed, may take us again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Overflow(_) | Self::Full | Self::Unusable(_))
    }

    /// Whether nothing can be done with the database now, whatever is asked of it.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unusable(_))
    }
}

/// What a client is told; never what the database said.
impl From<&StoreError> for Refusal {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Conflict(what) => Self::new(Code::Conflict, &format!("{what} exists already")),
            StoreError::NotFound(what) => Self::new(Code::NotFound, &format!("there is no {what}")),
            StoreError::Invalid(why) => Self::new(Code::BadRequest, why),
            StoreError::Full => Self::new(Code::StorageFull, "there is no room to store it"),
            StoreError::Overflow(_) | StoreError::Unavailable(_) | StoreError::Unusable(_) => {
                Self::new(Code::Unavailable, "it cannot be stored or read now")
            }
            StoreError::Corrupt(_) | StoreError::Bug(_) => {
                Self::new(Code::Unavailable, "it cannot be stored or read")
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => of_database(error.as_ref()),
            E::PoolTimedOut => Self::Unavailable("no connection became free in time".into()),
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => {
                // The connection is of no use any more, and what it was doing may be done.
                Self::Unavailable(error.to_string())
            }
            E::ColumnDecode { .. } | E::Decode(_) => Self::Corrupt(error.to_string()),
            _ => Self::Bug(error.to_string()),
        }
    }
}

fn of_database(error: &dyn sqlx::error::DatabaseError) -> StoreError {
    if error.is_unique_violation() {
        return StoreError::Conflict("it");
    }
    if error.is_foreign_key_violation() {
        return StoreError::NotFound("record it belongs to");
    }
    let code = error.code().unwrap_or_default();
    let said = || error.message().to_owned();
    match code.parse::<u32>() {
        // PostgreSQL's codes have five characters, some of them digits alone; SQLite's are numbers below 8,000.
        Ok(number) if code.len() < 5 => of_sqlite(number, said),
        _ => of_postgres(&code, said),
    }
}

/// By the primary code, the lowest byte (<https://www.sqlite.org/rescode.html>).
fn of_sqlite(code: u32, said: impl Fn() -> String) -> StoreError {
    match code & 0xff {
        // BUSY, LOCKED, INTERRUPT, IOERR, CANTOPEN, PROTOCOL
        5 | 6 | 9 | 10 | 14 | 15 => StoreError::Unavailable(said()),
        // FULL
        13 => StoreError::Full,
        // CORRUPT, NOTADB
        11 | 26 => StoreError::Corrupt(said()),
        // PERM, READONLY
        3 | 8 => StoreError::Unusable(format!("the database cannot be written: {}", said())),
        _ => StoreError::Bug(said()),
    }
}

/// By class and code (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_postgres(code: &str, said: impl Fn() -> String) -> StoreError {
    match code {
        "53100" => StoreError::Full,
        // Deadlock, serialisation, lock not available, cancelled by its timeout, read only while it fails over.
        "40P01" | "40001" | "55P03" | "57014" | "25006" => StoreError::Unavailable(said()),
        "XX001" | "XX002" => StoreError::Corrupt(said()),
        // No such database or schema, no rights, wrong password.
        "3D000" | "3F000" | "42501" => StoreError::Unusable(said()),
        _ if code.starts_with("28") => StoreError::Unusable(said()),
        // Connection, resources, intervention of an operator, system.
        _ if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Unavailable(said())
        }
        _ => StoreError::Bug(said()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_never_reads_what_the_database_said() {
        let told = |error: StoreError| Refusal::from(&error);
        for error in [
            StoreError::Unavailable("relation users".into()),
            StoreError::Corrupt("relation users".into()),
            StoreError::Bug("relation users".into()),
            StoreError::Unusable("relation users".into()),
        ] {
            assert!(!told(error).to_string().contains("users"));
        }
        assert_eq!(told(StoreError::Full).code, Code::StorageFull);
        assert_eq!(told(StoreError::Conflict("a user")).code, Code::Conflict);
    }

    #[test]
    fn codes_of_the_databases_say_who_must_act() {
        let said = || String::from("why");
        assert!(of_sqlite(5, said).is_retryable() && of_sqlite(517, said).is_retryable());
        assert_eq!(of_sqlite(13, said), StoreError::Full);
        assert_eq!(of_postgres("53100", said), StoreError::Full);
        assert!(of_postgres("57P01", said).is_retryable() && of_postgres("08006", said).is_retryable());
        assert!(matches!(of_postgres("28P01", said), StoreError::Unusable(_)));
        assert!(of_postgres("28P01", said).is_retryable(), "the password may be changed back");
        assert!(matches!(of_postgres("42601", said), StoreError::Bug(_)));
    }
}
