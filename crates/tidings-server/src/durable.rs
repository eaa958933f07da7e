//! Durable rooms: what is said in them is stored, then delivered, then acknowledged.
//!
//! One task writes. What came while it waited for the disk goes into its next transaction together, so
//! that one flush serves many publishers and the room's order is that of the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use tidings_core::recent::Recent;
use tidings_core::{
    Code, ConnKey, Epoch, Lane, MessageId, Node, Payload, Position, Publication, Publish, Published, Refusal,
    Room,
};
use tidings_store::log::{Append, Appended, Kept, Record, StoredRoom};
use tidings_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::shared::{Shared, wall_ms};

/// Events that may wait to be stored, and their bytes; more are refused as `unavailable`.
const WAITING: usize = 16_384;
const WAITING_BYTES: usize = 64 << 20;

/// Events of one transaction.
const BATCH: usize = 512;

/// How often the log is trimmed, and how many rooms are looked at each time.
const TRIM: Duration = Duration::from_secs(10);
const TRIM_ROOMS: u32 = 500;

/// What is known of a room outlasts its events by so long; of one in which nothing was ever said, by less.
const OLD_ROOM_MS: u64 = 90 * 24 * 3_600_000;
const NEW_ROOM_MS: u64 = 24 * 3_600_000;

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
    pub(crate) skip: Option<(usize, ConnKey)>,
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
            skip: what.skip,
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
            skip: self.skip,
        }
    }

    fn bytes(&self) -> usize {
        self.payload.json.len() + self.payload.attachments.iter().map(bytes::Bytes::len).sum::<usize>()
    }
}

struct Letter {
    said: Said,
    id: MessageId,
    epoch: Epoch,
    at_ms: u64,
    reply: oneshot::Sender<Result<Published, Refusal>>,
}

/// The way into the log.
pub(crate) struct Log {
    store: Store,
    letters: mpsc::Sender<Letter>,
    bytes: Arc<AtomicUsize>,
    loading: Vec<tokio::sync::Mutex<()>>,
    /// Events that were stored, and those that could not be.
    pub(crate) stored: Arc<AtomicU64>,
    pub(crate) failed: Arc<AtomicU64>,
}

impl Log {
    /// Starts to write, on the runtime of the caller.
    pub(crate) fn start(store: Store, node: Arc<Node>) -> Self {
        let (letters, received) = mpsc::channel(WAITING);
        let bytes = Arc::new(AtomicUsize::new(0));
        let (stored, failed) = (Arc::default(), Arc::default());
        let log = Self {
            store: store.clone(),
            letters,
            bytes: bytes.clone(),
            loading: (0..PARTS).map(|_| tokio::sync::Mutex::new(())).collect(),
            stored: Arc::clone(&stored),
            failed: Arc::clone(&failed),
        };
        tokio::spawn(Writer { store, node, bytes, stored, failed, answered: true }.run(received));
        log
    }

    /// Puts an event in line; the answer comes once it is stored and handed over.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too much waits.
    fn send(
        &self,
        node: &Node,
        said: Said,
    ) -> Result<oneshot::Receiver<Result<Published, Refusal>>, Refusal> {
        let busy = || {
            let refusal = Refusal::new(Code::Unavailable, "too much waits to be stored");
            Refusal { retry_after_ms: Some(1_000), ..refusal }
        };
        let Some(epoch) = node.epoch_of(&said.room) else {
            return Err(Refusal::new(Code::Unavailable, "the room is not read yet"));
        };
        let size = said.bytes();
        if self.bytes.fetch_add(size, Ordering::Relaxed) > WAITING_BYTES {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            return Err(busy());
        }
        let (reply, stored) = oneshot::channel();
        let letter = Letter { id: node.next_message_id(), epoch, at_ms: wall_ms(), said, reply };
        self.letters.try_send(letter).map_err(|_| {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            busy()
        })?;
        Ok(stored)
    }

    /// Reads a room from the log, unless it is in memory.
    async fn load(&self, node: &Node, room: &Room) -> Result<(), StoreError> {
        let _turn = self.turn(room).await;
        if !node.wants_loading(room) {
            return Ok(());
        }
        let bounds = node.kinds().spec(room).ok().and_then(|spec| spec.keep.bounds());
        let Some((size, _, bytes)) = bounds else { return Ok(()) };
        let (top, events) = match self.read_newest(room, size as u64, bytes).await? {
            Some(stored) => stored,
            None => self.make(room, node.next_epoch()).await?,
        };
        // A kind that is gone, or an organisation with too many rooms, is refused by what comes next.
        let install = |size, ttl, bytes| Recent::stored(top, size, ttl, bytes, events, wall_ms());
        let _ = node.install(room, install);
        Ok(())
    }

    /// Waits until nobody else reads or forgets a room of the same part.
    async fn turn(&self, room: &Room) -> tokio::sync::MutexGuard<'_, ()> {
        let part =
            room.name().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.loading[part % PARTS].lock().await
    }

    /// Makes a room whose epoch lasts, so that who has heard nothing in it can prove that.
    async fn make(&self, room: &Room, epoch: Epoch) -> Result<Stand, StoreError> {
        let mut tx = self.store.begin().await?;
        tx.add_log_room(room, epoch, wall_ms()).await?;
        tx.commit().await?;
        let stored = self.read_newest(room, 0, 0).await?;
        stored.ok_or_else(|| StoreError::Corrupt("a room of the log is gone".into()))
    }

    /// The newest events of a room, so many and so many bytes of them; a page more is held while it reads.
    async fn read_newest(&self, room: &Room, size: u64, bytes: usize) -> Result<Option<Stand>, StoreError> {
        let mut reader = self.store.read().await?;
        let Some(head) = reader.log_room(room).await? else { return Ok(None) };
        let (mut events, mut held): (VecDeque<Arc<Publication>>, usize) = (VecDeque::new(), 0);
        let mut after = head.trimmed.max(head.top.offset.saturating_sub(size));
        while after < head.top.offset {
            let page = reader.log_after(&head, after).await?;
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            for record in page {
                let event = Arc::new(publication(room, record));
                held += event.bytes();
                events.push_back(event);
            }
            while held > bytes && events.len() > 1 {
                held -= events.pop_front().map_or(0, |oldest| oldest.bytes());
            }
        }
        // What was appended since is read as well; whoever appended it hands it over only if it is new.
        let top = events.back().and_then(|event| event.position).unwrap_or(head.top);
        Ok(Some((top, events)))
    }
}

/// Where a room stands, and its newest events.
type Stand = (Position, VecDeque<Arc<Publication>>);

fn publication(room: &Room, record: Record) -> Publication {
    Publication {
        room: room.clone(),
        event: record.event.into(),
        payload: record.payload,
        lane: Lane::Normal,
        skip: None,
        id: record.id,
        position: Some(record.position),
        sequence: 0,
        at_ms: record.at_ms,
    }
}

struct Writer {
    store: Store,
    node: Arc<Node>,
    bytes: Arc<AtomicUsize>,
    stored: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    /// The last transaction went through, so that the log tells of a change and not of each.
    answered: bool,
}

impl Writer {
    async fn run(mut self, mut letters: mpsc::Receiver<Letter>) {
        let mut batch = Vec::with_capacity(BATCH);
        while letters.recv_many(&mut batch, BATCH).await > 0 {
            let written = self.write(&batch).await;
            let size: usize = batch.iter().map(|letter| letter.said.bytes()).sum();
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.report(&written, batch.len());
            match written {
                Ok(done) => batch.drain(..).zip(done).for_each(|(letter, done)| self.settle(letter, done)),
                Err(error) => batch.drain(..).for_each(|letter| {
                    // Whoever asked may be gone.
                    let _ = letter.reply.send(Err(Refusal::from(&error)));
                }),
            }
        }
    }

    async fn write(&self, batch: &[Letter]) -> Result<Vec<Appended>, StoreError> {
        let events: Vec<_> = batch.iter().map(Letter::append).collect();
        let mut tx = self.store.begin().await?;
        let done = tx.append(&events).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Delivers what was stored, then answers.
    fn settle(&self, letter: Letter, done: Appended) {
        let Letter { said, id, at_ms, reply, .. } = letter;
        let published =
            |id, position, duplicate| Published { id, position: Some(position), duplicate, synced: true };
        let answer = match done {
            Appended::At { position, .. } => {
                if let Err(refusal) = self.node.deliver_logged(said.what(), id, position, at_ms) {
                    tracing::debug!(%refusal, "an event was stored whose kind is gone");
                }
                Ok(published(id, position, false))
            }
            Appended::Duplicate { id, position } => Ok(published(id, position, true)),
            Appended::Conflict => Err(Refusal::new(Code::Conflict, "this key was used with another event")),
        };
        let _ = reply.send(answer);
    }

    fn report(&mut self, written: &Result<Vec<Appended>, StoreError>, events: usize) {
        let count = if written.is_ok() { &self.stored } else { &self.failed };
        count.fetch_add(events as u64, Ordering::Relaxed);
        if let Err(error) = written
            && self.answered
        {
            tracing::warn!(%error, "events cannot be stored; publishes to durable rooms are refused");
        }
        if written.is_ok() && !self.answered {
            tracing::info!("events can be stored again");
        }
        self.answered = written.is_ok();
    }
}

impl Letter {
    fn append(&self) -> Append<'_> {
        Append {
            room: &self.said.room,
            epoch: self.epoch,
            id: self.id,
            at_ms: self.at_ms,
            event: &self.said.event,
            payload: &self.said.payload,
            key: self.said.key.as_deref(),
        }
    }
}

/// Deletes what durable rooms do not keep any more, some rooms at a time, until `stop` changes.
pub(crate) async fn keep_trimmed(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Some(log) = &shared.log else { return };
    let mut behind = 0;
    loop {
        match trim_some(&shared, log, behind).await {
            Ok(next) => behind = next,
            Err(error) => tracing::debug!(%error, "the log cannot be trimmed now"),
        }
        tokio::select! {
            () = tokio::time::sleep(TRIM) => {}
            _ = stop.changed() => return,
        }
    }
}

/// Trims the next rooms behind a place, and says where to go on; 0 once all were looked at.
async fn trim_some(shared: &Shared, log: &Log, behind: i64) -> Result<i64, StoreError> {
    let rooms = log.store.read().await?.log_rooms(behind, TRIM_ROOMS).await?;
    let kinds = shared.node.kinds();
    for stored in &rooms {
        forget_idle(shared, log, stored).await?;
        // What a kind that is not declared now has kept, it keeps: the configuration may come back.
        let Some((size, ttl, _)) = kinds.spec(&stored.room).ok().and_then(|spec| spec.keep.bounds()) else {
            continue;
        };
        let since_ms = wall_ms().saturating_sub(ttl.as_millis() as u64);
        if stored.events > size as u64 || stored.oldest_ms.is_some_and(|oldest| oldest < since_ms) {
            let kept = Kept { events: size as u64, bytes: i64::MAX as u64, since_ms };
            let mut tx = log.store.begin().await?;
            tx.trim_log(&stored.room, &kept).await?;
            tx.commit().await?;
        }
    }
    let mut tx = log.store.begin().await?;
    tx.prune_log_keys(wall_ms()).await?;
    tx.commit().await?;
    let is_last = rooms.len() < TRIM_ROOMS as usize;
    Ok(rooms.last().filter(|_| !is_last).map_or(0, |room| room.place))
}

/// Forgets a room in which nothing was said for so long that nobody comes back to it.
async fn forget_idle(shared: &Shared, log: &Log, stored: &StoredRoom) -> Result<(), StoreError> {
    let lasts = if stored.top == 0 { NEW_ROOM_MS } else { OLD_ROOM_MS };
    if stored.events > 0 || stored.touched_ms.saturating_add(lasts) > wall_ms() {
        return Ok(());
    }
    let _turn = log.turn(&stored.room).await;
    // One that is in memory goes on with its numbers.
    if shared.node.hub().find(&stored.room).is_none() {
        let mut tx = log.store.begin().await?;
        tx.forget_log_room(&stored.room, stored.top).await?;
        tx.commit().await?;
    }
    Ok(())
}

impl Shared {
    /// Reads a durable room from the log.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if the log cannot be read now.
    pub(crate) async fn load(&self, room: &Room) -> Result<(), Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        log.load(&self.node, room).await.map_err(|error| {
            tracing::warn!(%error, room = room.name(), org = room.org().as_str(), "a room cannot be read");
            Refusal::from(&error)
        })
    }

    /// Puts an event for a durable room in line.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too much waits.
    pub(crate) fn log(&self, said: Said) -> Result<Stored, Refusal> {
        let Some(log) = &self.log else { return Err(no_log()) };
        log.send(&self.node, said).map(Stored)
    }

    /// Stores an event of the process itself, without asking for rights.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if it cannot be stored.
    pub(crate) async fn store_own(&self, said: Said) -> Result<Published, Refusal> {
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
        let gone = |_| Refusal::new(Code::Unavailable, "the server stops");
        self.0.await.map_err(gone)?
    }
}
