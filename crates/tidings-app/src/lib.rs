//! The seam for apps: what an app is, what it may do, and how all of it is described.
//!
//! An [`App`] is a value: channels, HTTP routes, migrations. A [`Channel`] is a set of commands on one
//! namespace and the kinds of rooms they act on. What a client says becomes a typed [`Command`], checked once;
//! what an app says is a typed [`Event`] in a room. A command is one transaction: [`Ctx::commit`] stores rows
//! and events together, and only then are the events heard.
//!
//! The crate knows the core and the store. It has no HTTP: an app's routes are a type parameter. The server
//! implements [`Engine`] and [`Peer`].
//!
//! | module | what it is |
//! |---|---|
//! | [`app`], [`channel`] | what an app is made of |
//! | [`command`], [`bounds`] | what clients may say, and what it is checked for |
//! | [`objects`] | how JSON is read: a struct from an object alone, and what is wrong by its field |
//! | [`ctx`], [`commit`] | what a channel may do; rows and events in one transaction |
//! | [`tells`] | what is told of something with more events than a transaction holds |
//! | [`registry`] | who answers what: the only place where types are erased |
//! | [`mod@caught`] | what others wrote may panic |
//! | [`dice`] | chance that can be repeated, for demos |
//! | [`engine`] | what the server does for apps |
//! | [`describe`] | manifests, OpenAPI, AsyncAPI, TypeScript, all from the same types |

pub mod app;
pub mod bounds;
pub mod caught;
pub mod channel;
pub mod command;
pub mod commit;
pub mod ctx;
pub mod describe;
pub mod dice;
pub mod engine;
mod mounted;
pub mod objects;
mod once;
pub mod registry;
pub mod tells;

pub use app::{App, Keeps, RoomKind};
pub use bounds::{Many, Text, Whole, plain_id};
pub use caught::caught;
pub use channel::Channel;
pub use command::{AckStyle, Command, Counts, Event, Invalid, Requires};
pub use commit::Changes;
pub use ctx::{Ctx, Stage, Told, room};
pub use dice::Dice;
pub use engine::{Caller, Engine, Peer};
pub use once::Once;
pub use registry::{Call, Registry, RegistryError};
pub use tells::Tells;

// What an app names in every file, so that it needs no other crates for it.
pub use compact_str::CompactString;
pub use schemars::JsonSchema;
pub use tidings_core::limits::Rate;
pub use tidings_core::pace::Per;
pub use tidings_core::time;
pub use tidings_core::{Action, Code, Identity, Lane, Org, Refusal, Roll, Room, Rule};
pub use tidings_store::{Migration, Reader, args};

/// What is not there yet: a boxed future that may go from thread to thread.
pub type Pending<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
