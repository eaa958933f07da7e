use std::collections::BTreeMap;

use super::{Change, Roster, Seen};
use crate::user::UserKey;

/// What changed since it was last told: what came and went in between is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Who is there now and was not.
    pub joined: Vec<Seen>,
    /// Who was there and is not.
    pub left: Vec<Seen>,
    /// Who is seen otherwise.
    pub changed: Vec<Seen>,
}

impl Changes {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many members they are about.
    pub fn len(&self) -> usize {
        self.joined.len() + self.left.len() + self.changed.len()
    }
}

/// Changes that wait to be told: of each member what was told last.
#[derive(Debug, Default)]
pub struct Gathered(BTreeMap<UserKey, Option<Seen>>);

impl Gathered {
    /// Notes a change; of several of one member the first knows what was told.
    pub fn note(&mut self, change: Change) {
        self.0.entry(change.user).or_insert(change.before);
    }

    /// How many members changed, or changed back.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What is different now, by the roster they were gathered from.
    pub fn take(&mut self, roster: &Roster) -> Changes {
        let mut changes = Changes::default();
        for (user, before) in std::mem::take(&mut self.0) {
            match (before, roster.seen(&user)) {
                (None, Some(now)) => changes.joined.push(now),
                (Some(before), None) => changes.left.push(before),
                (Some(before), Some(now)) if !before.looks_like(&now) => changes.changed.push(now),
                _ => {}
            }
        }
        changes
    }
}
