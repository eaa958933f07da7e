//! Trading as its members meet it: the real binary, on SQLite and PostgreSQL, through clients of others.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bed;
#[path = "../../../../apps/trading/tests/rooms/books.rs"]
mod books;
mod clean;
mod crash;
mod demo;
mod digests;
mod exports;
mod fleet;
mod images;
mod keys;
mod lists;
mod ports;
mod positions;
mod refusals;
mod replay;
mod rooms;
mod together;
