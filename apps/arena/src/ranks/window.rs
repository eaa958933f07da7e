//! A part of a board that somebody looks at, and what has changed of it.

use std::collections::HashMap;

use super::view::Kind;
use super::{Board, Handle, Moved, Ranking, Row, View};

/// A part of a board, as its viewers saw it last.
///
/// It hears of every batch of changes, in their order ([`Window::note`]), and looks at the board only after one
/// that can have touched it ([`Window::refresh`]). Whoever begins to look gets [`Window::rows`], and the changes
/// from then on like everybody else.
#[derive(Debug, Clone)]
pub struct Window {
    view: View,
    ranking: Ranking,
    rows: Vec<Row>,
    stale: bool,
}

/// What has changed of a window since its viewers saw it last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Rows that were not seen, in the order of the board.
    pub enter: Vec<Row>,
    /// Rows that are no longer seen, in their old order.
    pub leave: Vec<Left>,
    /// Rows that are still seen and of which anything is different, in the order of the board.
    pub moved: Vec<Shift>,
}

/// A row that is no longer seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Whose it is.
    pub player: Handle,
    /// The rank it was seen with.
    pub old_rank: u32,
}

/// A row of which something is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// The row as it is now.
    pub row: Row,
    /// The rank it was seen with; the same as now if the score alone has changed, or the order among equals.
    pub old_rank: u32,
    /// The position it was seen at.
    pub old_position: u32,
}

impl Window {
    /// What there is to see of a board.
    pub fn open(view: View, board: &Board) -> Self {
        let rows = seen(&view, board);
        Self { view, ranking: board.ranking(), rows, stale: false }
    }

    /// What is looked at.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The rows as the viewers saw them last.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether a change has been noted that can have touched the window.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Hears of a batch of changes, and says whether the window should look at the board again.
    ///
    /// It compares positions and looks at nothing else, so a change far away costs next to nothing.
    pub fn note(&mut self, moved: &[Moved]) -> bool {
        self.stale = self.stale || moved.iter().any(|it| self.is_touched_by(it));
        self.stale
    }

    /// Looks at the board again if that is worth it, and says what is different.
    pub fn refresh(&mut self, board: &Board) -> Option<Diff> {
        if !std::mem::take(&mut self.stale) {
            return None;
        }
        let rows = seen(&self.view, board);
        let diff = Diff::between(&self.rows, &rows);
        self.rows = rows;
        diff
    }

    fn is_touched_by(&self, moved: &Moved) -> bool {
        let Some((from, to)) = moved.span() else { return false };
        match &self.view.0 {
            Kind::Page { from: begin, len } => from < begin.saturating_add(*len) && to >= self.begin(*begin),
            Kind::Around { player, .. } if self.rows.is_empty() => moved.player == *player,
            Kind::Around { player, each_side } => {
                let own = self.rows.iter().find(|row| row.player == *player);
                let end = own.map_or(u32::MAX, |row| row.position.saturating_add(*each_side));
                from <= end && to >= self.begin(0)
            }
            Kind::Friends(players) => {
                let behind = self.rows.partition_point(|row| row.position < from);
                let crossed = self.rows.get(behind).is_some_and(|row| to >= self.depends_from(row));
                crossed || players.binary_search(&moved.player).is_ok()
            }
        }
    }

    /// The first position on which the first row depends.
    fn begin(&self, empty: u32) -> u32 {
        self.rows.first().map_or(empty, |row| self.depends_from(row))
    }

    /// The first position on which a row's rank depends.
    ///
    /// A shared rank is the position where the score begins, and that it begins there depends on the entry ahead.
    /// A dense rank depends on all scores above, and any of them can come or go without anybody passing.
    fn depends_from(&self, row: &Row) -> u32 {
        match self.ranking {
            Ranking::Ordinal => row.position,
            Ranking::Competition => row.rank.saturating_sub(2),
            Ranking::Dense => 0,
        }
    }
}

impl Diff {
    /// What is different between two states of a window; `None` if nothing is.
    pub fn between(old: &[Row], new: &[Row]) -> Option<Self> {
        let mut before: HashMap<Handle, &Row> = old.iter().map(|row| (row.player, row)).collect();
        let mut diff = Self::default();
        for row in new {
            match before.remove(&row.player) {
                None => diff.enter.push(*row),
                Some(same) if same == row => {}
                Some(other) => {
                    diff.moved.push(Shift { row: *row, old_rank: other.rank, old_position: other.position });
                }
            }
        }
        let gone = old.iter().filter(|row| before.contains_key(&row.player));
        diff.leave = gone.map(|row| Left { player: row.player, old_rank: row.rank }).collect();
        (diff != Self::default()).then_some(diff)
    }

    /// Makes the old state of a window the new one: what a viewer does with a diff.
    pub fn apply(&self, rows: &mut Vec<Row>) {
        let leaves = |row: &Row| self.leave.iter().any(|left| left.player == row.player);
        rows.retain(|row| !leaves(row));
        for shift in &self.moved {
            for row in rows.iter_mut().filter(|row| row.player == shift.row.player) {
                *row = shift.row;
            }
        }
        rows.extend(&self.enter);
        rows.sort_by_key(|row| row.position);
    }
}

fn seen(view: &View, board: &Board) -> Vec<Row> {
    match &view.0 {
        Kind::Page { from, len } => board.page(*from, *len),
        Kind::Around { player, each_side } => board.around(*player, *each_side),
        Kind::Friends(players) => board.among(players),
    }
}
