//! What runs for apps by itself: their timers, and the forgetting of keys.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::shared::{Shared, wall_ms};

/// How often keys of commands whose time is over are deleted.
const PRUNE: Duration = Duration::from_secs(30);

/// A channel is not woken again before this, whatever it asks for.
const LEAST: Duration = Duration::from_millis(1);

/// Starts what runs by itself, until `stop` changes.
pub(crate) fn start(shared: &Arc<Shared>, stop: &watch::Receiver<bool>, beside: &mut JoinSet<()>) {
    if shared.apps.is_empty() {
        return;
    }
    for at in shared.apps.channels() {
        beside.spawn(wake(shared.clone(), at, stop.clone()));
    }
    beside.spawn(prune(shared.clone(), stop.clone()));
    if shared.settings.demo {
        for demo in shared.apps.demos() {
            beside.spawn(until(demo, stop.clone()));
        }
    }
}

/// Lets an app be lively until the server stops.
async fn until(demo: tidings_app::Pending<'static, ()>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = tidings_app::registry::caught(demo) => {}
        _ = stop.changed() => {}
    }
}

/// Wakes a channel whenever it wants to be.
async fn wake(shared: Arc<Shared>, at: (usize, usize), mut stop: watch::Receiver<bool>) {
    loop {
        let next = tokio::select! {
            next = shared.apps.wake(at) => next,
            _ = stop.changed() => return,
        };
        let Some(next) = next else { return };
        tokio::select! {
            () = tokio::time::sleep(next.max(LEAST)) => {}
            _ = stop.changed() => return,
        }
    }
}

async fn prune(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Some(records) = &shared.records else { return };
    loop {
        if let Err(error) = shared.apps.prune(&records.store, wall_ms()).await {
            tracing::debug!(%error, "keys of commands cannot be deleted now");
        }
        tokio::select! {
            () = tokio::time::sleep(PRUNE) => {}
            _ = stop.changed() => return,
        }
    }
}
