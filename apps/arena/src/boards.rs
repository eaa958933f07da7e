//! The boards of every organisation in memory: who is known, where each stands, what was told of it last.
//!
//! Memory follows the store and is never ahead of it: a transaction asks [`OrgBoards::preview`] how places will
//! change, and moves them by [`OrgBoards::settle`] once it is stored.

use std::collections::{HashMap, HashSet};

use tidings_app::{CompactString, Refusal};

use crate::countries::is_code;
use crate::ranks::{self, Board, Change, Handle, Moved, Players, Ranking, Row};
use crate::windows::OpenWindow;
use crate::wire::{Entry, ScopeKind, Where};

/// Places of a board that everybody who hears it is shown.
pub const TOP: u32 = 50;
/// Windows of one organisation that are looked at together at most; more are refused.
pub const WINDOWS_MOST: usize = 10_000;

/// A board of fewer is near enough to the processor as it is.
const LARGE: u32 = 20_000;

/// A board of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everybody.
    Global,
    /// A country, by its code.
    Country(CompactString),
    /// A session, by its id.
    Session(CompactString),
}

impl Scope {
    /// A country's board.
    pub fn country(code: &str) -> Self {
        Self::Country(code.into())
    }

    /// A session's board.
    pub fn session(id: &str) -> Self {
        Self::Session(id.into())
    }

    /// The part of a room's name behind its kind.
    pub fn name(&self) -> String {
        match self {
            Self::Global => "global".into(),
            Self::Country(code) => format!("country:{code}"),
            Self::Session(id) => format!("session:{id}"),
        }
    }

    /// Reads such a part.
    pub fn parse(name: &str) -> Option<Self> {
        match name.split_once(':') {
            None if name == "global" => Some(Self::Global),
            Some(("country", code)) if is_code(code) => Some(Self::country(code)),
            Some(("session", id)) if !id.is_empty() => Some(Self::session(id)),
            _ => None,
        }
    }

    /// The room that hears the board.
    pub fn room(&self) -> String {
        format!("leaderboard:{}", self.name())
    }

    /// The board of a place.
    pub fn of(place: &Where) -> Self {
        match (&place.country, &place.session_id) {
            (Some(code), _) => Self::country(code),
            (_, Some(id)) => Self::session(id),
            _ => Self::Global,
        }
    }

    /// Where it is, as events say it.
    pub fn place(&self) -> Where {
        match self {
            Self::Global => Where { scope: ScopeKind::Global, country: None, session_id: None },
            Self::Country(code) => {
                Where { scope: ScopeKind::Country, country: Some(code.to_string()), session_id: None }
            }
            Self::Session(id) => {
                Where { scope: ScopeKind::Session, country: None, session_id: Some(id.to_string()) }
            }
        }
    }
}

/// Somebody on a board, as everybody sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The name that is shown.
    pub name: CompactString,
    /// The country's code.
    pub country: Option<CompactString>,
}

/// What a transaction changes: of several boards, some places each.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The changes, board by board.
    pub changes: Vec<(Scope, Vec<Change>)>,
    /// Who is called otherwise, or new.
    pub people: Vec<(Handle, Person)>,
}

impl Batch {
    /// Adds a change of one board.
    pub fn push(&mut self, scope: &Scope, change: Change) {
        match self.changes.iter_mut().find(|(known, _)| known == scope) {
            Some((_, changes)) => changes.push(change),
            None => self.changes.push((scope.clone(), vec![change])),
        }
    }
}

/// The boards of one organisation.
#[derive(Debug)]
pub struct OrgBoards {
    players: Players,
    people: Vec<Person>,
    boards: HashMap<Scope, Board>,
    /// Batches of transactions that are not stored yet, in their order.
    open: Vec<(u64, Batch)>,
    next: u64,
    /// What was told last of each board, as it stands in the store.
    shown: HashMap<Scope, Vec<Entry>>,
    /// Boards whose top may have changed since, and when it may be told again, in milliseconds since 1970.
    changed: HashSet<Scope>,
    /// Boards of which newcomers were told what the others were not yet.
    owed: HashSet<Scope>,
    not_before: HashMap<Scope, u64>,
    pub(crate) windows: HashMap<String, OpenWindow>,
    /// When windows without anybody were last looked for.
    pub(crate) swept_ms: u64,
}

impl Default for OrgBoards {
    fn default() -> Self {
        let boards = HashMap::from([(Scope::Global, Board::new(Ranking::Ordinal))]);
        Self {
            players: Players::new(),
            people: Vec::new(),
            boards,
            open: Vec::new(),
            next: 0,
            shown: HashMap::new(),
            changed: HashSet::new(),
            owed: HashSet::new(),
            not_before: HashMap::new(),
            windows: HashMap::new(),
            swept_ms: 0,
        }
    }
}

/// What is told when there are more players than memory has numbers for.
fn full() -> Refusal {
    Refusal::new(tidings_app::Code::StorageFull, "this server knows too many players")
}

impl OrgBoards {
    /// The number of a player, who gets one if there is none yet.
    ///
    /// # Errors
    /// `storage_full` beyond what [`Players`] holds.
    pub fn handle(&mut self, id: &str) -> Result<Handle, Refusal> {
        let handle = self.players.intern(id).ok_or_else(full)?;
        let at = handle.0 as usize;
        if at >= self.people.len() {
            self.people.resize(at + 1, Person::default());
        }
        Ok(handle)
    }

    /// The number of a player who is known.
    pub fn find(&self, id: &str) -> Option<Handle> {
        self.players.find(id)
    }

    /// The id behind a number.
    pub fn id(&self, handle: Handle) -> &str {
        self.players.id(handle).unwrap_or_default()
    }

    /// Who a player is.
    pub fn person(&self, handle: Handle) -> Option<&Person> {
        self.people.get(handle.0 as usize)
    }

    /// Says who a player is; windows that show the player tell it if it is another name or country.
    pub fn name(&mut self, handle: Handle, person: Person) {
        let Some(known) = self.people.get_mut(handle.0 as usize).filter(|known| **known != person) else {
            return;
        };
        // Nobody has seen one who was not known.
        if std::mem::replace(known, person) != Person::default() {
            self.windows.values_mut().for_each(|open| open.called(handle));
        }
    }

    /// A board, if it is in memory.
    pub fn board(&self, scope: &Scope) -> Option<&Board> {
        self.boards.get(scope)
    }

    /// Puts a board that was read from the store in its place, and whatever was told of it last.
    pub fn install(&mut self, scope: Scope, board: Board, shown: Vec<Entry>) {
        self.changed.insert(scope.clone());
        self.shown.insert(scope.clone(), shown);
        self.boards.insert(scope, board);
    }

    /// Every board in memory, in no order.
    pub fn in_memory(&self) -> impl Iterator<Item = &Scope> {
        self.boards.keys()
    }

    /// Every board in memory that somebody is on, in no order.
    pub fn scopes(&self) -> impl Iterator<Item = (&Scope, u32)> {
        self.boards.iter().map(|(scope, board)| (scope, board.len())).filter(|(_, players)| *players > 0)
    }

    /// How places change if a batch is stored behind those that are not yet: of each board what
    /// [`Board::apply`] says. Boards that are not in memory have no places.
    pub fn preview(&mut self, batch: &Batch) -> Vec<(Scope, Vec<Moved>)> {
        self.look_ahead(&batch.changes);
        let mut seen = Vec::with_capacity(batch.changes.len());
        for (scope, changes) in &batch.changes {
            let moved = self.ahead(scope, |board| {
                let moved = board.apply(changes);
                board.undo(&moved);
                moved
            });
            seen.extend(moved.map(|moved| (scope.clone(), moved)));
        }
        seen
    }

    /// The place of somebody as it is once all that is about to be stored is.
    pub fn rank_ahead(&mut self, scope: &Scope, id: &str) -> Option<u32> {
        let player = self.find(id)?;
        self.ahead(scope, |board| board.rank(player))?
    }

    /// Looks at a board as it is once all that is about to be stored is; whoever looks leaves it as it is.
    fn ahead<T>(&mut self, scope: &Scope, look: impl FnOnce(&mut Board) -> T) -> Option<T> {
        let board = board_of(&mut self.boards, scope)?;
        let open = self.open.iter().flat_map(|(_, open)| &open.changes).filter(|(other, _)| other == scope);
        let undone: Vec<Vec<Moved>> = open.map(|(_, changes)| board.apply(changes)).collect();
        let seen = look(board);
        undone.iter().rev().for_each(|moved| drop(board.undo(moved)));
        Some(seen)
    }

    /// Notes a batch whose transaction is about to be stored; its number.
    pub fn announce(&mut self, batch: Batch) -> u64 {
        self.next += 1;
        self.open.push((self.next, batch));
        self.next
    }

    /// Forgets a batch whose transaction was not stored.
    pub fn forget(&mut self, number: u64) -> bool {
        let known = self.open.len();
        self.open.retain(|(open, _)| *open != number);
        known != self.open.len()
    }

    /// Moves places as a stored batch says.
    pub fn settle(&mut self, number: u64) {
        let Some(at) = self.open.iter().position(|(open, _)| *open == number) else { return };
        let (_, Batch { changes, people }) = self.open.remove(at);
        for (handle, person) in people {
            self.renamed(handle);
            self.name(handle, person);
        }
        self.look_ahead(&changes);
        for (scope, changes) in changes {
            let Some(board) = board_of(&mut self.boards, &scope) else { continue };
            let moved = board.apply(&changes);
            if moved.iter().any(in_top) {
                self.changed.insert(scope.clone());
            }
            let windows = self.windows.values_mut().filter(|window| window.scope == scope);
            windows.for_each(|window| window.note(&moved));
        }
    }

    /// Has what a batch needs of large boards come from memory together.
    fn look_ahead(&self, changes: &[(Scope, Vec<Change>)]) {
        let large = |board: &&Board| board.len() >= LARGE;
        let boards = changes.iter().filter_map(|(scope, changes)| {
            self.boards.get(scope).filter(large).map(|board| (board, changes))
        });
        ranks::look_ahead(
            boards.flat_map(|(board, changes)| changes.iter().map(move |change| (board, change))),
        );
    }

    /// Somebody is called otherwise: every board that may show the name is looked at again.
    fn renamed(&mut self, handle: Handle) {
        let shows = |board: &Board| board.row(handle).is_some_and(|row| row.position < TOP);
        let boards = self.boards.iter().filter(|(_, board)| shows(board)).map(|(scope, _)| scope.clone());
        self.changed.extend(boards);
    }

    /// A place as everybody sees it; `ranking` other than the board's own if one is named.
    pub fn entry(&self, board: &Board, row: Row, ranking: Option<Ranking>) -> Entry {
        let person = self.person(row.player).cloned().unwrap_or_default();
        let rank = ranking.and_then(|ranking| board.rank_by(row.player, ranking)).unwrap_or(row.rank);
        Entry {
            player_id: self.id(row.player).to_owned(),
            display_name: person.name.to_string(),
            elo_rating: row.score,
            rank,
            country: person.country.map(String::from),
        }
    }

    /// Several of them.
    pub fn entries(&self, board: &Board, rows: &[Row]) -> Vec<Entry> {
        rows.iter().map(|row| self.entry(board, *row, None)).collect()
    }

    /// The top of a board as it stands.
    pub fn top(&self, scope: &Scope) -> Vec<Entry> {
        self.boards.get(scope).map(|board| self.entries(board, &board.top(TOP))).unwrap_or_default()
    }

    /// The top of a board as it was told last.
    pub fn shown(&self, scope: &Scope) -> &[Entry] {
        self.shown.get(scope).map(Vec::as_slice).unwrap_or_default()
    }

    /// The top of a board for a newcomer: as it was told last, or as it stands if something waits to be told. That
    /// is then told in any case, also if it has become what it was.
    pub fn for_newcomer(&mut self, scope: &Scope) -> Vec<Entry> {
        if !self.changed.contains(scope) {
            return self.shown(scope).to_vec();
        }
        self.owed.insert(scope.clone());
        self.top(scope)
    }

    /// Whether a newcomer was told something else than the others.
    pub fn is_owed(&self, scope: &Scope) -> bool {
        self.owed.contains(scope)
    }

    /// How many are on a board.
    pub fn total(&self, scope: &Scope) -> u32 {
        self.boards.get(scope).map_or(0, Board::len)
    }

    /// Whether something is to be told, now or soon: the top of a board, or a window that somebody looks at.
    pub fn is_restless(&self) -> bool {
        !self.changed.is_empty() || !self.windows.is_empty()
    }

    /// Boards whose top may be told now.
    pub fn due(&self, now_ms: u64) -> Vec<Scope> {
        let may = |scope: &&Scope| self.not_before.get(*scope).is_none_or(|time| *time <= now_ms);
        self.changed.iter().filter(may).cloned().collect()
    }

    /// The top of a board is told as `entries`; not again before `not_before`.
    pub fn told(&mut self, scope: &Scope, entries: Vec<Entry>, not_before: u64) {
        self.shown.insert(scope.clone(), entries);
        self.owed.remove(scope);
        self.not_before.insert(scope.clone(), not_before);
    }

    /// Nothing of a board waits to be told, as far as was looked.
    pub fn looked(&mut self, scope: &Scope) {
        self.changed.remove(scope);
    }

    /// It could not be told; it is looked at again.
    pub fn look_again(&mut self, scope: Scope) {
        self.changed.insert(scope);
    }
}

/// A board; those of countries come into being when somebody of the country does.
fn board_of<'a>(boards: &'a mut HashMap<Scope, Board>, scope: &Scope) -> Option<&'a mut Board> {
    if matches!(scope, Scope::Country(_)) && !boards.contains_key(scope) {
        boards.insert(scope.clone(), Board::new(Ranking::Ordinal));
    }
    boards.get_mut(scope)
}

/// Whether a move is seen by those who are shown the top.
fn in_top(moved: &Moved) -> bool {
    [moved.old, moved.new].into_iter().flatten().any(|row| row.position < TOP)
}
