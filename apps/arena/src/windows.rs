//! Windows of boards: a part that somebody looks at, kept live at a pace of its own.
//!
//! A window is a room, so that all who look at the same share one frame: `window:SCOPE:top:SIZE:EVERY`,
//! `window:SCOPE:around:K:EVERY:PLAYER`, `window:SCOPE:friends:EVERY:PLAYER`. One that nobody looks at any more ends.

mod ending;

use tidings_app::Refusal;

use crate::boards::{OrgBoards, Person, Scope, WINDOWS_MOST};
use crate::countries::is_code;
use crate::ranks::{Board, Diff, Handle, Left, Moved, Row, Shift as Step, View, Window};
use crate::wire::{BoardEvent, BoardSnapshot, Called, PACES_MS, Shift, WindowKind, WindowUpdate, WindowWish};

/// The kind of rooms.
pub const KIND: &str = "window";
/// The pace of whoever names none.
const EVERY_MS: u32 = 1_000;

/// Which window, as it stands in the name of its room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowName {
    /// The board.
    pub scope: Scope,
    /// Which part.
    pub kind: WindowKind,
    /// How many from the top, or on each side.
    pub size: u32,
    /// Milliseconds between two messages at least.
    pub every_ms: u32,
    /// Around whom, or whose friends.
    pub player: Option<String>,
}

impl WindowName {
    /// What somebody wishes for.
    pub fn of(scope: Scope, wish: &WindowWish, player: &str) -> Self {
        let number = |number: i64| u32::try_from(number).unwrap_or(1);
        let size = match wish.kind {
            WindowKind::Top => wish.size.map_or(10, |size| number(size.get())),
            WindowKind::Around => wish.k.map_or(5, |k| number(k.get())),
            WindowKind::Friends => 0,
        };
        let player = (wish.kind != WindowKind::Top).then(|| player.to_owned());
        Self { scope, kind: wish.kind, size, every_ms: wish.every_ms.unwrap_or(EVERY_MS), player }
    }

    /// Reads the name of a room, without its kind.
    pub fn parse(name: &str) -> Option<Self> {
        let (scope, rest) = scope_of(name)?;
        let (kind, rest) = rest.split_once(':')?;
        let (kind, size, rest) = match kind {
            "top" => (WindowKind::Top, number(rest, 1..=100)?, after(rest)?),
            "around" => (WindowKind::Around, number(rest, 1..=50)?, after(rest)?),
            "friends" => (WindowKind::Friends, 0, rest),
            _ => return None,
        };
        let every_ms = number(rest, 1..=u32::MAX).filter(|every| PACES_MS.contains(every))?;
        let player = after(rest).map(str::to_owned).filter(|player| !player.is_empty());
        let parsed = Self { scope, kind, size, every_ms, player };
        // One window has one name: no leading zeros, nothing behind it.
        (parsed.player.is_some() == (kind != WindowKind::Top) && parsed.name() == name).then_some(parsed)
    }

    fn name(&self) -> String {
        let Self { scope, size, every_ms, .. } = self;
        let (scope, player) = (scope.name(), self.player.as_deref().unwrap_or_default());
        match self.kind {
            WindowKind::Top => format!("{scope}:top:{size}:{every_ms}"),
            WindowKind::Around => format!("{scope}:around:{size}:{every_ms}:{player}"),
            WindowKind::Friends => format!("{scope}:friends:{every_ms}:{player}"),
        }
    }

    /// The room.
    pub fn room(&self) -> String {
        format!("{KIND}:{}", self.name())
    }
}

/// The board at the beginning of a name, and what is behind it.
fn scope_of(name: &str) -> Option<(Scope, &str)> {
    let (kind, rest) = name.split_once(':')?;
    match kind {
        "global" => Some((Scope::Global, rest)),
        "country" => rest
            .split_once(':')
            .filter(|(code, _)| is_code(code))
            .map(|(code, rest)| (Scope::country(code), rest)),
        "session" => {
            rest.split_once(':').filter(|(id, _)| !id.is_empty()).map(|(id, rest)| (Scope::session(id), rest))
        }
        _ => None,
    }
}

/// The number before the next colon.
fn number(text: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let digits = text.split(':').next()?;
    digits.parse().ok().filter(|number| bounds.contains(number))
}

/// What is behind the next colon.
fn after(text: &str) -> Option<&str> {
    text.split_once(':').map(|(_, rest)| rest)
}

/// A window that somebody looks at.
#[derive(Debug)]
pub struct OpenWindow {
    /// Its board.
    pub scope: Scope,
    view: View,
    window: Window,
    /// What its viewers see, if others are to be seen from now on.
    replaced: Option<Vec<Row>>,
    /// Who of those they see is to be shown by another name or country from now on.
    called: Vec<Handle>,
    every_ms: u64,
    due_ms: u64,
    /// When somebody was last seen in its room, or wanted to come.
    seen_ms: u64,
}

impl OpenWindow {
    /// Places have changed.
    pub fn note(&mut self, moved: &[Moved]) {
        self.window.note(moved);
    }

    /// Somebody is called otherwise, or is of another country.
    pub fn called(&mut self, player: Handle) {
        let mut seen = self.replaced.iter().flatten().chain(self.window.rows());
        if seen.any(|row| row.player == player) && !self.called.contains(&player) {
            self.called.push(player);
        }
    }

    /// Everybody who is in it for any of its viewers.
    fn seen(&self) -> Vec<Left> {
        let replaced = self.replaced.iter().flatten();
        let now = self.window.rows();
        let replaced = replaced.filter(|row| !now.iter().any(|other| other.player == row.player));
        now.iter().chain(replaced).map(|row| Left { player: row.player, old_rank: row.rank }).collect()
    }

    /// Others are to be seen in it from now on; its viewers are told the difference.
    fn begin_anew(&mut self, window: Window) {
        let before = std::mem::replace(&mut self.window, window);
        self.replaced.get_or_insert_with(|| before.rows().to_vec());
    }

    /// What has changed since its viewers were told last, and who is shown otherwise.
    fn take(&mut self, board: &Board) -> Option<(Diff, Vec<Handle>)> {
        let diff = self.window.refresh(board);
        let mut diff = match self.replaced.take() {
            Some(before) => between(&before, self.window.rows()),
            None => diff.unwrap_or_default(),
        };
        let called = std::mem::take(&mut self.called);
        for row in self.window.rows().iter().filter(|row| called.contains(&row.player)) {
            let enters = diff.enter.iter().any(|other| other.player == row.player);
            if !enters && !diff.moved.iter().any(|step| step.row.player == row.player) {
                diff.moved.push(Step { row: *row, old_rank: row.rank, old_position: row.position });
            }
        }
        diff.moved.sort_by_key(|step| step.row.position);
        (!is_empty(&diff)).then_some((diff, called))
    }
}

fn is_empty(diff: &Diff) -> bool {
    diff.enter.is_empty() && diff.leave.is_empty() && diff.moved.is_empty()
}

/// What makes one list of places out of another.
fn between(before: &[Row], now: &[Row]) -> Diff {
    let of = |rows: &[Row], player: Handle| rows.iter().find(|row| row.player == player).copied();
    let leave = before.iter().filter(|row| of(now, row.player).is_none());
    let leave = leave.map(|row| Left { player: row.player, old_rank: row.rank }).collect();
    let (mut enter, mut moved) = (Vec::new(), Vec::new());
    for row in now {
        match of(before, row.player) {
            None => enter.push(*row),
            Some(old) if old != *row => {
                moved.push(Step { row: *row, old_rank: old.rank, old_position: old.position });
            }
            Some(_) => {}
        }
    }
    Diff { enter, leave, moved }
}

impl OrgBoards {
    /// How a window stands for a newcomer, if it is open: as those who look at it were told last.
    pub fn look(&mut self, name: &WindowName, now_ms: u64) -> Option<BoardSnapshot> {
        let open = self.windows.get_mut(&name.room())?;
        open.seen_ms = now_ms;
        let open = self.windows.get(&name.room())?;
        let board = self.board(&name.scope)?;
        let entries = self.entries(board, open.window.rows());
        Some(BoardSnapshot { place: name.scope.place(), total: board.len(), entries })
    }

    /// Opens a window that is not.
    ///
    /// # Errors
    /// `not_found` if the board is not there or the player is unknown, `unavailable` beyond [`WINDOWS_MOST`].
    pub fn open(&mut self, name: &WindowName, friends: &[String], now_ms: u64) -> Result<(), Refusal> {
        let view = self.view(name, friends)?;
        if self.windows.len() >= WINDOWS_MOST {
            return Err(Refusal::unavailable("too many windows are looked at"));
        }
        let board = self.board(&name.scope).ok_or_else(Refusal::no_such_room)?;
        let (window, scope) = (Window::open(view.clone(), board), name.scope.clone());
        let every_ms = name.every_ms.into();
        let open = OpenWindow {
            scope,
            view,
            window,
            replaced: None,
            called: Vec::new(),
            every_ms,
            due_ms: now_ms,
            seen_ms: now_ms,
        };
        self.windows.insert(name.room(), open);
        Ok(())
    }

    fn view(&self, name: &WindowName, friends: &[String]) -> Result<View, Refusal> {
        let unknown = || Refusal::not_found("player");
        let player = name.player.as_deref().map(|id| self.find(id).ok_or_else(unknown)).transpose()?;
        let view = match (name.kind, player) {
            (WindowKind::Top, _) => View::top(name.size),
            (WindowKind::Around, Some(player)) => View::around(player, name.size),
            (WindowKind::Friends, Some(player)) => {
                let friends = friends.iter().filter_map(|friend| self.find(friend));
                View::friends(friends.chain([player]).collect::<Vec<Handle>>())
            }
            _ => return Err(unknown()),
        };
        view.map_err(|wide| Refusal::bad_request(&wide.to_string()))
    }

    /// Somebody's friends have changed: windows of them begin anew, with everything that differs.
    pub fn friends_changed(&mut self, player: &str, friends: &[String]) {
        let names = self.windows.keys().filter_map(|room| WindowName::parse(room.strip_prefix("window:")?));
        let theirs =
            |name: &WindowName| name.kind == WindowKind::Friends && name.player.as_deref() == Some(player);
        for name in names.filter(theirs).collect::<Vec<_>>() {
            let Ok(view) = self.view(&name, friends) else { continue };
            let Some(board) = self.board(&name.scope) else { continue };
            let fresh = Window::open(view.clone(), board);
            let Some(open) = self.windows.get_mut(&name.room()) else { continue };
            open.view = view;
            open.begin_anew(fresh);
        }
    }

    /// Boards were read again: what everybody looks at is compared with what they are.
    pub fn look_anew(&mut self) {
        let mut windows = std::mem::take(&mut self.windows);
        for open in windows.values_mut() {
            let Some(board) = self.board(&open.scope) else { continue };
            open.begin_anew(Window::open(open.view.clone(), board));
        }
        self.windows = windows;
    }

    /// What is to be told of windows now: room and message.
    pub fn window_updates(&mut self, now_ms: u64) -> Vec<(String, BoardEvent)> {
        let mut windows = std::mem::take(&mut self.windows);
        let mut told = Vec::new();
        for (room, open) in windows.iter_mut().filter(|(_, open)| open.due_ms <= now_ms) {
            let Some(board) = self.board(&open.scope) else { continue };
            let Some((diff, called)) = open.take(board) else { continue };
            open.due_ms = now_ms + open.every_ms;
            told.push((room.clone(), self.message(room, &open.scope, (&diff, &called))));
        }
        self.windows = windows;
        told
    }

    fn message(&self, room: &str, scope: &Scope, (diff, called): (&Diff, &[Handle])) -> BoardEvent {
        let total = self.total(scope);
        let enter = self.board(scope).map(|board| self.entries(board, &diff.enter)).unwrap_or_default();
        let leave = diff.leave.iter().map(|left| self.id(left.player).to_owned()).collect();
        let moved = diff.moved.iter().map(|shift| Shift {
            player_id: self.id(shift.row.player).to_owned(),
            from: shift.old_rank,
            to: shift.row.rank,
            elo_rating: shift.row.score,
            called: Some(shift.row.player).filter(|player| called.contains(player)).and_then(|player| {
                let Person { name, country } = self.person(player)?.clone();
                Some(Called { display_name: name.into(), country: country.map(String::from) })
            }),
        });
        let (window, place) = (room.to_owned(), scope.place());
        BoardEvent::Window(WindowUpdate { window, place, total, enter, leave, moved: moved.collect() })
    }
}
