//! Sessions that outlive this process: what a stock client needs to go on after a crash.
//!
//! A session is written down once it is in a durable room, before that subscription is acknowledged, and
//! whenever its rooms change. What is written is the whole session, so that the last write is what is true.

mod find;
mod pack;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidings_core::{Code, Node, Refusal, Room};
use tidings_store::comebacks::{Comeback, ROOMS_BYTES};
use tidings_store::{Digest, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub(crate) use find::Found;
use find::{Finder, Wanted};
pub(crate) use pack::{Proof, Subscription, pack};
use write::{Change, Writer};

use crate::beside::{Beside, Without};
use crate::ids::SessionKey;
use crate::shared::Shared;

/// Changes that may wait to be written, and sessions that may wait to be found; more are refused.
const WAITING: usize = 65_536;

/// How long a server that stops waits for its last changes to be written.
const LAST: Duration = Duration::from_secs(5);

/// The way to the sessions in the store.
#[derive(Clone)]
pub(crate) struct Comebacks {
    changes: mpsc::Sender<Change>,
    wanted: mpsc::Sender<Wanted>,
    pub(crate) counts: Arc<Counts>,
}

/// What happened to sessions in the store.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Written, once for each transaction that held it.
    pub(crate) written: AtomicU64,
    /// Not written, for good.
    pub(crate) lost: AtomicU64,
    /// Asked for, and found.
    pub(crate) sought: AtomicU64,
    pub(crate) found: AtomicU64,
}

impl Comebacks {
    /// Starts to write and to find, on the runtime of the caller. By the node's id, drawn at each start, one
    /// tells own sessions from those of a process that is gone, which can be taken up for `window`.
    pub(crate) fn start(store: Store, node: Arc<Node>, window: Duration, beside: &Beside) -> Self {
        let (changes, to_write) = mpsc::channel(WAITING);
        let (wanted, to_find) = mpsc::channel(WAITING);
        let counts = Arc::new(Counts::default());
        let writer = Writer {
            store: store.clone(),
            process: node.id(),
            window,
            due: HashMap::new(),
            spoken: HashSet::new(),
            flushed: Vec::new(),
            answered: true,
            counts: counts.clone(),
        };
        let finder = Finder { store, node, counts: counts.clone() };
        // They end once nobody can write or ask any more; what waits when the server stops is flushed before.
        drop(beside.run_apart("session_writer", Without::Unready, writer.run(to_write)));
        drop(beside.run_apart("session_finder", Without::Unready, finder.run(to_find)));
        Self { changes, wanted, counts }
    }

    /// Writes a session down as it is now, or that it is over; the answer comes once that is stored.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too much waits, [`Code::BadRequest`] if its rooms are more than can be kept.
    pub(crate) fn keep(&self, digest: Digest, session: Option<Comeback>) -> Result<Storing, Refusal> {
        if session.as_ref().is_some_and(|session| session.rooms.len() > ROOMS_BYTES) {
            return Err(Refusal::new(Code::BadRequest, "this session's rooms and filters are too many"));
        }
        let (done, stored) = oneshot::channel();
        let change = Change::Session { digest, state: session.map(Box::new), done: Some(done) };
        match self.changes.try_send(change) {
            Ok(()) => Ok(Storing(stored)),
            Err(_) => Err(later("too many sessions wait to be stored")),
        }
    }

    /// Notes that something was said in a room that is in memory alone.
    pub(crate) fn spoke(&self, room: &Room) {
        self.send(Change::Spoke(room.clone()));
    }

    /// The same behind everybody's back; `None`: the session is over.
    pub(crate) fn keep_later(&self, digest: Digest, session: Option<Comeback>) {
        self.send(Change::Session { digest, state: session.map(Box::new), done: None });
    }

    /// Has everything written that waits, if that does not take too long: what a server that stops would lose.
    pub(crate) async fn finish(&self) {
        let (done, flushed) = oneshot::channel();
        let finish = async { self.changes.send(Change::Flush(done)).await.is_ok() && flushed.await.is_ok() };
        if timeout(LAST, finish).await != Ok(true) {
            tracing::warn!("what sessions need to go on could not all be written down");
        }
    }

    fn send(&self, change: Change) {
        if self.changes.try_send(change).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Finds a session that another process has left.
    ///
    /// # Errors
    /// The store does not answer, or too many ask: nobody knows whether there is one.
    pub(crate) async fn find(&self, digest: Digest) -> Result<Option<Found>, StoreError> {
        self.counts.sought.fetch_add(1, Ordering::Relaxed);
        let busy = || StoreError::Unavailable("too many sessions are looked for".into());
        let (reply, found) = oneshot::channel();
        self.wanted.try_send(Wanted { digest, reply }).map_err(|_| busy())?;
        found.await.map_err(|_| busy())?
    }
}

impl Shared {
    /// Finds a session that another process has left, and reads its rooms from the log: whoever takes it up
    /// can be given it at once.
    ///
    /// # Errors
    /// Nobody can say now whether there is one, or what was said in its rooms.
    pub(crate) async fn find_session(&self, digest: Digest) -> Result<Option<Found>, StoreError> {
        let Some(comebacks) = &self.comebacks else { return Ok(None) };
        let Some(found) = comebacks.find(digest).await? else { return Ok(None) };
        for one in found.rooms.iter().filter(|one| self.node.wants_loading(&one.room)) {
            self.load(&one.room).await.map_err(|refusal| StoreError::Unavailable(refusal.message.into()))?;
        }
        Ok(Some(found))
    }
}

/// A session that is being written down.
pub(crate) struct Storing(oneshot::Receiver<Result<(), Refusal>>);

impl Storing {
    /// Waits until it is stored.
    ///
    /// # Errors
    /// It cannot be stored now.
    pub(crate) async fn done(self) -> Result<(), Refusal> {
        self.0.await.map_err(|_| later("the server stops"))?
    }
}

/// What a session is stored under: nobody who reads the store can take it up.
pub(crate) fn digest_of(pid: SessionKey) -> Digest {
    Digest::of(pid.to_text().as_bytes())
}

fn later(message: &str) -> Refusal {
    Refusal { retry_after_ms: Some(1_000), ..Refusal::new(Code::Unavailable, message) }
}
