//! Sizes and times a store keeps to.

use std::time::Duration;

/// Rows of one list at most; a longer one is read page by page.
pub const LIST_MOST: u32 = 1_000;
/// Rows one call of a pruning deletes at most, so that it never holds others up for long.
pub const PRUNE_MOST: u32 = 10_000;
/// Bytes of an id or of another short text.
pub const SHORT_BYTES: usize = 1_024;
/// Bytes of a long text: settings, a mail.
pub const LONG_BYTES: usize = 64 * 1_024;

/// How much a store opens, and how long it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Whether a SQLite file is made if it is missing.
    pub create: bool,
    /// Connections that read a SQLite file besides the one that writes.
    pub readers: u32,
    /// Connections to PostgreSQL.
    pub connections: u32,
    /// How long a call waits for a free connection before it is `Unavailable`.
    pub acquire: Duration,
    /// How long one statement may take before it is `Unavailable`.
    pub statement: Duration,
    /// How long another process may keep us from a SQLite file before who waits for it is `Unavailable`.
    pub lock: Duration,
    /// Whether a commit on SQLite waits until the disk has it (PostgreSQL decides by its own settings).
    /// Without, a power cut may take back what was acknowledged.
    pub synced: bool,
    /// How long migrations may take, waiting for another node that migrates included.
    pub migration: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            create: true,
            readers: 4,
            connections: 10,
            acquire: Duration::from_secs(5),
            statement: Duration::from_secs(5),
            lock: Duration::from_secs(5),
            synced: true,
            migration: Duration::from_secs(60),
        }
    }
}

/// A list's length as it is asked for, brought within [`LIST_MOST`].
pub(crate) fn page(limit: u32) -> u64 {
    u64::from(limit.clamp(1, LIST_MOST))
}
