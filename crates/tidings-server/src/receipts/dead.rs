//! Dead letters: messages to a user that nobody acknowledged, in the store until somebody decides about them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidings_core::{Code, MessageId, Org, Publication, Publish, Refusal, Room, lock};
use tidings_store::StoreError;
use tidings_store::dead_letters::DeadLetter;

use super::{Asked, Receipts, Terms, Tracked, Tracking};
use crate::audit::{Action, Actor, Entry};
use crate::shared::wall_ms;

/// A store that does not answer is asked so often to keep a dead letter, with so long between; its message
/// counts as waited for meanwhile, so that there are not more of them than may be tracked.
const ATTEMPTS: u32 = 20;
const BETWEEN: Duration = Duration::from_secs(3);

impl Receipts {
    /// Keeps a message to a user; one for a room has no dead letter, its members are told apart by nobody.
    pub(super) async fn bury(&self, ack: u64, why: Option<&'static str>) {
        let found = lock(&self.book).get(ack).and_then(|tracked| letter(tracked, why));
        let Some((org, letter)) = found else { return };
        let attempts = if why.is_some() { 1 } else { ATTEMPTS };
        let stored = self.keep(&org, &letter, attempts).await;
        let counter = if stored { &self.counts.dead } else { &self.counts.lost };
        counter.fetch_add(1, Ordering::Relaxed);
        lock(&self.book).died(ack, wall_ms(), stored);
    }

    async fn keep(&self, org: &Org, letter: &DeadLetter, attempts: u32) -> bool {
        for attempt in 1..=attempts {
            match self.keep_once(org, letter).await {
                Ok(dropped) => {
                    self.note_overflow(org, dropped);
                    return true;
                }
                Err(error) if attempt < attempts && error.is_retryable() => tokio::time::sleep(BETWEEN).await,
                Err(error) => {
                    let id = letter.id;
                    tracing::error!(%error, %id, org = org.as_str(), "a dead letter could not be stored");
                    return false;
                }
            }
        }
        false
    }

    async fn keep_once(&self, org: &Org, letter: &DeadLetter) -> Result<u64, StoreError> {
        let none = || StoreError::NotFound("database for dead letters");
        let store = self.store.as_ref().ok_or_else(none)?;
        let mut tx = store.begin().await?;
        let dropped = tx.keep_dead_letter(org, letter, self.bounds.dead_letters_per_org).await?;
        tx.commit().await?;
        Ok(dropped)
    }

    fn note_overflow(&self, org: &Org, dropped: u64) {
        if dropped == 0 {
            return;
        }
        self.counts.overflowed.fetch_add(dropped, Ordering::Relaxed);
        let entry = Entry::ok(Action::DeadLetterOverflow).by(Actor::System).of(org);
        self.audit.note(entry.with(format!("{{\"dropped\":{dropped}}}")));
    }

    /// A dead letter that was sent again has been acknowledged.
    pub(super) async fn unbury(&self, ack: u64) {
        let redriven = |tracked: &mut Tracked| Some((tracked.room.org().clone(), tracked.id()?));
        let found = lock(&self.book).get(ack).filter(|tracked| tracked.redriven).and_then(redriven);
        let (Some((org, id)), Some(store)) = (found, &self.store) else { return };
        let dropped = async {
            let mut tx = store.begin().await?;
            tx.drop_dead_letter(&org, id).await?;
            tx.commit().await
        };
        if let Err(error) = dropped.await {
            // It stays, and may be sent once more; whoever gets it knows the id.
            tracing::warn!(%error, %id, "a dead letter that arrived could not be taken away");
        }
    }

    /// Sends a dead letter again, under its id; it is kept until it is acknowledged.
    ///
    /// # Errors
    /// [`Code::Conflict`] if it is on its way already, else what [`Receipts::begin`] refuses.
    pub(crate) fn redrive(
        self: &Arc<Self>,
        org: &Org,
        letter: &DeadLetter,
        terms: Terms,
    ) -> Result<(), Refusal> {
        let room = Room::of_user(org, &letter.user);
        if lock(&self.book).is_waiting(org, letter.id) {
            return Err(Refusal::new(Code::Conflict, "it is on its way"));
        }
        let key = letter.key.as_deref();
        let bytes = letter.payload.bytes();
        let asked = Asked { room: &room, key, bytes, terms, teller: None, tells_users: true, redriven: true };
        let ack = self.begin(asked)?;
        let what = Publish {
            lane: Some(letter.lane),
            key,
            ack: Some(ack),
            ..Publish::new(room.clone(), &letter.event, letter.payload.clone())
        };
        let message = Arc::new(Publication {
            lane: letter.lane,
            ack: Some(ack),
            ..Publication::new(
                room.clone(),
                letter.event.as_str(),
                letter.payload.clone(),
                letter.id,
                letter.published_ms,
            )
        });
        self.node.send_again(what, letter.id, letter.published_ms).inspect_err(|_| self.cancel(ack))?;
        self.follow(Tracking { ack, message });
        Ok(())
    }

    /// The server stops: messages to users that are still waited for become dead letters.
    pub(crate) async fn finish(&self) {
        let open = lock(&self.book).open();
        let all = async {
            for ack in open {
                self.end(ack, Some("shutdown")).await;
            }
        };
        if tokio::time::timeout(LAST, all).await.is_err() {
            tracing::error!("not every message that was waited for could be stored");
        }
    }
}

/// How long a server that stops waits for its last dead letters to be stored.
const LAST: Duration = Duration::from_secs(5);

/// What is kept of a message to a user.
fn letter(tracked: &Tracked, why: Option<&'static str>) -> Option<(Org, DeadLetter)> {
    let (user, message): (_, &Publication) = (tracked.user.as_ref()?, tracked.message.as_deref()?);
    let stopped = why.map(|_| "the server stopped");
    let (first, last) = tracked.errors.unwrap_or(("not acknowledged", "not acknowledged"));
    let reason = why.unwrap_or(if last == "not connected" { "not_connected" } else { "not_acknowledged" });
    let letter = DeadLetter {
        id: message.id,
        user: user.to_string(),
        room: tracked.room.name().to_owned(),
        event: message.event.to_string(),
        payload: message.payload.clone(),
        key: tracked.key.as_ref().map(ToString::to_string),
        lane: message.lane,
        reason: reason.into(),
        tries: tracked.tries.into(),
        first_error: tracked.errors.map_or(stopped.unwrap_or(first), |(first, _)| first).into(),
        last_error: stopped.unwrap_or(last).into(),
        published_ms: message.at_ms,
        died_ms: wall_ms(),
        redriven: 0,
    };
    Some((tracked.room.org().clone(), letter))
}

/// The id of a dead letter or a delivery as it stands in a path.
///
/// # Errors
/// [`Code::NotFound`]: what is no id names nothing.
pub(crate) fn id_of(text: &str) -> Result<MessageId, Refusal> {
    MessageId::parse(text).ok_or_else(|| Refusal::new(Code::NotFound, "there is no such message"))
}
