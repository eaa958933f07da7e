//! Storing what was said: one task, a transaction for everything that came while it waited for the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidings_core::hub::Entry;
use tidings_core::{Epoch, MessageId, Node, Org, Position, Published, Refusal, Room};
use tidings_store::log::{Append, Appended, Appender};
use tidings_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::Said;
use super::commit::{Commit, GROUP, Loading};
use super::heal::{Manner, Unsettled};
use super::health::{self, Health};
use super::origin::Origin;
use super::pace::Pace;
use super::stands::Told;
use crate::failpoint;

/// Events of one transaction.
const BATCH: usize = 512;

/// A database that is away is asked so often whether it is back, as far as the breaker allows.
const PROBE: Duration = Duration::from_millis(100);

/// An event in line, and who waits for what becomes of it.
pub(super) struct Letter {
    pub(super) said: Said,
    pub(super) id: MessageId,
    pub(super) epoch: Epoch,
    pub(super) at_ms: u64,
    /// The room, which is not forgotten while something for it is in line.
    pub(super) held: Option<Arc<Entry>>,
    pub(super) reply: oneshot::Sender<Result<Published, Refusal>>,
}

pub(super) struct Writer {
    pub(super) store: Store,
    /// Appends in one exchange what can be.
    pub(super) appender: Appender,
    pub(super) node: Arc<Node>,
    pub(super) bytes: Arc<AtomicUsize>,
    pub(super) stored: Arc<AtomicU64>,
    pub(super) failed: Arc<AtomicU64>,
    pub(super) transactions: Arc<AtomicU64>,
    /// The last transaction went through, so that the log tells of a change and not of each.
    pub(super) answered: bool,
    /// How far apps know of their transactions.
    pub(super) told: Arc<Told>,
    pub(super) loading: Arc<Loading>,
    pub(super) origin: Arc<Origin>,
    pub(super) health: Arc<Health>,
    /// The longest a transaction may take.
    pub(super) patience: Duration,
    /// A commit is under way, so that an error does not mean that nothing is stored.
    pub(super) committing: bool,
    /// What may be in the log though nobody has heard it.
    pub(super) unsettled: Unsettled,
    /// The number of the newest event that each organisation's log is known to have.
    pub(super) reached: HashMap<Org, u64>,
}

impl Writer {
    /// Stores what comes, events and commands of apps by turns, until nobody can send any more or it is over; then what
    /// came before.
    pub(super) async fn run(
        mut self,
        mut letters: mpsc::Receiver<Letter>,
        mut commits: mpsc::Receiver<Commit>,
        mut over: watch::Receiver<bool>,
    ) {
        let (mut batch, mut group) = (Vec::with_capacity(BATCH), Vec::with_capacity(GROUP));
        let (mut pace, mut ends) = (Pace::new(), false);
        loop {
            let restless = self.health.is_away() || !self.unsettled.is_empty();
            // Where both wait, either is as likely to come first: none keeps the other from its turn.
            tokio::select! {
                came = letters.recv_many(&mut batch, BATCH) => {
                    if came == 0 {
                        return self.write_last(&mut commits).await;
                    }
                    pace.gather(&mut letters, &mut batch, BATCH).await;
                    self.write_said(&mut batch, &mut letters, &commits, &mut pace).await;
                }
                Some(first) = commits.recv() => {
                    group.push(first);
                    while group.len() < GROUP && let Ok(next) = commits.try_recv() {
                        group.push(next);
                    }
                    self.write_group(&mut group).await;
                }
                () = sleep(PROBE), if restless => self.probe().await,
                // It is said once; who could say it may be gone, and that is as good.
                _ = over.changed(), if !ends => {
                    ends = true;
                    letters.close();
                    commits.close();
                }
            }
        }
    }

    /// Stores the commands that came before the end.
    async fn write_last(&mut self, commits: &mut mpsc::Receiver<Commit>) {
        let mut group = Vec::with_capacity(GROUP);
        while let Ok(first) = commits.try_recv() {
            group.push(first);
            while group.len() < GROUP
                && let Ok(next) = commits.try_recv()
            {
                group.push(next);
            }
            self.write_group(&mut group).await;
        }
    }

    /// Stores what was said, batch upon batch while so much waits that the next is not to wait: what is stored is
    /// delivered and answered while the database has the next.
    async fn write_said(
        &mut self,
        batch: &mut Vec<Letter>,
        letters: &mut mpsc::Receiver<Letter>,
        commits: &mpsc::Receiver<Commit>,
        pace: &mut Pace,
    ) {
        let (mut stored, synced) = (Vec::new(), self.store.is_kept());
        loop {
            let (begun, node) = (Instant::now(), self.node.clone());
            // The first goes on its way before the second begins, which is done in one go.
            let deliver = async { settle_all(&node, std::mem::take(&mut stored), synced) };
            let (written, ()) = tokio::join!(self.write_apart(batch), deliver);
            failpoint::reached("after_commit");
            let size: usize = batch.iter().map(|letter| letter.said.bytes()).sum();
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            written.iter().for_each(|done| self.count(done));
            stored.extend(batch.drain(..).zip(written));
            let waits = pace.stored(stored.len(), letters.len(), begun.elapsed());
            // What is not certain is healed first, and that reads what members have heard.
            if !waits || !commits.is_empty() || !self.unsettled.is_empty() || self.health.is_away() {
                return settle_all(&self.node, stored, synced);
            }
            letters.recv_many(batch, BATCH).await;
        }
    }

    /// Asks a database that was away whether it is back, and delivers what it has that nobody heard.
    async fn probe(&mut self) {
        let Some(permit) = self.health.permit() else { return };
        let patience = self.patience;
        let asked = async {
            self.store.try_to_begin().await?;
            self.heal().await
        };
        let done = timeout(patience, asked).await.unwrap_or_else(|_| Err(too_long()));
        self.health.report(permit, &done);
    }

    /// Stores a batch; where something in it cannot be stored at all, its halves, so that nobody's event is
    /// refused for what stood beside it.
    async fn write_apart(&mut self, batch: &[Letter]) -> Vec<Result<Appended, StoreError>> {
        let (mut written, mut parts) = (Vec::with_capacity(batch.len()), vec![batch]);
        while let Some(part) = parts.pop() {
            match self.write(part).await {
                Ok(done) => written.extend(done.into_iter().map(Ok)),
                Err(error) if part.len() > 1 && !error.is_retryable() && self.unsettled.is_empty() => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => written.extend(part.iter().map(|_| Err(error.clone()))),
            }
        }
        written
    }

    /// Stores a batch, or finds within the patience that this cannot be done now.
    async fn write(&mut self, batch: &[Letter]) -> Result<Vec<Appended>, StoreError> {
        let Some(permit) = self.health.permit() else { return Err(health::is_away()) };
        let tried = timeout(self.patience, self.try_to_write(batch)).await;
        let done = tried.unwrap_or_else(|_| Err(too_long()));
        self.health.report(permit, &done);
        if std::mem::take(&mut self.committing) {
            for Letter { said, id, .. } in batch {
                self.unsettle(&said.room, *id, Manner { lane: said.lane, skip: said.skip });
            }
        }
        if matches!(done, Err(StoreError::Full)) && failpoint::is_off("full") {
            return Ok(self.pretend(batch));
        }
        done
    }

    async fn try_to_write(&mut self, batch: &[Letter]) -> Result<Vec<Appended>, StoreError> {
        self.heal().await?;
        let events: Vec<_> = batch.iter().map(Letter::append).collect();
        if let Some(done) = self.write_at_once(&events).await? {
            return Ok(done);
        }
        let mut tx = self.store.begin().await?;
        let (done, left) = tx.append_and_tell(&events).await?;
        self.goes_on(&events, &done)?;
        failpoint::reached("before_commit");
        self.committing = true;
        tx.commit().await?;
        self.committed()?;
        self.note_reached(&events, &done);
        self.appender.learn(left);
        Ok(done)
    }

    /// Stores a batch in one exchange, which is a transaction by itself; `None` if that cannot be.
    async fn write_at_once(&mut self, events: &[Append<'_>]) -> Result<Option<Vec<Appended>>, StoreError> {
        let Some(foreseen) = self.appender.foresee(events)? else { return Ok(None) };
        failpoint::reached("before_commit");
        self.committing = true;
        let done = self.appender.append(foreseen).await?;
        if let Some(done) = &done {
            self.committed()?;
            self.note_reached(events, done);
        }
        self.committing = false;
        Ok(done)
    }

    /// Whether what is about to be stored stands behind everything that was. What does not would stand where members of a
    /// room have heard something else, and they would take it for known: an older copy is in the database's place, such
    /// as a replica that had not heard of everything when it took over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], from then on for everything.
    pub(super) fn goes_on(&mut self, events: &[Append<'_>], done: &[Appended]) -> Result<(), StoreError> {
        for (event, done) in events.iter().zip(done) {
            let (Appended::At { sequence, .. }, org) = (done, event.room.org()) else { continue };
            let known = || self.node.mark_of(org).durable;
            let is_known = *sequence <= self.reached.get(org).copied().unwrap_or_else(known);
            if is_known && !failpoint::is_off("moved_back") {
                self.health.move_back();
                return Err(StoreError::Unavailable("it has moved back".into()));
            }
        }
        Ok(())
    }

    /// Notes how far the log of each organisation has come.
    pub(super) fn note_reached(&mut self, events: &[Append<'_>], done: &[Appended]) {
        for (event, done) in events.iter().zip(done) {
            let (Appended::At { sequence, .. }, org) = (done, event.room.org()) else { continue };
            match self.reached.get_mut(org) {
                Some(reached) => *reached = *sequence,
                None => drop(self.reached.insert(org.clone(), *sequence)),
            }
        }
    }

    /// A transaction went through, and we know of it.
    fn committed(&mut self) -> Result<(), StoreError> {
        if failpoint::is_lost("commit_answer") {
            return Err(StoreError::Unavailable("the connection broke".into()));
        }
        self.committing = false;
        self.transactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What a server would say that does not look whether its disk took something: behind what was said last.
    fn pretend(&self, batch: &[Letter]) -> Vec<Appended> {
        let mut tops: HashMap<Room, u64> = HashMap::new();
        let place = |(at, letter): (usize, &Letter)| {
            let room = &letter.said.room;
            let top = self.node.hub().find(room).and_then(|entry| entry.top()).map_or(0, |top| top.offset);
            let offset = tops.entry(room.clone()).or_insert(top);
            *offset += 1;
            let position = Position::of(letter.epoch, *offset, letter.id);
            Appended::At { position, sequence: self.node.mark_of(room.org()).durable + 1 + at as u64 }
        };
        batch.iter().enumerate().map(place).collect()
    }

    /// Counts what became of an event.
    fn count(&mut self, done: &Result<Appended, StoreError>) {
        match done {
            Ok(Appended::At { .. }) => _ = self.stored.fetch_add(1, Ordering::Relaxed),
            // What its key found stored before is not stored again.
            Ok(Appended::Duplicate { .. } | Appended::Conflict) => {}
            Err(_) => _ = self.failed.fetch_add(1, Ordering::Relaxed),
        }
        self.tell(done);
    }

    /// Tells of a change of the database.
    pub(super) fn tell<T>(&mut self, done: &Result<T, StoreError>) {
        match done {
            Ok(_) if !self.answered => tracing::info!("events can be stored again"),
            Err(error) if self.answered => {
                tracing::warn!(%error, "events cannot be stored; publishes to durable rooms are refused");
            }
            _ => {}
        }
        self.answered = done.is_ok();
    }
}

/// Delivers and answers in the order of the log.
fn settle_all(node: &Node, stored: Vec<(Letter, Result<Appended, StoreError>)>, synced: bool) {
    for (letter, done) in stored {
        settle(node, letter, done, synced);
    }
}

/// Delivers what was stored, then answers; whoever asked may be gone.
fn settle(node: &Node, letter: Letter, done: Result<Appended, StoreError>, synced: bool) {
    let Letter { said, id, at_ms, reply, held: _held, .. } = letter;
    let published =
        |id, position, duplicate| Published { id, position: Some(position), duplicate, synced, held: false };
    let answer = match done {
        Ok(Appended::At { position, sequence }) => {
            if let Err(refusal) = node.deliver_logged(said.what(), id, position, sequence, at_ms) {
                tracing::debug!(%refusal, "an event was stored whose kind is gone");
            }
            failpoint::reached("after_delivery");
            Ok(published(id, position, false))
        }
        Ok(Appended::Duplicate { id, position }) => {
            node.note_duplicate(id);
            Ok(published(id, position, true))
        }
        Ok(Appended::Conflict) => Err(Refusal::key_was_used()),
        Err(error) => Err(Refusal::from(&error)),
    };
    let _ = reply.send(answer);
}

pub(super) fn too_long() -> StoreError {
    StoreError::Unavailable("it took too long".into())
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
            batch: self.said.batch.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::{Hub, Kinds, Payload, Publish};
    use tidings_store::StoreOptions;

    use super::*;

    fn letter(event: &str) -> Letter {
        let room = Room::new(&Org::default(), "notes:1", 200).unwrap();
        let payload = Payload::json("1");
        let said = Said::of(&Publish::new(room, event, payload));
        let (reply, _) = oneshot::channel();
        Letter { said, id: MessageId { node: 1, number: 1 }, epoch: Epoch(7), at_ms: 1, held: None, reply }
    }

    #[tokio::test]
    async fn what_cannot_be_stored_is_refused_without_those_beside_it() {
        let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
        let mut writer = Writer {
            appender: Appender::new(store.clone()),
            origin: Arc::new(Origin::new(store.clone())),
            store,
            node: Arc::new(Node::new(Hub::new(Vec::new()), Kinds::default(), 1)),
            bytes: Arc::default(),
            stored: Arc::default(),
            failed: Arc::default(),
            transactions: Arc::default(),
            answered: true,
            told: Arc::default(),
            loading: Arc::default(),
            health: Arc::new(Health::new()),
            patience: Duration::MAX,
            committing: false,
            unsettled: HashMap::new(),
            reached: HashMap::new(),
        };
        let batch: Vec<_> = (0..40).map(|at| letter(if at == 20 { "" } else { "said" })).collect();
        assert!(matches!(writer.write(&batch).await, Err(StoreError::Invalid(_))));
        let written = writer.write_apart(&batch).await;
        let offsets = written.iter().filter_map(|done| match done {
            Ok(Appended::At { position, .. }) => Some(position.offset),
            _ => None,
        });
        assert_eq!(offsets.collect::<Vec<_>>(), (1..=39).collect::<Vec<_>>());
        assert!(matches!(written[20], Err(StoreError::Invalid(_))));
        written.iter().chain([&Ok(Appended::Conflict)]).for_each(|done| writer.count(done));
        let counts = (writer.stored.load(Ordering::Relaxed), writer.failed.load(Ordering::Relaxed));
        assert_eq!(counts, (39, 1), "what was known is not stored");
        // An older copy is in its place.
        let mut tx = writer.store.begin().await.unwrap();
        tx.run("UPDATE log_orgs SET sequence = 38", &[]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(writer.write(&batch[..1]).await, Err(StoreError::Unavailable(_))));
        assert!(writer.health.has_moved_back() && writer.health.refuse_while_away().is_err());
        let sequence = writer.store.read().await.unwrap().log_sequence(&Org::default()).await.unwrap();
        assert_eq!(sequence, 38, "nothing is stored behind it");
    }
}
