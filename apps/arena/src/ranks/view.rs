//! What somebody looks at of a board.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Handle;

/// Rows of a window; a view that shows more is refused.
pub const ROWS_MOST: u32 = 1_001;
/// Players of a window of friends; a view of more is refused.
pub const FRIENDS_MOST: usize = 1_000;

/// What somebody looks at of a board.
///
/// Views that show the same are equal, however they were asked for, so that a view is the key under which
/// everybody who looks at it shares one [`Window`](super::Window) and the frames made of its changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View(pub(super) Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// So many rows from this position on.
    Page { from: u32, len: u32 },
    /// A player's row and so many on each side.
    Around { player: Handle, each_side: u32 },
    /// These players, rising by number, each once.
    Friends(Arc<[Handle]>),
}

/// A view shows nothing, or more than a window may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a window shows 1 to {ROWS_MOST} rows, or at most {FRIENDS_MOST} friends")]
pub struct TooWide;

impl View {
    /// The first rows of the board.
    ///
    /// # Errors
    /// It shows no row, or more than [`ROWS_MOST`].
    pub fn top(len: u32) -> Result<Self, TooWide> {
        Self::page(0, len)
    }

    /// So many rows from a position on, counted from 0.
    ///
    /// # Errors
    /// It shows no row, or more than [`ROWS_MOST`].
    pub fn page(from: u32, len: u32) -> Result<Self, TooWide> {
        let fits = (1..=ROWS_MOST).contains(&len);
        fits.then_some(Self(Kind::Page { from, len })).ok_or(TooWide)
    }

    /// A player's row with so many on each side, fewer where the board ends.
    ///
    /// # Errors
    /// It shows more than [`ROWS_MOST`] rows.
    pub fn around(player: Handle, each_side: u32) -> Result<Self, TooWide> {
        let fits = each_side <= (ROWS_MOST - 1) / 2;
        fits.then_some(Self(Kind::Around { player, each_side })).ok_or(TooWide)
    }

    /// Those of some players who are on the board.
    ///
    /// # Errors
    /// There are more than [`FRIENDS_MOST`].
    pub fn friends(players: impl IntoIterator<Item = Handle>) -> Result<Self, TooWide> {
        let mut known = BTreeSet::new();
        for player in players {
            known.insert(player);
            if known.len() > FRIENDS_MOST {
                return Err(TooWide);
            }
        }
        Ok(Self(Kind::Friends(known.into_iter().collect())))
    }
}
