//! What comes in floods, thinned out: the first, then every Nth with the number of those since.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use tidings_core::Org;

use super::{Action, Entry};

/// Floods that are told apart at once; others share one place for each action.
const PLACES: usize = 4_096;
/// A flood has ended when nothing of it came for so long.
const QUIET_MS: u64 = 60_000;

/// Whether a hit is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is, and stands for so many.
    Write(u64),
    /// A later one stands for it.
    Leave,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    action: Action,
    reason: Option<Cow<'static, str>>,
    org: Option<Org>,
    address: Option<IpAddr>,
}

#[derive(Debug)]
struct Flood {
    entry: Entry,
    /// Hits since the last one that was written.
    since: u64,
    last_ms: u64,
}

/// The floods that go on now.
#[derive(Debug)]
pub(super) struct Samples {
    every: u64,
    floods: HashMap<Key, Flood>,
}

impl Samples {
    /// Every `every`th hit is written; 1: all of them.
    pub(super) fn new(every: u64) -> Self {
        Self { every: every.max(1), floods: HashMap::new() }
    }

    /// Counts a hit.
    pub(super) fn hit(&mut self, entry: &Entry, now_ms: u64) -> Verdict {
        let (reason, org, address) = (entry.reason.clone(), entry.org.clone(), entry.address);
        let mut key = Key { action: entry.action, reason, org, address };
        if self.floods.len() >= PLACES && !self.floods.contains_key(&key) {
            key = Key { action: entry.action, reason: None, org: None, address: None };
        }
        let Some(flood) = self.floods.get_mut(&key) else {
            self.floods.insert(key, Flood { entry: entry.clone(), since: 0, last_ms: now_ms });
            return Verdict::Write(1);
        };
        flood.last_ms = now_ms;
        flood.since += 1;
        if flood.since < self.every {
            return Verdict::Leave;
        }
        Verdict::Write(std::mem::take(&mut flood.since))
    }

    /// Forgets floods that have ended; answers entries for what was left out of them.
    pub(super) fn settle(&mut self, now_ms: u64) -> Vec<Entry> {
        let ended = self.floods.extract_if(|_, flood| now_ms.saturating_sub(flood.last_ms) >= QUIET_MS);
        let left_out = ended.map(|(_, flood)| flood).filter(|flood| flood.since > 0);
        left_out.map(|flood| flood.entry.counted(flood.since)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: &'static str, last: u8) -> Entry {
        Entry::refused(Action::TokenRefused).because(reason).from(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn the_first_and_every_nth_is_written_with_the_number_since() {
        let mut samples = Samples::new(10);
        let written: Vec<Verdict> = (0..31).map(|at| samples.hit(&refused("signature", 1), at)).collect();
        for (at, verdict) in written.into_iter().enumerate() {
            let expected = match at {
                0 => Verdict::Write(1),
                10 | 20 | 30 => Verdict::Write(10),
                _ => Verdict::Leave,
            };
            assert_eq!(verdict, expected, "hit {at}");
        }
        assert_eq!(samples.hit(&refused("expired", 1), 0), Verdict::Write(1), "another reason");
        assert_eq!(samples.hit(&refused("signature", 2), 0), Verdict::Write(1), "another address");
    }

    #[test]
    fn what_was_left_out_is_told_when_the_flood_has_ended_and_only_then() {
        let mut samples = Samples::new(100);
        for at in 0..50 {
            samples.hit(&refused("signature", 1), at);
        }
        assert!(samples.settle(49 + QUIET_MS - 1).is_empty());
        let ended = samples.settle(49 + QUIET_MS);
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].stored("n", 1).after.as_deref(), Some("{\"count\":49}"));
        assert!(samples.floods.is_empty());
    }

    #[test]
    fn however_many_floods_there_are_the_places_are_bounded() {
        let mut samples = Samples::new(10);
        for at in 0..3 * PLACES {
            let address = IpAddr::from((at as u32).to_be_bytes());
            samples.hit(&refused("signature", 1).from(address), 0);
        }
        // One more place is shared by all who found none.
        assert_eq!(samples.floods.len(), PLACES + 1);
    }
}
