//! The app's tables: its migrations, and what its queries have in common. One SQL text serves both databases.
//!
//! | module | tables |
//! |---|---|
//! | [`players`] | players, friends, achievements |
//! | [`matches`] | matches and who plays them |
//! | [`ladders`] | standings, their history, absences, boards of any moment |
//! | [`sessions`] | sessions |

pub mod ladders;
pub mod matches;
pub mod players;
pub mod sessions;

use tidings_app::{Changes, Migration, Org, Refusal, args};

/// The tables of this app.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        owner: "arena",
        number: 1,
        name: "players, matches, ladders",
        both: include_str!("../migrations/0001_arena.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "arena",
        number: 2,
        name: "who comes back keeps no standing of its own",
        both: include_str!("../migrations/0002_returns.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "arena",
        number: 3,
        name: "when somebody was not in a ladder",
        both: include_str!("../migrations/0003_absences.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "arena",
        number: 4,
        name: "sessions, the newest first",
        both: include_str!("../migrations/0004_sessions.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "arena",
        number: 5,
        name: "what is closed has nothing that goes on",
        both: include_str!("../migrations/0005_closed.sql"),
        sqlite: "",
        postgres: "",
    },
];

/// The next number of an organisation: of a result, an entry, a correction.
pub async fn next_number(tx: &mut Changes, org: &Org) -> Result<i64, Refusal> {
    let sql = "INSERT INTO arena_counters (org, seq) VALUES ($1, 1) \
               ON CONFLICT (org) DO UPDATE SET seq = arena_counters.seq + 1 RETURNING seq";
    let row = tx.row(sql, args![org]).await?;
    Ok(row.map_or(Ok(1), |row| row.int(0))?)
}
