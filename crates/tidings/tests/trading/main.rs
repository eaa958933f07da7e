//! Trading as its members meet it: the real binary, on SQLite and PostgreSQL, through clients of others.
#![allow(clippy::unwrap_used)]

mod bed;
mod crash;
mod digests;
mod refusals;
mod rooms;
