//! `/trading`: orders, and the rooms in which one hears what becomes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidings_app::command::NoEvent;
use tidings_app::{Action, Channel, Ctx, Keeps, Refusal, Room as Place, RoomKind, Rule, Stage};

use crate::acts;
use crate::byitself::{self, BEAT, CALM};
use crate::clean::{self, KeptFor};
use crate::images;
use crate::misread;
use crate::refused::Refused;
use crate::replay::Tapes;
use crate::room::State;
use crate::rooms::Rooms;
use crate::telling::place;
use crate::views;
use crate::wire::*;

/// Events of a room that are kept, and how long: who was away for longer asks how things stand.
const KEPT: usize = 20_000;
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The channel.
pub struct Trading {
    /// Rooms in memory.
    pub rooms: Arc<Rooms>,
    tapes: Arc<Tapes>,
    keeps: KeptFor,
    beats: AtomicU64,
}

impl Trading {
    /// One over rooms and files of prices that others have too.
    pub fn new(rooms: Arc<Rooms>, tapes: Arc<Tapes>, keeps: KeptFor) -> Self {
        Self { rooms, tapes, keeps, beats: AtomicU64::new(0) }
    }

    /// Whether somebody may see a room: members and its owner always, others once it is open.
    async fn sees(&self, ctx: &Ctx<'_, Self>, place: &Place) -> Result<(), Refusal> {
        let (id, whose) = parts(place);
        let (key, who) = ((place.org().clone(), id.to_owned()), ctx.who());
        let user = who.user.as_deref().unwrap_or_default();
        let mut reader = ctx.read().await?;
        let looked = self.rooms.look(&mut reader, &key, |row, room| match whose {
            Some(whose) => room.accounts().contains_key(whose) && (whose == user || who.is_server()),
            None => {
                let open = room.state() != State::Draft;
                who.is_server() || !user.is_empty() && (open || row.owner == user)
            }
        });
        if looked.await? { Ok(()) } else { Err(Refusal::no_such_room()) }
    }
}

/// The room's id, and the user's if it is that of a member.
fn parts(place: &Place) -> (&str, Option<&str>) {
    place.id().split_once(':').map_or((place.id(), None), |(id, user)| (id, Some(user)))
}

impl Channel for Trading {
    const NAMESPACE: &'static str = "/trading";
    type Command = TradeSay;
    type Event = TradeEvent;
    type Reply = OrderReply;
    type Snapshot = TradeSnapshot;

    fn kinds(&self) -> Vec<RoomKind> {
        let keeps = Keeps::Durable { size: KEPT, ttl: KEPT_FOR };
        let about = "A trading room by its id; behind a second colon, what a member has in it.";
        vec![RoomKind::new("trade", about, keeps).subscribe(Rule::App).publish(Rule::App)]
    }

    async fn handle(&self, ctx: Ctx<'_, Self>, command: TradeSay) -> Result<OrderReply, Refusal> {
        let (stage, org, user) = (ctx.stage(), ctx.org().clone(), ctx.user()?);
        match command {
            TradeSay::Place(wanted) => {
                let (id, ask) = wanted.into_ask();
                acts::order(&self.rooms, &stage, (org, id), (user, ctx.once()), ask).await
            }
            TradeSay::Cancel(OrderCancel { room_id, order_id }) => {
                let key = (org, room_id.into_string());
                acts::cancel(&self.rooms, &stage, key, (user, ctx.once()), &order_id).await
            }
        }
    }

    async fn misread(
        &self,
        ctx: Ctx<'_, Self>,
        (command, data): (&'static str, &str),
        refusal: Refusal,
    ) -> Refusal {
        let said = serde_json::from_str(data).unwrap_or_default();
        let (Some(id), Ok(user)) = (misread::text::<64>(&said, "roomId"), ctx.user()) else { return refusal };
        let placed = misread::text::<64>(&said, "clientOrderId").filter(|_| command == "order:place");
        let key = (ctx.org().clone(), id);
        misread::told(&self.rooms, &ctx.stage(), (&key, user), placed, refusal).await
    }

    async fn join(&self, ctx: Ctx<'_, Self>, place: &Place) -> Result<TradeSnapshot, Refusal> {
        let (id, whose) = parts(place);
        let key = (place.org().clone(), id.to_owned());
        let mut reader = ctx.read().await?;
        let looked = self.rooms.look(&mut reader, &key, |row, room| match whose {
            None => Ok(TradeSnapshot { room: Some(views::of_room(row, room)), account: None }),
            Some(user) => {
                let account = views::of_account(room, user, row.time(ctx.now_ms()));
                account.map(|account| TradeSnapshot { room: None, account: Some(account) })
            }
        });
        looked.await?.map_err(|_: Refused| Refusal::no_such_room())
    }

    /// Who may hear a room may read what was said in it and see who is there; only the app speaks in it.
    async fn admit(&self, ctx: Ctx<'_, Self>, place: &Place, action: Action) -> Result<(), Refusal> {
        match action {
            Action::Subscribe | Action::History | Action::Presence => self.sees(&ctx, place).await,
            // Who may not hear it is told that there is none.
            Action::Publish => Err(Refusal::forbidden("only the app speaks in its rooms")),
        }
    }

    async fn wake(&self, stage: Stage) -> Option<Duration> {
        let beat = self.beats.fetch_add(1, Ordering::Relaxed);
        byitself::beat(&self.rooms, &self.tapes, &stage, beat).await;
        clean::beat(&self.rooms, &stage, self.keeps, beat).await;
        images::beat(&self.rooms, &stage, beat);
        self.rooms.rest(CALM).await;
        Some(BEAT)
    }
}

/// The switch that a dead program no longer holds, on the same namespace: its answers are of another shape.
pub struct Switches(pub Arc<Rooms>);

impl Channel for Switches {
    const NAMESPACE: &'static str = "/trading";
    type Command = SwitchSay;
    type Event = NoEvent;
    type Reply = CancelAfterReply;
    type Snapshot = ();

    async fn handle(&self, ctx: Ctx<'_, Self>, command: SwitchSay) -> Result<CancelAfterReply, Refusal> {
        let SwitchSay::CancelAfter(OrderCancelAfter { room_id, after_ms }) = command;
        let key = (ctx.org().clone(), room_id.into_string());
        let after_ms = after_ms.and_then(|ms| u64::try_from(ms.get()).ok());
        acts::cancel_after(&self.0, &ctx.stage(), &key, (ctx.user()?, after_ms), ctx.once()).await
    }
}

/// Rooms as they are heard on `/trading`: the room and one's own part of it in one command.
pub struct Hearing(pub Arc<Rooms>);

impl Hearing {
    /// The room, how it stands, and whether the caller has an account in it.
    async fn shown(&self, ctx: &Ctx<'_, Self>, room_id: &str) -> Result<TradeSnapshot, Refusal> {
        let (key, user) = ((ctx.org().clone(), room_id.to_owned()), ctx.user()?);
        let mut reader = ctx.read().await?;
        let looked = self.0.look(&mut reader, &key, |row, room| TradeSnapshot {
            room: Some(views::of_room(row, room)),
            account: views::of_account(room, user, row.time(ctx.now_ms())).ok(),
        });
        looked.await
    }
}

impl Channel for Hearing {
    const NAMESPACE: &'static str = "/trading";
    type Command = HearSay;
    type Event = NoEvent;
    type Reply = HearReply;
    type Snapshot = ();

    async fn handle(&self, ctx: Ctx<'_, Self>, command: HearSay) -> Result<HearReply, Refusal> {
        let (HearSay::Subscribe(RoomWish { room_id }) | HearSay::Unsubscribe(RoomWish { room_id })) =
            &command;
        let public = place(ctx.org(), room_id, None)?;
        let own = place(ctx.org(), room_id, Some(ctx.user()?))?;
        let mut rooms = vec![public.name().to_owned()];
        let HearSay::Subscribe(_) = &command else {
            ctx.leave(&public);
            ctx.leave(&own);
            rooms.push(own.name().to_owned());
            return Ok(HearReply { room_id: room_id.to_string(), rooms, snapshot: None });
        };
        // By the room's rules, which say whether there is such a room for this user.
        ctx.join(&public).await?;
        if self.shown(&ctx, room_id).await?.account.is_some() {
            ctx.join(&own).await?;
            rooms.push(own.name().to_owned());
        }
        // Looked at when both are heard: nothing that comes after it is missed.
        let snapshot = Some(self.shown(&ctx, room_id).await?);
        Ok(HearReply { room_id: room_id.to_string(), rooms, snapshot })
    }
}
