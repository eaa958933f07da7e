//! Which connections are in rooms that keep a roster, and when they last said something.

use hashbrown::HashMap;

use super::{ConnKey, Shard};

/// The connections of a shard that are or were in rooms that keep a roster, by slot.
#[derive(Debug, Default)]
pub(super) struct Attending(HashMap<u32, Spell>);

#[derive(Debug)]
struct Spell {
    said_ms: u64,
    idle: bool,
}

impl Attending {
    pub(super) fn forget(&mut self, slot: u32) {
        if !self.0.is_empty() {
            self.0.remove(&slot);
        }
    }
}

impl Shard {
    /// The time of this turn.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Which connection is in a slot.
    pub fn key(&self, slot: u32) -> Option<ConnKey> {
        let conn = self.conns.get(slot as usize)?;
        Some(ConnKey { slot, generation: conn.generation })
    }

    /// Notes that a connection is in a room that keeps a roster; it is not idle now.
    pub(crate) fn attend(&mut self, slot: u32) -> Option<ConnKey> {
        let key = self.key(slot)?;
        self.attending.0.entry(slot).or_insert(Spell { said_ms: self.now_ms, idle: false });
        Some(key)
    }

    /// Whether any connection is in a room that keeps a roster.
    pub fn attends(&self) -> bool {
        !self.attending.0.is_empty()
    }

    /// Notes that a connection said something; `true` if it was idle until now.
    pub fn said(&mut self, slot: u32) -> bool {
        let Some(spell) = self.attending.0.get_mut(&slot) else { return false };
        spell.said_ms = self.now_ms;
        std::mem::take(&mut spell.idle)
    }

    /// Makes a connection idle, whatever it said; `true` if it was not.
    pub fn make_idle(&mut self, slot: u32) -> bool {
        let spell = self.attending.0.get_mut(&slot);
        spell.is_some_and(|spell| !std::mem::replace(&mut spell.idle, true))
    }

    /// The connections that have become idle: they said nothing for so long.
    pub fn new_idlers(&mut self, idle_ms: u64) -> Vec<ConnKey> {
        let now_ms = self.now_ms;
        let spells = self.attending.0.iter_mut();
        let idle = spells.filter(|(_, spell)| !spell.idle && spell.said_ms + idle_ms <= now_ms);
        let slots: Vec<u32> = idle
            .map(|(slot, spell)| {
                spell.idle = true;
                *slot
            })
            .collect();
        slots.into_iter().filter_map(|slot| self.key(slot)).collect()
    }
}
