//! The task that writes the audit log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidings_store::Store;
use tidings_store::audit::{AuditEntry, BATCH_MOST};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Action, Actor, Audit, Entry, line, members};
use crate::beside::{Beside, Without};
use crate::shared::wall_ms;

/// The store gets so long for one batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure the same batch is tried again so much later, and after each further one twice as much.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(10);
/// How often floods that have ended are looked for.
const SETTLE: Duration = Duration::from_secs(5);
/// How often entries that are too old are looked for.
const TRIM: Duration = Duration::from_secs(3_600);
/// What is left when the server stops is written within this time, or given to the log.
const FAREWELL: Duration = Duration::from_secs(3);
/// Lines a second that the log takes of entries where there is no store; more are lost, and counted.
const LINES: u32 = 200;

/// The task that writes, and how it is told to end.
#[derive(Debug)]
pub(crate) struct Writing {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Writing {
    /// Waits until everything that was noted is written, but not for ever.
    pub(crate) async fn end(self) {
        // The task may have ended by itself.
        let _ = self.stop.send(true);
        if !matches!(timeout(2 * FAREWELL, self.task).await, Ok(Ok(()))) {
            tracing::error!("the audit log could not be finished");
        }
    }
}

/// What the task works with.
pub(crate) struct Writer {
    audit: Arc<Audit>,
    queue: Receiver<AuditEntry>,
    store: Option<Store>,
    retention: Option<Duration>,
    stop: watch::Receiver<bool>,
    lines: Lines,
    /// Lost entries the log was told of.
    told: u64,
}

impl Writer {
    /// Starts the task on the runtime of the caller. Without `retention` nothing is ever forgotten.
    pub(crate) fn start(
        audit: Arc<Audit>,
        queue: Receiver<AuditEntry>,
        store: Option<Store>,
        retention: Option<Duration>,
        beside: &Beside,
    ) -> Writing {
        let (stop, stopped) = watch::channel(false);
        let writer = Self { audit, queue, store, retention, stop: stopped, lines: Lines::default(), told: 0 };
        Writing { stop, task: beside.run_apart("audit", Without::Unready, writer.run()) }
    }

    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MOST);
        let mut settle = tokio::time::interval(SETTLE);
        let mut trim = tokio::time::interval(TRIM);
        loop {
            tokio::select! {
                _ = self.queue.recv_many(&mut batch, BATCH_MOST) => self.write(&mut batch).await,
                _ = settle.tick() => self.audit.settle(false),
                _ = trim.tick() => self.trim().await,
                _ = self.stop.changed() => break,
            }
        }
        self.audit.settle(true);
        while let Ok(entry) = self.queue.try_recv() {
            batch.push(entry);
            if batch.len() == BATCH_MOST {
                self.write(&mut batch).await;
            }
        }
        self.write(&mut batch).await;
    }

    /// Writes a batch, however often that takes; on the way out there is one try.
    async fn write(&mut self, batch: &mut Vec<AuditEntry>) {
        let Some(store) = self.store.clone() else { return self.log(batch) };
        let mut pause = RETRY_FIRST;
        while !batch.is_empty() {
            let leaving = *self.stop.borrow() || self.stop.has_changed().is_err();
            let patience = if leaving { FAREWELL } else { PATIENCE };
            match timeout(patience, store.append_audit(batch, wall_ms())).await {
                Ok(Ok(_)) => return self.written(batch),
                Ok(Err(error)) => self.failed(&error.to_string()),
                Err(_) => self.failed("it took too long"),
            }
            if leaving {
                return self.log(batch);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (2 * pause).min(RETRY_MOST),
                _ = self.stop.changed() => {}
            }
        }
    }

    /// A batch is in the store: the alarm ends, and what was lost before is told.
    fn written(&mut self, batch: &mut Vec<AuditEntry>) {
        let counts = self.audit.counts();
        counts.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
        if counts.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log is written again");
        }
        batch.clear();
        let lost = counts.lost.load(Ordering::Relaxed);
        if lost > self.told {
            let count = lost - std::mem::replace(&mut self.told, lost);
            tracing::error!(count, "entries of the audit log were lost");
            let entry = Entry::new(Action::AuditLost, super::Outcome::Failed);
            self.audit.note(entry.by(Actor::System).counted(count));
        }
    }

    /// The alarm is raised, and logged when it begins.
    fn failed(&self, error: &str) {
        if !self.audit.counts().failing.swap(true, Ordering::Relaxed) {
            tracing::error!(error, waiting = self.audit.waiting(), "the audit log cannot be written");
        }
    }

    /// Gives entries to the log: that is where they belong without a store, and else better than nowhere.
    fn log(&mut self, batch: &mut Vec<AuditEntry>) {
        let counts = self.audit.counts();
        for entry in batch.drain(..) {
            let taken = self.lines.may(Instant::now());
            if taken {
                tracing::info!(target: "audit", "{}", line(members(&entry)));
            }
            let kept = taken && self.store.is_none();
            let count = if kept { &counts.written } else { &counts.lost };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets what is older than it has to be kept; the chain stays whole.
    async fn trim(&self) {
        let (Some(store), Some(retention)) = (&self.store, self.retention) else { return };
        let before_ms = wall_ms().saturating_sub(retention.as_millis() as u64);
        let mut trimmed = 0;
        loop {
            match store.trim_audit(before_ms).await {
                Ok(0) => break,
                Ok(count) => trimmed += count,
                Err(error) => {
                    tracing::warn!(%error, "old entries of the audit log could not be removed");
                    break;
                }
            }
        }
        if trimmed > 0 {
            self.audit.note(Entry::ok(Action::AuditTrim).by(Actor::System).counted(trimmed));
        }
    }
}

/// How many lines the log took of late.
#[derive(Debug, Default)]
struct Lines {
    second: Option<Instant>,
    count: u32,
}

impl Lines {
    /// Whether the log takes another line.
    fn may(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            *self = Self { second: Some(now), count: 0 };
        }
        self.count += 1;
        self.count <= LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_json_whatever_the_fields_hold() {
        let entry = Entry::refused(Action::Login).on("x\"}\r\n{\"action\":\"fake\"").because("a\u{2028}b");
        let text = line(members(&entry.stored("n", 0)));
        assert!(!text.contains(['\r', '\n', '\u{2028}']), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(read["action"], "login");
        assert_eq!(read["at"], "1970-01-01T00:00:00.000Z");
        assert!(read.get("org").is_none());
    }

    #[test]
    fn the_log_takes_so_many_lines_a_second_and_then_again() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        let taken = (0..2 * LINES).filter(|_| lines.may(now)).count();
        assert_eq!(taken, LINES as usize);
        assert!(lines.may(now + Duration::from_secs(1)));
    }
}
