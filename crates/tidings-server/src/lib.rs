//! Listeners, shard loops, long polling, the HTTP API, sign-in, health and metrics.
//!
//! A multi-threaded front accepts, answers HTTP and decides on upgrades, then hands the raw socket
//! to a shard: one thread that owns its connections for life and runs no foreign code.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | start, drain, stop |
//! | [`config`] | what can be set |
//! | [`accounts`] | people, how they sign in, keys of programs |
//! | [`client`] | the seam for handlers of events that are not the engine's own |
//! | [`live`] | what takes effect on connections that are open |
//! | [`signin`] | who a token says its bearer is |
//! | [`audit`] | what happened, noted from anywhere and written by one task |
//! | [`failpoint`] | places at which tests stop the process; nothing that is shipped has them |
//! | [`ids`] | session keys and socket ids |
//! | [`threats`] | what many small refusals add up to |

pub mod accounts;
mod admin;
mod apps;
mod asking;
pub mod audit;
mod beside;
mod carried;
pub mod client;
mod comeback;
pub mod config;
mod degraded;
mod durable;
mod explain;
pub mod failpoint;
mod front;
mod gate;
mod history;
mod hooks;
pub mod ids;
mod ledger;
mod listeners;
pub mod live;
mod object;
mod outbound;
mod plan;
mod presence;
mod receipts;
mod records;
mod refusals;
pub mod server;
mod settings;
mod shard;
mod shared;
pub mod signin;
mod subscriptions;
pub mod threats;

pub use client::{AckArgs, Call, Client, ConnectRefused, Handler};
pub use config::Config;
pub use front::hello::{Hello, RequestInfo};
pub use front::paths::paths;
pub use listeners::try_addresses;
pub use live::{Live, Target};
pub use plan::refuse_unusable;
pub use server::{Extras, Publisher, Server, StartError};
pub use settings::{Footing, kinds};
pub use signin::SignIn;
pub use tidings_wire::time;

/// What the HTTP routes of an app are made of.
pub type Routes = axum::Router;
