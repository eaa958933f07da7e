//! What the HTTP routes of every app need: who asks, with what, and how it is answered.
//!
//! The seam itself has no HTTP. An app that has routes builds them of these parts, so that bodies, refusals, keys and
//! headers are the same everywhere.
//!
//! | module | what it is |
//! |---|---|
//! | [`ask`] | who asks, and what with |
//! | [`answer`] | how it is answered |
//! | [`describe`] | how routes stand in the description of the HTTP API |

pub mod answer;
pub mod ask;
pub mod describe;

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::extract::DefaultBodyLimit;

pub use answer::{Answer, Refused, commit, make, once, respond, told, told_as, told_from, told_once};
pub use ask::{Asked, Asker, AtPath, AtQuery, Nothing, bad, limit, new_id, path, query};

/// Bytes of a body at most; a longer one is `too_large`.
pub const BODY_BYTES: usize = 64 << 10;

/// The routes of an app in one: `state` is what all of them have at hand.
pub fn router<S: Send + Sync + 'static>(parts: impl IntoIterator<Item = Router<Arc<S>>>, state: S) -> Router {
    let all = parts.into_iter().fold(Router::new(), Router::merge);
    all.layer(at_most(BODY_BYTES)).with_state(Arc::new(state))
}

/// A layer for routes whose bodies have so many bytes at most; the innermost one counts.
///
/// What declares more is refused before anything of it is read, and what declares nothing as soon as there is more.
pub fn at_most(bytes: usize) -> (Extension<Most>, DefaultBodyLimit) {
    (Extension(Most(bytes)), DefaultBodyLimit::max(bytes))
}

/// Bytes that a body may declare.
#[derive(Debug, Clone, Copy)]
pub struct Most(usize);
