//! REST below `/api/arena`. Whoever is signed in reads; servers (a key or token with the scope `publish`, or an
//! administrator) write, and players what is their own. Everything is of the caller's organisation.
//!
//! | module | what it is about |
//! |---|---|
//! | `games` | matches |
//! | `boards` | leaderboards |
//! | `people` | players and friends |
//! | `tournaments` | sessions |

mod boards;
mod describe;
mod games;
mod people;
mod tournaments;

use std::sync::Arc;

use axum::Router;
use serde::Serialize;
use tidings_app::{Changes, Pending, Refusal, Stage};
use tidings_routes::{Answer, Asked};

use crate::arena::Arena;

pub use describe::paths;

/// Whose routes these are, where things are done once under a key.
const NAME: &str = "/api/arena";
/// What every route has at hand.
pub(crate) struct Api {
    pub(crate) arena: Arc<Arena>,
    pub(crate) stage: Stage,
}

/// The routes.
pub fn routes(arena: Arc<Arena>, stage: Stage) -> Router {
    tidings_routes::router(
        [people::routes(), games::routes(), boards::routes(), tournaments::routes()],
        Api { arena, stage },
    )
}

impl Api {
    /// Does something in a transaction; under a key once, and a repeat is answered as the first was. `name` says what it
    /// is, and to what.
    pub(crate) async fn commit<T, F>(&self, asked: &Asked, name: String, work: F) -> Answer
    where
        T: Serialize + Send + 'static,
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
    {
        tidings_routes::commit(&self.stage, asked, [NAME, &name], work).await
    }

    /// The same for something that is made by it.
    pub(crate) async fn make<T, F>(&self, asked: &Asked, name: String, work: F) -> Answer
    where
        T: Serialize + Send + 'static,
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
    {
        tidings_routes::make(&self.stage, asked, [NAME, &name], work).await
    }
}
