//! `/players`: what concerns one player, and what friends do.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_app::command::NoCommand;
use tidings_app::{Channel, Ctx, Identity, Keeps, Org, Refusal, Room, RoomKind, Rule, Stage};

use crate::arena::Arena;
use crate::store::players::mutual;
use crate::telling::{emit_to_player, player_room};
use crate::views;
use crate::wire::{Activity, FriendActivity, PlayerEvent, PlayerView};

/// Friends are told this much later that somebody is not seen any more, or is again, and no more often.
const CHANGES_OF_MIND: Duration = Duration::from_secs(1);

/// The channel.
pub struct PlayersChannel(pub Arc<Arena>);

impl Channel for PlayersChannel {
    const NAMESPACE: &'static str = "/players";
    const PERSONAL: &'static [&'static str] = &["player"];
    const WELCOMES: bool = true;
    type Command = NoCommand;
    type Event = PlayerEvent;
    type Reply = ();
    type Snapshot = PlayerView;

    fn kinds(&self) -> Vec<RoomKind> {
        let keeps = Keeps::Durable { size: 200, ttl: Duration::from_secs(7 * 24 * 3_600) };
        vec![
            RoomKind::new("player", "What concerns one player, by the user's id.", keeps)
                .subscribe(Rule::Owner),
        ]
    }

    async fn handle(&self, _: Ctx<'_, Self>, command: NoCommand) -> Result<(), Refusal> {
        match command {}
    }

    async fn join(&self, ctx: Ctx<'_, Self>, room: &Room) -> Result<PlayerView, Refusal> {
        let stage = ctx.stage();
        let _pass = self.0.pass(&stage).await?;
        let asker = ctx.who().user.as_deref();
        views::of_player(&self.0, (&stage, asker), &mut ctx.read().await?, room.org(), room.id()).await
    }

    async fn leave(&self, ctx: Ctx<'_, Self>, room: &Room) {
        let stage = ctx.stage();
        if stage.members(room) == 0 && !stage.is_invisible(room.org(), room.id()) {
            tell_friends(&stage, room.org(), room.id(), Activity::Offline).await;
        }
    }

    async fn connected(&self, ctx: Ctx<'_, Self>) {
        came(ctx.stage(), ctx.who()).await;
    }

    /// For friends, who becomes invisible goes and who is seen again comes.
    async fn shown(&self, ctx: Ctx<'_, Self>) {
        let (stage, who) = (ctx.stage(), ctx.who());
        let Some(user) = &who.user else { return };
        let was_there = views::is_there(&stage, &who.org, user);
        // How often one may change one's mind is no measure for what friends are told.
        let Some(turn) = self.0.minds.turn(&who.org, user) else { return };
        tokio::time::sleep(CHANGES_OF_MIND).await;
        drop(turn);
        let is_seen = views::is_online(&stage, &who.org, user, None);
        match (is_seen, was_there && stage.is_invisible(&who.org, user)) {
            (true, _) => tell_friends(&stage, &who.org, user, Activity::Online).await,
            (_, true) => tell_friends(&stage, &who.org, user, Activity::Offline).await,
            _ => {}
        }
    }
}

/// Who has changed his mind about being seen, which friends are told soon.
#[derive(Default)]
pub struct Minds(Mutex<HashSet<(Org, String)>>);

/// Ends with what waits in it.
struct Turn<'a>(&'a Minds, (Org, String));

impl Minds {
    fn lock(&self) -> MutexGuard<'_, HashSet<(Org, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if friends are told soon anyway.
    fn turn(&self, org: &Org, user: &str) -> Option<Turn<'_>> {
        let whose = (org.clone(), user.to_owned());
        self.lock().insert(whose.clone()).then(|| Turn(self, whose))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

/// Somebody has come; friends are told if it is by the first of the player's connections.
pub(crate) async fn came(stage: Stage, who: &Identity) {
    let Some(user) = &who.user else { return };
    let members = player_room(&who.org, user).map_or(0, |room| stage.members(&room));
    if members == 1 && !stage.is_invisible(&who.org, user) {
        tell_friends(&stage, &who.org, user, Activity::Online).await;
    }
}

/// Tells friends what somebody does, if it can be told now: whoever asks sees it anyway.
async fn tell_friends(stage: &Stage, org: &Org, player: &str, activity: Activity) {
    let told = async {
        let friends = mutual(&mut stage.read().await?, org, player).await?;
        if friends.is_empty() {
            return Ok(());
        }
        let (org, player) = (org.clone(), player.to_owned());
        stage
            .commit(move |tx| {
                Box::pin(async move {
                    for friend in friends {
                        let activity = activity.clone();
                        let event =
                            PlayerEvent::Friend(FriendActivity { player_id: player.clone(), activity });
                        emit_to_player(tx, &org, &friend, &event)?;
                    }
                    Ok(())
                })
            })
            .await
    };
    let told: Result<(), Refusal> = told.await;
    if let Err(refusal) = told {
        tracing::debug!(%refusal, "friends were not told who came or went");
    }
}
