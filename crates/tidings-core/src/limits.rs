//! Limits of rate and count, as plain values: time is handed in, nothing waits and nothing logs.
//!
//! A [`Rate`] is judged by a [`Bucket`], one word that belongs to one thread, or a
//! [`SharedBucket`], the same word for all of them. An [`Occupancy`] counts what is there at once
//! and gives out [`Place`]s that come back by themselves. [`Accounts`] keeps both for everybody a
//! limit is counted by: users, organisations, addresses.

mod account;
mod accounts;
mod bucket;
mod network;
mod occupancy;
mod rate;

pub use account::Account;
pub use accounts::{Accounts, NoRoom};
pub use bucket::{Bucket, Line, SharedBucket};
pub use network::{BadNetwork, Network, network_of, plain_address};
pub use occupancy::{Occupancy, Place};
pub use rate::{OWN_RATES, OwnRate, Rate, Wait};
