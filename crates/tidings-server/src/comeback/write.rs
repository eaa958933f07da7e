//! Writing sessions down: one task, a transaction for everything that changed meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidings_core::{Refusal, Room};
use tidings_store::comebacks::Comeback;
use tidings_store::options::PRUNE_MOST;
use tidings_store::{Digest, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Counts, later};

/// Sessions of one transaction.
const BATCH: usize = 512;

/// Sessions whose state is not written yet; further ones are refused, or lost where nobody waits for them.
const DUE: usize = 100_000;

/// A change that nobody waits for is gathered with others for so long. In a crash it is lost.
const GATHER: Duration = Duration::from_millis(20);

/// When what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What is to be written.
pub(super) enum Change {
    Session {
        digest: Digest,
        /// As it is now; `None`: it is over.
        state: Option<Box<Comeback>>,
        /// Who waits until that is stored.
        done: Option<oneshot::Sender<Result<(), Refusal>>>,
    },
    /// Something was said in a room that is in memory alone.
    Spoke(Room),
    /// Nothing is to wait any longer; told once it was tried to write all there is.
    Flush(oneshot::Sender<()>),
}

impl Change {
    fn is_waited_for(&self) -> bool {
        matches!(self, Self::Session { done: Some(_), .. } | Self::Flush(_))
    }
}

/// What is to be written of a session, and who waits for it.
#[derive(Default)]
pub(super) struct Due {
    state: Option<Box<Comeback>>,
    done: Vec<oneshot::Sender<Result<(), Refusal>>>,
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) process: u64,
    pub(super) window: Duration,
    pub(super) due: HashMap<Digest, Due>,
    /// Rooms in which something was said, not noted yet.
    pub(super) spoken: HashSet<Room>,
    /// Who waits until all is written.
    pub(super) flushed: Vec<oneshot::Sender<()>>,
    /// The last transaction went through, so that the log tells of a change and not of each.
    pub(super) answered: bool,
    pub(super) counts: Arc<Counts>,
}

impl Writer {
    pub(super) async fn run(mut self, mut changes: mpsc::Receiver<Change>) {
        let mut prune = Some(Instant::now() + self.window);
        loop {
            let goes_on = self.gather(&mut changes, prune).await;
            self.write().await;
            for flushed in self.flushed.drain(..) {
                // Whoever waited may have lost patience.
                let _ = flushed.send(());
            }
            if !goes_on {
                return;
            }
            if prune.is_some_and(|at| at <= Instant::now()) {
                prune = self.prune().await;
            }
        }
    }

    /// Takes what has changed; `false` once nobody can change anything any more.
    async fn gather(&mut self, changes: &mut mpsc::Receiver<Change>, prune: Option<Instant>) -> bool {
        let far = Instant::now() + Duration::from_secs(3_600);
        let retry = if self.due.is_empty() && self.spoken.is_empty() { far } else { Instant::now() + RETRY };
        let mut until = prune.unwrap_or(far).min(retry);
        let mut waited_for = false;
        loop {
            match timeout_at(until, changes.recv()).await {
                Ok(Some(change)) => {
                    waited_for |= change.is_waited_for();
                    self.take(change);
                }
                Ok(None) => return false,
                Err(_) => return true,
            }
            // Whoever waits is waited for no longer; what is there already goes with it.
            until = if waited_for { Instant::now() } else { until.min(Instant::now() + GATHER) };
            while let Ok(change) = changes.try_recv() {
                waited_for |= change.is_waited_for();
                self.take(change);
            }
            if waited_for || self.due.len() + self.spoken.len() >= BATCH {
                return true;
            }
        }
    }

    fn take(&mut self, change: Change) {
        let (digest, state, done) = match change {
            Change::Session { digest, state, done } => (digest, state, done),
            Change::Spoke(room) => return self.note_spoken(room),
            Change::Flush(flushed) => return self.flushed.push(flushed),
        };
        if self.due.len() >= DUE && !self.due.contains_key(&digest) {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            if let Some(done) = done {
                let _ = done.send(Err(later("too many sessions wait to be stored")));
            }
            return;
        }
        let due = self.due.entry(digest).or_default();
        due.state = state;
        due.done.extend(done);
    }

    fn note_spoken(&mut self, room: Room) {
        if self.spoken.len() < DUE {
            self.spoken.insert(room);
        } else {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes everything; what cannot be written now stays, and whoever waits for it is told.
    async fn write(&mut self) {
        if let Err(error) = self.write_spoken().await {
            // They stay, and are written with what comes next.
            self.report(Some(&error));
        }
        let mut all: Vec<(Digest, Due)> = std::mem::take(&mut self.due).into_iter().collect();
        all.sort_unstable_by_key(|(digest, _)| *digest);
        while !all.is_empty() {
            let chunk: Vec<_> = all.drain(..all.len().min(BATCH)).collect();
            match self.write_chunk(&chunk).await {
                Ok(()) => self.settle(chunk, None),
                Err(error) if error.is_retryable() => {
                    self.report(Some(&error));
                    all.extend(chunk);
                    return self.put_off(all, &error);
                }
                Err(_) => self.write_apart(chunk).await,
            }
        }
        if self.spoken.is_empty() {
            self.report(None);
        }
    }

    async fn write_spoken(&mut self) -> Result<(), StoreError> {
        if self.spoken.is_empty() {
            return Ok(());
        }
        let mut rooms: Vec<_> = self.spoken.iter().cloned().collect();
        rooms.sort_unstable_by(|a, b| (a.org().as_str(), a.name()).cmp(&(b.org().as_str(), b.name())));
        let mut tx = self.store.begin().await?;
        for some in rooms.chunks(BATCH) {
            tx.note_spoken(self.process, some).await?;
        }
        tx.commit().await?;
        self.spoken.clear();
        Ok(())
    }

    async fn write_chunk(&self, chunk: &[(Digest, Due)]) -> Result<(), StoreError> {
        let kept: Vec<_> = chunk.iter().filter_map(|(_, due)| due.state.as_deref().cloned()).collect();
        let over = chunk.iter().filter(|(_, due)| due.state.is_none()).map(|(digest, _)| *digest);
        let over: Vec<_> = over.collect();
        let mut tx = self.store.begin().await?;
        tx.keep_comebacks(&kept).await?;
        tx.end_comebacks(&over).await?;
        tx.commit().await
    }

    /// One that no database takes must not keep others from being written.
    async fn write_apart(&mut self, chunk: Vec<(Digest, Due)>) {
        for one in chunk {
            let written = self.write_chunk(std::slice::from_ref(&one)).await;
            self.settle(vec![one], written.err());
        }
    }

    fn settle(&self, chunk: Vec<(Digest, Due)>, error: Option<StoreError>) {
        let count = if error.is_some() { &self.counts.lost } else { &self.counts.written };
        count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        for done in chunk.into_iter().flat_map(|(_, due)| due.done) {
            // Whoever waited may be gone.
            let _ = done.send(error.as_ref().map_or(Ok(()), |error| Err(Refusal::from(error))));
        }
    }

    fn put_off(&mut self, all: Vec<(Digest, Due)>, error: &StoreError) {
        for (digest, due) in all {
            for done in due.done {
                let _ = done.send(Err(Refusal::from(error)));
            }
            self.due.entry(digest).or_insert(Due { state: due.state, done: Vec::new() });
        }
    }

    fn report(&mut self, error: Option<&StoreError>) {
        match error {
            Some(error) if self.answered => {
                tracing::warn!(%error, "sessions cannot be stored; subscribing to durable rooms is refused");
            }
            None if !self.answered => tracing::info!("sessions can be stored again"),
            _ => {}
        }
        self.answered = error.is_none();
    }

    /// Forgets what other processes have left and nobody has taken up; says when to go on, if ever.
    async fn prune(&self) -> Option<Instant> {
        let pruned = async {
            let mut tx = self.store.begin().await?;
            let pruned = tx.prune_comebacks(self.process).await?;
            tx.commit().await.map(|()| pruned)
        };
        match pruned.await {
            Ok(pruned) if pruned < u64::from(PRUNE_MOST) => None,
            _ => Some(Instant::now() + RETRY),
        }
    }
}
