//! A whole server in this process, spoken to through real sockets.
#![allow(clippy::unwrap_used)]

mod administration;
mod answers_owed;
mod apps;
mod audit;
mod backend;
mod bearers;
mod catch_up;
mod comeback;
mod common;
mod drain;
mod durable;
mod expiry;
mod hook_order;
mod hooks;
mod hostile;
mod kept_subscriptions;
mod ladder;
mod large_past;
mod limits;
mod limits_of_addresses;
mod limits_of_requests;
mod members;
mod paces;
mod people;
mod presence;
mod presence_of_many;
mod pretending;
mod receipts;
mod revocations;
mod seats;
mod sessions;
mod slow_clients;
mod slow_requests;
mod threats;
mod tokens;
