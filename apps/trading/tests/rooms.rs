//! Rooms against a model that keeps nothing but fills and adds everything up anew each time; and what is due in them, on SQLite
//! and PostgreSQL.
#![allow(clippy::unwrap_used)]

#[path = "rooms/agree.rs"]
mod agree;
#[path = "rooms/asks.rs"]
mod asks;
#[path = "rooms/balance.rs"]
mod balance;
#[path = "rooms/books.rs"]
mod books;
#[path = "rooms/charts.rs"]
mod charts;
#[path = "rooms/digests.rs"]
mod digests;
#[path = "rooms/due.rs"]
mod due;
#[path = "rooms/ends.rs"]
mod ends;
#[path = "rooms/exports.rs"]
mod exports;
#[path = "rooms/images.rs"]
mod images;
#[path = "rooms/long.rs"]
mod long;
#[path = "rooms/naive.rs"]
mod naive;
#[path = "rooms/refusals.rs"]
mod refusals;
#[path = "rooms/removals.rs"]
mod removals;
#[path = "rooms/repeats.rs"]
mod repeats;
#[path = "rooms/stage.rs"]
mod stage;
#[path = "rooms/switches.rs"]
mod switches;
#[path = "rooms/trades.rs"]
mod trades;
