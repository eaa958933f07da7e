//! Shards, a node and their clients, beside a naive model of what each client has to get.

#![allow(clippy::unwrap_used, unreachable_pub)]

pub mod check;
pub mod wire;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_core::frame::{Dialect, Form, Namespaces};
use tidings_core::hub::Audience;
use tidings_core::{
    ConnKey, From, Heard, Hub, Identity, Joined, Keep, Kinds, Lane, Mark, Node, Org, Payload, Position, Post,
    Publication, Publish, QueueLimits, Room, Shard,
};

use tidings_core::shard::Caught;

use crate::common::spec;
use wire::{Wire, Wires};

pub const SHARDS: usize = 3;
pub const ORGS: [&str; 2] = ["a", "b"];
pub const ROOMS: [&str; 5] = ["vol:1", "vol:2", "rec:1", "rec:2", "rec:3"];
/// Events a recorded room keeps.
pub const KEPT: usize = 6;
pub const NODE: u64 = 77;
pub const HOUR_MS: u64 = 3_600_000;

type Mailbox = Arc<Mutex<VecDeque<Arc<Publication>>>>;

struct Slow(Mailbox);

impl Post for Slow {
    fn deliver(&self, publication: Arc<Publication>) -> bool {
        self.0.lock().unwrap().push_back(publication);
        true
    }

    fn announce(&self, publication: Arc<Publication>, _audience: Audience) -> bool {
        self.deliver(publication)
    }
}

/// A subscription, as the model sees it.
#[derive(Debug, Clone, Copy)]
pub struct Sub {
    /// The newest offset when it subscribed: what is older comes from the history or not at all.
    read_to: u64,
    since: u64,
}

/// An event a client has to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub event: usize,
    pub namespace: u8,
    pub replayed: bool,
}

/// One client, as the model sees it.
pub struct Client {
    pub key: ConnKey,
    pub shard: usize,
    pub org: usize,
    pub form: Form,
    pub subs: HashMap<(usize, u8), Sub>,
    pub due: Vec<Due>,
    pub replies: u32,
    pub dropped: u32,
    pub overflowed: bool,
    /// It took up a session, or was in one room twice: then `flushed` proves less.
    pub entangled: bool,
    /// Rooms it left while it was behind: what was held back of them never comes.
    pub abandoned: HashSet<usize>,
}

/// An event that was published.
#[derive(Debug, Clone)]
pub struct Event {
    pub org: usize,
    pub room: usize,
    pub lane: Lane,
    pub payload: Payload,
    pub skip: Option<(usize, ConnKey)>,
    /// Where it stands, if it was recorded.
    pub position: Option<Position>,
    pub sequence: u64,
}

pub struct World {
    pub node: Node,
    pub shards: Vec<Shard>,
    pub wires: Vec<Wires>,
    mail: Vec<Mailbox>,
    pub rooms: Vec<Vec<Room>>,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    /// The recorded events of each room.
    logs: HashMap<(usize, usize), Vec<usize>>,
    sequences: [u64; ORGS.len()],
    pub limits: QueueLimits,
}

pub fn namespaces() -> Namespaces {
    Namespaces::new(["/adm"])
}

impl World {
    pub fn new(limits: QueueLimits) -> Self {
        let mail: Vec<Mailbox> = (0..SHARDS).map(|_| Mailbox::default()).collect();
        let posts = mail.iter().map(|mail| Box::new(Slow(mail.clone())) as Box<dyn Post>).collect();
        let mut kinds = Kinds::default();
        kinds.declare("vol", spec(Keep::Nothing));
        kinds.declare(
            "rec",
            spec(Keep::Recent { size: KEPT, ttl: Duration::from_secs(3_600), bytes: usize::MAX }),
        );
        let names = Arc::new(namespaces());
        let rooms =
            |org: &&str| ROOMS.iter().map(|room| Room::new(&Org::new(org), room, 200).unwrap()).collect();
        Self {
            node: Node::new(Hub::new(posts), kinds, NODE),
            shards: (0..SHARDS).map(|index| Shard::new(index, names.clone(), limits)).collect(),
            wires: (0..SHARDS).map(|_| Wires::default()).collect(),
            mail,
            rooms: ORGS.iter().map(rooms).collect(),
            clients: Vec::new(),
            events: Vec::new(),
            logs: HashMap::new(),
            sequences: [0; ORGS.len()],
            limits,
        }
    }

    pub fn open(&mut self, shard: usize, org: usize, dialect: Dialect, offset: bool, deflate: bool) -> usize {
        let key = self.shards[shard].open();
        self.wires[shard].by_slot.insert(key.slot, Wire::new(dialect));
        let form = Form {
            dialect,
            namespace: 0,
            offset: offset && dialect != Dialect::Plain,
            place: false,
            deflate: if deflate { 15 } else { 0 },
            text_only: false,
        };
        self.clients.push(Client {
            key,
            shard,
            org,
            form,
            subs: HashMap::new(),
            due: Vec::new(),
            replies: 0,
            dropped: 0,
            overflowed: false,
            entangled: false,
            abandoned: HashSet::new(),
        });
        self.clients.len() - 1
    }

    /// Lets a client go, as the server does: first out of its rooms, then away.
    pub fn close(&mut self, at: usize) {
        self.leave_all(at, None);
        self.check(at, false);
        let client = self.clients.remove(at);
        self.shards[client.shard].close(client.key);
        assert!(!self.shards[client.shard].holds(client.key));
        self.wires[client.shard].by_slot.remove(&client.key.slot);
    }

    pub fn join(&mut self, at: usize, room: usize, namespace: u8, from: Start) {
        let client = &mut self.clients[at];
        let namespace = if client.form.dialect == Dialect::Plain { 0 } else { namespace };
        let log = self.logs.entry((client.org, room)).or_default();
        let from = from.resolve(log, &self.events);
        let who = Identity { org: Org::new(ORGS[client.org]), ..Identity::anonymous() };
        let form = Form { namespace, ..client.form };
        let name = &self.rooms[client.org][room];
        let shard = &mut self.shards[client.shard];
        let joined = self.node.join(shard, client.key.slot, form, &who, name, from).unwrap();
        let top = log.last().and_then(|event| self.events[*event].position);
        assert_eq!(
            joined.top.map(|top| top.offset),
            ROOMS[room].starts_with("rec").then_some(log.len() as u64)
        );
        if let (Some(known), Some(told)) = (top, joined.top) {
            assert_eq!(known, told);
        }
        if client.subs.contains_key(&(room, namespace)) {
            return self.join_again(at, room, namespace, from, &joined);
        }
        client.entangled |= client.subs.keys().any(|(other, _)| *other == room);
        let since = if let Some(from) = sequence_of(from) { from } else { self.sequences[client.org] };
        client.subs.insert((room, namespace), Sub { read_to: log.len() as u64, since });
        let resumes = matches!(from, From::Sequence { .. });
        client.entangled |= resumes;
        let missed = expect_missed(from, log, &self.events, &joined, ROOMS[room].starts_with("rec"));
        for (event, publication) in missed.into_iter().zip(&joined.missed) {
            // Only a session that is taken up goes on with the client's own offset.
            shard.replay(client.key.slot, publication, Form { offset: form.offset && resumes, ..form });
            client.due.push(Due { event, namespace, replayed: true });
        }
        self.note_overflows();
    }

    /// A member asks for what came before: it is sent that, also what it has had, and goes on hearing everything.
    fn join_again(&mut self, at: usize, room: usize, namespace: u8, from: From, joined: &Joined) {
        if !matches!(from, From::Position(_) | From::Newest(_)) {
            return assert!(joined.missed.is_empty() && joined.recovered.is_none());
        }
        let client = &mut self.clients[at];
        let shard = &mut self.shards[client.shard];
        let log = &self.logs[&(client.org, room)];
        let behind = shard.is_behind(client.key.slot);
        let asked = match from {
            From::Position(position) => log.len().saturating_sub(position.offset as usize),
            From::Newest(count) => count,
            _ => unreachable!("one who asks for nothing is given nothing"),
        };
        // What was held back comes before that where memory has it, else behind it once more, though it is older.
        let wider = behind && joined.missed.len() > asked;
        let from = if wider { From::Newest(joined.missed.len()) } else { from };
        let missed = expect_missed(from, log, &self.events, joined, ROOMS[room].starts_with("rec"));
        if behind {
            client.abandoned.insert(room);
        }
        let place = |event: usize| self.events[event].position.map(|position| position.offset);
        let mail = self.mail[client.shard].lock().unwrap();
        let letters = mail.iter().map(|letter| letter.event[1..].parse::<usize>().unwrap());
        let mut letters =
            letters.filter(|event| (self.events[*event].org, self.events[*event].room) == (client.org, room));
        let coming = letters.find_map(place).unwrap_or(log.len() as u64 + 1);
        if let Some(sub) = client.subs.get_mut(&(room, namespace)).filter(|_| !behind)
            && let Some(first) = missed.first().and_then(|event| place(*event))
            && first <= coming.max(sub.read_to + 1)
        {
            sub.read_to = log.len() as u64;
        }
        for (event, publication) in missed.into_iter().zip(&joined.missed) {
            shard.replay(client.key.slot, publication, Form { namespace, offset: false, ..client.form });
            client.due.push(Due { event, namespace, replayed: true });
        }
        drop(mail);
        self.note_overflows();
    }

    pub fn leave(&mut self, at: usize, room: usize, namespace: u8) {
        let client = &mut self.clients[at];
        let was_in = client.subs.remove(&(room, namespace)).is_some();
        let shard = &mut self.shards[client.shard];
        let name = &self.rooms[client.org][room];
        assert_eq!(self.node.leave(shard, client.key.slot, name, namespace), was_in);
        // Leaving may be what makes it fall behind.
        if was_in && shard.is_behind(client.key.slot) {
            client.abandoned.insert(room);
            client.entangled = true;
        }
        assert!(!shard.is_member(client.key.slot, name, namespace));
        self.note_overflows();
    }

    pub fn leave_all(&mut self, at: usize, namespace: Option<u8>) {
        let client = &mut self.clients[at];
        let left = self.node.leave_all(&mut self.shards[client.shard], client.key.slot, namespace);
        let behind = self.shards[client.shard].is_behind(client.key.slot);
        for left in &left {
            let name = left.entry.room.name();
            let room = ROOMS.iter().position(|room| *room == name).unwrap();
            let sub = client.subs.remove(&(room, left.form.namespace)).unwrap();
            if behind {
                client.abandoned.insert(room);
                client.entangled = true;
            }
            assert_eq!((left.since.memory, left.entry.room.org().as_str()), (sub.since, ORGS[client.org]));
        }
        assert!(client.subs.keys().all(|(_, other)| namespace.is_some_and(|wanted| wanted != *other)));
        self.note_overflows();
    }

    pub fn publish(&mut self, what: What) {
        let What { org, room, volatile, lane, here, skip, pad, attachments } = what;
        let number = self.events.len();
        let payload = payload(number, pad, attachments);
        let skip = skip.map(|at| (self.clients[at].shard, self.clients[at].key));
        let members: Vec<bool> = (0..SHARDS).map(|shard| self.has_members(shard, org, room)).collect();
        let before: Vec<usize> = self.mail.iter().map(|mail| mail.lock().unwrap().len()).collect();
        let publish = Publish {
            room: self.rooms[org][room].clone(),
            event: &format!("e{number}"),
            payload: payload.clone(),
            lane: Some(lane),
            volatile,
            batch: None,
            key: None,
            skip,
            slot: None,
            ack: None,
        };
        let here_shard = here.map(|shard| &mut self.shards[shard]);
        let published = self.node.publish(publish, here_shard, 1_000).unwrap();
        let recorded = !volatile && ROOMS[room].starts_with("rec");
        assert_eq!(published.position.is_some(), recorded);
        if recorded {
            self.sequences[org] += 1;
            self.logs.entry((org, room)).or_default().push(number);
            assert_eq!(published.position.unwrap().offset, self.logs[&(org, room)].len() as u64);
        }
        let sequence = if recorded { self.sequences[org] } else { 0 };
        self.events.push(Event { org, room, lane, payload, skip, position: published.position, sequence });
        for shard in 0..SHARDS {
            let at_once = here == Some(shard) && !recorded;
            let mailed = self.mail[shard].lock().unwrap().len() - before[shard];
            assert_eq!(mailed, usize::from(members[shard] && !at_once), "one letter per shard with members");
            if at_once {
                self.expect(shard, number);
            }
        }
    }

    /// Lets a shard take some of what is on its way to it.
    pub fn deliver(&mut self, shard: usize, most: usize) {
        for _ in 0..most {
            let Some(publication) = self.mail[shard].lock().unwrap().pop_front() else { return };
            let number: usize = publication.event[1..].parse().unwrap();
            assert_eq!(publication.sequence, self.events[number].sequence);
            self.shards[shard].take(&publication);
            self.expect(shard, number);
        }
    }

    pub fn reply(&mut self, at: usize, bytes: usize) {
        let client = &mut self.clients[at];
        let text = format!("reply{:0>bytes$}", client.replies);
        if !client.overflowed {
            client.replies += 1;
        }
        self.shards[client.shard].reply(client.key.slot, |out| {
            tidings_wire::websocket::write_frame(out, tidings_wire::websocket::Opcode::Text, text.as_bytes());
        });
        self.note_overflows();
    }

    pub fn flush(&mut self, shard: usize, budget: usize, takes: VecDeque<Option<u8>>) {
        self.wires[shard].takes = takes;
        self.shards[shard].flush(&mut self.wires[shard], budget);
        for key in self.shards[shard].take_drained(usize::MAX) {
            self.catch_up(shard, key);
        }
        self.note_overflows();
        for at in 0..self.clients.len() {
            if self.clients[at].shard == shard {
                self.check_flushed(at);
            }
        }
        while let Some(at) = self.clients.iter().position(|client| client.overflowed && client.shard == shard)
        {
            self.close(at);
        }
    }

    /// Lets a client that was behind go on; one that can no longer be given everything has to go.
    fn catch_up(&mut self, shard: usize, key: ConnKey) {
        let at = self.clients.iter().position(|client| client.shard == shard && client.key == key).unwrap();
        if self.shards[shard].is_behind(key.slot) {
            self.expect_all(at);
        }
        self.note_overflows();
        if self.clients[at].overflowed {
            return;
        }
        let slot = key.slot;
        for (room, _) in self.shards[shard].take_skipped(slot) {
            let client = &self.clients[at];
            let own = |(own, _): &(usize, u8)| room == Some(self.rooms[client.org][*own].clone());
            assert!(room.is_none() || client.subs.keys().any(own), "told of {room:?}, where it is not");
        }
        let _ = self.shards[shard].take_behind(slot);
        match self.shards[shard].catch_up(slot) {
            Caught::Up => assert!(!self.shards[shard].is_behind(slot)),
            Caught::Behind => assert!(self.shards[shard].is_behind(slot)),
            Caught::InLog(_) => panic!("no room of this model is in a log"),
            Caught::Lost(lost) => {
                let (from, to) = lost.range.expect("no history begins anew here");
                assert!(from <= to && lost.resume_at == to + 1);
                self.clients[at].overflowed = true;
            }
        }
    }

    /// What is recorded may be read by now, though it is still on its way.
    fn expect_all(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let mail = self.mail[client.shard].lock().unwrap();
        for publication in mail.iter().filter(|letter| letter.position.is_some()) {
            let number: usize = publication.event[1..].parse().unwrap();
            let event = &self.events[number];
            let offset = publication.position.unwrap().offset;
            let mut subs: Vec<_> = client.subs.iter_mut().collect();
            subs.retain(|((room, _), sub)| {
                event.org == client.org && *room == event.room && offset > sub.read_to
            });
            subs.sort_by_key(|((_, namespace), _)| *namespace);
            for ((_, namespace), sub) in subs {
                sub.read_to = offset;
                if event.skip != Some((client.shard, client.key)) {
                    client.due.push(Due { event: number, namespace: *namespace, replayed: false });
                }
            }
        }
    }

    pub fn writable(&mut self, at: usize) {
        let client = &self.clients[at];
        self.wires[client.shard].by_slot.get_mut(&client.key.slot).unwrap().blocked = false;
        self.shards[client.shard].writable(client.key.slot);
    }

    pub fn break_socket(&mut self, at: usize) {
        let client = &self.clients[at];
        self.wires[client.shard].by_slot.get_mut(&client.key.slot).unwrap().gone = true;
    }

    /// Lets everything arrive.
    pub fn drain(&mut self) {
        for shard in 0..SHARDS {
            self.deliver(shard, usize::MAX);
        }
        for at in 0..self.clients.len() {
            self.writable(at);
        }
        for shard in 0..SHARDS {
            while self.shards[shard].has_work() {
                self.flush(shard, 7, VecDeque::new());
            }
        }
    }

    fn expect(&mut self, shard: usize, number: usize) {
        // The overflow of a client ends what it is owed, so it is noted before.
        let event = self.events[number].clone();
        for client in
            self.clients.iter_mut().filter(|client| client.shard == shard && client.org == event.org)
        {
            if event.skip == Some((shard, client.key)) {
                continue;
            }
            let mut subs: Vec<_> = client.subs.iter().filter(|((room, _), _)| *room == event.room).collect();
            subs.sort_by_key(|((_, namespace), _)| *namespace);
            for ((_, namespace), sub) in subs {
                if event.position.is_none_or(|position| position.offset > sub.read_to) {
                    client.due.push(Due { event: number, namespace: *namespace, replayed: false });
                }
            }
        }
        self.note_overflows();
    }

    fn note_overflows(&mut self) {
        for (shard, owner) in self.shards.iter_mut().enumerate() {
            let keys = owner.take_overflowed();
            for key in keys {
                let client =
                    self.clients.iter_mut().find(|client| client.shard == shard && client.key == key);
                client.expect("an overflow names an open connection").overflowed = true;
            }
        }
    }

    fn has_members(&self, shard: usize, org: usize, room: usize) -> bool {
        let mut clients = self.clients.iter().filter(|client| client.shard == shard && client.org == org);
        clients.any(|client| client.subs.keys().any(|(other, _)| *other == room))
    }
}

/// What is to be published.
#[derive(Debug, Clone)]
pub struct What {
    pub org: usize,
    pub room: usize,
    pub volatile: bool,
    pub lane: Lane,
    pub here: Option<usize>,
    pub skip: Option<usize>,
    pub pad: usize,
    pub attachments: usize,
}

/// From where a client wants to hear a room, in words that always mean something.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    Now,
    Back(usize),
    Newest(usize),
    Sequence { back: usize, since: u64 },
}

impl Start {
    fn resolve(self, log: &[usize], events: &[Event]) -> From {
        let back = |back: usize| log.len().checked_sub(back + 1).map(|at| &events[log[at]]);
        match self {
            Self::Now => From::Now,
            Self::Newest(count) => From::Newest(count),
            Self::Back(count) => match (back(count), log.first()) {
                (Some(event), _) => From::Position(event.position.unwrap()),
                (None, Some(&first)) => {
                    From::Position(Position::start(events[first].position.unwrap().epoch))
                }
                (None, None) => From::Newest(0),
            },
            Self::Sequence { back: count, since } => {
                let heard = back(count).map_or(0, |event| event.sequence);
                From::Sequence { heard: Heard::To(mark(heard)), since: mark(since) }
            }
        }
    }
}

fn mark(memory: u64) -> Mark {
    Mark { memory, durable: 0 }
}

/// The number after which one who resumes hears a room.
fn sequence_of(from: From) -> Option<u64> {
    match from {
        From::Sequence { heard: Heard::To(heard), since } => Some(heard.max(since).memory),
        _ => None,
    }
}

/// What a newcomer has to be given, by the model's own log; checked against what it was given.
fn expect_missed(from: From, log: &[usize], events: &[Event], joined: &Joined, recorded: bool) -> Vec<usize> {
    let kept = &log[log.len().saturating_sub(KEPT)..];
    let trimmed = &log[..log.len() - kept.len()];
    let after = |sequence: u64| -> Vec<usize> {
        kept.iter().copied().filter(|event| events[*event].sequence > sequence).collect()
    };
    let (missed, complete) = match from {
        From::Now => (Vec::new(), None),
        From::Moment(_) => unreachable!("only servers name a moment; `node.rs` tests it"),
        From::Newest(count) => (kept[kept.len().saturating_sub(count)..].to_vec(), Some(recorded)),
        From::Position(position) => {
            let offset = position.offset as usize;
            (log[offset.max(trimmed.len())..].to_vec(), Some(offset >= trimmed.len()))
        }
        From::Sequence { .. } => {
            let from = sequence_of(from).unwrap();
            let lost = trimmed.last().is_some_and(|event| events[*event].sequence > from);
            (after(from), Some(recorded && !lost))
        }
    };
    assert_eq!(joined.recovered, complete);
    let given: Vec<usize> =
        joined.missed.iter().map(|publication| publication.event[1..].parse().unwrap()).collect();
    assert_eq!(given, missed);
    missed
}

fn payload(number: usize, pad: usize, attachments: usize) -> Payload {
    let pad = "x".repeat(pad);
    let binary: String =
        (0..attachments).map(|num| format!(",\"b{num}\":{{\"_placeholder\":true,\"num\":{num}}}")).collect();
    Payload {
        json: format!("{{\"a\":\"{pad}\"{binary}}}").into(),
        attachments: (0..attachments).map(|num| vec![number as u8; 3 + num].into()).collect(),
    }
}
