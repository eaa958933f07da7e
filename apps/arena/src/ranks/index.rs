//! In which leaf each player of a board is.

use hashbrown::HashMap;

/// No leaf.
const NOWHERE: u32 = u32::MAX;
/// Numbers a list may reach whatever the board holds.
const SMALL: usize = 64;
/// A map becomes a list when the numbers reach no further than so many times the players it holds.
const CROWDED: usize = 4;
/// A list becomes a map when the numbers reach further than so many times the players it holds.
///
/// Beside [`CROWDED`] it leaves so much room that a board which grows and shrinks does not change all the time.
const DESERTED: usize = 8;

/// In which leaf each player of a board is: a list by the players' numbers, or a map where they are few.
///
/// A list costs four bytes for each number up to the highest, so it is for the board everybody is on. A map costs
/// about fifteen for each player of the board, so it is for a country's or a session's. Changing from one to the
/// other looks at every player once, which as many inserts or removals have paid for.
#[derive(Debug, Clone)]
pub(super) struct Index {
    shape: Shape,
    held: usize,
}

#[derive(Debug, Clone)]
enum Shape {
    List(Vec<u32>),
    /// With the numbers' end: the highest there was, and one.
    Map(HashMap<u32, u32>, usize),
}

impl Index {
    pub(super) fn new() -> Self {
        Self { shape: Shape::List(Vec::new()), held: 0 }
    }

    /// The player's leaf.
    pub(super) fn leaf(&self, player: u32) -> Option<u32> {
        match &self.shape {
            Shape::List(leaves) => leaves.get(player as usize).copied().filter(|leaf| *leaf != NOWHERE),
            Shape::Map(leaves, _) => leaves.get(&player).copied(),
        }
    }

    /// Notes a player that was on the board in another leaf.
    pub(super) fn moved(&mut self, player: u32, leaf: u32) {
        match &mut self.shape {
            Shape::List(leaves) => leaves[player as usize] = leaf,
            Shape::Map(leaves, _) => {
                leaves.insert(player, leaf);
            }
        }
    }

    /// Notes a player that was not on the board.
    pub(super) fn add(&mut self, player: u32, leaf: u32) {
        self.held += 1;
        let end = player as usize + 1;
        if let Shape::List(leaves) = &mut self.shape
            && end > leaves.len()
        {
            if end > SMALL.max(DESERTED * self.held) {
                self.shape = mapped(leaves);
            } else {
                leaves.resize(end, NOWHERE);
            }
        }
        match &mut self.shape {
            Shape::List(leaves) => leaves[player as usize] = leaf,
            Shape::Map(leaves, reach) => {
                leaves.insert(player, leaf);
                *reach = end.max(*reach);
                if *reach <= SMALL.max(CROWDED * self.held) {
                    self.shape = listed(leaves, *reach);
                }
            }
        }
    }

    /// Forgets a player, and says where it was.
    pub(super) fn take(&mut self, player: u32) -> Option<u32> {
        let leaf = self.leaf(player)?;
        self.held -= 1;
        match &mut self.shape {
            Shape::List(leaves) => {
                leaves[player as usize] = NOWHERE;
                if leaves.len() > SMALL.max(DESERTED * self.held) {
                    self.shape = mapped(leaves);
                }
            }
            Shape::Map(leaves, _) => {
                leaves.remove(&player);
            }
        }
        Some(leaf)
    }
}

fn mapped(leaves: &[u32]) -> Shape {
    let held = leaves.iter().enumerate().filter(|(_, leaf)| **leaf != NOWHERE);
    Shape::Map(held.map(|(player, leaf)| (player as u32, *leaf)).collect(), leaves.len())
}

fn listed(leaves: &HashMap<u32, u32>, reach: usize) -> Shape {
    let mut list = vec![NOWHERE; reach];
    for (player, leaf) in leaves {
        list[*player as usize] = *leaf;
    }
    Shape::List(list)
}
