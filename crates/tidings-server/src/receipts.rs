//! Receipts: which recipients of a message have acknowledged it, how often it is sent, and what becomes of
//! what nobody acknowledged.
//!
//! A message is tracked if its publisher asks for that. Its recipients are known by the shards that serve
//! them; each tells here whom it has, what was handed over, who acknowledged and who is gone. A task for each
//! message sends it again after each try and ends it. Messages nobody asked a receipt for never come here.

mod book;
mod dead;
mod figures;
mod follow;
mod publish;
mod shown;
mod terms;
mod tracked;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tidings_core::{Code, Lane, MessageId, Node, Org, Publication, Publish, Published, Refusal, Room, lock};
use tidings_store::Store;

use crate::audit::Audit;
use crate::client::Teller;
use crate::config::ReceiptsConfig;
use crate::shard::inbox::{Inbox, Mail};
use crate::shared::wall_ms;

use book::Book;
pub(crate) use dead::id_of;
pub(crate) use figures::{Figures, Of, write_named};
pub(crate) use terms::{Terms, write_terms};
use tracked::Tracked;
pub(crate) use tracked::{Recipient, Spot, State};

/// Every message that is tracked now, or was lately.
pub(crate) struct Receipts {
    book: Mutex<Book>,
    node: Arc<Node>,
    inboxes: Vec<Arc<Inbox>>,
    store: Option<Store>,
    audit: Arc<Audit>,
    front: tokio::runtime::Handle,
    bounds: ReceiptsConfig,
    /// Ids of events that want an answer; one row for all clients and namespaces, so that a broadcast shares
    /// its bytes.
    acks: AtomicU64,
    pub(crate) counts: Totals,
}

/// What became of all tracked messages since the start.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) tracked: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) gone: AtomicU64,
    pub(crate) dead: AtomicU64,
    /// Dead letters that were thrown away for newer ones.
    pub(crate) overflowed: AtomicU64,
    /// Dead letters that could not be stored.
    pub(crate) lost: AtomicU64,
}

/// Who tracks a message, and how.
pub(crate) struct Asked<'a> {
    pub(crate) room: &'a Room,
    pub(crate) key: Option<&'a str>,
    /// Bytes of its data.
    pub(crate) bytes: usize,
    pub(crate) terms: Terms,
    pub(crate) teller: Option<Teller>,
    /// The publisher may know the users.
    pub(crate) tells_users: bool,
    pub(crate) redriven: bool,
}

/// A message that was published and is to be followed.
pub(crate) struct Tracking {
    ack: u64,
    message: Arc<Publication>,
}

impl Receipts {
    /// Has to be called on the front's runtime.
    pub(crate) fn new(
        node: Arc<Node>,
        inboxes: Vec<Arc<Inbox>>,
        store: Option<Store>,
        audit: Arc<Audit>,
        bounds: ReceiptsConfig,
    ) -> Arc<Self> {
        let (front, book) = (tokio::runtime::Handle::current(), Mutex::new(Book::new(&bounds)));
        let (acks, counts) = (AtomicU64::new(0), Totals::default());
        Arc::new(Self { book, node, inboxes, store, audit, front, bounds, acks, counts })
    }

    /// The id of the next event that wants an answer.
    pub(crate) fn next_ack(&self) -> u64 {
        self.acks.fetch_add(1, Ordering::Relaxed)
    }

    /// Begins to track a message that is about to be published, and answers what its recipients are asked with.
    ///
    /// # Errors
    /// [`Code::BadRequest`] for a paced room, [`Code::TooLarge`] if the room has more members than can be tracked, [`Code::Unavailable`] if too many
    /// messages of the organisation are tracked now.
    pub(crate) fn begin(&self, asked: Asked<'_>) -> Result<u64, Refusal> {
        let begun = self.may_begin(&asked).and_then(|()| {
            let ack = self.next_ack();
            let tracked = Tracked::new(asked, self.inboxes.len(), wall_ms());
            lock(&self.book).begin(ack, tracked).map(|()| ack)
        });
        if begun.is_err() {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        begun
    }

    fn may_begin(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if self.node.is_paced(asked.room) {
            let message = "receipt: what a paced room is told may be replaced and is not tracked";
            return Err(Refusal::new(Code::BadRequest, message));
        }
        if self.node.members(asked.room) > self.bounds.recipients {
            return Err(Refusal::new(Code::TooLarge, "the room has more members than can be tracked"));
        }
        Ok(())
    }

    /// The message was not published, or had been published before.
    pub(crate) fn cancel(&self, ack: u64) {
        lock(&self.book).cancel(ack);
    }

    /// The message is published: from now on its time runs.
    pub(crate) fn published(self: &Arc<Self>, ack: u64, what: &Publish<'_>, published: &Published) {
        if let Some(tracking) = self.tracking(ack, what, published) {
            self.follow(tracking);
        }
    }

    /// What is tracked of a message that was published; nothing if it had been published before: whoever did
    /// that has its receipts.
    fn tracking(&self, ack: u64, what: &Publish<'_>, published: &Published) -> Option<Tracking> {
        if published.duplicate {
            self.cancel(ack);
            return None;
        }
        let lane = self.node.kinds().spec(&what.room).map_or(Lane::Normal, |spec| spec.lane);
        let message = Publication {
            lane: what.lane.unwrap_or(lane),
            skip: what.skip,
            position: published.position,
            ack: Some(ack),
            ..Publication::new(what.room.clone(), what.event, what.payload.clone(), published.id, wall_ms())
        };
        Some(Tracking { ack, message: Arc::new(message) })
    }

    /// Follows a message that was published: from now on its time runs.
    pub(crate) fn follow(self: &Arc<Self>, Tracking { ack, message }: Tracking) {
        self.counts.tracked.fetch_add(1, Ordering::Relaxed);
        if !lock(&self.book).published(ack, message) {
            return;
        }
        // What shards were handed stands before this in their mailboxes.
        self.inboxes.iter().for_each(|inbox| inbox.push(Mail::Report(ack)));
        self.front.spawn(follow::follow(self.clone(), ack));
    }

    /// A shard has delivered a message to these.
    pub(crate) fn reached(&self, ack: u64, recipients: Vec<(Spot, Recipient)>) {
        lock(&self.book).reached(ack, recipients);
    }

    /// A shard has delivered to everybody it had when the message was published.
    pub(crate) fn reported(&self, ack: u64) {
        lock(&self.book).reported(ack);
    }

    /// A shard says how far recipients have come.
    pub(crate) fn advance(&self, news: &[(u64, Spot)], state: State) {
        lock(&self.book).advance(news, state);
        if state == State::Gone {
            self.counts.gone.fetch_add(news.len() as u64, Ordering::Relaxed);
        }
    }

    /// A client acknowledges.
    pub(crate) fn acknowledge(&self, ack: u64, spot: Spot, answer: Option<&str>) {
        if lock(&self.book).acknowledge(ack, spot, wall_ms(), answer) {
            self.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How a room's deliveries, or those to a user, went.
    pub(crate) fn figures(&self, org: &Org, of: Of<'_>) -> Figures {
        lock(&self.book).figures.of(org, of)
    }

    /// What is known of a message, as a JSON object for its organisation's servers.
    pub(crate) fn shown(&self, org: &Org, id: MessageId) -> Option<Vec<u8>> {
        let book = lock(&self.book);
        let mut out = Vec::new();
        shown::write_delivery(&mut out, book.by_id(org, id)?);
        Some(out)
    }

    /// Forgets what has been over for long.
    pub(crate) fn sweep(&self) {
        lock(&self.book).sweep(wall_ms());
    }

    /// Messages that wait for acknowledgements now.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.book).waiting()
    }
}
