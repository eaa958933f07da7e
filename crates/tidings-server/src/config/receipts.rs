//! Tracked messages, dead letters and persistent subscriptions.

use serde::{Deserialize, Serialize};

/// How much is tracked, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptsConfig {
    /// Messages of one organisation whose acknowledgements are waited for at once.
    pub tracked_per_org: usize,
    /// Members a room may have for a message in it to be tracked.
    pub recipients: usize,
    /// Dead letters of one organisation; beyond that the oldest are thrown away.
    pub dead_letters_per_org: u64,
    /// Persistent subscriptions of one user.
    pub subscriptions_per_user: u64,
}

impl Default for ReceiptsConfig {
    fn default() -> Self {
        Self {
            tracked_per_org: 1_000,
            recipients: 1_000,
            dead_letters_per_org: 10_000,
            subscriptions_per_user: 64,
        }
    }
}
