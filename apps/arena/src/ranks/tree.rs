//! Entries in order, with counts: a B-tree that knows which place an entry has and which entry has a place.
//!
//! Leaves hold the entries. Above them each node knows how many entries are below each child, and how many of
//! those are the first of their score, so both kinds of places are sums along one way from a leaf to the root. The
//! way begins at the leaf the [`Index`] names, so the place of a player is found without comparing keys.

mod balance;
mod look;
mod node;

use slab::Slab;

use super::index::Index;
pub(super) use look::Look;
pub(super) use node::Key;
use node::{FAN, Inner, Leaf, NONE};

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    leaf: u32,
    at: usize,
}

/// Entries in order, with counts.
///
/// A leaf that is not the root is never empty.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    leaves: Slab<Box<Leaf>>,
    inners: Slab<Box<Inner>>,
    index: Index,
    /// A leaf if the height is 0, an inner node otherwise.
    root: u32,
    /// Inner nodes between the root and a leaf, the root included.
    height: u32,
    len: u32,
}

/// What an entry does to the count of first ones: itself, and the entry behind it that has the same score.
struct Gap {
    /// There is no entry of the score ahead of the gap.
    first: bool,
    /// The leaf of the entry behind the gap, if that has the score.
    same_behind: Option<u32>,
}

/// Inner nodes above a leaf at most. Of two neighbours one is nearly half full, so five are enough for 16 million players.
const HEIGHT: usize = 8;

/// A way from the root to a leaf.
struct Way {
    /// The nodes above the leaf, the root first, and which child of each leads on.
    steps: [(u32, u32); HEIGHT],
    leaf: u32,
    /// Entries ahead of the leaf.
    sum: u32,
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut leaves = Slab::new();
        let root = leaves.insert(Leaf::new(NONE)) as u32;
        Self { leaves, inners: Slab::new(), index: Index::new(), root, height: 0, len: 0 }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Where a player is.
    pub(super) fn place(&self, player: u32) -> Option<Place> {
        let leaf = self.index.leaf(player)?;
        let at = self.leaf(leaf).find(player)?;
        Some(Place { leaf, at })
    }

    pub(super) fn key(&self, place: Place) -> Key {
        self.leaf(place.leaf).key(place.at)
    }

    /// How many entries are ahead of one.
    pub(super) fn position(&self, place: Place) -> u32 {
        self.above(place.leaf, |inner| &inner.counts) + place.at as u32
    }

    /// How many scores there are down to that of an entry, its own included.
    pub(super) fn scores_to(&self, place: Place) -> u32 {
        let within = self.firsts_within(place.leaf, place.at + 1);
        self.above(place.leaf, |inner| &inner.firsts) + within
    }

    /// How many entries come before a key.
    pub(super) fn count_before(&self, key: &Key) -> u32 {
        let (leaf, sum) = self.leaf_of(key);
        sum + self.leaf(leaf).lower(key) as u32
    }

    /// How many entries have a higher score.
    pub(super) fn count_above(&self, score: i64) -> u32 {
        let (leaf, sum) = self.leaf_before(!score, |inner| &inner.counts);
        sum + self.leaf(leaf).lower_score(!score) as u32
    }

    /// How many scores are higher than one.
    pub(super) fn scores_above(&self, score: i64) -> u32 {
        let (leaf, sum) = self.leaf_before(!score, |inner| &inner.firsts);
        sum + self.firsts_within(leaf, self.leaf(leaf).lower_score(!score))
    }

    /// Which entry has so many ahead of it.
    pub(super) fn select(&self, position: u32) -> Option<Place> {
        if position >= self.len {
            return None;
        }
        let (mut node, mut rest) = (self.root, position);
        for _ in 0..self.height {
            let inner = self.inner(node);
            let mut slot = 0;
            while rest >= inner.counts[slot] {
                rest -= inner.counts[slot];
                slot += 1;
            }
            node = inner.nodes()[slot];
        }
        Some(Place { leaf: node, at: rest as usize })
    }

    /// The entry behind one.
    pub(super) fn behind(&self, place: Place) -> Option<Place> {
        let leaf = self.leaf(place.leaf);
        if place.at + 1 < leaf.len() {
            return Some(Place { leaf: place.leaf, at: place.at + 1 });
        }
        (leaf.after != NONE).then_some(Place { leaf: leaf.after, at: 0 })
    }

    /// Puts in an entry of a player who has none, and says how many are ahead of it.
    pub(super) fn insert(&mut self, key: &Key) -> u32 {
        let way = self.way_to(key);
        let (leaf, sum) = (way.leaf, way.sum);
        let ahead = self.leaf(leaf).lower(key);
        let full = self.leaf(leaf).is_full();
        let room = if full { self.with_room(leaf, key) } else { leaf };
        let at = if full { self.leaf(room).lower(key) } else { ahead };
        self.leaf_mut(room).insert(at, key);
        self.index.add(key.player, room);
        self.len += 1;
        let gap = self.gap(room, at, key.falling);
        let firsts = i32::from(gap.first) - i32::from(gap.first && gap.same_behind == Some(room));
        if full {
            self.adjust(room, 1, firsts);
        } else {
            self.add_along(&way, firsts);
        }
        if let Some(other) = gap.same_behind.filter(|other| gap.first && *other != room) {
            self.adjust(other, 0, -1);
        }
        sum + ahead as u32
    }

    /// Takes the entry in this place out, and says how many were ahead of it.
    pub(super) fn remove(&mut self, place: Place) -> u32 {
        let Place { leaf, at } = place;
        let key = self.leaf(leaf).key(at);
        let gap = self.gap(leaf, at, key.falling);
        self.leaf_mut(leaf).remove(at);
        self.index.take(key.player);
        self.len -= 1;
        let firsts = i32::from(gap.first && gap.same_behind == Some(leaf)) - i32::from(gap.first);
        let ahead = self.adjust(leaf, -1, firsts) + at as u32;
        if let Some(other) = gap.same_behind.filter(|other| gap.first && *other != leaf) {
            self.adjust(other, 0, 1);
        }
        self.thin_out(leaf);
        ahead
    }

    fn leaf(&self, leaf: u32) -> &Leaf {
        &self.leaves[leaf as usize]
    }

    fn leaf_mut(&mut self, leaf: u32) -> &mut Leaf {
        &mut self.leaves[leaf as usize]
    }

    fn inner(&self, inner: u32) -> &Inner {
        &self.inners[inner as usize]
    }

    fn inner_mut(&mut self, inner: u32) -> &mut Inner {
        &mut self.inners[inner as usize]
    }

    /// The leaf a key belongs to, and how many entries are ahead of that leaf.
    fn leaf_of(&self, key: &Key) -> (u32, u32) {
        self.descend(|inner| inner.child_of(key), |inner| &inner.counts)
    }

    /// The leaf in which a score begins or the one before ends, and the sum over everything ahead of that leaf.
    fn leaf_before(&self, falling: i64, column: impl Fn(&Inner) -> &[u32; FAN]) -> (u32, u32) {
        self.descend(|inner| inner.child_before(falling), column)
    }

    fn descend(
        &self,
        choose: impl Fn(&Inner) -> usize,
        column: impl Fn(&Inner) -> &[u32; FAN],
    ) -> (u32, u32) {
        let (mut node, mut sum) = (self.root, 0);
        for _ in 0..self.height {
            let inner = self.inner(node);
            let slot = choose(inner);
            sum += column(inner)[..slot].iter().sum::<u32>();
            node = inner.nodes()[slot];
        }
        (node, sum)
    }

    /// The way down to the leaf a key belongs to.
    fn way_to(&self, key: &Key) -> Way {
        debug_assert!(self.height as usize <= HEIGHT);
        let mut way = Way { steps: [(NONE, 0); HEIGHT], leaf: self.root, sum: 0 };
        for step in way.steps.iter_mut().take(self.height as usize) {
            let inner = self.inner(way.leaf);
            let slot = inner.child_of(key);
            way.sum += inner.counts[..slot].iter().sum::<u32>();
            *step = (way.leaf, slot as u32);
            way.leaf = inner.nodes()[slot];
        }
        way
    }

    /// Counts one more entry in the nodes along a way that still leads where it did.
    fn add_along(&mut self, way: &Way, firsts: i32) {
        for (node, slot) in way.steps.iter().take(self.height as usize) {
            let inner = self.inner_mut(*node);
            let slot = *slot as usize;
            inner.counts[slot] += 1;
            inner.firsts[slot] = inner.firsts[slot].wrapping_add_signed(firsts);
        }
    }

    /// The sum over everything ahead of a leaf.
    fn above(&self, leaf: u32, column: impl Fn(&Inner) -> &[u32; FAN]) -> u32 {
        let (mut node, mut parent, mut sum) = (leaf, self.leaf(leaf).parent, 0);
        while parent != NONE {
            let inner = self.inner(parent);
            sum += column(inner)[..inner.slot(node)].iter().sum::<u32>();
            (node, parent) = (parent, inner.parent);
        }
        sum
    }

    /// Adds to what the nodes above a leaf know of it, and says how many entries are ahead of the leaf.
    fn adjust(&mut self, leaf: u32, count: i32, firsts: i32) -> u32 {
        let (mut node, mut parent, mut sum) = (leaf, self.leaf(leaf).parent, 0);
        while parent != NONE {
            let inner = self.inner_mut(parent);
            let slot = inner.slot(node);
            sum += inner.counts[..slot].iter().sum::<u32>();
            inner.counts[slot] = inner.counts[slot].wrapping_add_signed(count);
            inner.firsts[slot] = inner.firsts[slot].wrapping_add_signed(firsts);
            (node, parent) = (parent, inner.parent);
        }
        sum
    }

    /// How many of a leaf's entries before this place are the first of their score on the board.
    fn firsts_within(&self, leaf: u32, end: usize) -> u32 {
        let Some(last) = end.checked_sub(1) else { return 0 };
        let first = self.gap(leaf, 0, self.leaf(leaf).scores()[0]).first;
        u32::from(first) + self.leaf(leaf).rises(last)
    }

    /// What the entry of this score in this place does to the count of first ones.
    fn gap(&self, leaf: u32, at: usize, falling: i64) -> Gap {
        let here = self.leaf(leaf);
        let ahead = match at.checked_sub(1) {
            Some(ahead) => here.scores().get(ahead),
            None if here.before != NONE => self.leaf(here.before).scores().last(),
            None => None,
        };
        let (behind, place) = match here.scores().get(at + 1) {
            Some(score) => (Some(score), leaf),
            None if here.after != NONE => (self.leaf(here.after).scores().first(), here.after),
            None => (None, leaf),
        };
        Gap { first: ahead != Some(&falling), same_behind: (behind == Some(&falling)).then_some(place) }
    }
}

#[cfg(test)]
mod tests;
