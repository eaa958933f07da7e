//! `/matches`: what is heard of a match, and what its players do in it.

use std::sync::Arc;
use std::time::Duration;

use tidings_app::{Channel, Ctx, Keeps, Many, Refusal, Room, RoomKind};

use crate::acts::ending::Ending;
use crate::acts::life::{self, Act};
use crate::acts::result::{self, Submitted};
use crate::arena::{Arena, the_match};
use crate::players;
use crate::telling::match_room;
use crate::views;
use crate::wire::{Id, MatchEnd, MatchEvent, MatchReply, MatchSay, MatchView};

/// So long after its end a match can still be heard, by who was away when it ended.
pub const LINGER_MS: u64 = 120_000;

/// Events of a match leave together after so long, or when they are so many.
const BATCH: Duration = Duration::from_millis(100);
const BATCH_EVENTS: usize = 50;

/// The channel.
pub struct Matches(pub Arc<Arena>);

impl Channel for Matches {
    const NAMESPACE: &'static str = "/matches";
    const PERSONAL: &'static [&'static str] = &["player"];
    const WELCOMES: bool = true;
    type Command = MatchSay;
    type Event = MatchEvent;
    type Reply = MatchReply;
    type Snapshot = MatchView;

    fn kinds(&self) -> Vec<RoomKind> {
        let keeps = Keeps::Durable { size: 1_000, ttl: Duration::from_secs(24 * 3_600) };
        vec![RoomKind::new("match", "A match, by its id.", keeps).batch(BATCH, BATCH_EVENTS)]
    }

    async fn handle(&self, ctx: Ctx<'_, Self>, command: MatchSay) -> Result<MatchReply, Refusal> {
        match command {
            MatchSay::Subscribe(wish) => {
                let match_id = wish.match_id.into_string();
                let room = match_room(ctx.org(), &match_id)?;
                let snapshot = ctx.enter(self, &room).await?;
                Ok(MatchReply {
                    match_id,
                    room: Some(room.name().to_owned()),
                    snapshot: Some(snapshot),
                    sequence: None,
                })
            }
            MatchSay::Unsubscribe(wish) => {
                let match_id = wish.match_id.into_string();
                let room = match_room(ctx.org(), &match_id)?;
                ctx.leave(&room);
                Ok(MatchReply {
                    match_id,
                    room: Some(room.name().to_owned()),
                    snapshot: None,
                    sequence: None,
                })
            }
            MatchSay::Act(said) => {
                let (org, player) = (ctx.org().clone(), ctx.user()?.to_owned());
                let (id, action) = (said.match_id.into_string(), said.action.into_string());
                let act = Act { id, player, action, data: said.data };
                ctx.commit(move |tx| {
                    Box::pin(async move {
                        let match_id = act.id.clone();
                        life::act(tx, &org, act).await?;
                        Ok(MatchReply { match_id, room: None, snapshot: None, sequence: None })
                    })
                })
                .await
            }
            MatchSay::Submit(end) => self.submit(&ctx, end).await,
        }
    }

    async fn join(&self, ctx: Ctx<'_, Self>, room: &Room) -> Result<MatchView, Refusal> {
        self.view(&ctx, room).await
    }

    async fn connected(&self, ctx: Ctx<'_, Self>) {
        players::came(ctx.stage(), ctx.who()).await;
    }
}

impl Matches {
    /// A server submits a result; the match's room closes behind it.
    async fn submit(&self, ctx: &Ctx<'_, Self>, end: MatchEnd) -> Result<MatchReply, Refusal> {
        let (org, stage, match_id) = (ctx.org().clone(), ctx.stage(), end.match_id.into_string());
        let submitted = Submitted {
            winner: end.winner_id.map(Id::into_string),
            kind: end.result_type,
            scores: end.scores.map(Many::into_vec).unwrap_or_default(),
        };
        let ending = Ending::of(&self.0, &stage, &org, &match_id).await?;
        let arena = self.0.clone();
        let submitting = ctx.commit(move |tx| {
            Box::pin(async move {
                let settled = result::submit(&arena, tx, &org, &match_id, &submitted).await?;
                let snapshot = Some(views::of_match(tx, &org, &match_id).await?);
                Ok(MatchReply { match_id, room: None, snapshot, sequence: Some(settled.sequence) })
            })
        });
        let reply = submitting.await?;
        ending.told(&stage);
        Ok(reply)
    }

    async fn view(&self, ctx: &Ctx<'_, Self>, room: &Room) -> Result<MatchView, Refusal> {
        let mut reader = ctx.read().await?;
        let game = the_match(&mut reader, room.org(), room.id()).await?;
        let over = |ended: u64| ended.saturating_add(LINGER_MS) <= ctx.now_ms();
        if game.status.is_over() && game.ended_ms.is_none_or(over) {
            return Err(Refusal::conflict("this match is over"));
        }
        views::match_of(&mut reader, room.org(), game).await
    }
}
