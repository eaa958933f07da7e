//! The stock Admin UI of Socket.IO.

use serde::{Deserialize, Serialize};

/// The stock Admin UI of Socket.IO, which connects to the namespace `/admin`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminUiConfig {
    /// Whether it may, and what it shows.
    pub mode: AdminUiMode,
    /// It shows and does nothing.
    pub readonly: bool,
}

/// What the Admin UI shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminUiMode {
    /// Nothing: there is no such namespace.
    #[default]
    Off,
    /// Figures alone.
    Production,
    /// Clients and their rooms as well, looked at once a second while somebody watches.
    Development,
}
