//! Transactions of apps: several in one of the database's, each of which stands and falls by itself.
//!
//! They are done one after the other by the task that stores events, so that the order of the log is the order
//! in which everything is delivered. What waits while one transaction is synced goes into the next together.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidings_app::Changes;
use tidings_app::caught;
use tidings_app::commit::{After, Emitted, Work};
use tidings_core::{Code, Epoch, MessageId, Publish, Refusal, Room};
use tidings_store::StoreError;
use tidings_store::log::{Append, Appended};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::heal::Manner;
use super::write::{Writer, too_long};
use super::{PARTS, health};
use crate::shared::wall_ms;

/// Commands of one transaction at most.
pub(super) const GROUP: usize = 256;

/// How long one command may hold the writer; then it is undone and refused as `unavailable`.
const WORK: Duration = Duration::from_millis(500);

/// How long a transaction takes further commands in; the others are for the next.
const TOGETHER: Duration = Duration::from_millis(100);

/// Which rooms are being read.
pub(super) type Loading = Vec<tokio::sync::Mutex<()>>;

/// Waits until nobody reads or forgets a room of the same part.
pub(super) async fn turn<'a>(loading: &'a Loading, room: &Room) -> tokio::sync::MutexGuard<'a, ()> {
    let part = room.name().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    loading[part % PARTS].lock().await
}

/// Who waits for a command; they may be gone.
type Reply = oneshot::Sender<Result<(), Refusal>>;

/// A command of an app in line, and who waits for it.
pub(super) struct Commit {
    pub(super) work: Work,
    pub(super) reply: Reply,
}

/// A command that was done, and is not stored yet.
struct Done {
    reply: Reply,
    events: Vec<Event>,
    after: Vec<After>,
}

/// What it said.
struct Event {
    emitted: Emitted,
    id: MessageId,
    /// Its place in the log; `None` where the room keeps none.
    epoch: Option<Epoch>,
}

impl Writer {
    /// Does a group of commands in as few transactions as their time lets.
    pub(super) async fn write_group(&mut self, group: &mut Vec<Commit>) {
        let mut waiting = group.drain(..).collect::<VecDeque<_>>();
        while !waiting.is_empty() {
            let now_ms = wall_ms();
            let mut done = Vec::with_capacity(waiting.len());
            let stored = self.write_in_time(&mut waiting, &mut done, now_ms).await;
            self.tell(&stored);
            match stored {
                Ok(places) => {
                    self.stored.fetch_add(places.len() as u64, Ordering::Relaxed);
                    self.deliver_group(done, places, now_ms).await;
                }
                Err(error) => {
                    let lost = done.iter().map(|done| done.events.len() as u64).sum();
                    self.failed.fetch_add(lost, Ordering::Relaxed);
                    for Done { reply, .. } in done {
                        // Whoever asked may be gone, here and below.
                        let _ = reply.send(Err(Refusal::from(&error)));
                    }
                    // Nobody's work was begun if there was no transaction: they are not tried one by one.
                    for Commit { reply, .. } in waiting.drain(..) {
                        let _ = reply.send(Err(Refusal::from(&error)));
                    }
                }
            }
            self.told.end();
        }
    }

    /// The same within the patience, unless the database is away.
    async fn write_in_time(
        &mut self,
        waiting: &mut VecDeque<Commit>,
        done: &mut Vec<Done>,
        now_ms: u64,
    ) -> Result<Vec<Appended>, StoreError> {
        let Some(permit) = self.health.permit() else { return Err(health::is_away()) };
        let patience = self.patience.saturating_add(TOGETHER + WORK);
        // Whoever waits for the one that is being done when patience ends is told as the others are.
        let mut under_way = None;
        let tried = timeout(patience, self.write_some(waiting, &mut under_way, done, now_ms)).await;
        let stored = tried.unwrap_or_else(|_| Err(too_long()));
        self.health.report(permit, &stored);
        if let (Some(reply), Err(error)) = (under_way, &stored) {
            let _ = reply.send(Err(Refusal::from(error)));
        }
        if std::mem::take(&mut self.committing) {
            let events = done.iter().flat_map(|done| &done.events).filter(|event| event.epoch.is_some());
            for Event { emitted, id, .. } in events {
                self.unsettle(&emitted.room, *id, Manner { lane: emitted.lane, skip: None });
            }
        }
        stored
    }

    /// One transaction: the commands that fit in its time, and the events of those that succeeded.
    async fn write_some(
        &mut self,
        waiting: &mut VecDeque<Commit>,
        under_way: &mut Option<Reply>,
        done: &mut Vec<Done>,
        now_ms: u64,
    ) -> Result<Vec<Appended>, StoreError> {
        self.heal().await?;
        // Within the transaction it could not be asked for.
        self.origin.read().await?;
        let mut changes = Changes::new(self.store.begin().await?, now_ms);
        let begun = Instant::now();
        while let Some(Commit { work, reply }) = waiting.pop_front() {
            *under_way = Some(reply);
            let outcome = match one(&mut changes, work).await {
                Ok(()) => {
                    let (emitted, after) = changes.take();
                    let mut events = Vec::with_capacity(emitted.len());
                    for emitted in emitted {
                        events.push(self.numbered(emitted).await?);
                    }
                    Ok((events, after))
                }
                Err(Failed::Alone(refusal)) => {
                    changes.take();
                    Err(refusal)
                }
                Err(Failed::All(error)) => return Err(error),
            };
            match (under_way.take(), outcome) {
                (Some(reply), Ok((events, after))) => done.push(Done { reply, events, after }),
                (Some(reply), Err(refusal)) => _ = reply.send(Err(refusal)),
                (None, _) => {}
            }
            if begun.elapsed() > TOGETHER {
                break;
            }
        }
        let events = done.iter().flat_map(|done| &done.events).filter_map(|event| event.append(now_ms));
        let events: Vec<Append<'_>> = events.collect();
        let mut tx = changes.into_tx();
        let (places, left) = tx.append_and_tell(&events).await?;
        self.goes_on(&events, &places)?;
        self.committing = true;
        self.told.begin();
        tx.commit().await?;
        self.committing = false;
        self.note_reached(&events, &places);
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.appender.learn(left);
        Ok(places)
    }

    async fn numbered(&self, emitted: Emitted) -> Result<Event, StoreError> {
        let room = &emitted.room;
        let epoch = match self.node.epoch_of(room) {
            _ if !self.node.is_durable(room) => None,
            // Of a room that is known to the log, the log knows the epoch.
            None => Some(self.origin.epoch_of(room).await?),
            known => known,
        };
        Ok(Event { id: self.node.next_message_id(), epoch, emitted })
    }

    /// Delivers what was stored in the order of the log, and answers each command behind its events.
    async fn deliver_group(&self, group: Vec<Done>, places: Vec<Appended>, now_ms: u64) {
        let mut places = places.into_iter();
        for Done { reply, events, after } in group {
            for change in after {
                caught("an app", async { change() }).await;
            }
            for Event { emitted, id, epoch } in events {
                let place = if epoch.is_some() { places.next() } else { None };
                self.deliver(&emitted, id, place, now_ms).await;
            }
            let _ = reply.send(Ok(()));
        }
    }

    async fn deliver(&self, emitted: &Emitted, id: MessageId, place: Option<Appended>, now_ms: u64) {
        let what = Publish {
            lane: emitted.lane,
            slot: emitted.slot.as_deref(),
            ..Publish::new(emitted.room.clone(), &emitted.event, emitted.payload.clone())
        };
        let done = match place {
            Some(Appended::At { position, sequence }) => {
                if self.node.wants_loading(&emitted.room) {
                    // Who reads the room now may not have seen this event; who comes later does.
                    drop(turn(&self.loading, &emitted.room).await);
                }
                self.node.deliver_logged(what, id, position, sequence, now_ms)
            }
            // Without a key there is no other outcome.
            Some(Appended::Duplicate { .. } | Appended::Conflict) => Ok(()),
            None => self.node.publish(what, None, now_ms).map(drop),
        };
        if let Err(refusal) = done {
            tracing::warn!(%refusal, room = emitted.room.name(), "an app's event was not delivered");
        }
    }
}

impl Event {
    fn append(&self, at_ms: u64) -> Option<Append<'_>> {
        let Emitted { room, event, payload, .. } = &self.emitted;
        Some(Append { room, epoch: self.epoch?, id: self.id, at_ms, event, payload, key: None, batch: None })
    }
}

/// Why a command is not done.
enum Failed {
    /// It was undone; the others go on.
    Alone(Refusal),
    /// The transaction is over.
    All(StoreError),
}

/// Does one command, or undoes it.
async fn one(changes: &mut Changes, work: Work) -> Result<(), Failed> {
    changes.savepoint().await.map_err(Failed::All)?;
    let refusal = match timeout(WORK, caught("an app", work.run(changes))).await {
        Ok(Some(Ok(()))) if !changes.has_failed() => {
            return changes.release().await.map_err(Failed::All);
        }
        Ok(Some(Ok(()))) => Refusal::new(Code::Unavailable, "a statement of it has failed"),
        Ok(Some(Err(refusal))) => refusal,
        Ok(None) => Refusal::new(Code::Unavailable, "the app has failed"),
        Err(_) => {
            tracing::warn!(limit_ms = WORK.as_millis() as u64, "a command held the writer for too long");
            Refusal::new(Code::Unavailable, "it took too long to be stored")
        }
    };
    changes.roll_back().await.map_err(Failed::All)?;
    Err(Failed::Alone(refusal))
}
