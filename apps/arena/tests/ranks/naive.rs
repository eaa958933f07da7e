//! A board as one would write it in a minute: a list, sorted whenever something has changed.

use proptest::prelude::*;
use tidings_arena::ranks::{Change, Entry, Handle, Ranking, Row};

pub(crate) const RANKINGS: [Ranking; 3] = [Ranking::Competition, Ranking::Dense, Ranking::Ordinal];

#[derive(Debug, Clone, Default)]
pub(crate) struct Naive {
    pub(crate) entries: Vec<Entry>,
}

impl Naive {
    pub(crate) fn change(&mut self, change: &Change) {
        match change {
            Change::Set(entry) => match self.entry(entry.player) {
                Some(same) if same.score == entry.score => {}
                _ => self.change(&Change::Put(*entry)),
            },
            Change::Put(entry) => {
                self.change(&Change::Remove(entry.player));
                self.entries.push(*entry);
                self.entries.sort_by_key(|it| (std::cmp::Reverse(it.score), it.reached, it.player));
            }
            Change::Remove(player) => self.entries.retain(|it| it.player != *player),
        }
    }

    pub(crate) fn entry(&self, player: Handle) -> Option<Entry> {
        self.entries.iter().find(|it| it.player == player).copied()
    }

    pub(crate) fn rank(&self, entry: &Entry, ranking: Ranking) -> u32 {
        let higher = self.entries.iter().filter(|it| it.score > entry.score);
        let ahead = match ranking {
            Ranking::Competition => higher.count(),
            Ranking::Dense => higher.map(|it| it.score).collect::<std::collections::BTreeSet<_>>().len(),
            Ranking::Ordinal => self.entries.iter().position(|it| it == entry).unwrap(),
        };
        ahead as u32 + 1
    }

    pub(crate) fn row(&self, player: Handle, ranking: Ranking) -> Option<Row> {
        let position = self.entries.iter().position(|it| it.player == player)? as u32;
        let entry = self.entries[position as usize];
        let Entry { player, score, reached } = entry;
        Some(Row { player, score, reached, position, rank: self.rank(&entry, ranking) })
    }

    pub(crate) fn page(&self, from: u32, len: u32, ranking: Ranking) -> Vec<Row> {
        let page = self.entries.iter().skip(from as usize).take(len as usize);
        page.map(|it| self.row(it.player, ranking).unwrap()).collect()
    }

    pub(crate) fn around(&self, player: Handle, each_side: u32, ranking: Ranking) -> Vec<Row> {
        let Some(own) = self.row(player, ranking) else { return Vec::new() };
        let shown = self.page(0, u32::MAX, ranking);
        shown.into_iter().filter(|row| row.position.abs_diff(own.position) <= each_side).collect()
    }

    pub(crate) fn among(&self, players: &[Handle], ranking: Ranking) -> Vec<Row> {
        let shown = self.page(0, u32::MAX, ranking);
        shown.into_iter().filter(|row| players.contains(&row.player)).collect()
    }
}

/// One of few players, some of them with numbers so high that no list could hold them.
pub(crate) fn player() -> impl Strategy<Value = Handle> {
    (0..24_u32).prop_map(|number| Handle(if number % 4 == 3 { u32::MAX - number } else { number }))
}

/// Few scores and moments, so that many are equal, and the ends of what a score can be.
fn entry() -> impl Strategy<Value = Entry> {
    let score = prop_oneof![12 => -3..4_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    (player(), score, 0..5_u64).prop_map(|(player, score, reached)| Entry { player, score, reached })
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => entry().prop_map(Change::Set),
        2 => entry().prop_map(Change::Put),
        2 => player().prop_map(Change::Remove),
    ]
}

/// Changes that happen in one moment each.
pub(crate) fn batches() -> impl Strategy<Value = Vec<Vec<Change>>> {
    prop::collection::vec(prop::collection::vec(change(), 1..4), 1..60)
}
