//! The two kinds of nodes of a tree.

/// Entries of a leaf. Fewer cost more nodes, more cost more moving of entries; by measurement (decision 0060).
pub(super) const LEAF: usize = 64;
/// Children of an inner node.
pub(super) const FAN: usize = 32;
/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Where an entry stands in the order of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::ranks) struct Key {
    /// The score turned round, so that more comes first: `!score`, which has no overflow.
    pub(in crate::ranks) falling: i64,
    pub(in crate::ranks) reached: u64,
    pub(in crate::ranks) player: u32,
}

impl Key {
    /// Where entries of this score begin.
    pub(in crate::ranks) fn first_of(score: i64) -> Self {
        Self { falling: !score, reached: 0, player: 0 }
    }
}

/// Entries side by side, and who their neighbours are.
///
/// Three columns, not one of entries: an entry would be padded from 20 bytes to 24, and the search for a player
/// reads numbers alone.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) parent: u32,
    pub(super) before: u32,
    pub(super) after: u32,
    len: u32,
    falling: [i64; LEAF],
    reached: [u64; LEAF],
    players: [u32; LEAF],
}

impl Leaf {
    pub(super) fn new(parent: u32) -> Box<Self> {
        Box::new(Self {
            parent,
            before: NONE,
            after: NONE,
            len: 0,
            falling: [0; LEAF],
            reached: [0; LEAF],
            players: [0; LEAF],
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn scores(&self) -> &[i64] {
        &self.falling[..self.len()]
    }

    pub(super) fn players(&self) -> &[u32] {
        &self.players[..self.len()]
    }

    pub(super) fn key(&self, at: usize) -> Key {
        Key { falling: self.falling[at], reached: self.reached[at], player: self.players[at] }
    }

    /// How many entries come before this key.
    pub(super) fn lower(&self, key: &Key) -> usize {
        let scores = self.scores();
        let begin = scores.partition_point(|falling| *falling < key.falling);
        if key.reached == 0 && key.player == 0 {
            return begin;
        }
        let equal = scores[begin..].partition_point(|falling| *falling == key.falling);
        let (mut low, mut high) = (begin, begin + equal);
        while low < high {
            let middle = low.midpoint(high);
            if (self.reached[middle], self.players[middle]) < (key.reached, key.player) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Where a player is.
    pub(super) fn find(&self, player: u32) -> Option<usize> {
        self.players().iter().position(|it| *it == player)
    }

    /// Entries up to this one, itself included, that are the first of their score in this leaf; the first of the
    /// leaf is left out, since that depends on its neighbour.
    pub(super) fn rises(&self, at: usize) -> u32 {
        self.scores()[..=at].windows(2).map(|pair| u32::from(pair[0] != pair[1])).sum()
    }

    /// Puts an entry in. There must be room.
    pub(super) fn insert(&mut self, at: usize, key: &Key) {
        let len = self.len();
        self.falling.copy_within(at..len, at + 1);
        self.reached.copy_within(at..len, at + 1);
        self.players.copy_within(at..len, at + 1);
        (self.falling[at], self.reached[at], self.players[at]) = (key.falling, key.reached, key.player);
        self.len += 1;
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, at: usize) -> Key {
        let (key, len) = (self.key(at), self.len());
        self.falling.copy_within(at + 1..len, at);
        self.reached.copy_within(at + 1..len, at);
        self.players.copy_within(at + 1..len, at);
        self.len -= 1;
        key
    }

    /// Gives the entries from one on to a leaf that follows and has room.
    pub(super) fn give(&mut self, from: usize, to: &mut Self) {
        let (begin, count) = (to.len(), self.len() - from);
        to.falling[begin..begin + count].copy_from_slice(&self.falling[from..from + count]);
        to.reached[begin..begin + count].copy_from_slice(&self.reached[from..from + count]);
        to.players[begin..begin + count].copy_from_slice(&self.players[from..from + count]);
        to.len += count as u32;
        self.len = from as u32;
    }
}

/// A child as its parent knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub(super) node: u32,
    /// Entries below it.
    pub(super) count: u32,
    /// Entries below it that are the first of their score on the board.
    pub(super) firsts: u32,
    /// No entry below it comes before this, and all of the child before it do. Of a node's first child it says nothing.
    pub(super) key: Key,
}

/// What is known of children: how many entries are below each, and where each begins.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub(super) parent: u32,
    len: u32,
    nodes: [u32; FAN],
    pub(super) counts: [u32; FAN],
    pub(super) firsts: [u32; FAN],
    keys: [Key; FAN],
}

impl Inner {
    pub(super) fn new(parent: u32) -> Box<Self> {
        let none = [0; FAN];
        Box::new(Self {
            parent,
            len: 0,
            nodes: none,
            counts: none,
            firsts: none,
            keys: [Key::default(); FAN],
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn nodes(&self) -> &[u32] {
        &self.nodes[..self.len()]
    }

    pub(super) fn child(&self, at: usize) -> Child {
        Child { node: self.nodes[at], count: self.counts[at], firsts: self.firsts[at], key: self.keys[at] }
    }

    /// Which child a key belongs to.
    pub(super) fn child_of(&self, key: &Key) -> usize {
        let rest = self.keys.get(1..self.len()).unwrap_or_default();
        rest.partition_point(|begin| begin <= key)
    }

    /// Which child this node is.
    pub(super) fn slot(&self, node: u32) -> usize {
        // Every node is among its parent's children.
        self.nodes().iter().position(|it| *it == node).unwrap_or_default()
    }

    /// Entries below all children, and those that are the first of their score.
    pub(super) fn sums(&self) -> (u32, u32) {
        (self.counts[..self.len()].iter().sum(), self.firsts[..self.len()].iter().sum())
    }

    /// Puts a child in. There must be room.
    pub(super) fn insert(&mut self, at: usize, child: Child) {
        let len = self.len();
        self.nodes.copy_within(at..len, at + 1);
        self.counts.copy_within(at..len, at + 1);
        self.firsts.copy_within(at..len, at + 1);
        self.keys.copy_within(at..len, at + 1);
        self.nodes[at] = child.node;
        self.counts[at] = child.count;
        self.firsts[at] = child.firsts;
        self.keys[at] = child.key;
        self.len += 1;
    }

    /// Takes a child out.
    pub(super) fn remove(&mut self, at: usize) -> Child {
        let (child, len) = (self.child(at), self.len());
        self.nodes.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.firsts.copy_within(at + 1..len, at);
        self.keys.copy_within(at + 1..len, at);
        self.len -= 1;
        child
    }

    /// Gives the children from one on to a node that follows and has room.
    pub(super) fn give(&mut self, from: usize, to: &mut Self) {
        let (begin, count) = (to.len(), self.len() - from);
        to.nodes[begin..begin + count].copy_from_slice(&self.nodes[from..from + count]);
        to.counts[begin..begin + count].copy_from_slice(&self.counts[from..from + count]);
        to.firsts[begin..begin + count].copy_from_slice(&self.firsts[from..from + count]);
        to.keys[begin..begin + count].copy_from_slice(&self.keys[from..from + count]);
        to.len += count as u32;
        self.len = from as u32;
    }
}
