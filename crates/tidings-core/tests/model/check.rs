//! What must hold of a client at any time, and at the end.

use std::collections::HashMap;

use tidings_core::frame::{Dialect, resume_offset};
use tidings_core::{Lane, Mark};
use tidings_wire::socketio::inline_attachments;

use super::wire::Received;
use super::{Client, Due, NODE, World, namespaces};

/// The most bytes one run of this test's events can hold beside a queue.
const RUN_BYTES: usize = 192 * 1024;

impl World {
    /// Checks what a client got so far; if it is `settled`, nothing more is to come.
    pub fn check(&mut self, at: usize, settled: bool) {
        let client = &mut self.clients[at];
        client.dropped += self.shards[client.shard].take_dropped(client.key.slot);
        let client = &self.clients[at];
        let wire = &self.wires[client.shard].by_slot[&client.key.slot];
        let settled = settled && !wire.gone && !client.overflowed;
        let mut got = Vec::new();
        let mut replies = 0;
        for received in &wire.received {
            match received {
                Received::Reply(number) => {
                    assert_eq!(*number, replies, "replies come in order");
                    replies += 1;
                }
                Received::Event { .. } => got.push(self.recognise(client, received)),
            }
        }
        assert!(replies <= client.replies);
        assert!(!settled || replies == client.replies, "a reply is missing");
        self.check_counts(client, &got, settled);
        for namespace in 0..2 {
            self.check_order(client, namespace, &got, settled);
        }
    }

    /// What went out whole is never overstated, and nothing recorded lies unsent before it.
    pub fn check_flushed(&self, at: usize) {
        let client = &self.clients[at];
        let wire = &self.wires[client.shard].by_slot[&client.key.slot];
        let flushed = self.shards[client.shard].flushed(client.key.slot);
        let names = |received: &Received| match received {
            Received::Event { name, .. } => Some(name[1..].parse::<usize>().unwrap()),
            Received::Reply(_) => None,
        };
        let whole = wire.received.iter().filter_map(names).map(|event| self.events[event].sequence).max();
        assert!(flushed <= whole.unwrap_or(0), "{flushed} is said to be flushed, {whole:?} is");
        if !client.entangled {
            let due = client.due.iter().filter(|due| !due.replayed && self.is_recorded(due.event));
            let due = due.filter(|due| self.events[due.event].sequence <= flushed).count();
            let live = |event: &usize| {
                self.is_recorded(*event) && client.due.iter().any(|due| due.event == *event && !due.replayed)
            };
            let got = wire.received.iter().filter_map(names).filter(live).count();
            assert!(got >= due, "of {due} events up to {flushed} only {got} went out");
        }
        self.check_memory(client);
    }

    fn check_memory(&self, client: &Client) {
        let replayed = client.due.iter().filter(|due| due.replayed);
        let replayed: usize = replayed.map(|due| 400 + 2 * self.events[due.event].payload.json.len()).sum();
        let waiting = self.shards[client.shard].waiting(client.key.slot);
        let bound = self.limits.bytes.saturating_add(RUN_BYTES).saturating_add(replayed);
        assert!(waiting <= bound, "{waiting} bytes wait");
    }

    /// The due event that was received; its content is checked.
    fn recognise(&self, client: &Client, received: &Received) -> (usize, u8) {
        let Received::Event { namespace, name, data, offset, attachments } = received else { unreachable!() };
        let number: usize = name[1..].parse().unwrap();
        let event = &self.events[number];
        let namespace = namespaces().index(namespace).unwrap();
        let expected = if client.form.dialect == Dialect::Plain {
            inline_attachments(event.payload.text(), &event.payload.attachments)
        } else {
            assert_eq!(attachments.len(), event.payload.attachments.len());
            assert!(attachments.iter().zip(&event.payload.attachments).all(|(got, sent)| got == sent));
            event.payload.text().to_owned()
        };
        assert_eq!(*data, expected);
        if let Some(offset) = offset {
            assert!(client.form.offset && event.sequence > 0);
            assert_eq!(*offset, resume_offset(NODE, Mark { memory: event.sequence, durable: 0 }));
        } else if client.form.offset && event.sequence > 0 {
            let due = Due { event: number, namespace, replayed: true };
            assert!(client.due.contains(&due), "a live recorded event carries its offset");
        }
        (number, namespace)
    }

    /// Each event comes as often as it is due; only volatile ones may be missing, and are counted.
    fn check_counts(&self, client: &Client, got: &[(usize, u8)], settled: bool) {
        let mut left: HashMap<(usize, u8), i32> = HashMap::new();
        for due in &client.due {
            *left.entry((due.event, due.namespace)).or_default() += 1;
        }
        for received in got {
            let left = left.entry(*received).or_default();
            *left -= 1;
            assert!(*left >= 0, "{received:?} came although it was not due, or once too often");
        }
        if settled {
            let missing = left.iter().filter(|(_, left)| **left > 0);
            let (volatile, mut recorded): (Vec<_>, Vec<_>) =
                missing.partition(|((event, _), _)| !self.is_recorded(*event));
            recorded.retain(|((event, _), _)| !client.abandoned.contains(&self.events[*event].room));
            assert!(recorded.is_empty(), "recorded events {recorded:?} never came");
            let volatile: i32 = volatile.iter().map(|(_, left)| **left).sum();
            assert_eq!(volatile, client.dropped as i32, "what is dropped is counted");
        }
    }

    /// Order in each room: recorded events and volatile ones of one lane as they were published.
    fn check_order(&self, client: &Client, namespace: u8, got: &[(usize, u8)], settled: bool) {
        let due: Vec<usize> =
            client.due.iter().filter(|due| due.namespace == namespace).map(|due| due.event).collect();
        let got: Vec<usize> =
            got.iter().filter(|(_, ns)| *ns == namespace).map(|(event, _)| *event).collect();
        for room in 0..super::ROOMS.len() {
            let of = |list: &[usize], keep: &dyn Fn(usize) -> bool| -> Vec<usize> {
                list.iter()
                    .copied()
                    .filter(|event| self.events[*event].room == room && keep(*event))
                    .collect()
            };
            if client.abandoned.contains(&room) {
                continue;
            }
            let recorded = |event: usize| self.is_recorded(event);
            let (got_recorded, due_recorded) = (of(&got, &recorded), of(&due, &recorded));
            assert!(due_recorded.starts_with(&got_recorded), "recorded events have a hole or a wrong order");
            assert!(!settled || due_recorded == got_recorded);
            for lane in Lane::ALL {
                let lane = |event: usize| {
                    let own = self.events[event].lane == lane;
                    own && !self.is_recorded(event) || lane == Lane::Normal && self.is_recorded(event)
                };
                assert!(is_subsequence(&of(&got, &lane), &of(&due, &lane)), "a lane lost its order");
            }
        }
        self.check_sequence(client, namespace, &got);
    }

    /// Live recorded events come in the order of their organisation, over all rooms.
    fn check_sequence(&self, client: &Client, namespace: u8, got: &[usize]) {
        let replayed = |event: usize| client.due.contains(&Due { event, namespace, replayed: true });
        let live = got.iter().filter(|event| self.is_recorded(**event) && !replayed(**event));
        assert!(live.map(|event| self.events[*event].sequence).is_sorted());
    }

    fn is_recorded(&self, event: usize) -> bool {
        self.events[event].position.is_some()
    }
}

fn is_subsequence(part: &[usize], whole: &[usize]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|event| whole.any(|other| other == event))
}
