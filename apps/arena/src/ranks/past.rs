//! What ranks were at an earlier moment, from the board as it is and what has changed since.

use hashbrown::HashMap;

use super::batch::place;
use super::{Board, Entry, Handle, Moved, Ranking};

/// Players whose entries have changed since a moment, with their entries then.
#[derive(Debug, Clone)]
pub(super) struct Past {
    /// `None` stands for not being on the board.
    then: HashMap<Handle, Option<Entry>>,
    most: usize,
    /// More than that have changed, and what was is no longer known.
    lost: bool,
}

impl Past {
    /// From now on; so many players' changes are remembered.
    pub(super) fn new(most: usize) -> Self {
        Self { then: HashMap::new(), most, lost: false }
    }

    /// Remembers what the players of a batch had before it, if it is the first that changes them.
    pub(super) fn note(&mut self, moved: &[Moved]) {
        for it in moved {
            let [old, new] = [it.old, it.new].map(|row| row.map(|row| row.entry()));
            if old != new && !self.lost {
                self.then.entry(it.player).or_insert(old);
                self.lost = self.then.len() > self.most;
            }
        }
        if self.lost {
            self.then = HashMap::new();
        }
    }

    /// Ranks then, for as long as the board stays as it is; `None` if too much has changed to say.
    pub(super) fn ranks<'a>(&'a self, board: &'a Board) -> Option<Ranks<'a>> {
        if self.lost {
            return None;
        }
        let pairs = self.then.iter().map(|(player, then)| (*then, board.entry(*player)));
        let pairs: Vec<_> = pairs.filter(|(then, now)| then != now).collect();
        let scores = if board.ranking() == Ranking::Dense { scores(board, &pairs) } else { Vec::new() };
        Some(Ranks { past: self, board, pairs, scores })
    }
}

/// The ranks on a board at the moment a [`Past`] began.
pub(super) struct Ranks<'a> {
    past: &'a Past,
    board: &'a Board,
    /// The entries that are different, then and now.
    pairs: Vec<(Option<Entry>, Option<Entry>)>,
    /// The scores that there were and are no longer (1), and those that there were not (-1).
    scores: Vec<(i64, i64)>,
}

impl Ranks<'_> {
    /// A player's position then, from 0, and rank.
    pub(super) fn of(&self, player: Handle) -> Option<(u32, u32)> {
        let entry = match self.past.then.get(&player) {
            Some(then) => (*then)?,
            None => self.board.entry(player)?,
        };
        let before = |other: &Entry| place(other) < place(&entry);
        let above = |other: &Entry| other.score > entry.score;
        let position = self.then(self.board.ahead_of(&entry), before);
        let rank = match self.board.ranking() {
            Ranking::Ordinal => position + 1,
            Ranking::Competition => self.then(self.board.higher(entry.score), above) + 1,
            Ranking::Dense => {
                let gone = self.scores.iter().filter(|(score, _)| *score > entry.score);
                let more: i64 = gone.map(|(_, more)| more).sum();
                count(i64::from(self.board.scores_above(entry.score)) + more) + 1
            }
        };
        Some((position, rank))
    }

    /// How many there were then of which there are so many now.
    fn then(&self, now: u32, counts: impl Fn(&Entry) -> bool) -> u32 {
        let one = |entry: &Option<Entry>| i64::from(entry.as_ref().is_some_and(&counts));
        let more: i64 = self.pairs.iter().map(|(then, now)| one(then) - one(now)).sum();
        count(i64::from(now) + more)
    }
}

/// Counts of entries of a board are never below nothing, or above what four bytes hold.
fn count(sum: i64) -> u32 {
    u32::try_from(sum).unwrap_or_default()
}

/// Which scores have come (-1) or gone (1) altogether.
fn scores(board: &Board, pairs: &[(Option<Entry>, Option<Entry>)]) -> Vec<(i64, i64)> {
    let mut more: HashMap<i64, i64> = HashMap::new();
    for (then, now) in pairs {
        if let Some(entry) = then {
            *more.entry(entry.score).or_default() += 1;
        }
        if let Some(entry) = now {
            *more.entry(entry.score).or_default() -= 1;
        }
    }
    let turned = more.into_iter().map(|(score, more)| {
        let now = i64::from(board.with_score(score));
        (score, i64::from(now + more > 0) - i64::from(now > 0))
    });
    turned.filter(|(_, turned)| *turned != 0).collect()
}
