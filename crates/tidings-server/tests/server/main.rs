//! A whole server in this process, spoken to through real sockets.
#![allow(clippy::unwrap_used)]

mod audit;
mod backend;
mod common;
mod drain;
mod hook_order;
mod hooks;
mod hostile;
mod seats;
mod slow_clients;
mod tokens;
