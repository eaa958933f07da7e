//! Proofs that nothing acknowledged is lost, and that nothing comes twice: the real binary, a real database,
//! real faults. Each has a control that fails without the protection it is about.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests, which say what they saw"
)]

mod away;
mod bed;
mod crash;
mod crowd;
mod died;
mod disk;
mod drain;
mod moved_back;
mod retry;
mod rounds;
mod silent;
mod slow;
mod trace;
