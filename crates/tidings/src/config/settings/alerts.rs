//! From when on figures of the server are an alert, and what the Admin UI shows.

use super::{ANY, Kind, Setting, row};

/// Thresholds, two for each figure, and the Admin UI.
pub(super) static SETTINGS: &[Setting] = &[
    row(
        "alerts.latency_warning_ms",
        Kind::Count(0, ANY),
        "Milliseconds from publish to flush (p99 of ten seconds) that are a warning; 0: never. Less warns of every \
         burst.",
    ),
    row("alerts.latency_critical_ms", Kind::Count(0, ANY), "The same that are critical; 0: never."),
    row(
        "alerts.memory_warning_percent",
        Kind::Count(0, 1_000),
        "Percent of limits.memory_bytes that are a warning; 0: never. At 100 new connections are refused.",
    ),
    row("alerts.memory_critical_percent", Kind::Count(0, 1_000), "The same that are critical; 0: never."),
    row(
        "alerts.growth_warning_mb",
        Kind::Count(0, ANY),
        "MiB an hour by which the memory has grown steadily in the last half hour that are a warning; 0: never. \
         Less warns while caches fill.",
    ),
    row("alerts.growth_critical_mb", Kind::Count(0, ANY), "The same that are critical; 0: never."),
    row(
        "alerts.buffered_warning_mb",
        Kind::Count(0, ANY),
        "MiB that wait for connections which do not read that are a warning; 0: never.",
    ),
    row("alerts.buffered_critical_mb", Kind::Count(0, ANY), "The same that are critical; 0: never."),
    row(
        "admin_ui.mode",
        Kind::Choice(&["off", "production", "development"]),
        "What administrators see of this server in the stock Admin UI of Socket.IO: production shows figures, \
         development clients and rooms as well, which costs a look at up to 1000 of them a second while it is open.",
    ),
    row(
        "admin_ui.readonly",
        Kind::Switch,
        "Whether the Admin UI shows and does nothing; otherwise it can move clients and end them.",
    ),
];
