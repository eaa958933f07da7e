use super::agenda::Spot;
use super::{PAGE, RoomNews, View, interval_ms};
use crate::room::{Roll, Room};
use crate::roster::{self, Counts, Gathered, Roster};
use crate::user::UserKey;

/// Members that may have changed before only the counts are told.
const GATHERED_MOST: usize = 2 * PAGE;

/// One room's roster, and what its members were told of it.
pub(super) struct Place {
    pub(super) roster: Roster,
    roll: Roll,
    gathered: Gathered,
    version: u64,
    told: Counts,
    told_ms: u64,
    /// Since when something waits to be told; `u64::MAX`: nothing does.
    since_ms: u64,
    /// Somebody was shown other counts than were told.
    shown: bool,
    /// Only counts are told: there are or were too many members for more.
    only_counts: bool,
    /// Where it stands in the agenda.
    pub(super) spot: Option<Spot>,
}

impl Place {
    pub(super) fn new(roll: Roll, now_ms: u64) -> Self {
        Self {
            roster: Roster::new(),
            roll,
            gathered: Gathered::default(),
            // A place that was empty for a while does not begin with a version that somebody still knows.
            version: now_ms,
            told: Counts::default(),
            told_ms: 0,
            since_ms: u64::MAX,
            shown: false,
            only_counts: matches!(roll, Roll::Counts),
            spot: None,
        }
    }

    /// Notes a change, if members are told of each other.
    pub(super) fn note(&mut self, change: Option<roster::Change>) {
        let Some(change) = change.filter(|_| !self.only_counts) else { return };
        self.gathered.note(change);
        if self.roster.counts().users > self.roll.deltas() || self.gathered.len() > GATHERED_MOST {
            self.gathered.clear();
            self.only_counts = true;
        }
    }

    /// When it has to be looked at, if something happened by `now_ms`.
    pub(super) fn wanted_ms(&mut self, now_ms: u64) -> u64 {
        let counts = self.roster.counts();
        if self.gathered.is_empty() && counts == self.told && !self.shown {
            self.since_ms = u64::MAX;
            return self.roster.due_ms();
        }
        self.since_ms = self.since_ms.min(now_ms);
        let told_ms = (self.told_ms + interval_ms(counts.connections)).max(self.since_ms + super::BATCH_MS);
        told_ms.min(self.roster.due_ms())
    }

    /// What is to be told now.
    pub(super) fn look(&mut self, room: &Room, now_ms: u64) -> Option<RoomNews> {
        for change in self.roster.expire(now_ms) {
            self.note(Some(change));
        }
        let waits = self.since_ms != u64::MAX && self.since_ms + super::BATCH_MS > now_ms;
        if waits || self.told_ms + interval_ms(self.roster.counts().connections) > now_ms {
            return None;
        }
        let changes = self.gathered.take(&self.roster);
        let counts = self.roster.counts();
        let reread = self.lists_again(counts);
        let shown = std::mem::take(&mut self.shown);
        if changes.is_empty() && counts == self.told && !reread && !shown {
            return None;
        }
        (self.told, self.told_ms, self.since_ms) = (counts, now_ms, u64::MAX);
        self.version += 1;
        if changes.len() > PAGE {
            self.only_counts = true;
        }
        let changes = (!self.only_counts).then_some(changes);
        Some(RoomNews { room: room.clone(), version: self.version, counts, changes, reread })
    }

    /// Whether members are told of each other again: there are clearly fewer of them than are too many.
    fn lists_again(&mut self, counts: Counts) -> bool {
        let again = self.only_counts && counts.users < self.roll.deltas() * 3 / 4;
        self.only_counts &= !again;
        again
    }

    /// Who looks sees what is not told yet as well: should it be undone before, that has to be told.
    fn is_shown(&mut self) {
        self.gathered.show();
        self.shown |= self.roster.counts() != self.told;
    }

    pub(super) fn view(&mut self, asker: Option<&UserKey>, page: usize) -> View {
        self.is_shown();
        let lists = self.roll.deltas() > 0;
        View {
            counts: self.roster.counts_for(asker),
            version: self.version,
            page: lists.then(|| self.roster.page(asker, page, PAGE)),
        }
    }

    pub(super) fn view_of_newcomer(&mut self, asker: Option<&UserKey>) -> View {
        self.is_shown();
        let counts = self.roster.counts_for(asker);
        let lists = counts.users <= self.roll.full() && self.roll.full() > 0;
        let page = lists.then(|| self.roster.page(asker, 0, self.roll.full()));
        View { counts, version: self.version, page }
    }
}
