//! Whether something this server leans on is away, while it goes on with what does not need it.

use std::sync::atomic::Ordering;

use tidings_core::BreakerState;

use crate::admin::delivery::Delivery;
use crate::shared::Shared;

impl Shared {
    /// Whether something is left out for now: a breaker is not closed, the audit log cannot be written, or a task
    /// has died.
    pub(crate) fn is_degraded(&self) -> bool {
        let hooks = self.hooks.iter().flat_map(|hooks| hooks.figures()).any(|(_, _, state)| state > 0);
        let store = self.log.as_ref().is_some_and(|log| log.health.is_away());
        hooks
            || store
            || self.delivery() == Delivery::Dead
            || self.deaths.any()
            || self.audit.counts().failing.load(Ordering::Relaxed)
    }

    /// The breaker before the database as `/metrics` shows it; `None` without one.
    pub(crate) fn store_breaker(&self) -> Option<i64> {
        self.log.as_ref().map(|log| level(log.health.state()))
    }
}

/// A breaker's state as a number: 0 asks, 1 asks once, 2 does not ask.
pub(crate) fn level(state: BreakerState) -> i64 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}
