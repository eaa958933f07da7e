//! How deliveries went, by room and by user: in memory, bounded, of tracked messages alone.

use std::collections::HashMap;

use compact_str::CompactString;
use tidings_core::Org;
use tidings_wire::json::write_string;

/// Rooms, and users, of one organisation of which figures are kept; the one that was silent for longest goes.
const KEPT: usize = 1_000;

/// Organisations of which figures are kept; the one that was silent for longest goes.
const ORGS: usize = 1_000;

/// Upper ends of the latencies that are told apart, in milliseconds.
const ENDS: [u64; 16] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 600_000];

/// How the deliveries of one room, or to one user, went.
#[derive(Debug, Default, Clone)]
pub(crate) struct Figures {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) acknowledged: u64,
    pub(crate) timed_out: u64,
    pub(crate) gone: u64,
    pub(crate) dead: u64,
    latencies: [u64; ENDS.len()],
    touched_ms: u64,
}

impl Figures {
    /// Counts an acknowledgement and how long it took.
    pub(crate) fn acknowledge(&mut self, latency_ms: u64) {
        self.acknowledged += 1;
        let at = ENDS.iter().position(|end| latency_ms <= *end).unwrap_or(ENDS.len() - 1);
        self.latencies[at] += 1;
    }

    /// The latency that so many of a hundred acknowledgements did not exceed, rounded up to what is told apart.
    fn percentile(&self, percent: u64) -> Option<u64> {
        let all = self.latencies.iter().sum::<u64>();
        let wanted = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let at = self.latencies.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map(|at| ENDS[at])
    }

    /// Appends them as a JSON object.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let Self { published, delivered, acknowledged, timed_out, gone, dead, .. } = self;
        out.extend_from_slice(
            format!(
                "{{\"published\":{published},\"delivered\":{delivered},\"acknowledged\":{acknowledged},\
                 \"timedOut\":{timed_out},\"gone\":{gone},\"dead\":{dead},\"latencyMs\":{{"
            )
            .as_bytes(),
        );
        for (at, percent) in [50, 95, 99].into_iter().enumerate() {
            let value = self.percentile(percent).map_or("null".into(), |ms| ms.to_string());
            let comma = if at > 0 { "," } else { "" };
            out.extend_from_slice(format!("{comma}\"p{percent}\":{value}").as_bytes());
        }
        out.extend_from_slice(b"}}");
    }
}

/// The figures of all organisations, each found by it alone.
#[derive(Default)]
pub(super) struct AllFigures(HashMap<Org, OfOrg>);

#[derive(Default)]
struct OfOrg {
    rooms: HashMap<CompactString, Figures>,
    users: HashMap<CompactString, Figures>,
    touched_ms: u64,
}

/// Of what there are figures.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    Room(&'a str),
    User(&'a str),
}

impl AllFigures {
    /// Counts something of a room or a user.
    pub(super) fn count(&mut self, org: &Org, of: Of<'_>, now_ms: u64, count: impl FnOnce(&mut Figures)) {
        if !self.0.contains_key(org) && self.0.len() >= ORGS {
            let silent = self.0.iter().min_by_key(|(_, of_org)| of_org.touched_ms);
            if let Some(silent) = silent.map(|(org, _)| org.clone()) {
                self.0.remove(&silent);
            }
        }
        let of_org = self.0.entry(org.clone()).or_default();
        of_org.touched_ms = now_ms;
        let (map, name) = match of {
            Of::Room(name) => (&mut of_org.rooms, name),
            Of::User(name) => (&mut of_org.users, name),
        };
        if !map.contains_key(name) && map.len() >= KEPT {
            let silent = map.iter().min_by_key(|(_, figures)| figures.touched_ms);
            if let Some(silent) = silent.map(|(name, _)| name.clone()) {
                map.remove(&silent);
            }
        }
        let figures = map.entry(name.into()).or_default();
        figures.touched_ms = now_ms;
        count(figures);
    }

    /// The figures of a room or a user; zeros if nothing was tracked.
    pub(super) fn of(&self, org: &Org, of: Of<'_>) -> Figures {
        let found = self.0.get(org).and_then(|of_org| match of {
            Of::Room(name) => of_org.rooms.get(name),
            Of::User(name) => of_org.users.get(name),
        });
        found.cloned().unwrap_or_default()
    }
}

/// Appends `"name":"…",` and the figures behind it.
pub(crate) fn write_named(out: &mut Vec<u8>, name: &str, value: &str, figures: &Figures) {
    out.extend_from_slice(format!(",\"{name}\":").as_bytes());
    write_string(out, value);
    out.extend_from_slice(b",\"receipts\":");
    figures.write_json(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_ends_of_what_is_told_apart() {
        let mut figures = Figures::default();
        assert_eq!(figures.percentile(50), None);
        (0..90).for_each(|_| figures.acknowledge(3));
        (0..9).for_each(|_| figures.acknowledge(150));
        figures.acknowledge(u64::MAX);
        let read = [50, 95, 99, 100].map(|percent| figures.percentile(percent));
        assert_eq!(read, [Some(5), Some(200), Some(200), Some(600_000)]);
    }

    #[test]
    fn the_room_that_was_silent_for_longest_goes_when_there_are_too_many() {
        let (mut all, org) = (AllFigures::default(), Org::default());
        for at in 0..=KEPT as u64 {
            let now_ms = if at == 1 { 1 } else { 1_000 };
            all.count(&org, Of::Room(&at.to_string()), now_ms, |figures| figures.published += 1);
        }
        assert_eq!(all.0[&org].rooms.len(), KEPT);
        assert_eq!((all.of(&org, Of::Room("1")).published, all.of(&org, Of::Room("0")).published), (0, 1));
        assert_eq!(all.of(&Org::new("other"), Of::Room("0")).published, 0, "organisations do not meet");
    }

    #[test]
    fn the_organisation_that_was_silent_for_longest_goes_when_there_are_too_many() {
        let mut all = AllFigures::default();
        let of = |at: u64| Org::new(&at.to_string());
        for at in 0..=ORGS as u64 {
            let now_ms = if at == 1 { 1 } else { 1_000 };
            all.count(&of(at), Of::Room("a"), now_ms, |figures| figures.published += 1);
        }
        let published = |at| all.of(&of(at), Of::Room("a")).published;
        assert_eq!((all.0.len(), published(0), published(1), published(ORGS as u64)), (ORGS, 1, 0, 1));
    }
}
