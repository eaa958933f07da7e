//! Who is there, and what others are told of it.

use serde::{Deserialize, Serialize};

/// Who is there, for rooms whose kind keeps a roster, and for everybody by namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresenceConfig {
    /// Milliseconds a lost connection stays listed, so that a page may be loaded again; 0: none.
    pub grace_ms: u64,
    /// Seconds after which a client that says nothing is away; 0: never.
    pub idle_seconds: u64,
    /// `userOnline` and `userOffline` are sent up to so many connections of an organisation in a
    /// namespace; 0: never.
    pub announce_up_to: usize,
    /// Days for which it is stored when users were last there; 0: not at all.
    pub last_seen_days: u64,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self { grace_ms: 5_000, idle_seconds: 300, announce_up_to: 1_000, last_seen_days: 90 }
    }
}
