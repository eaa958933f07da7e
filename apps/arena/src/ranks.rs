//! Who is where on a board, exactly, among millions; and what of it somebody looks at.
//!
//! A [`Board`] is ordered by score falling, then by the moment the score was reached, then by the player's
//! number: of equals, who was there first is first. A [`Window`] is the part of a board that somebody looks at,
//! and says what has changed of it; [`Updates`] says it of the top, at most once in an interval.
//!
//! Plain values: what time it is, which number a result has and when something is told comes from outside.

mod ahead;
mod batch;
mod board;
mod index;
mod past;
mod players;
mod spread;
mod tree;
mod updates;
mod view;
mod window;
mod windows;

pub use ahead::look_ahead;
pub use board::{Board, Change};
pub use players::{PLAYERS_MOST, Players};
pub use updates::{CHANGED_MOST, Step, Update, Updates};
pub use view::{FRIENDS_MOST, ROWS_MOST, TooWide, View};
pub use window::{Diff, Left, Shift, Window};
pub use windows::{WINDOWS_MOST, Windows};

/// A player by number, as [`Players`] gives it.
///
/// Boards keep numbers: four bytes instead of an id's text, on every board the player is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

/// How equals are ranked; the names say the ranks of four players of whom two share the second place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// 1224: equals share the better rank, and the ranks they fill are left out.
    #[default]
    Competition,
    /// 1223: equals share a rank, and none is left out.
    Dense,
    /// 1234: of equals, who reached the score first is ahead.
    Ordinal,
}

/// A score on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Whose it is.
    pub player: Handle,
    /// More is better, in whatever unit the board's owner counts.
    pub score: i64,
    /// When it was reached: any number that rises from result to result. Of equals the lower one is ahead.
    pub reached: u64,
}

/// An entry and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// Whose it is.
    pub player: Handle,
    /// The score.
    pub score: i64,
    /// When it was reached.
    pub reached: u64,
    /// Entries ahead of it, whatever their score: unique, from 0.
    pub position: u32,
    /// The rank that is shown, from 1, by the board's [`Ranking`].
    pub rank: u32,
}

impl Row {
    /// The row without its place.
    pub fn entry(&self) -> Entry {
        Entry { player: self.player, score: self.score, reached: self.reached }
    }
}

/// What a change did to a player's row; `None` stands for not being on the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Whose row it is.
    pub player: Handle,
    /// The row before the change, or before all changes of its batch.
    pub old: Option<Row>,
    /// The row after the change, or after all changes of its batch.
    pub new: Option<Row>,
}

impl Moved {
    /// The rank before.
    pub fn old_rank(&self) -> Option<u32> {
        self.old.map(|row| row.rank)
    }

    /// The rank after.
    pub fn new_rank(&self) -> Option<u32> {
        self.new.map(|row| row.rank)
    }

    /// Whether nothing is different after it.
    pub fn is_still(&self) -> bool {
        self.old == self.new
    }

    /// The first and the last position whose row may be another one afterwards; `None` if no row is.
    ///
    /// Who comes or goes shifts everybody behind. Positions outside the spans of a whole batch hold the same
    /// rows as before: as many entries ahead of them came as went.
    fn span(&self) -> Option<(u32, u32)> {
        match (self.old, self.new) {
            _ if self.is_still() => None,
            (Some(old), Some(new)) => Some((old.position.min(new.position), old.position.max(new.position))),
            (Some(row), None) | (None, Some(row)) => Some((row.position, u32::MAX)),
            (None, None) => None,
        }
    }
}
