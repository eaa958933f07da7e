//! Ids of players, each kept once.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Handle;

/// Players that can be known at once; another is refused.
pub const PLAYERS_MOST: usize = 1 << 24;
/// Bytes of ids, so that an offset fits into four of them; an id beyond is refused.
const TEXT_MOST: usize = u32::MAX as usize;

/// Ids of players, each kept once and known by number: 0, 1, 2, and so on.
///
/// One text holds all ids, so an id costs its bytes and about fifteen more. None is ever forgotten.
#[derive(Debug, Clone, Default)]
pub struct Players {
    text: String,
    /// Where each id ends in the text; it begins where the one before ends.
    ends: Vec<u32>,
    /// Numbers by the hash of their id.
    numbers: HashTable<u32>,
    /// Seeded at random: ids may come from strangers, who must not be able to choose colliding ones.
    hasher: RandomState,
}

impl Players {
    /// Nobody is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of this id, a new one if need be; `None` if there is no room for another.
    pub fn intern(&mut self, id: &str) -> Option<Handle> {
        if let Some(known) = self.find(id) {
            return Some(known);
        }
        let end = self.text.len() + id.len();
        if self.ends.len() >= PLAYERS_MOST || end > TEXT_MOST {
            return None;
        }
        let number = self.ends.len() as u32;
        if end > self.text.capacity() {
            self.text.reserve_exact(id.len() + spare(end));
        }
        if self.ends.len() == self.ends.capacity() {
            self.ends.reserve_exact(1 + spare(self.ends.len()));
        }
        self.text.push_str(id);
        self.ends.push(end as u32);
        let Self { text, ends, numbers, hasher } = self;
        let hash = |number: &u32| hasher.hash_one(id_of(text, ends, *number).unwrap_or_default());
        numbers.insert_unique(hash(&number), number, hash);
        Some(Handle(number))
    }

    /// The number of this id, if it is known.
    pub fn find(&self, id: &str) -> Option<Handle> {
        let same = |number: &u32| id_of(&self.text, &self.ends, *number) == Some(id);
        self.numbers.find(self.hasher.hash_one(id), same).copied().map(Handle)
    }

    /// The id of this number.
    pub fn id(&self, handle: Handle) -> Option<&str> {
        id_of(&self.text, &self.ends, handle.0)
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// How much to reserve beyond what is needed: an eighth, where doubling would leave up to half unused.
fn spare(needed: usize) -> usize {
    needed / 8 + 16
}

fn id_of<'a>(text: &'a str, ends: &[u32], number: u32) -> Option<&'a str> {
    let at = number as usize;
    let end = *ends.get(at)? as usize;
    let begin = if at == 0 { 0 } else { *ends.get(at - 1)? as usize };
    text.get(begin..end)
}
