//! Rooms in memory as bytes: JSON, in which the data of events stands as it came.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidings_core::recent::{Contents, KeyRecord};
use tidings_core::{
    Bodies, Carried, Epoch, Lane, Mark, MessageId, Org, Payload, Position, Publication, Room,
};
use tidings_store::carried;

#[derive(Serialize, Deserialize)]
struct Whole {
    processes: Vec<u64>,
    counted: Vec<(String, u64)>,
    seed: u64,
    proof: u64,
}

#[derive(Serialize, Deserialize)]
struct Packed {
    epoch: u64,
    offset: u64,
    tag: u32,
    trimmed: (u64, u64),
    at: u64,
    events: Vec<Event>,
    keys: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
struct Event {
    id: (u64, u64),
    /// Its numbers among the recorded events of its organisation.
    mark: (u64, u64),
    at: u64,
    event: String,
    lane: String,
    data: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    binary: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Key {
    key: String,
    body: u64,
    id: (u64, u64),
    /// The offset of its event and its tag.
    place: Option<(u64, u32)>,
    at: u64,
}

/// What belongs to no room.
pub(super) fn whole(carried: &Carried) -> Vec<u8> {
    let whole = Whole {
        processes: carried.processes.clone(),
        counted: carried.counted.iter().map(|(org, count)| (org.as_str().into(), *count)).collect(),
        seed: carried.bodies.seed,
        proof: carried.bodies.proof,
    };
    // Plain texts and numbers can always be written.
    serde_json::to_vec(&whole).unwrap_or_default()
}

/// What is in a room; `None` if it is not as it should be.
pub(super) fn room(contents: &Contents) -> Option<Vec<u8>> {
    let packed = Packed {
        epoch: contents.top.epoch.0,
        offset: contents.top.offset,
        tag: contents.top.tag,
        trimmed: (contents.trimmed.memory, contents.trimmed.durable),
        at: contents.newest_at_ms,
        events: contents.events.iter().map(|event| Event::of(event)).collect::<Option<_>>()?,
        keys: contents.keys.iter().map(|(key, record)| Key::of(key, record)).collect(),
    };
    serde_json::to_vec(&packed).ok()
}

/// What was left, unless it is not as this version writes it; rooms that are not are left out.
pub(super) fn unpack(left: carried::Carried) -> Option<Carried> {
    let whole: Whole = serde_json::from_slice(&left.state).ok()?;
    let rooms = left.rooms.into_iter().filter_map(|carried::CarriedRoom { room, state }| {
        let packed: Packed = serde_json::from_slice(&state).ok()?;
        let contents = packed.contents(&room)?;
        Some((room, contents))
    });
    Some(Carried {
        rooms: rooms.collect(),
        processes: whole.processes,
        counted: whole.counted.into_iter().map(|(org, count)| (Org::new(&org), count)).collect(),
        bodies: Bodies { seed: whole.seed, proof: whole.proof },
    })
}

impl Packed {
    fn contents(self, room: &Room) -> Option<Contents> {
        let epoch = Epoch(self.epoch);
        let first = (self.offset + 1).checked_sub(self.events.len() as u64)?;
        let events = self.events.into_iter().zip(first..);
        let events = events.map(|(event, offset)| event.publication(room, epoch, offset).map(Arc::new));
        Some(Contents {
            top: Position { epoch, offset: self.offset, tag: self.tag },
            trimmed: Mark { memory: self.trimmed.0, durable: self.trimmed.1 },
            newest_at_ms: self.at,
            events: events.collect::<Option<_>>()?,
            keys: self.keys.into_iter().map(|key| key.record(epoch)).collect(),
        })
    }
}

impl Event {
    fn of(event: &Publication) -> Option<Self> {
        Some(Self {
            id: (event.id.node, event.id.number),
            mark: (event.sequence, event.durable),
            at: event.at_ms,
            event: event.event.to_string(),
            lane: event.lane.as_str().into(),
            data: RawValue::from_string(event.payload.text().to_owned()).ok()?,
            binary: event.payload.attachments.iter().map(|one| STANDARD.encode(one)).collect(),
        })
    }

    fn publication(self, room: &Room, epoch: Epoch, offset: u64) -> Option<Publication> {
        let id = MessageId { node: self.id.0, number: self.id.1 };
        let binary = self.binary.iter().map(|one| STANDARD.decode(one).map(Into::into));
        let payload = Payload {
            json: String::from(Box::<str>::from(self.data)).into(),
            attachments: binary.collect::<Result<_, _>>().ok()?,
        };
        Some(Publication {
            lane: Lane::parse(&self.lane)?,
            position: Some(Position::of(epoch, offset, id)),
            sequence: self.mark.0,
            durable: self.mark.1,
            ..Publication::new(room.clone(), self.event, payload, id, self.at)
        })
    }
}

impl Key {
    fn of(key: &str, record: &KeyRecord) -> Self {
        Self {
            key: key.into(),
            body: record.body,
            id: (record.id.node, record.id.number),
            place: record.position.map(|position| (position.offset, position.tag)),
            at: record.at_ms,
        }
    }

    fn record(self, epoch: Epoch) -> (compact_str::CompactString, KeyRecord) {
        let position = self.place.map(|(offset, tag)| Position { epoch, offset, tag });
        let id = MessageId { node: self.id.0, number: self.id.1 };
        (self.key.into(), KeyRecord { body: self.body, id, position, at_ms: self.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_comes_back_as_it_was() {
        let place = Room::new(&Org::new("acme"), "user:1", 100).unwrap();
        let epoch = Epoch(u64::MAX);
        let event = |offset: u64, payload: Payload| {
            let id = MessageId { node: u64::MAX, number: offset };
            Arc::new(Publication {
                lane: Lane::High,
                position: Some(Position::of(epoch, offset, id)),
                sequence: offset + 10,
                durable: 3,
                ..Publication::new(place.clone(), "säid", payload, id, 5)
            })
        };
        let binary = Payload {
            json: "{ \"a\" : {\"_placeholder\":true,\"num\":0}}".into(),
            attachments: Box::new([vec![0, 255].into()]),
        };
        let events = vec![event(4, binary), event(5, Payload::json("[1e999, \"\\ud800\"]"))];
        let top = events[1].position.unwrap();
        let record = KeyRecord { body: u64::MAX, id: events[1].id, position: Some(top), at_ms: 5 };
        let held = KeyRecord { position: None, ..record };
        let keys = vec![("k".into(), record), ("held".into(), held)];
        let trimmed = Mark { memory: 13, durable: 2 };
        let contents = Contents { top, trimmed, newest_at_ms: 5, events, keys };

        let bytes = room(&contents).unwrap();
        let bodies = Bodies { seed: u64::MAX, proof: 0 };
        let carried = Carried {
            processes: vec![u64::MAX, 1],
            counted: vec![(Org::new("acme"), 15)],
            rooms: Vec::new(),
            bodies,
        };
        let left = carried::Carried {
            process: u64::MAX,
            state: whole(&carried),
            rooms: vec![
                carried::CarriedRoom { room: place.clone(), state: bytes },
                carried::CarriedRoom { room: place.clone(), state: b"{}".to_vec() },
            ],
        };
        let back = unpack(left).unwrap();
        assert_eq!((back.processes, back.counted), (carried.processes, carried.counted));
        assert_eq!((back.bodies, back.rooms.len()), (bodies, 1));
        assert_eq!(format!("{:?}", back.rooms[0]), format!("{:?}", (place, contents)));
    }

    #[test]
    fn what_is_not_as_it_is_written_is_nothing() {
        let left = |state: &[u8]| carried::Carried { process: 1, state: state.into(), rooms: Vec::new() };
        for wrong in ["", "{}", "{\"processes\":[1],\"counted\":[]}", "[]"] {
            assert!(unpack(left(wrong.as_bytes())).is_none(), "{wrong}");
        }
    }
}
