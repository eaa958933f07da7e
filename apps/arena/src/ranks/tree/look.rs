//! The steps by which a change finds what it needs.

use super::Tree;
use super::node::{Key, NONE};

/// A change on its way: where its player is, and how far down it has come to where the player is going.
pub(in crate::ranks) struct Look<'a> {
    tree: &'a Tree,
    player: u32,
    /// The new entry, if there is to be one.
    key: Option<Key>,
    from: u32,
    to: u32,
    left: u32,
}

impl<'a> Look<'a> {
    /// At the root, before anything was looked at.
    pub(in crate::ranks) fn new(tree: &'a Tree, player: u32, key: Option<Key>) -> Self {
        Self { tree, player, key, from: NONE, to: tree.root, left: tree.height }
    }

    /// Where the player is.
    pub(in crate::ranks) fn index(&mut self) -> u64 {
        self.from = self.tree.index.leaf(self.player).unwrap_or(NONE);
        u64::from(self.from)
    }

    /// The player's leaf.
    pub(in crate::ranks) fn leaf(&mut self) -> u64 {
        match self.tree.leaves.get(self.from as usize) {
            Some(leaf) => leaf.glance(),
            None => 0,
        }
    }

    /// What is above it.
    pub(in crate::ranks) fn above(&mut self) -> u64 {
        let parent = self.tree.leaves.get(self.from as usize).map_or(NONE, |leaf| leaf.parent);
        match self.tree.inners.get(parent as usize) {
            Some(inner) => inner.glance(),
            None => 0,
        }
    }

    /// A level down to where the new entry belongs.
    pub(in crate::ranks) fn down(&mut self) -> u64 {
        if let Some(key) = self.key.filter(|_| self.left > 0) {
            let inner = self.tree.inner(self.to);
            self.to = inner.nodes()[inner.child_of(&key)];
            self.left -= 1;
        }
        u64::from(self.to)
    }

    /// The leaf it belongs to.
    pub(in crate::ranks) fn there(&mut self) -> u64 {
        if self.key.is_none() || self.left > 0 {
            return 0;
        }
        self.tree.leaf(self.to).glance()
    }

    /// What is above that leaf, to count it.
    pub(in crate::ranks) fn above_there(&mut self) -> u64 {
        if self.key.is_none() || self.left > 0 {
            return 0;
        }
        match self.tree.inners.get(self.tree.leaf(self.to).parent as usize) {
            Some(inner) => inner.glance(),
            None => 0,
        }
    }
}
