//! The settings of single apps.

use super::{Kind, Setting, row};

/// What each app reads of its own table.
pub(super) static SETTINGS: &[Setting] = &[
    row(
        "apps.trading.prices",
        Kind::Text,
        "A file of prices that rooms may be fed from, as the tape server; read once, when the server starts, which it does \
     not with a file that is wrong.",
    ),
    row(
        "apps.trading.keep_ended_seconds",
        Kind::Count(1, YEARS),
        "Seconds that a trading room, its journal and its kept standings stay after its end; 30 days if not said. Longer \
         takes more of the disk.",
    ),
    row(
        "apps.trading.keep_unjoined_seconds",
        Kind::Count(1, YEARS),
        "Seconds that a trading room stays which was not started and in which nobody is; 30 days if not said.",
    ),
];

/// Ten of them, in seconds.
const YEARS: u64 = 315_360_000;
