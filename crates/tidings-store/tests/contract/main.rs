//! What a store promises, asked of SQLite and of a real PostgreSQL with the same tests.
#![allow(clippy::unwrap_used)]

mod accounts;
mod audit;
mod bed;
mod carried;
mod comebacks;
mod dead_letters;
mod isolation;
mod last_config;
mod last_seen;
mod log;
mod log_at_once;
mod opening;
mod progress;
mod refresh;
mod revocations;
mod second_factors;
mod sessions;
mod subscriptions;
