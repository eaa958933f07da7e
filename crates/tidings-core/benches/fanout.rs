//! What one event costs us beside the kernel: the way from a publication to ten thousand sockets, the
//! bytes of an event in each dialect, and the reading of what clients say most.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidings_core::frame::{self, Dialect, Form, Namespaces};
use tidings_core::hub::Audience;
use tidings_core::shard::{Sent, Sink};
use tidings_core::{
    Epoch, From, Hub, Identity, Keep, Kinds, Lane, MessageId, Node, Org, Payload, Position, Post,
    Publication, QueueLimits, Room, RoomSpec, Rule, Shard,
};
use tidings_wire::{Limits, engineio, plain, socketio};

const MEMBERS: u32 = 10_000;

/// A kernel that takes everything at no cost.
#[derive(Default)]
struct Counting {
    bytes: usize,
}

impl Sink for Counting {
    fn send(&mut self, _slot: u32, bytes: &[u8]) -> Sent {
        self.bytes += bytes.len();
        Sent::Bytes(bytes.len())
    }
}

struct Nowhere;

impl Post for Nowhere {
    fn deliver(&self, _publication: Arc<Publication>) -> bool {
        true
    }

    fn announce(&self, _publication: Arc<Publication>, _audience: Audience) -> bool {
        true
    }
}

fn namespaces() -> Namespaces {
    Namespaces::new([])
}

fn form(dialect: Dialect) -> Form {
    Form {
        dialect,
        namespace: 0,
        offset: dialect == Dialect::SocketIo,
        place: false,
        deflate: 0,
        text_only: false,
    }
}

fn room(number: usize) -> Room {
    Room::new(&Org::default(), &format!("ticks:{number}"), 200).unwrap()
}

/// A recorded event of about a hundred bytes, as a market sends it.
fn publication(room: Room, number: u64) -> Arc<Publication> {
    let id = MessageId { node: 0x1234_5678, number };
    let data = r#"{"symbol":"TDX","price":101.25,"volume":1200,"bid":101.2,"ask":101.3,"at":1760000000000}"#;
    Arc::new(Publication {
        position: Some(Position::of(Epoch(1), number, id)),
        sequence: number,
        ..Publication::new(room, "tick", Payload::json(data), id, 0)
    })
}

/// A shard whose members are in one room, or in rooms of so few that nothing is gathered for them.
fn shard(rooms: usize) -> Shard {
    let anyone = || Rule::Anyone;
    let mut kinds = Kinds::default();
    let spec = RoomSpec {
        subscribe: anyone(),
        publish: anyone(),
        history: anyone(),
        presence: anyone(),
        roll: tidings_core::Roll::Off,
        keep: Keep::Nothing,
        lane: Lane::Normal,
        members: None,
        message_bytes: None,
        publish_rate: None,
        pacing: None,
        diff: None,
    };
    kinds.declare("ticks", spec);
    let node = Node::new(Hub::new(vec![Box::new(Nowhere)]), kinds, 1);
    let mut shard = Shard::new(0, Arc::new(namespaces()), QueueLimits::default());
    let who = Identity::anonymous();
    for member in 0..MEMBERS as usize {
        let slot = shard.open().slot;
        let dialect = if member % 2 == 0 { Dialect::SocketIo } else { Dialect::Plain };
        node.join(&mut shard, slot, form(dialect), &who, &room(member % rooms), From::Now).unwrap();
    }
    shard
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("take and flush to 10,000 members");
    let cases =
        [("one room", 1, 1_u64), ("one room", 1, 16), ("rooms of 20", 500, 1), ("rooms of 20", 500, 16)];
    for (name, rooms, events) in cases {
        let mut shard = shard(rooms);
        let mut sink = Counting::default();
        let mut number = 0;
        group.throughput(Throughput::Elements(u64::from(MEMBERS) * events));
        group.bench_function(BenchmarkId::new(name, events), |bencher| {
            bencher.iter(|| {
                for _ in 0..events {
                    number += 1;
                    for room_number in 0..rooms {
                        shard.take(&publication(room(room_number), number));
                    }
                }
                while shard.has_work() {
                    shard.flush(&mut sink, MEMBERS as usize);
                }
            });
        });
        assert!(sink.bytes > 0 && shard.take_overflowed().is_empty());
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode one event");
    let (publication, names) = (publication(room(0), 7), namespaces());
    for (name, dialect) in
        [("socket.io", Dialect::SocketIo), ("msgpack", Dialect::Msgpack), ("plain", Dialect::Plain)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| frame::encode(black_box(&publication), form(dialect), &names));
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode what a client says");
    let limits = Limits::default();
    let read = |text: &str| {
        let engineio::Packet::Message(message) = engineio::decode_text(text, &limits).unwrap() else {
            unreachable!()
        };
        socketio::decode(message, &limits).unwrap().data.map(str::len)
    };
    let ping = r#"4217["ping",{}]"#;
    group.bench_function("socket.io ping", |bencher| bencher.iter(|| read(black_box(ping))));
    let publish = r#"4218["publish",{"room":"ticks:0","event":"tick","data":{"price":101.25,"volume":1200},"key":"c0ffee-17"}]"#;
    group.bench_function("socket.io publish", |bencher| {
        bencher.iter(|| {
            let length = read(black_box(publish));
            let event = socketio::event(&publish[4..]).unwrap();
            let body = event.args.clone().next().unwrap();
            (length, plain::PublishBody::parse(body, &limits).unwrap().data.len())
        });
    });
    let message = r#"{"type":"publish","id":18,"room":"ticks:0","event":"tick","data":{"price":101.25,"volume":1200},"key":"c0ffee-17"}"#;
    group.bench_function("plain publish", |bencher| {
        bencher.iter(|| plain::decode(black_box(message), &limits).is_ok());
    });
    group.finish();
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

criterion_group! { name = benches; config = short(); targets = fan_out, encode, decode }
criterion_main!(benches);
