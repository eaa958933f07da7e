//! The tree's shape, looked at from inside; what it answers is checked against naive models in `tests/ranks`.

use proptest::prelude::*;

use super::node::{FAN, LEAF};
use super::{Inner, Key, NONE, Tree};

impl Tree {
    /// Every rule of the tree's shape, with its entries in order.
    fn checked(&self) -> Vec<Key> {
        let mut leaves = Vec::new();
        self.checked_below(self.root, self.height, NONE, &mut leaves);
        assert_eq!(leaves.len(), self.leaves.len(), "a leaf is lost");
        let mut keys: Vec<Key> = Vec::new();
        for (at, leaf) in leaves.iter().enumerate() {
            let node = self.leaf(*leaf);
            assert_eq!(node.before, at.checked_sub(1).map_or(NONE, |ahead| leaves[ahead]));
            assert_eq!(node.after, leaves.get(at + 1).copied().unwrap_or(NONE));
            assert!(node.len() > 0 || self.height == 0, "an empty leaf is left");
            for place in 0..node.len() {
                keys.push(node.key(place));
                assert_eq!(self.index.leaf(node.key(place).player), Some(*leaf));
            }
        }
        assert!(keys.is_sorted());
        assert_eq!(keys.len(), self.len as usize);
        keys
    }

    /// The first and the last key below a node.
    fn ends(&self, node: u32, level: u32) -> (Key, Key) {
        if level == 0 {
            let leaf = self.leaf(node);
            return (leaf.key(0), leaf.key(leaf.len() - 1));
        }
        let nodes = self.inner(node).nodes();
        (self.ends(nodes[0], level - 1).0, self.ends(nodes[nodes.len() - 1], level - 1).1)
    }

    /// Entries and first ones below a node, whose leaves it adds.
    fn checked_below(&self, node: u32, level: u32, parent: u32, leaves: &mut Vec<u32>) -> (u32, u32) {
        if level == 0 {
            assert_eq!(self.leaf(node).parent, parent);
            leaves.push(node);
            let len = self.leaf(node).len();
            return (len as u32, self.firsts_within(node, len));
        }
        let inner: &Inner = self.inner(node);
        assert_eq!(inner.parent, parent);
        assert!(inner.len() > if parent == NONE { 1 } else { 0 } && inner.len() <= FAN);
        for at in 0..inner.len() {
            let child = inner.child(at);
            let below = self.checked_below(child.node, level - 1, node, leaves);
            assert_eq!(below, (child.count, child.firsts), "child {at} on level {level}");
            if at > 0 {
                let [ahead, own] =
                    [self.ends(inner.nodes()[at - 1], level - 1).1, self.ends(child.node, level - 1).0];
                assert!(
                    ahead < child.key && child.key <= own,
                    "child {at} on level {level} begins elsewhere"
                );
            }
        }
        inner.sums()
    }
}

fn remove(tree: &mut Tree, player: u32) -> bool {
    let place = tree.place(player);
    place.is_some_and(|place| {
        let position = tree.position(place);
        assert_eq!(tree.remove(place), position);
        true
    })
}

fn key(falling: i64, reached: u64, player: u32) -> Key {
    Key { falling, reached, player }
}

#[test]
fn entries_in_order_fill_the_leaves() {
    let mut tree = Tree::new();
    for player in 0..6_400 {
        tree.insert(&key(i64::from(player), 1, player));
    }
    assert_eq!(tree.checked().len(), 6_400);
    assert_eq!(tree.leaves.len(), 6_400 / LEAF);
}

#[test]
fn a_board_that_empties_keeps_no_node() {
    let mut tree = Tree::new();
    for player in 0..50_000_u32 {
        tree.insert(&key(i64::from(player.wrapping_mul(2_654_435_761) % 900), 1, player));
    }
    assert!(tree.height >= 2, "the tree is too low to show anything");
    for player in 0..50_000 {
        assert!(remove(&mut tree, player));
        if player % 5_000 == 0 {
            tree.checked();
        }
    }
    assert_eq!((tree.leaves.len(), tree.inners.len(), tree.height), (1, 0, 0));
}

#[test]
fn leaves_stay_well_filled_under_random_changes() {
    let mut tree = Tree::new();
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    for step in 0..200_000_u64 {
        let player = (next() % 20_000) as u32;
        remove(&mut tree, player);
        tree.insert(&key((next() % 3_000) as i64, step, player));
    }
    let entries = tree.checked().len();
    let filled = entries as f64 / (tree.leaves.len() * LEAF) as f64;
    println!("leaves are filled to {filled:.2}");
    assert!(filled > 0.6, "leaves are filled to {filled:.2}");
}

#[derive(Debug, Clone)]
enum Step {
    /// Gives many players scores that lie together.
    Fill(u32, u32),
    Put(u32, i64, u64),
    Remove(u32),
    /// Removes so many entries that follow each other: nodes empty and join.
    Clear(u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_000_u32, -40..40_i64, 0..6_u64).prop_map(|(player, score, at)| Step::Put(player, score, at)),
        3 => (0..3_000_u32).prop_map(Step::Remove),
        2 => (0..6_000_u32, 1..900_u32).prop_map(|(from, len)| Step::Fill(from, len)),
        2 => (0..6_000_u32, 1..900_u32).prop_map(|(from, len)| Step::Clear(from, len)),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_rule_of_the_shape_holds_after_every_change(filled in 0..8_000_u32, steps in steps()) {
        let mut tree = Tree::new();
        for player in 0..filled {
            tree.insert(&key(i64::from(player.wrapping_mul(2_654_435_761) % 80) - 40, 3, player));
        }
        tree.checked();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(player, score, reached) => {
                    remove(&mut tree, player);
                    tree.insert(&key(score, reached, player));
                }
                Step::Remove(player) => {
                    remove(&mut tree, player);
                }
                Step::Clear(from, len) => {
                    for _ in 0..len {
                        tree.select(from % tree.len().max(1)).map(|place| tree.remove(place));
                    }
                }
                Step::Fill(from, len) => {
                    for player in from..from + len {
                        remove(&mut tree, player);
                        tree.insert(&key(i64::from(player % 3 + from % 80) - 40, u64::from(player % 5), player));
                    }
                }
            }
            if at % 4 == 0 {
                tree.checked();
            }
        }
        tree.checked();
    }
}
