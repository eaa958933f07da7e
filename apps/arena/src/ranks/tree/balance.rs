//! What keeps a tree low: full nodes are split in two, thin ones join a neighbour.

use super::node::{Child, FAN, Inner, LEAF, Leaf, NONE};
use super::{Key, Tree};

/// A node with so few, or fewer, joins a neighbour that has room.
const THIN_LEAF: usize = LEAF / 2;
/// See [`THIN_LEAF`].
const THIN_INNER: usize = FAN / 4;
/// So many are together at most when two nodes become one, so that the next entries do not split it again.
const JOINED_LEAF: usize = LEAF * 7 / 8;
/// See [`JOINED_LEAF`].
const JOINED_INNER: usize = FAN * 3 / 4;
/// A full leaf is not split if a neighbour has so many or fewer and can take some: leaves stay fuller.
const TAKES: usize = LEAF * 7 / 8;

impl Tree {
    /// Lets a full leaf give entries to a neighbour or to a new leaf, and says which of them a key belongs to.
    pub(super) fn with_room(&mut self, leaf: u32, key: &Key) -> u32 {
        let last = self.leaf(leaf).key(LEAF - 1);
        // Entries that come in order fill one leaf after the other; half of each would stay empty otherwise.
        let at_the_end = self.leaf(leaf).after == NONE && last < *key;
        if at_the_end {
            return self.split_leaf(leaf, LEAF, key);
        }
        let parent = self.leaf(leaf).parent;
        let slot = if parent == NONE { 0 } else { self.inner(parent).slot(leaf) };
        if self.takes(parent, slot + 1) {
            return self.pour_right(parent, slot, key);
        }
        if slot > 0 && self.takes(parent, slot - 1) {
            return self.pour_left(parent, slot, key);
        }
        let right = self.split_leaf(leaf, LEAF / 2, key);
        if self.leaf(right).key(0) <= *key { right } else { leaf }
    }

    /// Whether a child is there and has room for some of a neighbour's entries.
    fn takes(&self, parent: u32, slot: usize) -> bool {
        let node = self.inners.get(parent as usize).and_then(|inner| inner.nodes().get(slot));
        node.is_some_and(|node| self.leaf(*node).len() <= TAKES)
    }

    /// Lets a full leaf and the one behind it have equally many, and says which of them a key belongs to.
    fn pour_right(&mut self, parent: u32, slot: usize, key: &Key) -> u32 {
        let (left, right) = (self.inner(parent).nodes()[slot], self.inner(parent).nodes()[slot + 1]);
        let from = (LEAF + self.leaf(right).len()).div_ceil(2);
        let firsts = self.firsts_within(left, LEAF) - self.firsts_within(left, from);
        for player in &self.leaves[left as usize].players()[from..] {
            self.index.moved(*player, right);
        }
        let Some((giver, taker)) = self.leaves.get2_mut(left as usize, right as usize) else { return left };
        giver.give_ahead(from, taker);
        let begin = taker.key(0);
        self.inner_mut(parent).poured(slot, slot + 1, (LEAF - from) as u32, firsts, begin);
        if begin <= *key { right } else { left }
    }

    /// Lets a full leaf and the one ahead of it have equally many, and says which of them a key belongs to.
    fn pour_left(&mut self, parent: u32, slot: usize, key: &Key) -> u32 {
        let (left, right) = (self.inner(parent).nodes()[slot - 1], self.inner(parent).nodes()[slot]);
        let count = (LEAF - self.leaf(left).len()) / 2;
        let firsts = self.firsts_within(right, count);
        for player in &self.leaves[right as usize].players()[..count] {
            self.index.moved(*player, left);
        }
        let Some((taker, giver)) = self.leaves.get2_mut(left as usize, right as usize) else { return right };
        giver.give_behind(count, taker);
        let begin = giver.key(0);
        self.inner_mut(parent).poured(slot, slot - 1, count as u32, firsts, begin);
        if begin <= *key { right } else { left }
    }

    /// Moves entries from one on into a new leaf; for an empty one the key says where it begins.
    fn split_leaf(&mut self, leaf: u32, from: usize, key: &Key) -> u32 {
        let within = self.firsts_within(leaf, from);
        let all = self.firsts_within(leaf, self.leaf(leaf).len());
        let parent = self.leaf(leaf).parent;
        let right = self.leaves.vacant_key() as u32;
        let mut new = Leaf::new(parent);
        self.leaf_mut(leaf).give(from, &mut new);
        for player in new.players() {
            self.index.moved(*player, right);
        }
        let begin = if new.len() == 0 { *key } else { new.key(0) };
        let child = Child { node: right, count: new.len() as u32, firsts: all - within, key: begin };
        self.leaves.insert(new);
        self.link(leaf, right);
        self.add_child(leaf, 0, child);
        right
    }

    /// Makes a leaf the one behind another.
    fn link(&mut self, leaf: u32, right: u32) {
        let after = self.leaf(leaf).after;
        self.leaf_mut(leaf).after = right;
        self.leaf_mut(right).before = leaf;
        self.leaf_mut(right).after = after;
        if after != NONE {
            self.leaf_mut(after).before = right;
        }
    }

    /// Takes a leaf out of the row of leaves.
    fn unlink(&mut self, leaf: u32) {
        let (before, after) = (self.leaf(leaf).before, self.leaf(leaf).after);
        if before != NONE {
            self.leaf_mut(before).after = after;
        }
        if after != NONE {
            self.leaf_mut(after).before = before;
        }
    }

    /// Tells the parent of a node on this level (0: leaves) that the node has given a part of it to a new one.
    fn add_child(&mut self, left: u32, level: u32, child: Child) {
        if self.parent(left, level) == NONE {
            self.grow(left, level, &child);
        }
        if self.inner(self.parent(left, level)).len() == FAN {
            self.split_inner(self.parent(left, level), level + 1);
        }
        let parent = self.parent(left, level);
        self.set_parent(child.node, level, parent);
        let inner = self.inner_mut(parent);
        let slot = inner.slot(left);
        inner.counts[slot] -= child.count;
        inner.firsts[slot] -= child.firsts;
        inner.insert(slot + 1, child);
    }

    /// Puts a new root above the old one, which has just given a part of it away.
    fn grow(&mut self, old: u32, level: u32, given: &Child) {
        let (count, firsts) = if level == 0 {
            let rest = self.leaf(old).len();
            (rest as u32, self.firsts_within(old, rest))
        } else {
            self.inner(old).sums()
        };
        let mut root = Inner::new(NONE);
        // As if nothing had been given: whoever adds the child takes its part off.
        let (count, firsts) = (count + given.count, firsts + given.firsts);
        root.insert(0, Child { node: old, count, firsts, key: Key::default() });
        self.root = self.inners.insert(root) as u32;
        self.height += 1;
        self.set_parent(old, level, self.root);
    }

    fn split_inner(&mut self, inner: u32, level: u32) {
        let right = self.inners.vacant_key() as u32;
        let mut new = Inner::new(self.inner(inner).parent);
        self.inner_mut(inner).give(FAN / 2, &mut new);
        for node in new.nodes() {
            self.set_parent(*node, level - 1, right);
        }
        let (count, firsts) = new.sums();
        let child = Child { node: right, count, firsts, key: new.child(0).key };
        self.inners.insert(new);
        self.add_child(inner, level, child);
    }

    fn parent(&self, node: u32, level: u32) -> u32 {
        if level == 0 { self.leaf(node).parent } else { self.inner(node).parent }
    }

    fn set_parent(&mut self, node: u32, level: u32, parent: u32) {
        if level == 0 {
            self.leaf_mut(node).parent = parent;
        } else {
            self.inner_mut(node).parent = parent;
        }
    }

    fn size(&self, node: u32, level: u32) -> usize {
        if level == 0 { self.leaf(node).len() } else { self.inner(node).len() }
    }

    /// Removes a leaf that is empty, or joins it with a neighbour if it has become thin.
    pub(super) fn thin_out(&mut self, leaf: u32) {
        let (parent, len) = (self.leaf(leaf).parent, self.leaf(leaf).len());
        if parent == NONE || len > THIN_LEAF {
            return;
        }
        let slot = self.inner(parent).slot(leaf);
        if len > 0 {
            self.join_neighbour(parent, slot, 0);
            return;
        }
        self.unlink(leaf);
        self.leaves.remove(leaf as usize);
        self.drop_child(parent, slot, 1);
    }

    /// Joins a child with the one behind or ahead of it, if both together leave room.
    fn join_neighbour(&mut self, parent: u32, slot: usize, level: u32) {
        let most = if level == 0 { JOINED_LEAF } else { JOINED_INNER };
        let size = |slot: usize| self.inner(parent).nodes().get(slot).map(|node| self.size(*node, level));
        let (own, behind) = (size(slot).unwrap_or_default(), size(slot + 1));
        let ahead = slot.checked_sub(1).and_then(size);
        if behind.is_some_and(|size| own + size <= most) {
            self.join(parent, slot, level);
        } else if ahead.is_some_and(|size| own + size <= most) {
            self.join(parent, slot - 1, level);
        }
    }

    /// Moves all of a child's follower into the child.
    fn join(&mut self, parent: u32, slot: usize, level: u32) {
        let (left, right) = (self.inner(parent).nodes()[slot], self.inner(parent).child(slot + 1));
        if level == 0 {
            self.join_leaves(left, right.node);
        } else {
            self.join_inners(left, &right, level);
        }
        let inner = self.inner_mut(parent);
        inner.counts[slot] += right.count;
        inner.firsts[slot] += right.firsts;
        self.drop_child(parent, slot + 1, level + 1);
    }

    fn join_leaves(&mut self, left: u32, right: u32) {
        self.unlink(right);
        let mut gone = self.leaves.remove(right as usize);
        for player in gone.players() {
            self.index.moved(*player, left);
        }
        gone.give(0, self.leaf_mut(left));
    }

    fn join_inners(&mut self, left: u32, right: &Child, level: u32) {
        let mut gone = self.inners.remove(right.node as usize);
        for node in gone.nodes() {
            self.set_parent(*node, level - 1, left);
        }
        // As a first child it needed no beginning of its own; now it does.
        let first = gone.remove(0);
        gone.insert(0, Child { key: right.key, ..first });
        gone.give(0, self.inner_mut(left));
    }

    /// Takes a child from a node on this level, and what follows from it up to the root.
    fn drop_child(&mut self, inner: u32, slot: usize, level: u32) {
        self.inner_mut(inner).remove(slot);
        let (parent, len) = (self.inner(inner).parent, self.inner(inner).len());
        if parent == NONE {
            self.lower_root();
            return;
        }
        let slot = self.inner(parent).slot(inner);
        if len == 0 {
            self.inners.remove(inner as usize);
            self.drop_child(parent, slot, level + 1);
        } else if len <= THIN_INNER {
            self.join_neighbour(parent, slot, level);
        }
    }

    /// Drops roots that have one child only.
    fn lower_root(&mut self) {
        while self.height > 0 && self.inner(self.root).len() == 1 {
            let only = self.inner(self.root).nodes()[0];
            self.inners.remove(self.root as usize);
            self.height -= 1;
            self.root = only;
            self.set_parent(only, self.height, NONE);
        }
    }
}
