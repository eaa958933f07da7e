use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Change, Roster, Seen};
use crate::user::UserKey;

/// What changed since it was last told: what came and went in between is not in it, unless somebody was shown it.
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

/// Changes that wait to be told: of each member what was told last, and what somebody was shown since.
#[derive(Debug, Default)]
pub struct Gathered {
    members: BTreeMap<UserKey, Waiting>,
    /// Counts how often somebody was shown how things stand while something waited.
    shown: u64,
}

/// A member whose change waits.
#[derive(Debug)]
struct Waiting {
    /// What was told last; `None`: it was not there.
    told: Option<Seen>,
    /// What somebody was shown of it since, where it has changed once more; `None`: nobody was.
    shown: Option<Option<Seen>>,
    /// How often somebody had been shown something when it changed last.
    at: u64,
}

impl Gathered {
    /// Notes a change; of several of one member the first knows what was told.
    pub fn note(&mut self, Change { user, before }: Change) {
        let now = self.shown;
        match self.members.entry(user) {
            Entry::Vacant(vacant) => drop(vacant.insert(Waiting { told: before, shown: None, at: now })),
            Entry::Occupied(mut known) if known.get().at < now => {
                let known = known.get_mut();
                // Of what was shown several times a member that is there counts: it is the one to be taken back.
                known.shown = Some(before.or(known.shown.take().flatten()));
                known.at = now;
            }
            Entry::Occupied(_) => {}
        }
    }

    /// Somebody is shown how things stand, with what waits to be told.
    pub fn show(&mut self) {
        self.shown += u64::from(!self.is_empty());
    }

    /// How many members changed, or changed back.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.members.clear();
    }

    /// What is different now, by the roster they were gathered from. What came and went in between is in it as far as
    /// somebody was shown it.
    pub fn take(&mut self, roster: &Roster) -> Changes {
        let mut changes = Changes::default();
        for (user, Waiting { told, shown, .. }) in std::mem::take(&mut self.members) {
            match (told, roster.seen(&user)) {
                (None, Some(now)) => changes.joined.push(now),
                (Some(before), None) => changes.left.push(before),
                (Some(before), Some(now)) if !before.looks_like(&now) || shown.is_some() => {
                    changes.changed.push(now);
                }
                (None, None) => changes.left.extend(shown.flatten()),
                _ => {}
            }
        }
        changes
    }
}
