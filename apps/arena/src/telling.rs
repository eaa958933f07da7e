//! What is told of something that has happened: events and their rooms, in one list, in order.

use std::sync::{Arc, Mutex, PoisonError};

use tidings_app::{Changes, Org, Refusal, Room, Stage};

use crate::arena::room;
use crate::boards::Scope;
use crate::wire::{BoardEvent, MatchEvent, PlayerEvent};

/// Events that are told in one transaction; of a correction that has more the others follow in transactions
/// of their own.
pub const TOGETHER: usize = 900;

/// Something to be told.
#[derive(Debug, Clone)]
pub enum Tell {
    /// To those who hear a match.
    Match(Room, MatchEvent),
    /// To those who hear a board.
    Board(Room, BoardEvent),
    /// To a player.
    Player(Room, PlayerEvent),
}

impl Tell {
    /// To those who hear a match.
    ///
    /// # Errors
    /// `bad_request` if the id cannot be in a room's name, here and below.
    pub fn of_match(org: &Org, id: &str, event: MatchEvent) -> Result<Self, Refusal> {
        Ok(Self::Match(room(org, &format!("match:{id}"))?, event))
    }

    /// To those who hear a board.
    pub fn of_board(org: &Org, scope: &Scope, event: BoardEvent) -> Result<Self, Refusal> {
        Ok(Self::Board(room(org, &scope.room())?, event))
    }

    /// To a player.
    pub fn of_player(org: &Org, id: &str, event: PlayerEvent) -> Result<Self, Refusal> {
        Ok(Self::Player(room(org, &format!("player:{id}"))?, event))
    }

    /// Tells it once the transaction is stored.
    ///
    /// # Errors
    /// As [`Changes::emit`].
    pub fn emit(&self, tx: &mut Changes) -> Result<(), Refusal> {
        match self {
            Self::Match(room, event) => tx.emit(room, event),
            Self::Board(room, event) => tx.emit(room, event),
            Self::Player(room, event) => tx.emit(room, event),
        }
    }
}

/// Tells as much as fits in a transaction; what is left.
///
/// # Errors
/// As [`Changes::emit`].
pub fn emit(tx: &mut Changes, mut tells: Vec<Tell>) -> Result<Vec<Tell>, Refusal> {
    let rest = tells.split_off(tells.len().min(TOGETHER));
    tells.iter().try_for_each(|tell| tell.emit(tx))?;
    Ok(rest)
}

/// What a transaction leaves to be told behind it.
#[derive(Debug, Clone, Default)]
pub struct Later(Arc<Mutex<Vec<Tell>>>);

impl Later {
    /// Leaves something.
    pub fn put(&self, rest: Vec<Tell>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }

    /// Takes what was left.
    pub fn take(&self) -> Vec<Tell> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tells what was left; if the server ends meanwhile it is never told, and whoever asks sees how things are.
pub async fn follow_up(stage: &Stage, mut rest: Vec<Tell>) {
    while !rest.is_empty() {
        let more = rest.split_off(rest.len().min(TOGETHER));
        let told = stage.commit(move |tx| Box::pin(async move { emit(tx, rest).map(drop) })).await;
        if let Err(refusal) = told {
            return tracing::warn!(%refusal, left = more.len(), "a correction was not told to everybody");
        }
        rest = more;
    }
}
