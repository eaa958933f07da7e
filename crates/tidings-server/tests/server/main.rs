//! A whole server in this process, spoken to through real sockets.
#![allow(clippy::unwrap_used)]

mod common;
mod drain;
mod hostile;
mod slow_clients;
mod tokens;
