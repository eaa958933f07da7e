//! Boards, windows and messages of the top against models that sort everything anew.
#![allow(clippy::unwrap_used)]

#[path = "ranks/boards.rs"]
mod boards;
#[path = "ranks/naive.rs"]
mod naive;
#[path = "ranks/told.rs"]
mod told;
#[path = "ranks/views.rs"]
mod views;
