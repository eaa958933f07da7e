//! From when on figures of the server are an alert.

use serde::{Deserialize, Serialize};

/// From when on figures of the server are an alert; 0: never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Milliseconds from publish to flush, at the 99th percentile of ten seconds, that are a warning.
    pub latency_warning_ms: u64,
    /// The same that are critical.
    pub latency_critical_ms: u64,
    /// Percent of the memory the process may take that are a warning.
    pub memory_warning_percent: u64,
    /// The same that are critical.
    pub memory_critical_percent: u64,
    /// MiB an hour by which the memory grows steadily that are a warning.
    pub growth_warning_mb: u64,
    /// The same that are critical.
    pub growth_critical_mb: u64,
    /// MiB that wait for slow connections that are a warning.
    pub buffered_warning_mb: u64,
    /// The same that are critical.
    pub buffered_critical_mb: u64,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            latency_warning_ms: 50,
            latency_critical_ms: 200,
            memory_warning_percent: 70,
            memory_critical_percent: 90,
            growth_warning_mb: 64,
            growth_critical_mb: 512,
            buffered_warning_mb: 64,
            buffered_critical_mb: 256,
        }
    }
}
