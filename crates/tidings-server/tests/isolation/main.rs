//! What keeps organisations, rights and browser pages apart, shown on a running server.
#![allow(clippy::unwrap_used)]

mod bed;
mod canary;
mod client;
#[expect(dead_code, reason = "the tests of the server use the rest")]
#[path = "../server/common.rs"]
mod common;
mod http;
mod logs;
mod matrix;
mod model;
mod odd_names;
mod origins;
mod reference;
mod two_on_one;
mod walk;
mod walker;
