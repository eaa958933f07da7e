//! The arena as a studio uses it: the real binary, on SQLite and PostgreSQL, through clients of others.
#![allow(clippy::unwrap_used)]

mod batches;
mod bed;
mod boards;
mod crash;
mod demo;
mod ends;
mod games;
mod kept;
mod people;
mod refusals;
mod sockets;
mod voids;
mod windows;
