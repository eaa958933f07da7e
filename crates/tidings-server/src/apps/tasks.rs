//! What runs for apps by itself: their timers, and the forgetting of keys.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tidings_app::caught;
use tokio::sync::watch;

use crate::beside::{Beside, Without};
use crate::shared::{Shared, wall_ms};

/// How often keys of commands whose time is over are deleted.
const PRUNE: Duration = Duration::from_secs(30);

/// A channel is not woken again before this, whatever it asks for.
const LEAST: Duration = Duration::from_millis(1);

/// Starts what runs by itself, until the server stops.
pub(crate) fn start(shared: &Arc<Shared>, beside: &mut Beside) {
    if shared.apps.is_empty() {
        return;
    }
    for at in shared.apps.channels() {
        beside.run("app_timers", Without::Degraded, wake(shared.clone(), at, beside.stopped()));
    }
    if shared.records.is_some() {
        beside.run("app_keys", Without::Degraded, prune(shared.clone(), beside.stopped()));
    }
    if shared.settings.demo {
        for demo in shared.apps.demos() {
            beside.run("app_demos", Without::Degraded, until(demo, beside.stopped()));
        }
    }
}

/// Lets an app be lively until the server stops; one that has shown all it has rests until then.
async fn until(demo: tidings_app::Pending<'static, ()>, mut stop: watch::Receiver<bool>) {
    let lively = async {
        caught("the demo of an app", demo).await;
        pending::<()>().await;
    };
    tokio::select! {
        () = lively => {}
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
        let pause = async {
            match next {
                Some(next) => tokio::time::sleep(next.max(LEAST)).await,
                // It does not want to be woken any more.
                None => pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
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
