//! How far a database has come, by which one sees that an older copy was put in its place; and what has to change then.

use crate::args;
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::sql::{Reader, Tx};

/// How far a database has come; both numbers only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// How often a server was started over it.
    pub starts: u64,
    /// How many events its log has ever had.
    pub events: u64,
}

impl Progress {
    /// Whether a database that had come so far cannot be at `now`: what was stored in between is lost.
    pub fn is_ahead_of(self, now: Self) -> bool {
        self.starts > now.starts || self.events > now.events
    }
}

impl Reader {
    /// How many events the log has ever had, of all organisations.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn log_events_ever(&mut self) -> Result<u64> {
        let sql = "SELECT CAST(coalesce(sum(sequence), 0) AS BIGINT) FROM log_orgs";
        let row = self.row(sql, &[]).await?;
        row.ok_or_else(|| StoreError::Corrupt("a sum has no row".into()))?.count(0)
    }
}

impl Tx {
    /// Counts a start; how far the database had come before it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count_start(&mut self) -> Result<Progress> {
        let sql = "INSERT INTO starts (id, count) VALUES (1, 1) \
                   ON CONFLICT (id) DO UPDATE SET count = starts.count + 1 RETURNING count";
        let row = self.row(sql, &[]).await?;
        let starts = row.ok_or_else(|| StoreError::Corrupt("a start was not counted".into()))?.count(0)?;
        Ok(Progress { starts: starts.saturating_sub(1), events: self.log_events_ever().await? })
    }

    /// Makes what clients know of the rooms' past worth nothing: every room gets another epoch, also those in which
    /// nothing was said, and nobody goes on with a session. `drawn` and `other` are drawn at random; `other` is not 0.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn begin_other_epochs(&mut self, drawn: &Digest, other: i64) -> Result<()> {
        let sql = match self.is_postgres() {
            true => "UPDATE log_rooms SET epoch = epoch # $1",
            // What differs: SQLite has no operator for it.
            false => "UPDATE log_rooms SET epoch = (epoch | $1) - (epoch & $1)",
        };
        self.run(sql, args![other]).await?;
        self.run("UPDATE migrations SET checksum = $1 WHERE owner = 'origin' AND number = 0", args![drawn])
            .await?;
        for sql in ["DELETE FROM comebacks", "DELETE FROM carried", "DELETE FROM carried_rooms"] {
            self.run(sql, &[]).await?;
        }
        Ok(())
    }
}
