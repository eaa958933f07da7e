//! The settings of each kind of rooms.

use super::{ANY, HOUR_MS, Kind, RATE, Setting, row};

/// Who may do what in rooms of a kind, what they keep, and how their events leave.
pub(super) static SETTINGS: &[Setting] = &[
    row(
        "rooms.KIND.subscribe",
        Kind::Text,
        "Who may subscribe: anyone, signed-in, verified, role:X, claim:N=V, owner, server, ask (see hooks) or nobody.",
    ),
    row("rooms.KIND.publish", Kind::Text, "Who may publish, by the same words."),
    row("rooms.KIND.history", Kind::Text, "Who may read the history, by the same words."),
    row("rooms.KIND.presence", Kind::Text, "Who may read presence and counts, by the same words."),
    row(
        "rooms.KIND.keep",
        Kind::Choice(&["nothing", "recent", "durable"]),
        "What a room keeps of its events: nothing, the recent ones in memory, or those in the database: then a \
         publish is answered once it is stored.",
    ),
    row(
        "rooms.KIND.size",
        Kind::Count(1, 1 << 24),
        "Events kept per room; where the kind names none, 10,000 in durable and 1,000 in recent ones. More take memory.",
    ),
    row(
        "rooms.KIND.ttl_seconds",
        Kind::Count(1, 31_536_000),
        "Seconds each event is kept. Longer takes more memory.",
    ),
    row(
        "rooms.KIND.bytes",
        Kind::Count(1, 1 << 50),
        "Bytes of one room's events that the log keeps, for durable. Memory keeps as many of them as limits.room_bytes \
         allows.",
    ),
    row(
        "rooms.KIND.lane",
        Kind::Choice(&["critical", "high", "normal", "medium", "low"]),
        "The lane of events that name none; what is critical is delivered first and dropped last.",
    ),
    row("rooms.KIND.members", Kind::Count(1, ANY), "Members of one room at most. More make events dearer."),
    row(
        "rooms.KIND.message_bytes",
        Kind::Count(1, 1 << 30),
        "Bytes of one event's data. Higher multiplies by the room's members.",
    ),
    row(
        "rooms.KIND.pace_ms",
        Kind::Count(1, HOUR_MS),
        "Milliseconds between two events of a scope: the first comes through at once, of those that follow the \
         newest when the time is over, and the others are never heard. Not for durable kinds. Longer delivers later.",
    ),
    row(
        "rooms.KIND.pace_per",
        Kind::Choice(&["room", "event", "slot"]),
        "What a scope of pace_ms is: the whole room, events of one name (if not said), or of one name and slot.",
    ),
    row(
        "rooms.KIND.batch_ms",
        Kind::Count(1, HOUR_MS),
        "Milliseconds that events gather before they leave together; of one name and slot only the newest leaves. Not \
         for durable kinds, nor beside pace_ms. Longer delivers later, in fewer writes.",
    ),
    row(
        "rooms.KIND.batch_events",
        Kind::Count(1, 1_000),
        "Events that leave at once, before batch_ms is over; 50 if not said. More hold more memory.",
    ),
    row(
        "rooms.KIND.diff",
        Kind::Count(1, 10_000),
        "Of an event's object only the members that changed since the last of its name and slot are sent, a member that \
         is gone as null; all of it every so-many-th time, and when somebody may lack what was before. Not for durable \
         kinds. Takes 1 MiB of memory a room at most.",
    ),
    row(
        "rooms.KIND.publish_per_minute",
        Kind::Count(1, RATE),
        "Publishes of one user to rooms of this kind in a minute, counted beside limits.publish_per_minute and not \
         in it. Higher multiplies by the room's members.",
    ),
    row(
        "rooms.KIND.roster",
        Kind::Choice(&["off", "counts", "members"]),
        "What members who may read presence are shown of each other without asking: nothing, how many there are, \
         or who. Members take memory, and each change an event.",
    ),
    row(
        "rooms.KIND.roster_full",
        Kind::Count(0, 1_000),
        "Up to so many users a newcomer gets the whole list of members. More make joining dearer.",
    ),
    row(
        "rooms.KIND.roster_deltas",
        Kind::Count(1, ANY),
        "Up to so many users each is told who comes and goes, beyond that only the counts. When all come at once, \
         the bytes grow with the square of it.",
    ),
];
