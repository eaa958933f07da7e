//! How a database gets and keeps its shape.

use crate::args;
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::sql::Tx;

/// One step of an owner's tables; once released it never changes, and the next step has the next number.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Whose tables: `core`, or the name of an app.
    pub owner: &'static str,
    /// Counted from 1 for each owner.
    pub number: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Statements for both databases.
    pub both: &'static str,
    /// Statements for SQLite, after those.
    pub sqlite: &'static str,
    /// Statements for PostgreSQL, after those.
    pub postgres: &'static str,
}

/// The tables of this crate.
pub(crate) const OURS: &[Migration] = &[
    Migration {
        owner: "core",
        number: 1,
        name: "accounts",
        both: include_str!("../migrations/0001_accounts.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 2,
        name: "audit log",
        both: include_str!("../migrations/0002_audit.sql"),
        sqlite: include_str!("../migrations/0002_audit.sqlite.sql"),
        postgres: include_str!("../migrations/0002_audit.postgres.sql"),
    },
    Migration {
        owner: "core",
        number: 3,
        name: "sessions in the order they begin",
        both: "",
        sqlite: include_str!("../migrations/0003_sessions.sqlite.sql"),
        postgres: include_str!("../migrations/0003_sessions.postgres.sql"),
    },
    Migration {
        owner: "core",
        number: 4,
        name: "log of durable rooms",
        both: include_str!("../migrations/0004_log.sql"),
        sqlite: include_str!("../migrations/0004_log.sqlite.sql"),
        postgres: include_str!("../migrations/0004_log.postgres.sql"),
    },
    Migration {
        owner: "core",
        number: 5,
        name: "when users were last there",
        both: include_str!("../migrations/0005_last_seen.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 6,
        name: "sessions that outlive a process, bytes of rooms",
        both: include_str!("../migrations/0006_sessions_outlive.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 7,
        name: "dead letters and persistent subscriptions",
        both: include_str!("../migrations/0007_receipts.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 8,
        name: "revocations by reason, mail without secrets once it is sent",
        both: include_str!("../migrations/0008_revocations.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 9,
        name: "rooms in memory over an orderly restart",
        both: include_str!("../migrations/0009_carried.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 10,
        name: "how often a server was started",
        both: include_str!("../migrations/0010_starts.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 11,
        name: "what was set at the last start",
        both: include_str!("../migrations/0011_last_config.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "core",
        number: 12,
        name: "second factors, when a password was last proved",
        both: include_str!("../migrations/0012_second_factors.sql"),
        sqlite: "",
        postgres: "",
    },
];

/// A number of our own for the lock under which PostgreSQL is migrated: `tidings` in ASCII.
const LOCK: i64 = 0x74_69_64_69_6e_67_73;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    owner TEXT NOT NULL,
    number BIGINT NOT NULL,
    name TEXT NOT NULL,
    checksum BYTEA NOT NULL,
    PRIMARY KEY (owner, number)
)";

/// Runs what is missing of `list`, in a transaction that excludes everybody else who migrates.
pub(crate) async fn run(tx: &mut Tx, list: &[Migration]) -> Result<()> {
    // On SQLite the transaction itself is the lock.
    if tx.is_postgres() {
        let patience = tx.patience.as_millis().to_string();
        tx.rows("SELECT set_config('statement_timeout', $1, true)", args![&patience]).await?;
        tx.rows("SELECT pg_advisory_xact_lock($1)", args![LOCK]).await?;
    }
    tx.run(TABLE, &[]).await?;
    for migration in list {
        step(tx, migration).await?;
    }
    for last in list.chunk_by(|one, next| one.owner == next.owner).filter_map(<[Migration]>::last) {
        refuse_newer(tx, last).await?;
    }
    Ok(())
}

async fn step(tx: &mut Tx, migration: &Migration) -> Result<()> {
    let Migration { owner, number, name, .. } = *migration;
    let own = if tx.is_postgres() { migration.postgres } else { migration.sqlite };
    let checksum = Digest::of(format!("{}\0{own}", migration.both).as_bytes());
    let sql = "SELECT checksum FROM migrations WHERE owner = $1 AND number = $2";
    if let Some(row) = tx.row(sql, args![owner, number]).await? {
        return match row.digest(0)? == checksum {
            true => Ok(()),
            false => Err(StoreError::Unusable(format!(
                "migration {number} of {owner} ({name}) in the database is not the one of this version; \
                 it was made by a version that was changed"
            ))),
        };
    }
    for script in [migration.both, own].into_iter().filter(|script| !script.is_empty()) {
        tx.run_script(script).await?;
    }
    let sql = "INSERT INTO migrations (owner, number, name, checksum) VALUES ($1, $2, $3, $4)";
    tx.run(sql, args![owner, number, name, &checksum]).await.map(drop)
}

async fn refuse_newer(tx: &mut Tx, last: &Migration) -> Result<()> {
    let sql = "SELECT max(number) FROM migrations WHERE owner = $1";
    let found = tx.row(sql, args![last.owner]).await?.map_or(Ok(0), |row| row.count(0))?;
    if found > u64::from(last.number) {
        return Err(StoreError::Unusable(format!(
            "the database is newer than this version: it has migration {found} of {}, this version knows {}; \
             use the newer version, or restore a backup from before it",
            last.owner, last.number
        )));
    }
    Ok(())
}
