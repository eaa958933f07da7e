//! What is remembered of the last minutes.

use serde::{Deserialize, Serialize};

/// What is remembered of the last minutes, so that it can be explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecorderConfig {
    /// Entries, half for publications and half for what happened to connections; at most 256 bytes each on
    /// average; 0: nothing is remembered.
    pub events: usize,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self { events: 65_536 }
    }
}
