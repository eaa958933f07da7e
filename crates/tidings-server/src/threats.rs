//! What many small refusals add up to: somebody trying passwords, tokens, sessions or doors.
//!
//! | file | what it is |
//! |---|---|
//! | `kind` | what is looked for, how bad it is, and whom it comes from |
//! | `track` | the hits of one source within the window |
//! | `detector` | hits in, threats out: a value without clock, task or lock |
//! | `tell` | threats are told to whom they concern |
//!
//! A threat is told when it reaches a level for the first time, and not again until it has ended. What
//! belongs to an organisation is told to its administrators in their room [`ADMIN_ROOM`]; an address that
//! shows none is told to operators alone, in [`OPERATOR_ROOM`] of the default organisation.

mod detector;
mod kind;
mod tell;
mod track;

pub use detector::{Detector, Hit, PLACES};
pub(crate) use kind::counted;
pub use kind::{Kind, Level, Source, Threat};
pub(crate) use tell::tell;

/// Where an organisation's administrators hear of threats.
pub const ADMIN_ROOM: &str = "admin:security";

/// Where operators hear of threats, in the default organisation.
pub const OPERATOR_ROOM: &str = "operator:security";
