//! Durable rooms: what is said in them is stored, then delivered, then acknowledged.
//!
//! One task writes. What came while it waited for the disk goes into its next transaction together, so
//! that one flush serves many publishers and the room's order is that of the log.

mod ages;
mod commit;
mod heal;
mod health;
mod origin;
mod pace;
mod pages;
mod read;
mod stands;
mod trim;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compact_str::CompactString;
use tidings_app::commit::Work;
use tidings_core::{
    Code, ConnKey, Epoch, Lane, Node, Payload, Publication, Publish, Published, Refusal, Room, lock,
};
use tidings_store::log::Appender;
use tidings_store::{Store, StoreError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use commit::{Commit, Loading};
use health::Health;
use origin::Origin;
use pages::Pages;
pub(crate) use read::know_logs;
use stands::Told;
pub(crate) use trim::keep_trimmed;
use write::{Letter, Writer};

use crate::beside::{Beside, Without};
use crate::failpoint;
use crate::hooks::Caller;
use crate::shared::{Shared, wall_ms};

/// Events that may wait to be stored, and their bytes; more are refused as `unavailable`.
const WAITING: usize = 16_384;
const WAITING_BYTES: usize = 64 << 20;

/// Commands of apps that may wait for their transaction; more are refused as `unavailable`.
const COMMITS: usize = 1_024;
/// Who subscribes to a room that has to be read waits so long for a database that is away.
const RECOVERING: Duration = Duration::from_secs(30);

/// What waits to be stored is given so long when the server stops.
const LAST: Duration = Duration::from_secs(10);

/// Rooms are read one after the other within each of so many parts.
const PARTS: usize = 64;

/// An event for a durable room.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) room: Room,
    pub(crate) event: CompactString,
    pub(crate) payload: Payload,
    pub(crate) lane: Option<Lane>,
    pub(crate) key: Option<CompactString>,
    /// The digest of the batch it is one of.
    pub(crate) batch: Option<Box<[u8; 32]>>,
    pub(crate) skip: Option<(usize, ConnKey)>,
    /// With what its recipients are asked to acknowledge it.
    pub(crate) ack: Option<u64>,
}

impl Said {
    /// What is to be published, for later.
    pub(crate) fn of(what: &Publish<'_>) -> Self {
        Self {
            room: what.room.clone(),
            event: what.event.into(),
            payload: what.payload.clone(),
            lane: what.lane,
            key: what.key.map(CompactString::from),
            batch: what.batch.map(|batch| Box::new(*batch)),
            skip: what.skip,
            ack: what.ack,
        }
    }

    /// The same as what it was made of.
    pub(crate) fn what(&self) -> Publish<'_> {
        Publish {
            room: self.room.clone(),
            event: &self.event,
            payload: self.payload.clone(),
            lane: self.lane,
            volatile: false,
            key: self.key.as_deref(),
            batch: self.batch.as_deref(),
            skip: self.skip,
            slot: None,
            ack: self.ack,
        }
    }

    fn bytes(&self) -> usize {
        self.payload.bytes()
    }
}

/// The way into the log.
pub(crate) struct Log {
    store: Store,
    letters: mpsc::Sender<Letter>,
    commits: mpsc::Sender<Commit>,
    /// The server stops: nothing more is taken.
    over: watch::Sender<bool>,
    writing: Mutex<Option<JoinHandle<()>>>,
    bytes: Arc<AtomicUsize>,
    /// Whether the database answers.
    pub(crate) health: Arc<Health>,
    /// The longest that reading a room may take.
    patience: Duration,
    loading: Arc<Loading>,
    /// Of what the epochs of rooms are made in which nothing was ever said.
    origin: Arc<Origin>,
    /// Pages that were read lately.
    kept: Mutex<Pages>,
    /// Events that were stored, and those that could not be.
    pub(crate) stored: Arc<AtomicU64>,
    pub(crate) failed: Arc<AtomicU64>,
    /// Transactions with events or commands of apps in them that were committed.
    pub(crate) transactions: Arc<AtomicU64>,
    /// How far apps know of theirs.
    told: Arc<Told>,
    /// Pages read from the log, and damaged events among them.
    pub(crate) pages: AtomicU64,
    pub(crate) damaged: AtomicU64,
    /// Events that went because their organisation's log was full.
    pub(crate) trimmed: AtomicU64,
}

impl Log {
    /// Starts to write, on the runtime of the caller.
    pub(crate) fn start(store: Store, node: Arc<Node>, beside: &Beside) -> Self {
        let (letters, received) = mpsc::channel(WAITING);
        let (commits, committed) = mpsc::channel(COMMITS);
        let loading: Arc<Loading> = Arc::new((0..PARTS).map(|_| tokio::sync::Mutex::new(())).collect());
        let origin = Arc::new(Origin::new(store.clone()));
        let bytes = Arc::new(AtomicUsize::new(0));
        let (stored, failed, health) = (Arc::default(), Arc::default(), Arc::new(Health::new()));
        let (transactions, told): (_, Arc<Told>) = (Arc::default(), Arc::default());
        // A file is not away; its slow disk has the store's own patience, as far as no other process holds its lock.
        let is_patient = !store.is_postgres() || failpoint::is_off("patience");
        let patience = if is_patient { Duration::MAX } else { health::PATIENCE };
        let log = Self {
            store: store.clone(),
            letters,
            commits,
            over: watch::Sender::new(false),
            writing: Mutex::default(),
            bytes: bytes.clone(),
            health: Arc::clone(&health),
            patience,
            loading: loading.clone(),
            origin: origin.clone(),
            kept: Mutex::default(),
            stored: Arc::clone(&stored),
            failed: Arc::clone(&failed),
            transactions: Arc::clone(&transactions),
            told: Arc::clone(&told),
            pages: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            trimmed: AtomicU64::new(0),
        };
        let (committing, unsettled, reached) = (false, HashMap::new(), HashMap::new());
        let writer = Writer {
            appender: Appender::new(store.clone()),
            store,
            node,
            bytes,
            stored,
            failed,
            transactions,
            told,
            answered: true,
            loading,
            origin,
            health,
            patience,
            committing,
            unsettled,
            reached,
        };
        let writing = writer.run(received, committed, log.over.subscribe());
        let writing = beside.run_apart("log", Without::Unready, writing);
        *lock(&log.writing) = Some(writing);
        log
    }

    /// Stores what waits, and takes nothing any more: whoever comes now is refused, and the store is not asked in vain.
    pub(crate) async fn finish(&self) {
        self.over.send_replace(true);
        let Some(writing) = lock(&self.writing).take() else { return };
        if !matches!(timeout(LAST, writing).await, Ok(Ok(()))) {
            tracing::warn!("what waits to be stored could not all be");
        }
    }

    /// Why something is not taken that would be put in line.
    fn not_taken<T>(error: &TrySendError<T>) -> Refusal {
        match error {
            TrySendError::Full(_) => busy(),
            TrySendError::Closed(_) => stops(),
        }
    }

    /// Puts an event in line; the answer comes once it is stored and handed over.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too much waits, or while the database is away.
    fn send(
        &self,
        node: &Node,
        said: Said,
    ) -> Result<oneshot::Receiver<Result<Published, Refusal>>, Refusal> {
        self.health.refuse_while_away()?;
        let held = node.hub().find(&said.room);
        let Some(epoch) = held.as_ref().and_then(|entry| entry.top()).map(|top| top.epoch) else {
            return Err(Refusal::new(Code::Unavailable, "the room is not read yet"));
        };
        let size = said.bytes();
        if self.bytes.fetch_add(size, Ordering::Relaxed) > WAITING_BYTES {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            return Err(busy());
        }
        let (reply, stored) = oneshot::channel();
        let letter = Letter { id: node.next_message_id(), epoch, at_ms: wall_ms(), said, held, reply };
        self.letters.try_send(letter).map_err(|error| {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            Self::not_taken(&error)
        })?;
        Ok(stored)
    }

    /// Reads something of a room within the patience, unless the database is elsewhere and away.
    async fn in_time<T>(
        &self,
        room: &Room,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Refusal> {
        // A file that cannot be written, since another process writes it, can be read; that proves nothing of writing.
        let permit = if self.store.is_postgres() || !self.health.is_away() {
            Some(self.health.permit().ok_or_else(health::away)?)
        } else {
            None
        };
        let tried = timeout(self.patience, read).await;
        let done = tried.unwrap_or_else(|_| Err(StoreError::Unavailable("it took too long".into())));
        if let Some(permit) = permit {
            self.health.report(permit, &done);
        }
        done.map_err(|error| {
            tracing::warn!(%error, room = room.name(), org = room.org().as_str(), "a room cannot be read");
            Refusal::from(&error)
        })
    }

    /// Puts a transaction of an app in line, and waits until it is stored and what it said is handed over.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too many wait, the database is away, or it cannot be stored; else what the work
    /// refuses.
    async fn commit(&self, work: Work) -> Result<(), Refusal> {
        self.health.refuse_while_away()?;
        let (reply, done) = oneshot::channel();
        self.commits.try_send(Commit { work, reply }).map_err(|error| Self::not_taken(&error))?;
        done.await.map_err(|_| stops())?
    }
}

/// What is told to who comes too late.
fn stops() -> Refusal {
    Refusal::new(Code::Unavailable, "the server stops")
}

/// What is told while too much waits.
fn busy() -> Refusal {
    let refusal = Refusal::new(Code::Unavailable, "too much waits to be stored");
    Refusal { retry_after_ms: Some(1_000), ..refusal }
}

impl Shared {
    /// Does work of an app in a transaction.
    ///
    /// # Errors
    /// As [`Log::commit`]; [`Code::Unavailable`] without a database.
    pub(crate) async fn commit(&self, work: Work) -> Result<(), Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        log.commit(work).await
    }

    /// Reads a durable room from the log; once that is done it is in memory.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if the log cannot be read now, or the room would be one too many for its organisation.
    pub(crate) async fn load(&self, room: &Room) -> Result<(), Refusal> {
        self.load_for(None, room).await
    }

    /// The same for somebody who makes the room if the log does not know it.
    ///
    /// # Errors
    /// As [`Shared::load`]; [`Code::RateLimited`] if it makes too many.
    pub(crate) async fn load_for(&self, maker: Option<&Caller<'_>>, room: &Room) -> Result<(), Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        let may_make = || maker.map_or(Ok(()), |maker| self.gate.make_room(maker.who, maker.address));
        // Rare and large: who may have to wait for it should not carry the space for it.
        Box::pin(log.in_time(room, log.load(&self.node, room, may_make))).await?
    }

    /// Whether the log knows a durable room; asking makes none.
    ///
    /// # Errors
    /// As [`Shared::load`].
    pub(crate) async fn is_in_log(&self, room: &Room) -> Result<bool, Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        Box::pin(log.in_time(room, log.knows(room))).await
    }

    /// The epoch with which a durable room begins that is neither in memory nor in the log.
    ///
    /// # Errors
    /// As [`Shared::load`].
    pub(crate) async fn first_epoch(&self, room: &Room) -> Result<Epoch, Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        Box::pin(log.in_time(room, log.origin.epoch_of(room))).await
    }

    /// As [`Shared::load_for`] for who subscribes: while the database is away they wait, for a hiccup of it is no gap.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if it stays away for [`RECOVERING`], or the log cannot be read though it answers.
    pub(crate) async fn load_once_it_answers(
        &self,
        maker: Option<&Caller<'_>>,
        room: &Room,
    ) -> Result<(), Refusal> {
        let deadline = Instant::now() + RECOVERING;
        loop {
            let loaded = self.load_for(maker, room).await;
            match &self.log {
                Some(log) if loaded.is_err() && log.health.is_away() && !failpoint::is_off("recovering") => {
                    let there = timeout_at(deadline, log.health.wait()).await;
                    // One that comes and goes all the time is as good as away.
                    if there.is_err() || Instant::now() >= deadline {
                        return loaded;
                    }
                }
                _ => return loaded,
            }
        }
    }

    /// The events of a durable room behind an offset, if they were read lately; at least one.
    pub(crate) fn page_at_hand(
        &self,
        room: &Room,
        epoch: Epoch,
        after: u64,
    ) -> Option<Vec<Arc<Publication>>> {
        self.log.as_ref()?.at_hand(room, epoch, after)
    }

    /// Reads a page of a durable room behind an offset; none if there is nothing.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if the log cannot be read now.
    pub(crate) async fn page(
        &self,
        room: &Room,
        epoch: Epoch,
        after: u64,
    ) -> Result<Vec<Arc<Publication>>, Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        Box::pin(log.page(room, epoch, after)).await.map_err(|error| {
            tracing::warn!(%error, room = room.name(), org = room.org().as_str(), "a page cannot be read");
            Refusal::from(&error)
        })
    }

    /// The events of a durable room between two numbers in the log (what was heard, what is in memory), and
    /// whether that is all of them; `None` if they take more than `room_for` bytes.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if the log cannot be read now.
    pub(crate) async fn between(
        &self,
        room: &Room,
        numbers: (Epoch, u64, u64),
        room_for: usize,
    ) -> Result<Option<(Vec<Arc<Publication>>, bool)>, Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        Box::pin(log.between(room, numbers, room_for)).await.map_err(|error| Refusal::from(&error))
    }

    /// Puts an event for a durable room in line.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too much waits.
    pub(crate) fn log(&self, said: Said) -> Result<Stored, Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        log.send(&self.node, said).map(Stored)
    }

    /// Whether the server has stopped to store anything.
    pub(crate) fn is_over(&self) -> bool {
        self.log.as_ref().is_some_and(|log| *log.over.borrow())
    }

    /// Stores an event of the process itself, without asking for rights.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if it cannot be stored.
    pub(crate) async fn store_own(&self, said: Said) -> Result<Published, Refusal> {
        if self.is_over() {
            return Err(stops());
        }
        self.load(&said.room).await?;
        self.log(said)?.done().await
    }
}

fn no_log() -> Refusal {
    Refusal::new(Code::Unavailable, "this server has no database to keep durable rooms in")
}

/// What becomes of an event in line.
pub(crate) struct Stored(oneshot::Receiver<Result<Published, Refusal>>);

impl Stored {
    /// Waits until it is stored and handed over.
    ///
    /// # Errors
    /// What the publisher is told; it is not known whether an event is stored whose writer is gone.
    pub(crate) async fn done(self) -> Result<Published, Refusal> {
        self.0.await.map_err(|_| stops())?
    }
}
