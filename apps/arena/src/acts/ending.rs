//! A match ends: what its boards and its room need before and after the transaction.

use std::sync::Arc;

use tidings_app::{Org, Refusal, Room, Stage};

use crate::arena::{Arena, Pass, room, the_match};
use crate::boards::Scope;
use crate::telling::{Later, follow_up};

/// A match that is about to end: the boards it concerns are there, and what has to be told behind it is told.
pub(crate) struct Ending<'a> {
    _pass: Pass<'a>,
    /// What the transaction leaves to be told.
    pub(crate) later: Later,
    room: Room,
}

impl<'a> Ending<'a> {
    /// Before the transaction.
    ///
    /// # Errors
    /// `not_found` if there is no such match.
    pub(crate) async fn of(
        arena: &'a Arc<Arena>,
        stage: &Stage,
        org: &Org,
        id: &str,
    ) -> Result<Self, Refusal> {
        let game = the_match(&mut stage.read().await?, org, id).await?;
        let scope = game.session.as_deref().map_or(Scope::Global, Scope::session);
        let _pass = arena.pass_to(stage, org, &scope).await?;
        Ok(Self { _pass, later: Later::default(), room: room(org, &format!("match:{id}"))? })
    }

    /// It is stored: the rest is told, and the room closes.
    pub(crate) async fn told(self, stage: &Stage) {
        follow_up(stage, self.later.take()).await;
        stage.close(&self.room);
    }
}
