//! Rooms that users want to be in whenever they are connected: kept in the store, with how far each was heard.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidings_core::{Code, Identity, Position, Refusal, Room, UserKey};
use tidings_store::subscriptions::Subscription;
use tidings_store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::beside::{Beside, Without};
use crate::shared::wall_ms;

/// Places that may wait to be written; one that finds no room there is dropped and counted: the user is then sent
/// again what it has.
const WAITING: usize = 16_384;

/// Places of one transaction, and the time between two, for others who write.
const BATCH: usize = 512;
const PAUSE: Duration = Duration::from_millis(50);

/// What is kept for users.
pub(crate) struct Subscriptions {
    store: Option<Store>,
    most: u64,
    heard: mpsc::Sender<Heard>,
    lost: Arc<AtomicU64>,
}

/// How far a user has heard a room.
struct Heard {
    user: UserKey,
    room: Room,
    position: Position,
}

impl Subscriptions {
    /// Starts to write, on the runtime of the caller; `most` for each user.
    pub(crate) fn start(store: Option<Store>, most: u64, beside: &Beside) -> Self {
        let (heard, received) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        if let Some(store) = store.clone() {
            // It ends once nobody can note anything any more.
            drop(beside.run_apart(
                "subscription_places",
                Without::Degraded,
                write(store, received, lost.clone()),
            ));
        }
        Self { store, most, heard, lost }
    }

    /// Whether somebody's subscriptions can be kept.
    ///
    /// # Errors
    /// [`Code::Forbidden`] for one without a user, [`Code::Unavailable`] without a store.
    pub(crate) fn may_keep(&self, who: &Identity) -> Result<(), Refusal> {
        if who.user.is_none() {
            return Err(Refusal::new(Code::Forbidden, "only a user's subscriptions are kept"));
        }
        self.store().map(drop)
    }

    /// Keeps a subscription.
    ///
    /// # Errors
    /// [`Code::Forbidden`] if it is one too many.
    pub(crate) async fn keep(
        &self,
        user: &UserKey,
        room: &Room,
        heard: Option<Position>,
    ) -> Result<(), Refusal> {
        let kept = async {
            let mut tx = self.store_or_down()?.begin().await?;
            let new = Subscription { room: room.name().to_owned(), heard };
            let kept = tx.keep_subscription(user.org(), user.id(), &new, self.most, wall_ms()).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(kept)
        };
        match Box::pin(kept).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::new(Code::Forbidden, "too many subscriptions are kept for this user")),
            Err(error) => Err(Refusal::from(&error)),
        }
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if the store does not answer.
    pub(crate) async fn end(&self, user: &UserKey, room: &Room) -> Result<(), Refusal> {
        let ended = async {
            let mut tx = self.store_or_down()?.begin().await?;
            tx.end_subscription(user.org(), user.id(), room.name()).await?;
            tx.commit().await
        };
        Box::pin(ended).await.map_err(|error: StoreError| Refusal::from(&error))
    }

    /// What is kept for a user.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if the store does not answer.
    pub(crate) async fn of(&self, user: &UserKey) -> Result<Vec<Subscription>, Refusal> {
        let read = async {
            let mut reader = self.store_or_down()?.read().await?;
            reader.subscriptions(user.org(), user.id()).await
        };
        Box::pin(read).await.map_err(|error: StoreError| Refusal::from(&error))
    }

    /// Notes how far a user has heard a room; never waits.
    pub(crate) fn heard(&self, user: UserKey, room: Room, position: Position) {
        if self.heard.try_send(Heard { user, room, position }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many places were not written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn store(&self) -> Result<&Store, Refusal> {
        self.store_or_down().map_err(|error| Refusal::from(&error))
    }

    fn store_or_down(&self) -> Result<&Store, StoreError> {
        let none = || StoreError::Unavailable("there is no database for subscriptions".into());
        self.store.as_ref().ok_or_else(none)
    }
}

async fn write(store: Store, mut received: mpsc::Receiver<Heard>, lost: Arc<AtomicU64>) {
    let mut batch = Vec::with_capacity(BATCH);
    while received.recv_many(&mut batch, BATCH).await > 0 {
        if let Err(error) = write_batch(&store, &batch).await {
            tracing::warn!(%error, "places of subscriptions cannot be written");
            lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        batch.clear();
        tokio::time::sleep(PAUSE).await;
    }
}

async fn write_batch(store: &Store, batch: &[Heard]) -> Result<(), StoreError> {
    let last: HashMap<_, _> =
        batch.iter().map(|heard| ((&heard.user, heard.room.name()), heard.position)).collect();
    let mut tx = store.begin().await?;
    for ((user, room), position) in last {
        tx.heard_subscription(user.org(), user.id(), room, position).await?;
    }
    tx.commit().await
}
