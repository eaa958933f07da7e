//! Who was connected, from where and until when: written into the store behind everybody's back.
//!
//! No connection waits for it. Notes go into a bounded queue; one that finds no place there is dropped
//! and counted. One task writes them in batches, at a pace that leaves the machine to the clients.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compact_str::CompactString;
use tidings_core::Org;
use tidings_core::hub::lock;
use tidings_store::sessions::{EndedSession, NewSession};
use tidings_store::{Digest, Store, StoreError, Tx};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::shared::wall_ms;

/// Notes that may wait to be written; more are dropped.
const NOTES: usize = 16_384;

/// Notes of one transaction.
const BATCH: usize = 512;

/// Time between two transactions, for others who write.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a server that stops waits for its last notes to be written.
const LAST: Duration = Duration::from_secs(5);

/// One connection, from its first sign-in to its end.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The id of its session; only its digest is kept.
    pub(crate) id: String,
    pub(crate) org: Org,
    pub(crate) user: Option<CompactString>,
    pub(crate) door: &'static str,
    pub(crate) address: IpAddr,
}

/// What is to be written of one.
#[derive(Debug)]
pub(crate) enum What {
    /// It has begun.
    Begun,
    /// It has renewed its sign-in.
    Seen,
    /// It is over, and why.
    Ended(&'static str),
}

enum Note {
    Of(Arc<Entry>, What, u64),
    /// The server stops.
    Last,
}

/// Where notes of sessions go.
pub(crate) struct Ledger {
    notes: mpsc::Sender<Note>,
    lost: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Starts to write for a node, on the runtime of the caller.
    pub(crate) fn start(store: Store, node: String) -> Self {
        let (notes, received) = mpsc::channel(NOTES);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer { store, node, lost: lost.clone(), answered: true };
        Self { notes, lost, writer: Mutex::new(Some(tokio::spawn(writer.run(received)))) }
    }

    /// Takes a note; never waits.
    pub(crate) fn note(&self, entry: &Arc<Entry>, what: What) {
        if self.notes.try_send(Note::Of(entry.clone(), what, wall_ms())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many notes were not written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Has everything written that waits, if that does not take too long.
    pub(crate) async fn finish(&self) {
        let Some(writer) = lock(&self.writer).take() else { return };
        let finish = async {
            // If nobody takes it, nobody writes any more, and the handle says so.
            let _ = self.notes.send(Note::Last).await;
            writer.await.is_ok()
        };
        if timeout(LAST, finish).await != Ok(true) {
            tracing::warn!("the ends of sessions could not all be written down");
        }
    }
}

struct Writer {
    store: Store,
    node: String,
    lost: Arc<AtomicU64>,
    /// The last transaction went through, so that the log tells of a change and not of each.
    answered: bool,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        // What an earlier start under this name left open has ended with it.
        self.end_all("the server ended").await;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            notes.recv_many(&mut batch, BATCH).await;
            let is_last = batch.is_empty() || batch.iter().any(|note| matches!(note, Note::Last));
            self.write(&batch).await;
            batch.clear();
            if is_last {
                return self.end_all("the server stopped").await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn write(&mut self, batch: &[Note]) {
        let sorted = Sorted::of(batch);
        let written = async {
            let mut tx = self.store.begin().await?;
            sorted.write(&mut tx, &self.node).await?;
            tx.commit().await
        };
        let written = written.await;
        if written.is_err() {
            self.lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        self.report(written);
    }

    async fn end_all(&mut self, cause: &str) {
        let ended = async {
            let mut tx = self.store.begin().await?;
            tx.end_sessions_of_node(&self.node, cause, wall_ms()).await?;
            tx.commit().await
        };
        let ended = ended.await;
        self.report(ended);
    }

    fn report(&mut self, done: Result<(), StoreError>) {
        if let Err(error) = &done
            && self.answered
        {
            tracing::warn!(%error, "sessions cannot be written down");
        }
        self.answered = done.is_ok();
    }
}

/// Notes of a transaction, by the statement they need; of one session they come in this order too.
#[derive(Default)]
struct Sorted<'a> {
    begun: Vec<(&'a Entry, Digest, String, u64)>,
    seen: Vec<(&'a Entry, Digest, u64)>,
    ended: Vec<(&'a Entry, Digest, &'static str, u64)>,
}

impl<'a> Sorted<'a> {
    fn of(notes: &'a [Note]) -> Self {
        let mut sorted = Self::default();
        for note in notes {
            let Note::Of(entry, what, at_ms) = note else { continue };
            let digest = Digest::of(entry.id.as_bytes());
            match *what {
                What::Begun => sorted.begun.push((entry, digest, entry.address.to_string(), *at_ms)),
                What::Seen => sorted.seen.push((entry, digest, *at_ms)),
                What::Ended(cause) => sorted.ended.push((entry, digest, cause, *at_ms)),
            }
        }
        sorted
    }

    async fn write(&self, tx: &mut Tx, node: &str) -> Result<(), StoreError> {
        let begun = self.begun.iter().map(|(entry, digest, address, at_ms)| {
            let (org, user, door) = (&entry.org, entry.user.as_deref(), entry.door);
            NewSession { org, digest, user, node, door, address, at_ms: *at_ms }
        });
        tx.begin_sessions(&begun.collect::<Vec<_>>()).await?;
        for (entry, digest, at_ms) in &self.seen {
            tx.see_session(&entry.org, digest, *at_ms).await?;
        }
        let ended = self.ended.iter().map(|(entry, digest, cause, at_ms)| EndedSession {
            org: &entry.org,
            digest,
            cause,
            at_ms: *at_ms,
        });
        tx.end_sessions(&ended.collect::<Vec<_>>()).await.map(drop)
    }
}
