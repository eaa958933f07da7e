//! Accounts over HTTP, on a running server with a store.
#![allow(clippy::unwrap_used)]

mod admin_ui;
mod bed;
mod described;
mod keys;
mod members;
mod moments;
mod oidc;
mod people;
mod provider;
mod refresh;
mod second_factor;
mod set_up;
#[allow(dead_code, unused_imports)]
#[path = "../signin/common.rs"]
mod signin;
