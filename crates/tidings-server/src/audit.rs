//! What happened, noted from anywhere and written to the audit log by one task.
//!
//! [`Audit::note`] is synchronous and waits for nobody: it takes a place in a bounded queue, from which one
//! task appends batches to the store's chain. A full queue and a store that fails never stop service: what
//! is lost is counted, logged and raises `tidings_audit_failing`. Without a store an entry is a line of JSON
//! in the log, under the target `audit`.
//!
//! | file | what it is |
//! |---|---|
//! | `action` | what can be noted |
//! | `entry` | one entry as the one who noticed it tells it |
//! | `request` | the request that is being answered, which entries name |
//! | `signs` | what an entry is a sign of, for the detector of threats |
//! | `shown` | an entry as it is read, wherever that is |
//! | `samples` | what comes in floods, thinned out |
//! | `writer` | the task that appends, and forgets what is too old |

mod action;
mod entry;
pub(crate) mod request;
mod samples;
mod shown;
mod signs;
mod writer;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tidings_core::{Shuffle, lock};
use tidings_store::audit::AuditEntry;
use tokio::sync::mpsc::{self, Receiver, Sender};

pub use action::Action;
pub use entry::{Actor, Entry, FIELD_BYTES, Outcome, VALUE_BYTES, session_hash};
pub use shown::{line, members};
pub(crate) use writer::{Writer, Writing};

use crate::server::node_name;
use crate::shared::wall_ms;
use crate::threats::{Detector, Kind, Level, Threat};
use samples::{Samples, Verdict};

/// Entries that may wait to be written; what comes on top is lost, and counted.
pub const WAITING: usize = 4_096;

/// Threats that may wait to be told; what comes on top is in the log and in the metrics alone.
pub const THREATS: usize = 256;

/// The handle to the audit log; whatever is noted through it is written by one task.
#[derive(Debug)]
pub struct Audit {
    queue: Sender<AuditEntry>,
    node: String,
    samples: Mutex<Samples>,
    detector: Mutex<Detector>,
    threats: Sender<Threat>,
    counts: Counts,
    /// In which entries have ids for those who see their organisation's alone: their numbers count what all do.
    pub(crate) order: Shuffle,
}

/// What the other ends of an [`Audit`] read.
pub(crate) struct Noted {
    /// Entries to be written.
    pub(crate) entries: Receiver<AuditEntry>,
    /// Threats to be told.
    pub(crate) threats: Receiver<Threat>,
}

/// The log's own numbers, for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Entries that were written.
    pub(crate) written: AtomicU64,
    /// Entries that were lost: no place in the queue, or no store until the server stopped.
    pub(crate) lost: AtomicU64,
    /// Hits that sampling left out; the next entry of their kind carries their number.
    pub(crate) sampled: AtomicU64,
    /// Whether the last attempt to write failed, or an entry was lost since it succeeded.
    pub(crate) failing: AtomicBool,
    threats: [[AtomicU64; Level::ALL.len()]; Kind::ALL.len()],
}

impl Counts {
    /// How often each kind of threat has reached each level.
    pub(crate) fn threats(&self) -> impl Iterator<Item = (Kind, Level, u64)> {
        Kind::ALL.into_iter().flat_map(|kind| Level::ALL.map(|level| (kind, level))).map(|(kind, level)| {
            (kind, level, self.threats[kind as usize][level as usize].load(Ordering::Relaxed))
        })
    }
}

/// An entry that is written in the transaction that does what it tells of, so that it stands there if and only if that is
/// done; for what is rare, since whoever else writes to the log waits for that transaction.
pub(crate) fn entry_of(entry: Entry) -> AuditEntry {
    request::named(entry).stored(&node_name(), wall_ms())
}

impl Audit {
    /// Makes the handle of a node, and what its writer and its teller read.
    pub(crate) fn new(node: &str, sample_every: u64, detector: Detector) -> (Self, Noted) {
        let (queue, entries) = mpsc::channel(WAITING);
        let (threats, told) = mpsc::channel(THREATS);
        let samples = Mutex::new(Samples::new(sample_every));
        let (node, detector) = (node.to_owned(), Mutex::new(detector));
        let (counts, order) = (Counts::default(), Shuffle::default());
        let audit = Self { queue, node, samples, detector, threats, counts, order };
        (audit, Noted { entries, threats: told })
    }

    /// Notes what happened; never waits and never fails.
    ///
    /// Of what comes in floods ([`Entry::is_sampled`]) the first and then every Nth of the same action,
    /// reason, organisation and address is written, with the number of those since the last one. Threats
    /// are looked for in all of them.
    pub fn note(&self, entry: Entry) {
        let (entry, now_ms) = (request::named(entry), wall_ms());
        if let Some(hit) = signs::hit(&entry) {
            let threats = lock(&self.detector).observe(&hit, now_ms);
            threats.into_iter().for_each(|threat| self.alarm(threat, now_ms));
        }
        self.write(entry, now_ms);
    }

    fn write(&self, entry: Entry, now_ms: u64) {
        if !entry.is_sampled() {
            return self.send(entry.stored(&self.node, now_ms));
        }
        match lock(&self.samples).hit(&entry, now_ms) {
            Verdict::Write(1) => self.send(entry.stored(&self.node, now_ms)),
            Verdict::Write(count) => self.send(entry.counted(count).stored(&self.node, now_ms)),
            Verdict::Leave => {
                self.counts.sampled.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts a threat, writes it down and has it told.
    fn alarm(&self, threat: Threat, now_ms: u64) {
        self.counts.threats[threat.kind as usize][threat.level as usize].fetch_add(1, Ordering::Relaxed);
        self.send(signs::entry(&threat).stored(&self.node, now_ms));
        if self.threats.try_send(threat).is_err() {
            tracing::warn!("more threats than can be told");
        }
    }

    /// Writes what sampling left out of floods that have ended, or of all of them at the end.
    pub(crate) fn settle(&self, all: bool) {
        let now_ms = wall_ms();
        let ended = lock(&self.samples).settle(if all { u64::MAX } else { now_ms });
        for entry in ended {
            self.send(entry.stored(&self.node, now_ms));
        }
    }

    /// The log's own numbers.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Entries that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    fn send(&self, entry: AuditEntry) {
        if self.queue.try_send(entry).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            self.counts.failing.store(true, Ordering::Relaxed);
        }
    }
}
