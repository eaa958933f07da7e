//! Computing results again, in their order, from where something has changed.

use std::collections::BTreeMap;

use crate::model::{Standing, rate};
use crate::store::matches::Played;

/// A ladder that is computed again: how those stand who stand otherwise than before.
#[derive(Debug, Default)]
pub struct Replay {
    standings: BTreeMap<String, Standing>,
}

/// What a match made of its players when it was computed again.
#[derive(Debug)]
pub struct Again {
    /// How they stood before it, in the match's order.
    pub before: Vec<Standing>,
    /// How they stood after it.
    pub after: Vec<Standing>,
}

impl Replay {
    /// Somebody stands so from here on.
    pub fn set(&mut self, player: &str, standing: Standing) {
        self.standings.insert(player.to_owned(), standing);
    }

    /// Whether somebody in a match stands otherwise than before, so that it has to be computed again.
    pub fn concerns(&self, played: &Played) -> bool {
        played.players.iter().any(|player| self.standings.contains_key(player))
    }

    /// Players of a match of whom it is not known how they stood before it: as they did, since nothing that
    /// has changed concerned them.
    pub fn missing<'a>(&self, played: &'a Played) -> Vec<&'a str> {
        let players = played.players.iter().map(String::as_str);
        players.filter(|player| !self.standings.contains_key(*player)).collect()
    }

    /// Computes a match again; `None` if it is not known how all of its players stood.
    pub fn play(&mut self, played: &Played, k: Option<i64>) -> Option<Again> {
        let before: Option<Vec<Standing>> =
            played.players.iter().map(|player| self.standings.get(player).copied()).collect();
        let before = before?;
        let winner =
            played.winner.as_ref().and_then(|winner| played.players.iter().position(|one| one == winner));
        let after = rate(&before, winner, played.number, k);
        for (player, standing) in played.players.iter().zip(&after) {
            self.set(player, *standing);
        }
        Some(Again { before, after })
    }

    /// How everybody stands who was concerned, by id.
    pub fn standings(self) -> BTreeMap<String, Standing> {
        self.standings
    }
}

#[cfg(test)]
mod tests;
