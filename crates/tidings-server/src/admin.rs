//! What administrators see of the running server, and what they do to what is connected to it.
//!
//! Nothing here costs a delivery anything. The figures are read once a second from what the shards count
//! anyway; connections are looked at by walks, a bounded stretch of them each turn of a shard.

pub(crate) mod alerts;
pub(crate) mod ask;
pub(crate) mod delivery;
pub(crate) mod latency;
pub(crate) mod lists;
pub(crate) mod overview;
pub(crate) mod point;
pub(crate) mod pulse;
pub(crate) mod rates;
pub(crate) mod refused;
pub(crate) mod sight;
pub(crate) mod slots;
pub(crate) mod trend;
pub(crate) mod ui;
pub(crate) mod usage;

use tokio::sync::Semaphore;

use crate::config::Config;
use pulse::Pulse;
use refused::Refused;
use ui::AdminUi;

/// Walks for administrators that are under way at once; more are told to come again.
const WALKS: usize = 4;

/// What administrators ask of a server.
pub(crate) struct Admin {
    /// Its figures.
    pub(crate) pulse: Pulse,
    /// What it has refused.
    pub(crate) refused: Refused,
    /// The stock Admin UI.
    pub(crate) ui: AdminUi,
    /// Leave to walk over all connections.
    walks: Semaphore,
}

impl Default for Admin {
    fn default() -> Self {
        Self::new(&Config::default())
    }
}

impl Admin {
    /// What a configuration says of alerts is kept with it.
    pub(crate) fn new(config: &Config) -> Self {
        let ui = AdminUi::new(&config.admin_ui);
        let (pulse, refused) = (Pulse::new(&config.alerts), Refused::default());
        Self { pulse, refused, ui, walks: Semaphore::new(WALKS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lists_are_made_at_once_and_the_next_is_told_to_come_again() {
        let admin = Admin::default();
        let held: Vec<_> = (0..WALKS).map(|_| admin.may_walk()).collect();
        assert!(held.iter().all(Result::is_ok));
        let refused = admin.may_walk().map(drop);
        assert!(refused.is_err_and(|refusal| refusal.code.retryable() && refusal.retry_after_ms.is_some()));
        drop(held);
        assert!(admin.may_walk().is_ok());
    }
}
