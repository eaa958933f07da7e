//! Who was connected, from where and until when: written into the store behind everybody's back.
//!
//! No connection waits for it. Notes go into a bounded queue; one that finds no place there is dropped
//! and counted. One task writes them in batches, at a pace that leaves the machine to the clients: when
//! thousands connect at once, they are served first and written down in the seconds after it. Whoever asks
//! this node for sessions sees none of that: what waits is written before he is answered.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_core::{Identity, Org, lock};
use tidings_store::sessions::{EndedSession, NewSession};
use tidings_store::{Digest, Store, StoreError, Tx};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::beside::{Beside, Without};
use crate::ids::{SocketId, id_text};
use crate::shared::wall_ms;

/// Notes that may wait to be written; more are dropped.
const NOTES: usize = 32_768;

/// Notes of one transaction.
const BATCH: usize = 512;

/// A moment before each transaction, for the clients and for others who write; and of how many a pause consists,
/// and one in which more waits than a transaction takes: a crowd that has come has other things to do.
const MOMENT: Duration = Duration::from_millis(50);
const MOMENTS: usize = 5;
const MOMENTS_BEHIND: usize = 20;

/// If so many notes wait some would soon find no place: then a pause is over with the moment that goes by.
const MANY: usize = NOTES / 2;

/// How long a server that stops waits for its last notes to be written.
const LAST: Duration = Duration::from_secs(5);

/// How long whoever asks for sessions waits for notes to be written.
const ASKED: Duration = Duration::from_secs(2);

/// What the ledger knows a connection by: the socket id of its first seat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryId {
    /// The socket id; only its digest is kept.
    pub(crate) socket: SocketId,
    /// Shard and generation of a connection that goes on with a session: a session that is taken up keeps
    /// its socket id, and each of its connections is an entry of its own.
    pub(crate) taken_up: Option<(u32, u32)>,
    /// When it began, in milliseconds since 1970.
    pub(crate) begun_ms: u64,
}

impl EntryId {
    fn digest(&self) -> Digest {
        let socket = id_text(&self.socket);
        match self.taken_up {
            Some((shard, generation)) => Digest::of(format!("{socket}:{shard}:{generation}").as_bytes()),
            None => Digest::of(socket.as_bytes()),
        }
    }
}

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Note {
    /// A connection has its first seat.
    Begun {
        /// The connection.
        id: EntryId,
        /// Who it is there.
        who: Arc<Identity>,
        /// The door it came through.
        door: &'static str,
        /// Where it came from.
        address: IpAddr,
    },
    /// It has renewed its sign-in.
    Seen(EntryId, Org),
    /// It is over, and why.
    Ended(EntryId, Org, &'static str),
}

/// What the writer is sent.
enum Letter {
    /// What is to be written, and since when it waits.
    Note(Note, u64),
    /// Somebody waits until everything before it is written.
    Asked(oneshot::Sender<()>),
}

/// Why nothing is waited for.
#[derive(Default)]
struct Haste {
    /// The server stops.
    stopping: bool,
    /// So many wait for what is to be written.
    asked: usize,
}

/// Where notes of sessions go.
pub(crate) struct Ledger {
    notes: mpsc::Sender<Letter>,
    lost: Arc<AtomicU64>,
    haste: Arc<watch::Sender<Haste>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Starts to write for a node, on the runtime of the caller.
    pub(crate) fn start(store: Store, node: String, beside: &Beside) -> Self {
        let (notes, received) = mpsc::channel(NOTES);
        let lost = Arc::new(AtomicU64::new(0));
        let haste = Arc::new(watch::Sender::new(Haste::default()));
        let writer = Writer { store, node, lost: lost.clone(), haste: haste.clone(), answered: true };
        let writer = beside.run_apart("session_notes", Without::Degraded, writer.run(received));
        let writer = Mutex::new(Some(writer));
        Self { notes, lost, haste, writer }
    }

    /// Takes a note; never waits.
    pub(crate) fn note(&self, note: Note) {
        if self.notes.try_send(Letter::Note(note, wall_ms())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many notes were not written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Has everything written that was noted until now, if that does not take too long and there is place to ask.
    pub(crate) async fn written(&self) {
        let (reply, written) = oneshot::channel();
        self.haste.send_modify(|haste| haste.asked += 1);
        if self.notes.try_send(Letter::Asked(reply)).is_err() {
            return self.haste.send_modify(|haste| haste.asked -= 1);
        }
        let _ = timeout(ASKED, written).await;
    }

    /// Has everything written that waits, if that does not take too long, and takes nothing more.
    pub(crate) async fn finish(&self) {
        let Some(writer) = lock(&self.writer).take() else { return };
        self.haste.send_modify(|haste| haste.stopping = true);
        if !matches!(timeout(LAST, writer).await, Ok(Ok(()))) {
            tracing::warn!("the ends of sessions could not all be written down");
        }
    }
}

struct Writer {
    store: Store,
    node: String,
    lost: Arc<AtomicU64>,
    haste: Arc<watch::Sender<Haste>>,
    /// The last transaction went through, so that the log tells of a change and not of each.
    answered: bool,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Letter>) {
        // What an earlier start under this name left open has ended with it.
        self.end_all("the server ended").await;
        let mut haste = self.haste.subscribe();
        let mut batch = Vec::with_capacity(BATCH);
        let mut behind = false;
        loop {
            tokio::select! {
                biased;
                _ = notes.recv_many(&mut batch, 1) => {}
                _ = haste.wait_for(|haste| haste.stopping) => {}
            }
            if batch.is_empty() {
                return self.end_all("the server stopped").await;
            }
            served_first(&notes, &mut haste, behind).await;
            if !notes.is_empty() {
                notes.recv_many(&mut batch, BATCH - 1).await;
            }
            behind = !notes.is_empty();
            self.write(&mut batch).await;
        }
    }

    async fn write(&mut self, batch: &mut Vec<Letter>) {
        let sorted = Sorted::of(batch);
        let notes = sorted.len();
        if notes > 0 {
            let written = async {
                let mut tx = self.store.begin().await?;
                sorted.write(&mut tx, &self.node).await?;
                tx.commit().await
            };
            let written = written.await;
            if written.is_err() {
                self.lost.fetch_add(notes as u64, Ordering::Relaxed);
            }
            self.report(written);
        }
        for letter in batch.drain(..) {
            if let Letter::Asked(reply) = letter {
                self.haste.send_modify(|haste| haste.asked -= 1);
                // Who has no patience left is gone.
                let _ = reply.send(());
            }
        }
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

/// Lets the clients be served: for a pause, which is a longer one if the writer is `behind`, and for another as long
/// as more of them come or go in it than one transaction takes, and there is place for their notes. A server that
/// stops and somebody who asks wait for nothing.
async fn served_first(notes: &mpsc::Receiver<Letter>, haste: &mut watch::Receiver<Haste>, behind: bool) {
    let moments = if behind { MOMENTS_BEHIND } else { MOMENTS };
    loop {
        let before = notes.len();
        for _ in 0..moments {
            let hasty = haste.wait_for(|haste| haste.stopping || haste.asked > 0);
            if timeout(MOMENT, hasty).await.is_ok() || notes.len() >= MANY {
                return;
            }
        }
        if notes.len() <= before + BATCH {
            return;
        }
    }
}

/// Notes of a transaction, by the statement they need; of one session they come in this order too.
#[derive(Default)]
struct Sorted<'a> {
    begun: Vec<Begun<'a>>,
    seen: Vec<Later<'a>>,
    ended: Vec<(Later<'a>, &'static str)>,
}

struct Begun<'a> {
    digest: Digest,
    who: &'a Identity,
    door: &'static str,
    address: String,
    at_ms: u64,
}

struct Later<'a> {
    digest: Digest,
    org: &'a Org,
    begun_ms: u64,
    at_ms: u64,
}

impl<'a> Sorted<'a> {
    fn of(letters: &'a [Letter]) -> Self {
        let mut sorted = Self::default();
        for letter in letters {
            let Letter::Note(note, at_ms) = letter else { continue };
            let later =
                |id: &EntryId, org| Later { digest: id.digest(), org, begun_ms: id.begun_ms, at_ms: *at_ms };
            match note {
                Note::Begun { id, who, door, address } => {
                    let (digest, address, at_ms) = (id.digest(), address.to_string(), id.begun_ms);
                    sorted.begun.push(Begun { digest, who, door, address, at_ms });
                }
                Note::Seen(id, org) => sorted.seen.push(later(id, org)),
                Note::Ended(id, org, cause) => sorted.ended.push((later(id, org), cause)),
            }
        }
        // In the order of the table each goes behind the one before it, which is less work than anywhere.
        sorted.begun.sort_unstable_by_key(|begun| (begun.at_ms, begun.digest));
        sorted
    }

    fn len(&self) -> usize {
        self.begun.len() + self.seen.len() + self.ended.len()
    }

    async fn write(&self, tx: &mut Tx, node: &str) -> Result<(), StoreError> {
        let begun = self.begun.iter().map(|Begun { digest, who, door, address, at_ms }| {
            let (org, user, at_ms) = (&who.org, who.user.as_deref(), *at_ms);
            NewSession { org, digest, user, node, door, address, at_ms }
        });
        tx.begin_sessions(&begun.collect::<Vec<_>>()).await?;
        for Later { digest, org, begun_ms, at_ms } in &self.seen {
            tx.see_session(org, digest, *begun_ms, *at_ms).await?;
        }
        let ended = self.ended.iter().map(|(Later { digest, org, begun_ms, at_ms }, cause)| EndedSession {
            org,
            digest,
            begun_ms: *begun_ms,
            cause,
            at_ms: *at_ms,
        });
        tx.end_sessions(&ended.collect::<Vec<_>>()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn letter() -> Letter {
        let id = EntryId { socket: [b'x'; 20], taken_up: None, begun_ms: 1 };
        Letter::Note(Note::Seen(id, Org::default()), 1)
    }

    /// How long the writer waits for clients while so many notes are there, and come in each moment.
    async fn waited(there: usize, come: usize, behind: bool) -> Duration {
        let (send, notes) = mpsc::channel(NOTES);
        let (_still, mut haste) = watch::channel(Haste::default());
        (0..there).for_each(|_| drop(send.try_send(letter())));
        let crowd = tokio::spawn(async move {
            loop {
                (0..come).for_each(|_| drop(send.try_send(letter())));
                tokio::time::sleep(MOMENT).await;
            }
        });
        let began = Instant::now();
        served_first(&notes, &mut haste, behind).await;
        crowd.abort();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_served_first_while_there_is_place_for_its_notes() {
        let pause = MOMENT * MOMENTS as u32;
        let (alone, few, crowd, full) = tokio::join!(
            waited(0, 0, false),
            waited(0, BATCH / 20, false),
            waited(0, 512, false),
            waited(MANY, 0, true)
        );
        assert_eq!((alone, few), (pause, pause));
        // Thirty-two moments fill half of the queue.
        assert_eq!((crowd, full), (MOMENT * 32, MOMENT));
        assert_eq!(waited(BATCH, 0, true).await, MOMENT * MOMENTS_BEHIND as u32);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_and_somebody_who_asks_wait_for_nothing() {
        for haste in [Haste { stopping: true, asked: 0 }, Haste { stopping: false, asked: 1 }] {
            let (send, notes) = mpsc::channel(NOTES);
            let (_hasty, mut haste) = watch::channel(haste);
            drop(send.try_send(letter()));
            let began = Instant::now();
            served_first(&notes, &mut haste, true).await;
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    }
}
