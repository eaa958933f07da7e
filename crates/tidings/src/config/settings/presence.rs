//! The settings of presence.

use super::{ANY, HOUR_MS, Kind, Setting, row};

/// How long who is gone, idle or away is shown, and to whom.
pub(super) static SETTINGS: &[Setting] = &[
    row(
        "presence.grace_ms",
        Kind::Count(0, HOUR_MS),
        "Milliseconds a lost connection stays listed, so that a page may be loaded again unnoticed. Longer shows \
         people who are gone.",
    ),
    row(
        "presence.idle_seconds",
        Kind::Count(0, 86_400),
        "Seconds after which a client that says nothing but heartbeats is away; 0: never.",
    ),
    row(
        "presence.announce_up_to",
        Kind::Count(0, ANY),
        "userOnline and userOffline are sent to everybody of an organisation and namespace up to so many \
         connections there; 0: never. What they cost grows with the square of it.",
    ),
    row(
        "presence.last_seen_days",
        Kind::Count(0, 3_650),
        "Days for which it is stored when users were last there; 0: not at all. More takes disk.",
    ),
];
