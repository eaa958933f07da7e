//! What happens: each act is a transaction of rows, events and, once it is stored, of places on boards.
//!
//! | module | what it is |
//! |---|---|
//! | [`ending`] | what an end needs before and after |
//! | [`life`] | a match is made, started, scored, and played by its players |
//! | [`result`] | a match has a result |
//! | [`void`] | it has not: whatever came of it is computed again |
//! | [`people`] | players, and their friends |
//! | [`tournaments`] | sessions, and who plays in them |

pub(crate) mod ending;
pub mod life;
pub mod people;
pub mod result;
pub mod tournaments;
pub mod void;

use std::collections::HashMap;

use serde::Serialize;
use tidings_app::{Org, Reader, Refusal};

use crate::boards::{Batch, OrgBoards, Scope};
use crate::model::Standing;
use crate::ranks::{Change, Entry, Moved};
use crate::store::ladders::{GLOBAL, of_session};
use crate::wire::RankChange;

/// How a player stood before and stands after.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) player: String,
    pub(crate) country: Option<String>,
    pub(crate) before: Standing,
    pub(crate) after: Standing,
}

/// What an act does to one ladder.
#[derive(Debug, Clone)]
pub(crate) struct Rated {
    /// `None`: that of everybody.
    pub(crate) session: Option<String>,
    pub(crate) turns: Vec<Turn>,
}

impl Rated {
    pub(crate) fn ladder(&self) -> String {
        self.session.as_deref().map_or_else(|| GLOBAL.to_owned(), of_session)
    }

    /// The boards that a player of this ladder is on.
    fn scopes(&self, turn: &Turn) -> Vec<Scope> {
        match &self.session {
            Some(session) => vec![Scope::session(session)],
            None => {
                let country = turn.country.as_deref().map(Scope::country);
                [Scope::Global].into_iter().chain(country).collect()
            }
        }
    }
}

/// What all of it does to boards.
pub(crate) fn batch_of(boards: &mut OrgBoards, rated: &[Rated]) -> Result<Batch, Refusal> {
    let mut batch = Batch::default();
    for ladder in rated {
        for turn in &ladder.turns {
            let player = boards.handle(&turn.player)?;
            let reached = crate::arena::number(turn.after.reached);
            let entry = Entry { player, score: turn.after.rating, reached };
            ladder.scopes(turn).iter().for_each(|scope| batch.push(scope, Change::Put(entry)));
        }
    }
    Ok(batch)
}

/// Whose places change by it, of those it is about.
pub(crate) fn rank_changes(
    boards: &OrgBoards,
    rated: &[Rated],
    moved: &[(Scope, Vec<Moved>)],
) -> Vec<RankChange> {
    let mut changes = Vec::new();
    for (scope, moved) in moved {
        let of = rated.iter().find(|rated| match (scope, &rated.session) {
            (Scope::Session(id), Some(session)) => id == session,
            (Scope::Session(_), None) | (_, Some(_)) => false,
            _ => true,
        });
        let turns: HashMap<&str, &Turn> =
            of.iter().flat_map(|of| &of.turns).map(|turn| (turn.player.as_str(), turn)).collect();
        for moved in moved {
            let id = boards.id(moved.player);
            let elo_change = turns.get(id).map_or(0, |turn| turn.after.rating - turn.before.rating);
            changes.push(RankChange {
                player_id: id.to_owned(),
                old_rank: moved.old_rank(),
                new_rank: moved.new_rank(),
                elo_change,
                place: scope.place(),
            });
        }
    }
    changes
}

/// By how much a rating has changed, as it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RatingChange {
    /// Whose.
    pub player_id: String,
    /// What it was.
    pub old_rating: i64,
    /// What it is.
    pub new_rating: i64,
    /// The difference.
    pub change: i64,
}

impl RatingChange {
    pub(crate) fn of(turn: &Turn) -> Self {
        let (old_rating, new_rating) = (turn.before.rating, turn.after.rating);
        Self { player_id: turn.player.clone(), old_rating, new_rating, change: new_rating - old_rating }
    }
}

/// A session in which matches are made and started now.
///
/// # Errors
/// `not_found`, or `conflict` if it has not begun, or is over.
pub(crate) async fn running_session(
    reader: &mut Reader,
    org: &Org,
    id: &str,
    now_ms: u64,
) -> Result<crate::store::sessions::Session, Refusal> {
    let session = crate::arena::the_session(reader, org, id).await?;
    if session.is_over(now_ms) {
        return Err(Refusal::conflict("this session is over"));
    }
    if session.starts_ms.is_some_and(|starts| starts > now_ms) {
        return Err(Refusal::conflict("this session has not begun"));
    }
    Ok(session)
}
