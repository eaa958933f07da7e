//! The tasks that run beside the shards until the server stops: one that is gone before that is noticed.
//!
//! Nothing starts a task again, for what it held is lost and may have been half done: a new start of the server
//! does. So the log names it, `/readyz` and `/metrics` say it, and whoever watches the server restarts it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_core::lock;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// What the server is without a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    /// Clients are refused, or not told what they have to be: it is not ready.
    Unready,
    /// It goes on with everything else.
    Degraded,
}

/// Starts the tasks and tells them when to end.
pub(crate) struct Beside {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    deaths: Arc<Deaths>,
}

impl Beside {
    pub(crate) fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: JoinSet::new(), deaths: Arc::default() }
    }

    /// Changes when the server stops.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Which tasks have died.
    pub(crate) fn deaths(&self) -> Arc<Deaths> {
        self.deaths.clone()
    }

    /// Starts a task that ends when the server stops and not before, on the runtime of the caller. Several may
    /// have one name.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        without: Without,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(self.watched(name, without, task));
    }

    /// The same where somebody else waits for the task, since it ends later than the others.
    pub(crate) fn run_apart(
        &self,
        name: &'static str,
        without: Without,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        tokio::spawn(self.watched(name, without, task))
    }

    fn watched(
        &self,
        name: &'static str,
        without: Without,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        lock(&self.deaths.of).entry(name).or_default();
        let (stop, deaths) = (self.stop.subscribe(), self.deaths.clone());
        let life = Life { name, without, stop, deaths, is_over: false };
        async move {
            task.await;
            life.end();
        }
    }

    /// Tells all tasks that the server stops.
    pub(crate) fn tell(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until they have ended, and cuts off who has not within `patience`.
    pub(crate) async fn end(&mut self, patience: Duration) {
        // Who panics now is named by its own `Life`.
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(patience, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// How many tasks of each name have died.
#[derive(Debug, Default)]
pub(crate) struct Deaths {
    of: Mutex<BTreeMap<&'static str, u64>>,
    any: AtomicBool,
    unready: AtomicBool,
}

impl Deaths {
    /// Whether any has died.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether one has died without which the server is not ready.
    pub(crate) fn is_unready(&self) -> bool {
        self.unready.load(Ordering::Relaxed)
    }

    /// Of each name that was started how many have died.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        lock(&self.of).iter().map(|(name, count)| (*name, *count)).collect()
    }

    fn note(&self, name: &'static str, without: Without) {
        *lock(&self.of).entry(name).or_default() += 1;
        self.any.store(true, Ordering::Relaxed);
        self.unready.fetch_or(without == Without::Unready, Ordering::Relaxed);
    }
}

/// Is held by a task as long as it lives; dropped as it ends, panics or is cut off.
struct Life {
    name: &'static str,
    without: Without,
    stop: watch::Receiver<bool>,
    deaths: Arc<Deaths>,
    /// It has come to its end.
    is_over: bool,
}

impl Life {
    /// The task has come to its end by itself.
    fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // A server that did not start drops the sender, and was told to stop by that.
        let is_told = *self.stop.borrow() || self.stop.has_changed().is_err();
        if !self.is_over && std::thread::panicking() {
            tracing::error!(task = self.name, "a task panicked; the server has to be restarted");
        } else if self.is_over && !is_told {
            tracing::error!(task = self.name, "a task ended too early; the server has to be restarted");
        } else {
            return;
        }
        self.deaths.note(self.name, self.without);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// Runs until the server stops.
    async fn until(mut stop: watch::Receiver<bool>) {
        // Without a sender it stops as well.
        let _ = stop.changed().await;
    }

    #[tokio::test]
    async fn a_task_that_panics_or_ends_too_early_is_named_and_makes_the_server_what_it_is_without_it() {
        let mut beside = Beside::new();
        let deaths = beside.deaths();
        beside.run("lasting", Without::Unready, until(beside.stopped()));
        let ended = beside.run_apart("ending", Without::Degraded, async {});
        assert!(ended.await.is_ok());
        assert_eq!((deaths.any(), deaths.is_unready()), (true, false));
        let panicked = beside.run_apart("panicking", Without::Unready, async { panic!("on purpose") });
        assert!(panicked.await.is_err_and(|error| error.is_panic()));
        assert!(deaths.is_unready());
        assert_eq!(deaths.counts(), [("ending", 1), ("lasting", 0), ("panicking", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_when_told_or_is_cut_off_behind_that_has_not_died() {
        let mut beside = Beside::new();
        let deaths = beside.deaths();
        beside.run("lasting", Without::Unready, until(beside.stopped()));
        beside.run("deaf", Without::Unready, pending());
        let apart = beside.run_apart("apart", Without::Unready, until(beside.stopped()));
        beside.tell();
        beside.end(Duration::from_secs(3)).await;
        assert!(apart.await.is_ok());
        assert!(!deaths.any());
        assert_eq!(deaths.counts(), [("apart", 0), ("deaf", 0), ("lasting", 0)]);
    }

    #[tokio::test]
    async fn a_server_that_does_not_start_ends_its_tasks_by_dropping_them() {
        let beside = Beside::new();
        let deaths = beside.deaths();
        let apart = beside.run_apart("apart", Without::Unready, until(beside.stopped()));
        drop(beside);
        assert!(apart.await.is_ok());
        assert!(!deaths.any());
    }
}
