//! Records and transactions over embedded SQLite or PostgreSQL, with the same behaviour on both.
//!
//! A [`Store`] is cheap to clone. [`Store::read`] gives a [`Reader`] and [`Store::begin`] a [`Tx`], a
//! transaction that also reads; what changes something exists on `Tx` alone, and nothing of it stays
//! without [`Tx::commit`]. Operations that decide something by racing (the audit chain, a look for mail
//! to send) are whole transactions, and methods of the `Store` itself.
//!
//! Every record belongs to an organisation and is found by it. Without one are found only the
//! organisations themselves, what proves by its own secret whose it is (links, refresh tokens, API
//! keys, sessions that are taken up again), and what an operator does for all of them: revocations since a number, pruning, the audit chain.
//!
//! There is no clock here and no chance: times are handed in as milliseconds since 1970, ids and
//! secrets are made by the caller, and of secrets only a [`Digest`] comes here; but for the text of a mail with
//! a link, until it is sent.
//!
//! | module | what it is |
//! |---|---|
//! | [`options`] | sizes and times a store keeps to |
//! | [`error`] | errors, by who must act |
//! | [`sql`] | statements for both databases; what apps write their own queries with |
//! | [`migrate`] | how a database gets and keeps its shape |
//! | [`orgs`], [`users`], [`links`], [`identities`] | who there is, and how they prove it once |
//! | [`refresh`], [`keys`], [`revocations`] | what signs somebody in again, and what no longer does |
//! | [`sessions`], [`mail`] | who is connected from where; what waits to be sent |
//! | [`log`] | events of durable rooms, numbered without holes |
//! | [`comebacks`] | sessions that another process can go on with |
//! | [`carried`] | what a process has left of its memory for the next |
//! | [`progress`] | how far a database has come, and what changes where an older copy is in its place |
//! | [`last_config`] | what was set at the last start |
//! | [`dead_letters`], [`subscriptions`] | what reached nobody; the rooms users want to be in |
//! | [`audit`] | what happened, in a chain that shows what was done to it |

pub mod audit;
pub mod carried;
mod checkpoint;
pub mod comebacks;
pub mod dead_letters;
mod digest;
pub mod error;
pub mod identities;
mod in_place;
mod kept_out;
pub mod keys;
pub mod last_config;
pub mod last_seen;
pub mod links;
pub mod log;
pub mod mail;
mod many;
pub mod migrate;
mod open;
pub mod options;
pub mod orgs;
mod origin;
pub mod progress;
pub mod refresh;
pub mod revocations;
pub mod second_factors;
pub mod sessions;
pub mod sql;
mod store;
pub mod subscriptions;
pub mod users;

pub use digest::Digest;
pub use error::{Result, StoreError};
pub use many::ManyRows;
pub use migrate::Migration;
pub use open::check_url;
pub use options::StoreOptions;
pub use sql::{Reader, Row, Tx, Value};
pub use store::Store;
