//! The rooms of a session, as they stand in its row.

use serde::{Deserialize, Serialize};
use tidings_core::shard::Filter;
use tidings_core::{Lane, Mark, Org, Room};

/// A room a session is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) room: Room,
    /// By what it can be shown that nothing was missed in it.
    pub(crate) proof: Proof,
    /// The point in its organisation's events when it subscribed.
    pub(crate) since: Mark,
    /// Which events it wants; `None`: all.
    pub(crate) filter: Option<Box<Filter>>,
}

/// By what it can be shown after a crash that nothing was missed in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proof {
    /// Everything said in it is in the log.
    Log,
    /// Nothing is ever kept of what is said in it, so nobody was promised anything.
    Volatile,
    /// It keeps the newest in memory.
    Memory,
    /// The same, and its process has handed it on to this one.
    Carried,
    /// The same, and nothing had been said in it when its process ended.
    Silent,
    /// The same, and it is gone.
    Gone,
}

#[derive(Serialize, Deserialize)]
struct Packed {
    room: String,
    proof: Proof,
    /// The number in the log.
    since: u64,
    /// The number in the memory of its process.
    #[serde(default)]
    heard: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    events: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<String>,
}

/// Packs a session's rooms.
pub(crate) fn pack(rooms: &[Subscription]) -> Vec<u8> {
    let packed = rooms.iter().map(|one| {
        let events = one.filter.as_ref().and_then(|filter| filter.events.as_ref());
        Packed {
            room: one.room.name().into(),
            proof: one.proof,
            since: one.since.durable,
            heard: one.since.memory,
            events: events.map(|names| names.iter().map(ToString::to_string).collect()),
            lane: one.filter.as_ref().and_then(|filter| filter.min_lane).map(|lane| lane.as_str().into()),
        }
    });
    // Plain texts and numbers can always be written.
    serde_json::to_vec(&packed.collect::<Vec<_>>()).unwrap_or_default()
}

/// Unpacks the rooms of a session of `org`; `None` if they are not as this version writes them.
pub(crate) fn unpack(org: &Org, packed: &[u8]) -> Option<Vec<Subscription>> {
    let packed: Vec<Packed> = serde_json::from_slice(packed).ok()?;
    let rooms = packed.into_iter().map(|Packed { room, proof, since, heard, events, lane }| {
        let min_lane = match lane {
            Some(lane) => Some(Lane::parse(&lane)?),
            None => None,
        };
        let events = events.map(|names| names.into_iter().map(Into::into).collect());
        let filter = (events.is_some() || min_lane.is_some())
            .then(|| Box::new(Filter { events, min_lane, blind: false }));
        let since = Mark { memory: heard, durable: since };
        Some(Subscription { room: Room::new(org, &room, usize::MAX).ok()?, proof, since, filter })
    });
    rooms.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_come_back_as_they_were() {
        let org = Org::new("acme");
        let room = |name: &str| Room::new(&org, name, 200).unwrap();
        let mark = |memory, durable| Mark { memory, durable };
        let filter = Filter {
            events: Some(Box::new(["said".into(), "ü".into()])),
            min_lane: Some(Lane::High),
            blind: false,
        };
        let least = Filter { events: None, min_lane: Some(Lane::Low), blind: false };
        let rooms = [
            Subscription {
                room: room("notes:\"1\""),
                proof: Proof::Log,
                since: mark(0, u64::MAX),
                filter: None,
            },
            Subscription {
                room: room("a:b"),
                proof: Proof::Memory,
                since: mark(u64::MAX, 0),
                filter: Some(Box::new(filter)),
            },
            Subscription {
                room: room("c:d"),
                proof: Proof::Silent,
                since: mark(1, 7),
                filter: Some(Box::new(least)),
            },
        ];
        assert_eq!(unpack(&org, &pack(&rooms)).unwrap(), rooms);
        assert_eq!(unpack(&org, &pack(&[])), Some(vec![]));
        for wrong in ["", "{}", "[{}]", "[{\"room\":\"a:b\",\"proof\":\"word\",\"since\":1}]"] {
            assert_eq!(unpack(&org, wrong.as_bytes()), None, "{wrong}");
        }
        let no_lane = "[{\"room\":\"a:b\",\"proof\":\"log\",\"since\":1,\"lane\":\"fast\"}]";
        assert_eq!(unpack(&org, no_lane.as_bytes()), None);
    }
}
