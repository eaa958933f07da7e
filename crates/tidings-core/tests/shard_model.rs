//! Shards and a node against a naive model: every client gets what it is owed, whatever happens.

#![allow(clippy::unwrap_used)]

mod common;
mod model;

use model::{HOUR_MS, ORGS, ROOMS, SHARDS, Start, What, World};
use proptest::collection::vec;
use proptest::prelude::*;
use tidings_core::frame::Dialect;
use tidings_core::{Lane, QueueLimits};

#[derive(Debug, Clone)]
enum Op {
    Open { shard: usize, org: usize, dialect: Dialect, offset: bool, deflate: bool },
    Close(usize),
    Join { client: usize, room: usize, namespace: u8, from: Start },
    Leave { client: usize, room: usize, namespace: u8 },
    LeaveAll { client: usize, namespace: Option<u8> },
    Publish(What),
    Deliver { shard: usize, most: usize },
    Reply { client: usize, bytes: usize },
    Flush { shard: usize, budget: usize, takes: Vec<Option<u8>> },
    Writable(usize),
    Break(usize),
}

fn op(gone: bool) -> impl Strategy<Value = Op> {
    let client = || 0..200_usize;
    let room = || 0..ROOMS.len();
    let shard = || prop_oneof![3 => Just(0), 1 => 1..SHARDS];
    let org = || prop_oneof![4 => Just(0), 1 => 1..ORGS.len()];
    let dialect = prop_oneof![Just(Dialect::SocketIo), Just(Dialect::Msgpack), Just(Dialect::Plain)];
    prop_oneof![
        2 => (shard(), org(), dialect, any::<bool>(), any::<bool>()).prop_map(|(shard, org, dialect, offset, deflate)| {
            Op::Open { shard, org, dialect, offset, deflate }
        }),
        1 => client().prop_map(Op::Close),
        6 => (client(), room(), 0..2_u8, start())
            .prop_map(|(client, room, namespace, from)| Op::Join { client, room, namespace, from }),
        2 => (client(), room(), 0..2_u8)
            .prop_map(|(client, room, namespace)| Op::Leave { client, room, namespace }),
        1 => (client(), proptest::option::of(0..2_u8))
            .prop_map(|(client, namespace)| Op::LeaveAll { client, namespace }),
        12 => publish().prop_map(Op::Publish),
        6 => (shard(), 1..8_usize).prop_map(|(shard, most)| Op::Deliver { shard, most }),
        2 => (client(), 1..60_usize).prop_map(|(client, bytes)| Op::Reply { client, bytes }),
        6 => (shard(), 0..60_usize, vec(takes(), 0..50))
            .prop_map(|(shard, budget, takes)| Op::Flush { shard, budget, takes }),
        3 => client().prop_map(Op::Writable),
        1 => client().prop_map(move |client| if gone { Op::Break(client) } else { Op::Writable(client) }),
    ]
}

fn takes() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![5 => Just(None), 1 => Just(Some(0)), 2 => any::<u8>().prop_map(Some)]
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        3 => Just(Start::Now),
        2 => (0..9_usize).prop_map(Start::Back),
        1 => (0..9_usize).prop_map(Start::Newest),
        1 => (0..9_usize, 0..12_u64).prop_map(|(back, since)| Start::Sequence { back, since }),
    ]
}

fn publish() -> impl Strategy<Value = What> {
    let org = prop_oneof![6 => Just(0), 1 => 1..ORGS.len()];
    let lane = prop_oneof![3 => Just(Lane::Normal), 1 => proptest::sample::select(Lane::ALL.to_vec())];
    let here = proptest::option::of(0..SHARDS);
    let skip = prop_oneof![4 => Just(None), 1 => (0..200_usize).prop_map(Some)];
    let pad = prop_oneof![8 => 0..30_usize, 2 => 100..400_usize, 1 => 1_000..1_500_usize];
    let attachments = prop_oneof![5 => Just(0_usize), 1 => 1..3_usize];
    (org, 0..ROOMS.len(), any::<bool>(), lane, here, skip, pad, attachments).prop_map(
        |(org, room, volatile, lane, here, skip, pad, attachments)| What {
            org,
            room,
            volatile,
            lane,
            here,
            skip,
            pad,
            attachments,
        },
    )
}

fn run(limits: QueueLimits, crowd: usize, ops: Vec<Op>) {
    let mut world = World::new(limits);
    for member in 0..crowd {
        let dialect = [Dialect::Plain, Dialect::SocketIo, Dialect::Msgpack][member % 3];
        let client = world.open(0, 0, dialect, member % 2 == 0, member % 5 == 0);
        // Two recorded rooms and a volatile one are big enough for runs.
        for room in [0, 2, 3] {
            world.join(client, room, 0, Start::Now);
        }
    }
    for op in ops {
        apply(&mut world, op);
    }
    world.drain();
    for at in 0..world.clients.len() {
        world.check(at, true);
    }
    while !world.clients.is_empty() {
        world.close(0);
    }
    assert!(world.shards.iter().all(|shard| shard.is_empty()));
    assert!(world.node.hub().entries().iter().all(|entry| entry.members() == 0));
    assert_eq!(world.node.sweep(26 * HOUR_MS), 0, "a room without members and history is forgotten");
}

fn apply(world: &mut World, op: Op) {
    let count = world.clients.len();
    let pick = |client: usize| (count > 0).then(|| client % count.max(1));
    match op {
        Op::Open { shard, org, dialect, offset, deflate } => {
            world.open(shard, org, dialect, offset, deflate);
        }
        Op::Close(client) => {
            if let Some(at) = pick(client) {
                world.close(at);
            }
        }
        Op::Join { client, room, namespace, from } => {
            if let Some(at) = pick(client) {
                world.join(at, room, namespace, from);
            }
        }
        Op::Leave { client, room, namespace } => {
            if let Some(at) = pick(client) {
                world.leave(at, room, namespace);
            }
        }
        Op::LeaveAll { client, namespace } => {
            if let Some(at) = pick(client) {
                world.leave_all(at, namespace);
            }
        }
        Op::Publish(what) => {
            let skip = what.skip.and_then(pick);
            world.publish(What { skip, ..what });
        }
        Op::Deliver { shard, most } => world.deliver(shard, most),
        Op::Reply { client, bytes } => {
            if let Some(at) = pick(client) {
                world.reply(at, bytes);
            }
        }
        Op::Flush { shard, budget, takes } => world.flush(shard, budget, takes.into()),
        Op::Writable(client) => {
            if let Some(at) = pick(client) {
                world.writable(at);
            }
        }
        Op::Break(client) => {
            if let Some(at) = pick(client) {
                world.break_socket(at);
            }
        }
    }
}

const ENDLESS: QueueLimits = QueueLimits { bytes: usize::MAX, messages: usize::MAX };

proptest! {
    #[test]
    fn every_member_gets_exactly_the_events_of_its_rooms(ops in vec(op(false), 0..150)) {
        run(ENDLESS, 0, ops);
    }

    #[test]
    fn big_rooms_served_by_runs_keep_the_same_promises(ops in vec(op(false), 0..120), crowd in 31..36_usize) {
        run(ENDLESS, crowd, ops);
    }

    #[test]
    fn short_queues_drop_only_what_is_volatile_and_count_it(
        ops in vec(op(true), 0..150),
        bytes in 200..3_000_usize,
        messages in 1..12_usize,
    ) {
        run(QueueLimits { bytes, messages }, 0, ops);
    }

    #[test]
    fn short_queues_in_big_rooms_drop_only_what_is_volatile_and_count_it(
        ops in vec(op(true), 0..120),
        crowd in 31..36_usize,
        bytes in 200..3_000_usize,
        messages in 1..12_usize,
    ) {
        run(QueueLimits { bytes, messages }, crowd, ops);
    }
}
