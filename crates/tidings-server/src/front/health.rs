//! Health endpoints: always open, and they say only yes or no.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::admin::delivery::Delivery;
use crate::shared::Shared;

/// `/healthz`: the process answers. `/readyz`: it takes clients, its shards deliver, the tasks it cannot be without live,
/// and its store answers; whether everything else it leans on is there as well stands in a line of its own.
pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let (status, word) = readiness(&shared).await;
    let degraded = if status != StatusCode::OK || shared.is_degraded() { "yes" } else { "no" };
    (status, format!("{word}\ndegraded: {degraded}\n"))
}

async fn readiness(shared: &Shared) -> (StatusCode, &'static str) {
    if shared.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    if shared.delivery() == Delivery::Dead {
        return (StatusCode::SERVICE_UNAVAILABLE, "a shard does not deliver");
    }
    if shared.deaths.is_unready() {
        return (StatusCode::SERVICE_UNAVAILABLE, "a task has died");
    }
    if shared.log.as_ref().is_some_and(|log| log.health.has_moved_back()) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the database has moved back");
    }
    match &shared.records {
        Some(records) if !records.answers().await => {
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer")
        }
        _ => (StatusCode::OK, "ready"),
    }
}
