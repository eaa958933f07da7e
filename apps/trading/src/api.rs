//! REST below `/api/trading`. Whoever is signed in reads rooms that are open; owners and servers (a key or token with the
//! scope `publish`, or an administrator) run them, members trade, and servers publish prices.
//!
//! | module | what it is about |
//! |---|---|
//! | `rooms` | rooms, and who is in them |
//! | `orders` | orders, positions, portfolios |
//! | `replay` | prices from a file |
//! | `results` | standings, what was kept of them, exports |

mod describe;
mod orders;
mod replay;
mod results;
mod rooms;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use tidings_app::{Once, Refusal, Stage, Told};
use tidings_routes::{Answer as Answered, Asked, Asker, once, told_once};

use crate::acts::{happens, happens_once};
use crate::journal::Input;
use crate::keyed::{Answer, Keyed};
use crate::replay::Tapes;
use crate::room::{Room, State};
use crate::rooms::{Key, Rooms};
use crate::store::RoomRow;

pub use describe::paths;

/// Whose routes these are, where things are done once under a key.
const NAME: &str = "/api/trading";

/// What every route has at hand.
pub(crate) struct Api {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) tapes: Arc<Tapes>,
    pub(crate) stage: Stage,
}

/// The routes.
pub fn routes(rooms: Arc<Rooms>, tapes: Arc<Tapes>, stage: Stage) -> Router {
    tidings_routes::router(
        [rooms::routes(), orders::routes(), results::routes(), replay::routes()],
        Api { rooms, tapes, stage },
    )
}

/// Which room is asked about.
pub(crate) fn key(asker: &Asker, id: String) -> Key {
    (asker.org().clone(), id)
}

impl Api {
    /// Looks at a room that the asker may see.
    ///
    /// # Errors
    /// `not_found`
    pub(crate) async fn look<T>(
        &self,
        asker: &Asker,
        key: &Key,
        look: impl FnOnce(&RoomRow, &Room) -> T,
    ) -> Result<T, Refusal> {
        let mut reader = self.stage.read().await?;
        let looked = self.rooms.look(&mut reader, key, |row, room| {
            let seen = room.state() != State::Draft || owns(asker, row);
            seen.then(|| look(row, room))
        });
        looked.await?.ok_or_else(Refusal::no_such_room)
    }

    /// Does something in a room; under a key once, and how that is answered: nothing is said where there is none.
    ///
    /// # Errors
    /// What the room refuses.
    pub(crate) async fn happens(
        &self,
        (asked, what): (&Asked, &str),
        key: &Key,
        inputs: Vec<Input>,
        answer: Answer,
    ) -> Result<Option<Told>, Refusal> {
        let (rooms, stage) = (&self.rooms, &self.stage);
        match self.once(asked, what, key)? {
            None => happens(rooms, stage, key, inputs).await.map(|_| None),
            Some(once) => happens_once(rooms, stage, key, (inputs, Keyed::new(once, answer))).await.map(Some),
        }
    }

    /// The key under which something is done once in a room, if one was sent.
    ///
    /// # Errors
    /// `bad_request` for one that is none.
    pub(crate) fn once(&self, asked: &Asked, what: &str, key: &Key) -> Result<Option<Once>, Refusal> {
        once(&self.stage, asked, [NAME, &format!("rooms/{}/{what}", key.1)])
    }

    /// What a refusal is answered with: what was done before under the key, if it was.
    pub(crate) async fn refused(
        &self,
        once: Option<&Once>,
        status: StatusCode,
        refusal: Refusal,
    ) -> Answered {
        let Some(once) = once else { return Err(refusal.into()) };
        let told = self.stage.answered(once).await.unwrap_or(Err(refusal))?;
        Ok(told_once(status, told))
    }

    /// Only who runs a room goes on.
    ///
    /// # Errors
    /// `not_found`, `forbidden`
    pub(crate) async fn owner(&self, asker: &Asker, key: &Key) -> Result<(), Refusal> {
        if self.look(asker, key, |row, _| owns(asker, row)).await? {
            return Ok(());
        }
        Err(Refusal::forbidden("this is for the room's owner, or for servers"))
    }
}

fn owns(asker: &Asker, row: &RoomRow) -> bool {
    asker.is_server() || !row.owner.is_empty() && asker.user() == Some(&row.owner)
}
