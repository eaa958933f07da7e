//! `/leaderboard`: boards, windows of them, and how they are told.

use std::sync::Arc;
use std::time::Duration;

use tidings_app::{
    Action, Changes, Channel, Ctx, Keeps, Org, Reader, Refusal, Room, RoomKind, Rule, Stage, room,
};

use crate::arena::Arena;
use crate::boards::{OrgBoards, Scope};
use crate::countries::{self, is_code};
use crate::store::{ladders, players};
use crate::telling::board_room;
use crate::views;
use crate::windows::{self, WindowName};
use crate::wire::{
    BoardEvent, BoardReply, BoardSay, BoardSnapshot, BoardUpdate, BoardWish, Entry, ScopeKind, Step,
    WindowKind,
};

/// A board is told at most so often.
pub const EVERY_MS: u64 = 1_000;
/// How often it is looked whether something is to be told, while something is.
const LOOK: Duration = Duration::from_millis(50);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// The channel.
pub struct Leaderboard(pub Arc<Arena>);

impl Channel for Leaderboard {
    const NAMESPACE: &'static str = "/leaderboard";
    type Command = BoardSay;
    type Event = BoardEvent;
    type Reply = BoardReply;
    type Snapshot = BoardSnapshot;

    fn kinds(&self) -> Vec<RoomKind> {
        let stored = Keeps::Durable { size: 500, ttl: Duration::from_secs(3_600) };
        let recent = Keeps::Recent { size: 100, ttl: Duration::from_secs(120) };
        let board = "A board: `global`, `country:CODE` or `session:ID`.";
        let window = "A part of a board, kept live; its name is in the answer to `subscribe`.";
        vec![
            RoomKind::new("leaderboard", board, stored),
            RoomKind::new(windows::KIND, window, recent).subscribe(Rule::App),
        ]
    }

    async fn handle(&self, ctx: Ctx<'_, Self>, command: BoardSay) -> Result<BoardReply, Refusal> {
        let user = ctx.user()?;
        match command {
            BoardSay::Subscribe(wish) => {
                let room = ctx.room(&name_of(&wish, user)?)?;
                // A window has to be there before one is in its room, and is as the others see it.
                let snapshot = ctx.enter(self, &room).await?;
                Ok(BoardReply { room: room.name().to_owned(), snapshot: Some(snapshot) })
            }
            BoardSay::Unsubscribe(wish) => {
                let room = ctx.room(&name_of(&wish, user)?)?;
                ctx.leave(&room);
                Ok(BoardReply { room: room.name().to_owned(), snapshot: None })
            }
        }
    }

    async fn join(&self, ctx: Ctx<'_, Self>, room: &Room) -> Result<BoardSnapshot, Refusal> {
        self.snapshot(&ctx.stage(), room).await
    }

    /// The top of a board is everybody's; what is around somebody, and his friends, are his.
    ///
    /// Who takes up a session is asked about here and comes into the window without [`Channel::join`]: it has to be
    /// open by then.
    async fn admit(&self, ctx: Ctx<'_, Self>, room: &Room, action: Action) -> Result<(), Refusal> {
        let name = WindowName::parse(room.id()).ok_or_else(Refusal::no_such_room)?;
        let (who, server) = (ctx.who().user.as_deref(), ctx.who().is_server());
        match &name.player {
            Some(player) if who != Some(player) && !server => return Err(Refusal::no_such_room()),
            None if who.is_none() && !server => {
                return Err(Refusal::needs_sign_in());
            }
            _ => {}
        }
        if action == Action::Subscribe {
            self.look(&ctx.stage(), room).await?;
        }
        Ok(())
    }

    async fn wake(&self, stage: Stage) -> Option<Duration> {
        let told = async {
            let _pass = self.0.pass(&stage).await?;
            for org in self.0.known() {
                tell(&self.0, &stage, &org).await?;
            }
            Ok::<_, Refusal>(())
        };
        match told.await {
            Ok(()) => {
                self.0.rest().await;
                Some(LOOK)
            }
            Err(refusal) => {
                tracing::debug!(%refusal, "boards cannot be told now");
                Some(AGAIN)
            }
        }
    }
}

impl Leaderboard {
    /// How a board or a window stands.
    async fn snapshot(&self, stage: &Stage, room: &Room) -> Result<BoardSnapshot, Refusal> {
        let org = room.org();
        if room.kind() == windows::KIND {
            return self.look(stage, room).await;
        }
        let scope = Scope::parse(room.id()).ok_or_else(Refusal::no_such_room)?;
        let _pass = self.0.pass_to(stage, org, &scope).await?;
        Ok(views::of_board(&self.0, org, &scope))
    }

    /// How a window stands, which is opened if nobody looks at it. Its room is told with whom it begins, if somebody
    /// may come back who was there before.
    async fn look(&self, stage: &Stage, room: &Room) -> Result<BoardSnapshot, Refusal> {
        let (arena, org) = (&self.0, room.org());
        let name = WindowName::parse(room.id()).ok_or_else(Refusal::no_such_room)?;
        let _pass = arena.pass_to(stage, org, &name.scope).await?;
        let look = || arena.with(org, |boards| boards.look(&name, stage.now_ms()));
        if let Some(snapshot) = look() {
            return Ok(snapshot);
        }
        let friends = friends_of(&mut stage.read().await?, org, &name).await?;
        let _turn = arena.windows.lock().await;
        if let Some(snapshot) = look() {
            return Ok(snapshot);
        }
        arena.with(org, |boards| boards.open(&name, &friends, stage.now_ms()))?;
        if let Some(event) = arena.with(org, |boards| boards.begins(&name)).filter(|_| stage.remembers(room))
            && let Err(refusal) = stage.publish(room, &event).await
        {
            arena.with(org, |boards| boards.close(&name));
            return Err(refusal);
        }
        look().ok_or_else(Refusal::no_such_room)
    }
}

async fn friends_of(reader: &mut Reader, org: &Org, name: &WindowName) -> Result<Vec<String>, Refusal> {
    match (&name.player, name.kind) {
        (Some(player), WindowKind::Friends) => players::mutual(reader, org, player).await,
        _ => Ok(Vec::new()),
    }
}

/// The room somebody wishes for.
fn name_of(wish: &BoardWish, user: &str) -> Result<String, Refusal> {
    let scope = match (wish.scope, &wish.country, &wish.session_id) {
        (ScopeKind::Country, Some(code), _) if is_code(code) => Scope::country(code),
        (ScopeKind::Country, ..) => {
            return Err(Refusal::bad_request(&format!("country: {}", countries::EXPECTED)));
        }
        (ScopeKind::Session, _, Some(id)) => Scope::session(id),
        _ => Scope::Global,
    };
    Ok(match &wish.window {
        None => scope.room(),
        Some(window) => WindowName::of(scope, window, user).room(),
    })
}

/// Tells an organisation's boards and windows, as far as something has changed and their pace allows.
async fn tell(arena: &Arc<Arena>, stage: &Stage, org: &Org) -> Result<(), Refusal> {
    tell_windows(arena, stage, org).await?;
    let now_ms = stage.now_ms();
    let boards = arena.with(org, |boards| updates(boards, now_ms));
    if boards.is_empty() {
        return Ok(());
    }
    let scopes: Vec<Scope> = boards.iter().map(|(scope, ..)| scope.clone()).collect();
    let told = store(arena, stage, org, boards, now_ms).await;
    if told.is_err() {
        arena.with(org, |boards| scopes.into_iter().for_each(|scope| boards.look_again(scope)));
    }
    told
}

/// Tells what has changed in windows, and of those that nobody looks at that they are over.
async fn tell_windows(arena: &Arc<Arena>, stage: &Stage, org: &Org) -> Result<(), Refusal> {
    let now_ms = stage.now_ms();
    let members = |name: &str| room(org, name).map_or(0, |room| stage.members(&room));
    let _turn = arena.windows.lock().await;
    let (ended, told) =
        arena.with(org, |boards| (boards.end_empty(now_ms, members), boards.window_updates(now_ms)));
    for window in ended {
        let room = room(org, &window.room)?;
        // Also where nothing was ever said: who takes up its session there has missed nothing, and has an old list.
        if let Err(refusal) = stage.publish(&room, &window.event).await {
            tracing::debug!(%refusal, name = window.room, "a window that nobody looks at cannot end now");
            arena.with(org, |boards| boards.goes_on(window));
        }
    }
    for (name, event) in told {
        // Who hears a window that could not be told is told what comes; the next look is as good.
        if let Err(refusal) = stage.publish(&room(org, &name)?, &event).await {
            tracing::warn!(%refusal, name, "a window was not told");
        }
    }
    Ok(())
}

/// Boards that are told together; the others are a moment later.
const TOGETHER: usize = 100;

/// What is to be told of boards whose top is another one.
fn updates(boards: &mut OrgBoards, now_ms: u64) -> Vec<(Scope, Vec<Entry>, Vec<Step>)> {
    let mut found = Vec::new();
    for scope in boards.due(now_ms) {
        if found.len() == TOGETHER {
            break;
        }
        boards.looked(&scope);
        let now = boards.top(&scope);
        if now != boards.shown(&scope) || boards.is_owed(&scope) {
            let diff = diff(boards, &scope, &now);
            found.push((scope, now, diff));
        }
    }
    found
}

/// Whose place has changed since a board was told last: of those shown now, and of those shown then.
fn diff(boards: &OrgBoards, scope: &Scope, now: &[Entry]) -> Vec<Step> {
    let shown = boards.shown(scope);
    let before = |id: &str| shown.iter().find(|entry| entry.player_id == id).map(|entry| entry.rank);
    let step = |player_id: &str, old: Option<u32>, new: Option<u32>| {
        let moved = old.zip(new).map_or(0, |(old, new)| i64::from(old) - i64::from(new));
        Step { player_id: player_id.to_owned(), moved, old_rank: old }
    };
    let mut steps = Vec::new();
    for entry in now {
        let old = before(&entry.player_id);
        if old != Some(entry.rank) {
            steps.push(step(&entry.player_id, old, Some(entry.rank)));
        }
    }
    for gone in shown.iter().filter(|old| !now.iter().any(|entry| entry.player_id == old.player_id)) {
        let rank = boards.find(&gone.player_id).and_then(|handle| boards.board(scope)?.rank(handle));
        steps.push(step(&gone.player_id, Some(gone.rank), rank));
    }
    steps
}

/// Stores and tells them.
async fn store(
    arena: &Arc<Arena>,
    stage: &Stage,
    org: &Org,
    updates: Vec<(Scope, Vec<Entry>, Vec<Step>)>,
    now_ms: u64,
) -> Result<(), Refusal> {
    let (arena, org) = (arena.clone(), org.clone());
    stage.commit(move |tx| Box::pin(async move { show(&arena, tx, &org, updates, now_ms).await })).await
}

async fn show(
    arena: &Arc<Arena>,
    tx: &mut Changes,
    org: &Org,
    updates: Vec<(Scope, Vec<Entry>, Vec<Step>)>,
    now_ms: u64,
) -> Result<(), Refusal> {
    for (scope, entries, diff) in &updates {
        let text = serde_json::to_string(entries).unwrap_or_default();
        ladders::show(tx, org, &scope.room(), &text).await?;
        let (place, entries, diff) = (scope.place(), entries.clone(), diff.clone());
        let event = BoardEvent::Update(BoardUpdate { place, entries, diff });
        tx.emit(&board_room(org, scope)?, &event)?;
    }
    let (arena, org) = (arena.clone(), org.clone());
    tx.after(move || {
        arena.with(&org, |boards| {
            for (scope, entries, _) in updates {
                boards.told(&scope, entries, now_ms + EVERY_MS);
            }
        });
    });
    Ok(())
}
