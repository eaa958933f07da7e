//! The core of Tidings: rooms, shards, outboxes and history in memory.
//!
//! Nothing here knows a socket, HTTP, SQL or Redis. Everything published on this node enters
//! through [`Node::publish`]; everything that reaches connections leaves through [`Hub`], one
//! hand-over per shard, and then [`Shard::take`] and [`Shard::flush`].
//!
//! | module | what it is |
//! |---|---|
//! | [`room`] | a room's name and policy |
//! | [`access`] | who a client is, rules, refusals |
//! | [`user`] | users, and whose a session is |
//! | [`lane`] | how urgent an event is |
//! | [`kinds`] | the declared kinds of rooms, and the one place that decides |
//! | [`answers`] | what the team's own backend has said, as long as it allowed |
//! | [`breaker`] | whom one should not ask for a while |
//! | [`publication`] | an event for a room, and where it stands in the room's history |
//! | [`frame`] | the bytes of an event in the form a member wants |
//! | [`outbox`] | what one connection still has to be sent |
//! | [`pace`] | a valve before a room: how often events come through it, and which |
//! | [`shard`] | rooms, members and dirty connections of one thread |
//! | [`recent`] | the newest events of a room, in memory |
//! | [`hub`] | which shard has members of which room |
//! | [`limits`] | rates and counts, and what everybody has used up of them |
//! | [`mod@lock`] | a mutex that is whole whoever panicked |
//! | [`recorder`] | what happened lately, so that it can be explained |
//! | [`roster`] | who is in one place with which devices |
//! | [`presence`] | the rosters of this node, and what is to be told of them |
//! | [`node`] | where they all meet: join, leave, publish |

pub mod access;
pub mod answers;
pub mod breaker;
pub mod frame;
pub mod hub;
pub mod kinds;
pub mod lane;
pub mod limits;
pub mod lock;
pub mod node;
pub mod outbox;
pub mod pace;
pub mod presence;
pub mod publication;
pub mod recent;
pub mod recorder;
pub mod room;
pub mod roster;
pub mod shard;
mod shuffle;
pub mod user;

pub use access::{Code, Identity, Refusal, Rule, SharedIdentity, Verdict};
pub use answers::{Answer, Answered};
pub use breaker::{Breaker, BreakerPolicy, BreakerState, Permit};
pub use hub::{Hub, Post};
pub use kinds::{Action, Asker, Denied, Kinds};
pub use lane::Lane;
pub use lock::lock;
pub use node::{Bodies, Carried, From, Heard, Joined, Node, Publish, Published};
pub use outbox::{Outbox, QueueLimits};
pub use presence::Presence;
pub use publication::{Epoch, Mark, MessageId, Payload, Position, Publication};
pub use recorder::Recorder;
pub use room::{Keep, Org, Roll, Room, RoomSpec};
pub use shard::{ConnKey, Shard, Sink};
pub use shuffle::Shuffle;
pub use tidings_wire::json::meant;
pub use tidings_wire::time;
pub use user::{Holder, UserKey};
