//! The two kinds of nodes of a tree.

/// Entries of a leaf. Fewer cost more nodes, more cost more moving of entries; by measurement (decision 0060).
pub(super) const LEAF: usize = 32;
/// Children of an inner node.
pub(super) const FAN: usize = 64;
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

    pub(super) fn is_full(&self) -> bool {
        self.len() == LEAF
    }

    /// Reads something of each of its lines.
    pub(super) fn glance(&self) -> u64 {
        let mut seen = u64::from(self.parent);
        for at in (0..LEAF).step_by(8) {
            seen ^= self.falling[at] as u64 ^ self.reached[at];
        }
        seen ^ u64::from(self.players[0] ^ self.players[16] ^ self.players[LEAF - 1])
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

    /// How many entries have a higher score.
    pub(super) fn lower_score(&self, falling: i64) -> usize {
        self.scores().partition_point(|it| *it < falling)
    }

    /// How many entries come before this key.
    pub(super) fn lower(&self, key: &Key) -> usize {
        let (scores, begin) = (self.scores(), self.lower_score(key.falling));
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
        // Behind the last one are numbers of those who have left.
        position(&self.players, player).filter(|at| *at < self.len())
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

    /// Gives the entries from one on to the leaf behind, which has room and gets them ahead of its own.
    pub(super) fn give_ahead(&mut self, from: usize, to: &mut Self) {
        let (len, count) = (to.len(), self.len() - from);
        to.falling.copy_within(..len, count);
        to.reached.copy_within(..len, count);
        to.players.copy_within(..len, count);
        to.falling[..count].copy_from_slice(&self.falling[from..from + count]);
        to.reached[..count].copy_from_slice(&self.reached[from..from + count]);
        to.players[..count].copy_from_slice(&self.players[from..from + count]);
        to.len += count as u32;
        self.len = from as u32;
    }

    /// Gives so many of the first entries to the leaf ahead, which has room.
    pub(super) fn give_behind(&mut self, count: usize, to: &mut Self) {
        let (len, begin) = (self.len(), to.len());
        to.falling[begin..begin + count].copy_from_slice(&self.falling[..count]);
        to.reached[begin..begin + count].copy_from_slice(&self.reached[..count]);
        to.players[begin..begin + count].copy_from_slice(&self.players[..count]);
        self.falling.copy_within(count..len, 0);
        self.reached.copy_within(count..len, 0);
        self.players.copy_within(count..len, 0);
        to.len += count as u32;
        self.len -= count as u32;
    }

    /// Gives the entries from one on to an empty leaf, or to one ahead that has room.
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
    /// Where each child begins, in three columns: most searches are decided by the first.
    falling: [i64; FAN],
    reached: [u64; FAN],
    players: [u32; FAN],
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
            falling: [0; FAN],
            reached: [0; FAN],
            players: none,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Reads something of each line that a way up needs.
    pub(super) fn glance(&self) -> u64 {
        let lines = (0..FAN).step_by(16).map(|at| self.nodes[at] ^ self.counts[at] ^ self.firsts[at]);
        u64::from(self.parent) ^ lines.fold(0, |seen, it| seen ^ u64::from(it))
    }

    pub(super) fn nodes(&self) -> &[u32] {
        &self.nodes[..self.len()]
    }

    pub(super) fn child(&self, at: usize) -> Child {
        let (falling, reached, player) = (self.falling[at], self.reached[at], self.players[at]);
        let key = Key { falling, reached, player };
        Child { node: self.nodes[at], count: self.counts[at], firsts: self.firsts[at], key }
    }

    /// Which child a key belongs to.
    pub(super) fn child_of(&self, key: &Key) -> usize {
        let below = self.child_before(key.falling);
        let rest = self.falling.get(below + 1..self.len()).unwrap_or_default();
        let equal = rest.partition_point(|falling| *falling == key.falling);
        let (mut low, mut high) = (below + 1, below + 1 + equal);
        while low < high {
            let middle = low.midpoint(high);
            if (self.reached[middle], self.players[middle]) <= (key.reached, key.player) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - 1
    }

    /// The last child that begins before a score, or the first one.
    pub(super) fn child_before(&self, falling: i64) -> usize {
        let rest = self.falling.get(1..self.len()).unwrap_or_default();
        rest.partition_point(|begin| *begin < falling)
    }

    /// Which child this node is.
    pub(super) fn slot(&self, node: u32) -> usize {
        // Every node is among its parent's children.
        position(&self.nodes, node).unwrap_or_default()
    }

    /// Entries below all children, and those that are the first of their score.
    pub(super) fn sums(&self) -> (u32, u32) {
        (self.counts[..self.len()].iter().sum(), self.firsts[..self.len()].iter().sum())
    }

    /// Notes that a child has given entries to its neighbour, and where the latter of both begins now.
    pub(super) fn poured(&mut self, from: usize, to: usize, count: u32, firsts: u32, begin: Key) {
        self.counts[from] -= count;
        self.counts[to] += count;
        self.firsts[from] -= firsts;
        self.firsts[to] += firsts;
        self.begin(from.max(to), &begin);
    }

    fn begin(&mut self, at: usize, key: &Key) {
        (self.falling[at], self.reached[at], self.players[at]) = (key.falling, key.reached, key.player);
    }

    /// Puts a child in. There must be room.
    pub(super) fn insert(&mut self, at: usize, child: Child) {
        let len = self.len();
        self.nodes.copy_within(at..len, at + 1);
        self.counts.copy_within(at..len, at + 1);
        self.firsts.copy_within(at..len, at + 1);
        self.falling.copy_within(at..len, at + 1);
        self.reached.copy_within(at..len, at + 1);
        self.players.copy_within(at..len, at + 1);
        self.nodes[at] = child.node;
        self.counts[at] = child.count;
        self.firsts[at] = child.firsts;
        self.begin(at, &child.key);
        self.len += 1;
    }

    /// Takes a child out.
    pub(super) fn remove(&mut self, at: usize) -> Child {
        let (child, len) = (self.child(at), self.len());
        self.nodes.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.firsts.copy_within(at + 1..len, at);
        self.falling.copy_within(at + 1..len, at);
        self.reached.copy_within(at + 1..len, at);
        self.players.copy_within(at + 1..len, at);
        self.len -= 1;
        child
    }

    /// Gives the children from one on to a node that follows and has room.
    pub(super) fn give(&mut self, from: usize, to: &mut Self) {
        let (begin, count) = (to.len(), self.len() - from);
        to.nodes[begin..begin + count].copy_from_slice(&self.nodes[from..from + count]);
        to.counts[begin..begin + count].copy_from_slice(&self.counts[from..from + count]);
        to.firsts[begin..begin + count].copy_from_slice(&self.firsts[from..from + count]);
        to.falling[begin..begin + count].copy_from_slice(&self.falling[from..from + count]);
        to.reached[begin..begin + count].copy_from_slice(&self.reached[from..from + count]);
        to.players[begin..begin + count].copy_from_slice(&self.players[from..from + count]);
        to.len += count as u32;
        self.len = from as u32;
    }
}

/// Numbers that are compared at once; both lists are some times as long.
const STRIDE: usize = 8;

/// The first place of a number in a list. To stop at each costs more than to compare some together.
fn position<const N: usize>(list: &[u32; N], wanted: u32) -> Option<usize> {
    let has = |some: &[u32]| some.iter().fold(false, |found, it| found | (*it == wanted));
    let begin = list.chunks_exact(STRIDE).position(has)? * STRIDE;
    let within = list[begin..].iter().position(|it| *it == wanted)?;
    Some(begin + within)
}
