//! Proofs that nothing acknowledged is lost, and that nothing comes twice: the real binary, a real database,
//! real faults. Each has a control that fails without the protection it is about.
#![allow(clippy::unwrap_used, reason = "tests")]

mod away;
mod bed;
mod crash;
mod disk;
mod drain;
mod retry;
mod trace;
