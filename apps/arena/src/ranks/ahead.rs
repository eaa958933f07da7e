//! Looking at what changes are about to need, for many of them at once.
//!
//! Boards of a million do not fit into the caches, and one change waits for memory again and again: for the player's
//! leaf, what is above it, and the leaf the new entry belongs to. Each of these waits for the one before. Those of different
//! changes do not, so looked at side by side they come from memory together, and the changes themselves find them near.

use std::hint::black_box;

use super::board::{Board, Change};
use super::tree::Look;

/// Changes that are looked at together: what they need has to stay near until they are made.
const TOGETHER: usize = 48;

/// Looks at what these changes of boards need. Nothing is changed, and nothing depends on whether it was called.
pub fn look_ahead<'a>(work: impl IntoIterator<Item = (&'a Board, &'a Change)>) {
    let mut looks = Vec::with_capacity(TOGETHER);
    for (board, change) in work {
        if looks.len() == TOGETHER {
            at_once(&mut looks);
            looks.clear();
        }
        looks.push(board.look(change));
    }
    at_once(&mut looks);
}

fn at_once(looks: &mut [Look<'_>]) {
    let mut seen = 0;
    for step in [
        Look::index,
        Look::leaf,
        Look::above,
        Look::down,
        Look::down,
        Look::down,
        Look::there,
        Look::above_there,
    ] {
        for look in &mut *looks {
            seen ^= step(look);
        }
    }
    // Or the compiler would leave out what nobody needs.
    black_box(seen);
}
