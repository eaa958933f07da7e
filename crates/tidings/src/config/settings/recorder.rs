//! The settings of the flight recorder.

use super::{Kind, Setting, row};

/// How much is remembered of the last minutes.
pub(super) static SETTINGS: &[Setting] = &[row(
    "recorder.events",
    Kind::Count(0, 16_777_216),
    "What GET /api/explain remembers: so many entries, half of them publications, half what happened to \
     connections; 0: nothing. Each takes at most 256 bytes on average: 16 MiB for 65536, taken as it fills.",
)];
