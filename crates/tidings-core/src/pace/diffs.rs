//! What was last said in a room of each name and slot.

use compact_str::CompactString;
use hashbrown::HashMap;

use super::{Changes, Diff, HELD_BYTES, SCOPES, Topic};

/// What was last said in a room of each name and slot, so that only changes have to be said.
///
/// At most [`SCOPES`] of them and [`HELD_BYTES`]; what is beyond that is said as it is.
#[derive(Debug)]
pub struct Diffs {
    full_every: u32,
    scopes: HashMap<CompactString, Diff>,
    bytes: usize,
    /// How many things were said, of whatever name and slot.
    count: u64,
}

/// How an object is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// All of it, if it is not told as it came: with `null` for each member that is gone.
    pub whole: Option<String>,
    /// What has changed, for those who heard what was said before; `None`: all of it is for everybody.
    pub part: Option<String>,
}

impl Diffs {
    /// Nothing was said; of each name and slot all is said every so-many-th time.
    pub fn new(full_every: u32) -> Self {
        Self { full_every, scopes: HashMap::new(), bytes: 0, count: 0 }
    }

    /// How many things were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Counts one more thing that is said; its number.
    pub fn count_one(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Makes the next of each name and slot a whole one: somebody may lack what was said before.
    pub fn ask_full(&mut self) {
        self.scopes.values_mut().for_each(Diff::ask_full);
    }

    /// Forgets what was said of a name and slot.
    pub fn forget(&mut self, topic: Topic<'_>) {
        let diff = self.scopes.remove(&topic.text());
        self.bytes -= diff.as_ref().map_or(0, Diff::bytes);
    }

    /// How an object that passed [`json::check`] is to be said.
    pub fn offer(&mut self, topic: Topic<'_>, object: &str) -> Told {
        let scope = topic.text();
        if self.scopes.len() >= SCOPES && !self.scopes.contains_key(&scope) {
            return Told::default();
        }
        let diff = self.scopes.entry(scope).or_insert_with(|| Diff::new(self.full_every));
        self.bytes -= diff.bytes();
        let changes = diff.offer(object);
        self.bytes += diff.bytes();
        let whole = diff.whole(object);
        if self.bytes > HELD_BYTES {
            self.forget(topic);
        }
        let part = match changes {
            Changes::Full => None,
            Changes::Part(part) => Some(part),
            // It is told all the same: its place in the room's history is.
            Changes::Nothing => Some("{}".into()),
        };
        Told { whole, part }
    }
}
