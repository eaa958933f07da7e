//! What comes in floods, thinned out: the first, then every Nth with the number of those since, and of all
//! floods together no more than so many a second.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use tidings_core::Org;

use super::{Action, Entry};

/// Floods that are told apart at once; others share one place for each action.
const PLACES: usize = 4_096;
/// So many refusals of one person's doing are written one by one, before they are a flood: each says of which
/// account it was.
const PERSONAL: u64 = 10;
/// Entries of floods that are written in a second, of all of them together: many small floods are one, too.
const PER_SECOND: u32 = 50;
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
    /// Hits that are still written one by one.
    first: u64,
    /// Hits since the last one that was written.
    since: u64,
    last_ms: u64,
}

/// The floods that go on now.
#[derive(Debug)]
pub(super) struct Samples {
    every: u64,
    floods: HashMap<Key, Flood>,
    /// A second, and what was written in it.
    second: (u64, u32),
}

impl Samples {
    /// Every `every`th hit is written; 1: all of them.
    pub(super) fn new(every: u64) -> Self {
        Self { every: every.max(1), floods: HashMap::new(), second: (0, 0) }
    }

    /// Counts a hit.
    pub(super) fn hit(&mut self, entry: &Entry, now_ms: u64) -> Verdict {
        let (reason, org) = (entry.reason.clone(), entry.org.clone());
        // Whoever has one IPv6 address has all of its network.
        let address = entry.address.map(crate::threats::counted);
        // What somebody who has not signed in calls an organisation may be any word.
        let org = org.filter(|_| entry.action.is_sampled());
        let mut key = Key { action: entry.action, reason, org, address };
        if self.floods.len() >= PLACES && !self.floods.contains_key(&key) {
            key = Key { action: entry.action, reason: None, org: None, address: None };
        }
        let Some(flood) = self.floods.get_mut(&key) else {
            let writes = has_place(&mut self.second, now_ms);
            let first = if entry.action.is_sampled() { 0 } else { PERSONAL - 1 };
            let flood = Flood { entry: entry.clone(), first, since: u64::from(!writes), last_ms: now_ms };
            self.floods.insert(key, flood);
            return if writes { Verdict::Write(1) } else { Verdict::Leave };
        };
        flood.last_ms = now_ms;
        flood.since += 1;
        let alone = flood.first > 0 && flood.since == 1;
        flood.first = flood.first.saturating_sub(1);
        if (!alone && flood.since < self.every) || !has_place(&mut self.second, now_ms) {
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

/// Takes one of the places of this second.
fn has_place((second, written): &mut (u64, u32), now_ms: u64) -> bool {
    if *second != now_ms / 1_000 {
        (*second, *written) = (now_ms / 1_000, 0);
    }
    *written += 1;
    *written <= PER_SECOND
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

    #[test]
    fn many_small_floods_are_one_large_one_and_none_of_their_hits_is_forgotten() {
        let mut samples = Samples::new(100);
        let hit = |samples: &mut Samples, at: u32, now_ms| {
            let address = IpAddr::from((u128::from(at) << 64).to_be_bytes());
            samples.hit(&refused("signature", 1).from(address), now_ms) == Verdict::Write(1)
        };
        let written = (0..1_000).filter(|at| hit(&mut samples, *at, 5)).count();
        assert_eq!(written, PER_SECOND as usize);
        assert!(hit(&mut samples, 1_000, 1_005), "the next second has places again");
        let told = samples.settle(u64::MAX).len();
        assert_eq!(told + written, 1_000, "each of those that were left out is told in the end");
    }

    #[test]
    fn a_network_that_changes_its_address_is_one_flood() {
        let mut samples = Samples::new(100);
        let network = 0x2001_0db8_0000_0001_u128 << 64;
        let written = (0..50_u128).filter(|at| {
            let address = IpAddr::from((network | at).to_be_bytes());
            samples.hit(&refused("signature", 1).from(address), 0) == Verdict::Write(1)
        });
        assert_eq!(written.count(), 1);
    }

    #[test]
    fn organisations_that_strangers_make_up_are_one_flood() {
        let mut samples = Samples::new(100);
        let login =
            |name: &str| Entry::refused(Action::Login).of(&Org::new(name)).from([192, 0, 2, 1].into());
        let written = (0..50).filter(|at| samples.hit(&login(&at.to_string()), 0) == Verdict::Write(1));
        assert_eq!(written.count(), PERSONAL as usize, "the first are told one by one");
    }
}
