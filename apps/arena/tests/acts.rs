//! What happens, on SQLite and PostgreSQL, without a server: the rows, the boards and what is said of them.
#![allow(clippy::unwrap_used)]

#[path = "acts/bed.rs"]
mod bed;
#[path = "acts/called.rs"]
mod called;
#[path = "acts/doubt.rs"]
mod doubt;
#[path = "acts/ends.rs"]
mod ends;
#[path = "acts/ids.rs"]
mod ids;
#[path = "acts/leaving.rs"]
mod leaving;
#[path = "acts/scores.rs"]
mod scores;
#[path = "acts/voids.rs"]
mod voids;
