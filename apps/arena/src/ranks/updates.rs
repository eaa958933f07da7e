//! What the top of a board tells everybody, at a bounded pace.

use std::collections::HashMap;

use super::past::Past;
use super::{Board, Handle, Moved, Row, TooWide, View, Window};

/// Players whose changes are remembered for one message, for the old ranks of those who come into the top.
///
/// If more have changed, these are unknown in that message; the old ranks of those who were seen are known always.
pub const CHANGED_MOST: usize = 10_000;

/// Gathers what changes in the top of a board, and lets at most one message through in an interval.
///
/// It hears of every batch of changes in their order. The first message after a quiet interval may leave at once,
/// the next one an interval later, with everything that has changed by then. A clock that was put back by more than
/// the interval lets through what waits.
#[derive(Debug, Clone)]
pub struct Updates {
    window: Window,
    past: Past,
    interval_ms: u64,
    /// Before this moment nothing leaves.
    next_ms: u64,
}

/// One message: the top, and what has changed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The top as it is.
    pub entries: Vec<Row>,
    /// Those who are or were in the top and whose rank or position has changed: the best of now first, then those
    /// who fell out of the top.
    pub diff: Vec<Step>,
}

/// How a player's place changed; `None` stands for not being on the board.
///
/// What was is what was before the first change that the message tells of. For those who were in the top that is
/// what the last message said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Who it is.
    pub player: Handle,
    /// The rank before; unknown also if too much has changed ([`CHANGED_MOST`]).
    pub old_rank: Option<u32>,
    /// The rank now.
    pub rank: Option<u32>,
    /// The position before.
    pub old_position: Option<u32>,
    /// The position now.
    pub position: Option<u32>,
}

impl Step {
    /// Ranks gained, or lost if below 0; 0 where there is no old rank or no new one.
    pub fn moved(&self) -> i64 {
        match (self.old_rank, self.rank) {
            (Some(old), Some(new)) => i64::from(old) - i64::from(new),
            _ => 0,
        }
    }
}

impl Updates {
    /// Tells of so many rows of a board, at most once in an interval.
    ///
    /// # Errors
    /// It is to tell of none, or of more than a window shows.
    pub fn new(top: u32, interval_ms: u64, board: &Board) -> Result<Self, TooWide> {
        let window = Window::open(View::top(top)?, board);
        Ok(Self { window, past: Past::new(CHANGED_MOST), interval_ms, next_ms: 0 })
    }

    /// The top as it was told last.
    pub fn entries(&self) -> &[Row] {
        self.window.rows()
    }

    /// Hears of a batch of changes.
    pub fn note(&mut self, moved: &[Moved]) {
        // What happens far below the top is not gathered: the message begins with the first change that may show.
        if self.window.note(moved) {
            self.past.note(moved);
        }
    }

    /// When a message may leave; `None` if nothing waits.
    pub fn due_ms(&self) -> Option<u64> {
        self.window.is_stale().then_some(self.next_ms)
    }

    /// The message that leaves now; `None` if it is too early, or nobody would see a difference.
    pub fn take(&mut self, now_ms: u64, board: &Board) -> Option<Update> {
        let early = now_ms < self.next_ms && self.next_ms <= now_ms.saturating_add(self.interval_ms);
        if early || !self.window.is_stale() {
            return None;
        }
        let told = self.window.rows().to_vec();
        let past = std::mem::replace(&mut self.past, Past::new(CHANGED_MOST));
        self.window.refresh(board)?;
        let diff = diff(&told, self.window.rows(), &past, board);
        self.next_ms = now_ms.saturating_add(self.interval_ms);
        Some(Update { entries: self.window.rows().to_vec(), diff })
    }
}

fn diff(told: &[Row], rows: &[Row], past: &Past, board: &Board) -> Vec<Step> {
    let mut before: HashMap<Handle, &Row> = told.iter().map(|row| (row.player, row)).collect();
    // Where others were is worth finding out only if one of them comes in.
    let mut ranks = None;
    let mut steps = Vec::new();
    for row in rows {
        let old = match before.remove(&row.player) {
            Some(old) => Some((old.position, old.rank)),
            None => ranks.get_or_insert_with(|| past.ranks(board)).as_ref().and_then(|it| it.of(row.player)),
        };
        steps.push(step(row.player, old, Some((row.position, row.rank))));
    }
    for old in told.iter().filter(|row| before.contains_key(&row.player)) {
        let new = board.row(old.player).map(|row| (row.position, row.rank));
        steps.push(step(old.player, Some((old.position, old.rank)), new));
    }
    steps.retain(|step| (step.old_rank, step.old_position) != (step.rank, step.position));
    steps
}

/// A step from a position and rank to another.
fn step(player: Handle, old: Option<(u32, u32)>, new: Option<(u32, u32)>) -> Step {
    let (old_position, old_rank) = old.unzip();
    let (position, rank) = new.unzip();
    Step { player, old_rank, rank, old_position, position }
}
