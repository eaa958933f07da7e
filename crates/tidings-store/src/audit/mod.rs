//! The audit log: what happened, in a chain that shows what was done to it.
//!
//! There is one chain in a store. Entries are numbered from 1 without holes; each carries the hash of the
//! one before it and a hash over itself, so that an entry cannot be altered, taken out or moved without
//! every hash after it being made anew. Whoever can do that can be caught only by a head (number and hash)
//! that was written down elsewhere; [`Store::verify_audit`](crate::Store::verify_audit) takes one.

mod append;
mod entry;
mod list;
mod retention;
mod verify;

pub use append::BATCH_MOST;
pub use entry::{AuditEntry, Recorded};
pub use list::AuditFilter;
pub use verify::{Broken, Checked, Fault};

use crate::digest::Digest;

/// A place in the chain: an entry's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The entry's number; 0: before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}
