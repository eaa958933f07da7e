//! A board: everybody's score, place and rank.

use super::batch;
use super::spread::{SPREAD_FROM, Spread};
use super::tree::{Key, Look, Place, Tree};
use super::{Entry, Handle, Moved, Ranking, Row};

/// Everybody's score, place and rank.
///
/// Asking for a rank, in whichever ranking, and setting a score cost the logarithm of the board's length; reading
/// rows costs that once and then a step for each. A board holds as many players as its owner puts on it, at 30 to
/// 45 bytes each (see decision 0060).
#[derive(Debug, Clone)]
pub struct Board {
    tree: Tree,
    /// The entries of the tree by score, if it pays to count them.
    spread: Option<Spread>,
    ranking: Ranking,
}

/// What is to become of a player on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A new score. A score the player has already keeps the moment at which it was reached.
    Set(Entry),
    /// Exactly this entry, whatever there was: what a correction has found out.
    Put(Entry),
    /// The player leaves the board.
    Remove(Handle),
}

impl Change {
    pub(super) fn player(&self) -> Handle {
        match self {
            Self::Set(entry) | Self::Put(entry) => entry.player,
            Self::Remove(player) => *player,
        }
    }
}

impl Board {
    /// An empty board.
    pub fn new(ranking: Ranking) -> Self {
        Self { tree: Tree::new(), spread: None, ranking }
    }

    /// A board with these entries; of several of one player the last one counts.
    pub fn load(ranking: Ranking, mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| entry.player);
        entries.dedup_by(|later, kept| {
            let same = later.player == kept.player;
            if same {
                *kept = *later;
            }
            same
        });
        // In order, so that leaves become full one after the other.
        entries.sort_unstable_by_key(key);
        let mut board = Self::new(ranking);
        for entry in &entries {
            board.tree.insert(&key(entry));
        }
        board.spread = board.counted();
        board
    }

    /// The ranking by which rows of this board have ranks.
    pub fn ranking(&self) -> Ranking {
        self.ranking
    }

    /// How many are on the board.
    pub fn len(&self) -> u32 {
        self.tree.len()
    }

    /// Whether nobody is on the board.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets a player's score. A score the player has already keeps the moment at which it was reached.
    pub fn set(&mut self, player: Handle, score: i64, reached: u64) -> Moved {
        self.put(&Entry { player, score, reached }, false)
    }

    /// Takes a player off the board; `None` if there was nothing to take.
    pub fn remove(&mut self, player: Handle) -> Option<Moved> {
        let old = self.take(player);
        old.map(|row| Moved { player, old: Some(row), new: None })
    }

    /// Makes changes that happen in one moment: old rows are those before all of them, new rows those after all.
    ///
    /// A result changes several scores; if it were told step by step, the second player would have been overtaken
    /// by the first in between.
    pub fn apply(&mut self, changes: &[Change]) -> Vec<Moved> {
        if batch::is_plain(changes, self.ranking) {
            let mut moved: Vec<Moved> = changes.iter().map(|change| self.change(change)).collect();
            batch::put_right(&mut moved, self.ranking);
            return moved;
        }
        let players: Vec<Handle> = changes.iter().map(Change::player).collect();
        let before = |player: &Handle| Moved { player: *player, old: self.row(*player), new: None };
        let mut moved: Vec<Moved> = players.iter().map(before).collect();
        for change in changes {
            self.change(change);
        }
        for it in &mut moved {
            it.new = self.row(it.player);
        }
        moved
    }

    /// Takes a batch back: everybody in it has again exactly the entry from before it.
    ///
    /// Returns what that has moved, for whoever had been told of the batch.
    pub fn undo(&mut self, moved: &[Moved]) -> Vec<Moved> {
        let back = |it: &Moved| match it.old {
            Some(row) => Change::Put(row.entry()),
            None => Change::Remove(it.player),
        };
        let changes: Vec<Change> = moved.iter().rev().map(back).collect();
        self.apply(&changes)
    }

    /// A player's rank, from 1.
    pub fn rank(&self, player: Handle) -> Option<u32> {
        self.rank_by(player, self.ranking)
    }

    /// A player's rank in another ranking than the board's.
    pub fn rank_by(&self, player: Handle, ranking: Ranking) -> Option<u32> {
        let place = self.tree.place(player.0)?;
        Some(match ranking {
            Ranking::Ordinal => self.tree.position(place) + 1,
            Ranking::Competition => self.higher(!self.tree.key(place).falling) + 1,
            Ranking::Dense => self.tree.scores_to(place),
        })
    }

    /// A player's row.
    pub fn row(&self, player: Handle) -> Option<Row> {
        let place = self.tree.place(player.0)?;
        Some(self.placed(&entry(&self.tree.key(place)), self.tree.position(place)))
    }

    /// A player's entry: what is known of it without looking for its place.
    pub fn entry(&self, player: Handle) -> Option<Entry> {
        self.tree.place(player.0).map(|place| entry(&self.tree.key(place)))
    }

    /// The row at a position, counted from 0.
    pub fn at(&self, position: u32) -> Option<Row> {
        self.tree.select(position).map(|place| self.placed(&entry(&self.tree.key(place)), position))
    }

    /// So many rows from a position on, fewer where the board ends.
    pub fn page(&self, from: u32, len: u32) -> Vec<Row> {
        let mut rows = Vec::with_capacity(len.min(self.len().saturating_sub(from)) as usize);
        let mut next = self.tree.select(from);
        while let Some(place) = next.filter(|_| rows.len() < len as usize) {
            let row = match rows.last() {
                Some(ahead) => self.row_behind(ahead, place),
                None => self.placed(&entry(&self.tree.key(place)), from),
            };
            rows.push(row);
            next = self.tree.behind(place);
        }
        rows
    }

    /// The first rows.
    pub fn top(&self, len: u32) -> Vec<Row> {
        self.page(0, len)
    }

    /// A player's row and so many on each side, fewer where the board ends; none if the player is not on it.
    pub fn around(&self, player: Handle, each_side: u32) -> Vec<Row> {
        let Some(place) = self.tree.place(player.0) else { return Vec::new() };
        let position = self.tree.position(place);
        let from = position.saturating_sub(each_side);
        self.page(from, (position - from).saturating_add(each_side).saturating_add(1))
    }

    /// The rows of those of some players who are on the board, in its order.
    pub fn among(&self, players: &[Handle]) -> Vec<Row> {
        let mut rows: Vec<Row> = players.iter().filter_map(|player| self.row(*player)).collect();
        rows.sort_unstable_by_key(|row| row.position);
        rows.dedup_by_key(|row| row.position);
        rows
    }

    /// All entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let places = std::iter::successors(self.tree.select(0), |place| self.tree.behind(*place));
        places.map(|place| entry(&self.tree.key(place)))
    }

    /// How many have a higher score than this.
    pub(super) fn higher(&self, score: i64) -> u32 {
        match &self.spread {
            Some(spread) => spread.above(score),
            None => self.tree.count_above(score),
        }
    }

    /// How many entries are ahead of this one, whether or not it is on the board.
    pub(super) fn ahead_of(&self, entry: &Entry) -> u32 {
        self.tree.count_before(&key(entry))
    }

    /// How many different scores there are above this.
    pub(super) fn scores_above(&self, score: i64) -> u32 {
        self.tree.scores_above(score)
    }

    /// How many have exactly this score.
    pub(super) fn with_score(&self, score: i64) -> u32 {
        let all = score.checked_sub(1).map_or(self.len(), |below| self.higher(below));
        all - self.higher(score)
    }

    /// What a change needs, to be looked at before it is made.
    pub(super) fn look(&self, change: &Change) -> Look<'_> {
        let key = match change {
            Change::Set(entry) | Change::Put(entry) => Some(key(entry)),
            Change::Remove(_) => None,
        };
        Look::new(&self.tree, change.player().0, key)
    }

    fn change(&mut self, change: &Change) -> Moved {
        match change {
            Change::Set(entry) => self.put(entry, false),
            Change::Put(entry) => self.put(entry, true),
            Change::Remove(player) => Moved { player: *player, old: self.take(*player), new: None },
        }
    }

    /// Puts an entry in the place of the player's old one, unless that has the same score and is not to be replaced.
    fn put(&mut self, entry: &Entry, exactly: bool) -> Moved {
        let player = entry.player;
        let place = self.tree.place(player.0);
        if !exactly && place.is_some_and(|place| self.tree.key(place).falling == !entry.score) {
            let row = self.row(player);
            return Moved { player, old: row, new: row };
        }
        let old = place.map(|place| self.take_at(place));
        let position = self.tree.insert(&key(entry));
        self.count_in(entry.score);
        Moved { player, old, new: Some(self.placed(entry, position)) }
    }

    /// Takes a player's entry out, and says which row it was.
    fn take(&mut self, player: Handle) -> Option<Row> {
        let place = self.tree.place(player.0)?;
        Some(self.take_at(place))
    }

    /// The same of the entry in a place.
    fn take_at(&mut self, place: Place) -> Row {
        let entry = entry(&self.tree.key(place));
        let position = self.tree.remove(place);
        if let Some(spread) = &mut self.spread {
            spread.remove(entry.score);
        }
        // A rank counts who is ahead, so it is the same with the entry and without it.
        self.placed(&entry, position)
    }

    /// Counts a new entry, and begins to count all of them when the board has doubled and it may pay by now.
    fn count_in(&mut self, score: i64) {
        let entries = self.len();
        // A score beyond the others has them counted anew, once in a block of scores, or shows that it no longer pays.
        let anew = match &mut self.spread {
            Some(spread) => !spread.add(score),
            None => entries >= SPREAD_FROM && entries.is_power_of_two(),
        };
        if anew {
            self.spread = self.counted();
        }
    }

    /// The entries by score; `None` if there are few, or their scores lie far apart.
    fn counted(&self) -> Option<Spread> {
        let entries = self.len();
        let ends = [0, entries.checked_sub(1)?].map(|position| self.tree.select(position));
        let [highest, lowest] = ends.map(|place| place.map(|place| !self.tree.key(place).falling));
        let mut spread = Spread::new(lowest?, highest?, entries).filter(|_| entries >= SPREAD_FROM)?;
        self.entries().all(|entry| spread.add(entry.score)).then_some(spread)
    }

    /// An entry with its position, and the rank that follows from it.
    fn placed(&self, entry: &Entry, position: u32) -> Row {
        let Entry { player, score, reached } = *entry;
        let rank = match self.ranking {
            Ranking::Ordinal => position + 1,
            Ranking::Competition => self.higher(score) + 1,
            Ranking::Dense => self.scores_above(score) + 1,
        };
        Row { player, score, reached, position, rank }
    }

    /// The row behind another one: its rank follows from that one's.
    fn row_behind(&self, ahead: &Row, place: Place) -> Row {
        let Entry { player, score, reached } = entry(&self.tree.key(place));
        let position = ahead.position + 1;
        let rank = match self.ranking {
            Ranking::Ordinal => position + 1,
            _ if score == ahead.score => ahead.rank,
            Ranking::Competition => position + 1,
            Ranking::Dense => ahead.rank + 1,
        };
        Row { player, score, reached, position, rank }
    }
}

fn key(entry: &Entry) -> Key {
    Key { falling: !entry.score, reached: entry.reached, player: entry.player.0 }
}

fn entry(key: &Key) -> Entry {
    Entry { player: Handle(key.player), score: !key.falling, reached: key.reached }
}
