//! A match ends: what its boards and its room need before and after the transaction.

use std::sync::Arc;

use tidings_app::{Org, Refusal, Room, Stage};

use crate::arena::{Arena, Pass, the_match};
use crate::boards::Scope;
use crate::telling::match_room;

/// A match that is about to end: the boards it concerns are there, and its room closes behind it.
pub(crate) struct Ending<'a> {
    _pass: Pass<'a>,
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
        Ok(Self { _pass, room: match_room(org, id)? })
    }

    /// It is stored and told.
    pub(crate) fn told(self, stage: &Stage) {
        stage.close(&self.room);
    }
}
