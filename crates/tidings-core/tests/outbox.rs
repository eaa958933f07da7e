//! What waits for one connection: its order, its bounds, and that nothing begun is torn.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tidings_core::outbox::{Item, Pushed};
use tidings_core::{Lane, Outbox, QueueLimits};

const ENDLESS: QueueLimits = QueueLimits { bytes: usize::MAX, messages: usize::MAX };
const SHORT: QueueLimits = QueueLimits { bytes: 20, messages: 8 };

fn item(text: &str, sequence: u64) -> Item {
    Item {
        bytes: text.to_owned().into(),
        messages: 1,
        room: 0,
        sequence,
        subject: 0,
        volatile: sequence == 0,
    }
}

fn volatile(outbox: &mut Outbox, text: &str, lane: Lane) {
    assert_eq!(outbox.push(item(text, 0), lane, &ENDLESS, 0), Pushed::Queued);
}

fn recorded(outbox: &mut Outbox, text: &str, sequence: u64) {
    assert_eq!(outbox.push(item(text, sequence), Lane::Normal, &ENDLESS, 0), Pushed::Queued);
}

fn reply(outbox: &mut Outbox, text: &str) {
    assert_eq!(outbox.reply(&ENDLESS, |out| out.extend_from_slice(text.as_bytes())), Pushed::Queued);
}

/// Sends all that waits, in writes of at most `most` bytes.
fn drain(outbox: &mut Outbox, most: usize) -> String {
    let (mut scratch, mut sent) = (Vec::new(), Vec::new());
    loop {
        let bytes = outbox.gather(&mut scratch);
        if bytes.is_empty() {
            break;
        }
        let count = bytes.len().min(most);
        sent.extend_from_slice(&bytes[..count]);
        let _ = outbox.sent(count);
    }
    assert!(outbox.is_empty());
    String::from_utf8(sent).unwrap()
}

fn send(outbox: &mut Outbox, count: usize) -> (u64, usize) {
    assert!(outbox.gather(&mut Vec::new()).len() >= count);
    outbox.sent(count)
}

#[test]
fn urgent_lanes_go_first_and_each_lane_keeps_its_order() {
    let mut outbox = Outbox::default();
    for (text, lane) in [
        ("l1 ", Lane::Low),
        ("n1 ", Lane::Normal),
        ("c1 ", Lane::Critical),
        ("h1 ", Lane::High),
        ("c2 ", Lane::Critical),
        ("l2 ", Lane::Low),
    ] {
        volatile(&mut outbox, text, lane);
    }
    assert_eq!(drain(&mut outbox, usize::MAX), "c1 c2 h1 n1 l1 l2 ");
}

#[test]
fn recorded_events_never_leave_the_normal_lane() {
    let mut outbox = Outbox::default();
    recorded(&mut outbox, "r1 ", 1);
    assert_eq!(outbox.push(item("r2 ", 2), Lane::Critical, &ENDLESS, 0), Pushed::Queued);
    assert_eq!(outbox.push(item("r3 ", 3), Lane::Low, &ENDLESS, 0), Pushed::Queued);
    volatile(&mut outbox, "n ", Lane::Normal);
    assert_eq!(drain(&mut outbox, usize::MAX), "r1 r2 r3 n ");
}

#[test]
fn replies_stand_between_what_was_pushed_before_and_after() {
    let mut outbox = Outbox::default();
    recorded(&mut outbox, "r1 ", 1);
    reply(&mut outbox, "a ");
    reply(&mut outbox, "b ");
    volatile(&mut outbox, "c ", Lane::Critical);
    recorded(&mut outbox, "r2 ", 2);
    reply(&mut outbox, "d ");
    outbox.replay(item("r3 ", 3));
    assert_eq!(drain(&mut outbox, usize::MAX), "c r1 a b r2 d r3 ");
}

#[test]
fn what_was_begun_is_finished_before_anything_more_urgent() {
    let mut outbox = Outbox::default();
    volatile(&mut outbox, "[low]", Lane::Low);
    send(&mut outbox, 2);
    volatile(&mut outbox, "[critical]", Lane::Critical);
    recorded(&mut outbox, "[one]", 1);
    assert_eq!(outbox.bytes(), 3 + 10 + 5);
    assert_eq!(drain(&mut outbox, 3), "ow][critical][one]");
}

#[test]
fn what_is_put_back_goes_out_first_and_is_never_dropped() {
    let mut outbox = Outbox::default();
    outbox.put_back(item("[run]", 0), 2);
    assert_eq!(outbox.bytes(), 3);
    volatile(&mut outbox, "[critical]", Lane::Critical);
    let pushed = outbox.push(item("[recorded, long]", 1), Lane::Normal, &SHORT, 0);
    assert_eq!(pushed, Pushed::Displaced(1));
    assert_eq!(drain(&mut outbox, usize::MAX), "un][recorded, long]");
}

#[test]
fn a_volatile_item_is_dropped_from_half_full_on_unless_it_is_alone() {
    let mut outbox = Outbox::default();
    let long = "x".repeat(30);
    assert_eq!(outbox.push(item(&long, 0), Lane::Normal, &SHORT, 5), Pushed::Queued);
    assert_eq!(outbox.lagging_since(), Some(5));
    assert_eq!(outbox.push(item("y", 0), Lane::Normal, &SHORT, 9), Pushed::Dropped);
    assert_eq!((outbox.bytes(), outbox.lagging_since()), (30, Some(5)));
    assert_eq!(outbox.push(item("z", 0), Lane::Critical, &SHORT, 9), Pushed::Displaced(1));
    assert_eq!(drain(&mut outbox, usize::MAX), "z");
    assert_eq!(outbox.lagging_since(), None);
}

#[test]
fn a_recorded_item_makes_room_by_dropping_volatile_ones() {
    let mut outbox = Outbox::default();
    for text in ["v1 ", "v2 ", "v3 "] {
        assert_eq!(outbox.push(item(text, 0), Lane::Normal, &SHORT, 0), Pushed::Queued);
    }
    assert_eq!(outbox.push(item("recorded, one", 1), Lane::Normal, &SHORT, 0), Pushed::Displaced(3));
    assert_eq!(outbox.push(item("and two", 2), Lane::Normal, &SHORT, 0), Pushed::Queued);
    assert_eq!(outbox.push(item("three", 3), Lane::Normal, &SHORT, 0), Pushed::Overflow);
    assert_eq!(drain(&mut outbox, usize::MAX), "recorded, oneand two");
}

#[test]
fn nothing_is_dropped_for_an_item_that_overflows_all_the_same() {
    let mut outbox = Outbox::default();
    assert_eq!(outbox.push(item("v ", 0), Lane::Normal, &SHORT, 0), Pushed::Queued);
    assert_eq!(outbox.push(item("recorded ", 1), Lane::Normal, &SHORT, 0), Pushed::Queued);
    let pushed = outbox.push(item(&"x".repeat(20), 2), Lane::Normal, &SHORT, 0);
    assert_eq!(pushed, Pushed::Overflow);
    assert_eq!(drain(&mut outbox, usize::MAX), "v recorded ");
}

#[test]
fn the_begun_part_of_a_volatile_item_is_kept_when_others_are_dropped() {
    let mut outbox = Outbox::default();
    volatile(&mut outbox, "[begun]", Lane::Low);
    send(&mut outbox, 3);
    volatile(&mut outbox, "[next]", Lane::Low);
    volatile(&mut outbox, "[high]", Lane::High);
    let pushed = outbox.push(item("[recorded]", 1), Lane::Normal, &SHORT, 0);
    assert_eq!(pushed, Pushed::Displaced(1), "the least urgent goes first");
    assert_eq!(outbox.bytes(), 4 + 6 + 10);
    assert_eq!(outbox.push(item("[more]", 2), Lane::Normal, &SHORT, 0), Pushed::Displaced(1));
    assert_eq!(drain(&mut outbox, 1), "gun][recorded][more]");
}

#[test]
fn a_reply_makes_room_before_it_overflows() {
    let mut outbox = Outbox::default();
    volatile(&mut outbox, "volatile, 15 b.", Lane::Normal);
    let answer = |outbox: &mut Outbox| outbox.reply(&SHORT, |out| out.extend_from_slice(b"[answer]"));
    assert_eq!(answer(&mut outbox), Pushed::Displaced(1));
    assert_eq!(answer(&mut outbox), Pushed::Queued);
    assert_eq!(answer(&mut outbox), Pushed::Overflow);
    assert_eq!(drain(&mut outbox, usize::MAX), "[answer][answer][answer]");
}

#[test]
fn one_reply_may_be_larger_than_the_queue() {
    let mut outbox = Outbox::default();
    let pushed = outbox.reply(&SHORT, |out| out.extend_from_slice(&[b'x'; 100]));
    assert_eq!(pushed, Pushed::Queued);
    assert_eq!(drain(&mut outbox, 7).len(), 100);
}

#[test]
fn what_follows_a_replay_finds_room_however_long_the_replay_is() {
    let mut outbox = Outbox::default();
    (1..=10).for_each(|sequence| outbox.replay(item("[missed]", sequence)));
    assert_eq!(outbox.reply(&SHORT, |out| out.extend_from_slice(b"[resumed]")), Pushed::Queued);
    assert_eq!(outbox.push(item("[live]", 11), Lane::Normal, &SHORT, 0), Pushed::Queued);
    assert_eq!(outbox.lagging_since(), Some(0), "what is not of the replay is over half the limit");
    assert_eq!(outbox.push(item("[another]", 12), Lane::Normal, &SHORT, 0), Pushed::Overflow);
    assert_eq!(drain(&mut outbox, 9), "[missed]".repeat(10) + "[resumed][live]");
}

#[test]
fn a_replay_that_has_gone_out_leaves_the_limits_as_they_were() {
    let mut outbox = Outbox::default();
    recorded(&mut outbox, "before", 1);
    (2..=4).for_each(|sequence| outbox.replay(item("[missed]", sequence)));
    recorded(&mut outbox, "[live]", 5);
    assert_eq!(send(&mut outbox, 30), (4, 4));
    assert_eq!(outbox.push(item("[8 to 14]", 6), Lane::Normal, &SHORT, 0), Pushed::Queued);
    assert_eq!(outbox.push(item("[15 on]", 7), Lane::Normal, &SHORT, 0), Pushed::Overflow);
}

#[test]
fn an_empty_reply_leaves_nothing_behind() {
    let mut outbox = Outbox::default();
    reply(&mut outbox, "");
    assert!(outbox.is_empty());
    reply(&mut outbox, "a");
    reply(&mut outbox, "");
    assert_eq!(send(&mut outbox, 1), (0, 1));
    assert!(outbox.is_empty());
}

#[test]
fn messages_are_bounded_as_bytes_are() {
    let mut outbox = Outbox::default();
    let limits = QueueLimits { bytes: usize::MAX, messages: 4 };
    for sequence in 1..=4 {
        assert_eq!(outbox.push(item("r", sequence), Lane::Normal, &limits, 0), Pushed::Queued);
    }
    assert_eq!(outbox.push(item("v", 0), Lane::Normal, &limits, 0), Pushed::Dropped);
    assert_eq!(outbox.push(item("r", 5), Lane::Normal, &limits, 0), Pushed::Overflow);
}

#[test]
fn a_sequence_counts_when_its_item_is_gone_to_the_last_byte() {
    let mut outbox = Outbox::default();
    recorded(&mut outbox, "one", 1);
    recorded(&mut outbox, "two", 2);
    assert_eq!(send(&mut outbox, 2), (0, 0));
    assert_eq!(send(&mut outbox, 1), (1, 1));
    assert_eq!(send(&mut outbox, 2), (0, 0));
    assert_eq!(send(&mut outbox, 1), (2, 1));
}

#[test]
fn a_large_item_goes_out_where_it_lies() {
    let mut outbox = Outbox::default();
    let large = "x".repeat(200_000);
    recorded(&mut outbox, &large, 1);
    recorded(&mut outbox, "small", 2);
    let mut scratch = Vec::new();
    assert_eq!(outbox.gather(&mut scratch).len(), 200_000);
    outbox.sent(10);
    assert_eq!(outbox.gather(&mut scratch).len(), 199_990);
    assert!(scratch.is_empty(), "nothing was copied");
    assert_eq!(drain(&mut outbox, 199_990), large[10..].to_owned() + "small");
}

#[derive(Debug, Clone)]
enum Op {
    Push { bytes: usize, messages: u32, recorded: bool, lane: Lane },
    Reply(usize),
    Replay(usize),
    Send(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (1..12_usize, 1..4_u32, any::<bool>(), proptest::sample::select(Lane::ALL.to_vec()))
            .prop_map(|(bytes, messages, recorded, lane)| Op::Push { bytes, messages, recorded, lane }),
        (0..12_usize).prop_map(Op::Reply),
        (1..12_usize).prop_map(Op::Replay),
        (0..40_usize).prop_map(Op::Send),
    ]
}

proptest! {
    /// Whatever happens, the count of bytes is what can be sent, and whole items come out.
    #[test]
    fn the_count_of_bytes_is_exact(ops in vec(op(), 0..80), limit in 10..60_usize, messages in 1..10_usize) {
        let limits = QueueLimits { bytes: limit, messages };
        let (mut outbox, mut scratch) = (Outbox::default(), Vec::new());
        let (mut sent, mut sequence, mut waits) = (Vec::new(), 0, 0_i64);
        for (number, op) in ops.into_iter().enumerate() {
            let mark = number as u8;
            match op {
                Op::Push { bytes, messages, recorded, lane } => {
                    sequence += u64::from(recorded);
                    let sequence = if recorded { sequence } else { 0 };
                    let item = Item { bytes: vec![mark; bytes].into(), messages, room: 0, sequence, subject: 0, volatile: !recorded };
                    match outbox.push(item, lane, &limits, 0) {
                        Pushed::Queued => waits += i64::from(messages),
                        Pushed::Displaced(gone) => waits += i64::from(messages) - i64::from(gone),
                        Pushed::Replaced => prop_assert!(false, "nothing here has a subject"),
                        Pushed::Dropped => prop_assert!(!recorded),
                        Pushed::Overflow => prop_assert!(recorded),
                    }
                }
                Op::Reply(bytes) => {
                    waits += i64::from(bytes > 0);
                    if let Pushed::Displaced(gone) = outbox.reply(&limits, |out| out.resize(out.len() + bytes, mark)) {
                        waits -= i64::from(gone);
                    }
                }
                Op::Replay(bytes) => {
                    outbox.replay(Item { bytes: vec![mark; bytes].into(), messages: 1, room: 0, sequence: 0, subject: 0, volatile: false });
                    waits += 1;
                }
                Op::Send(most) => {
                    let bytes = outbox.gather(&mut scratch);
                    let count = bytes.len().min(most);
                    sent.extend_from_slice(&bytes[..count]);
                    waits -= outbox.sent(count).1 as i64;
                }
            }
            prop_assert_eq!(outbox.is_empty(), waits == 0);
            prop_assert_eq!(outbox.is_empty(), outbox.bytes() == 0);
        }
        let waiting = outbox.bytes();
        let before = sent.len();
        while !outbox.is_empty() {
            let count = outbox.gather(&mut scratch).len();
            sent.extend_from_slice(outbox.gather(&mut scratch));
            outbox.sent(count);
        }
        prop_assert_eq!(sent.len() - before, waiting);
        let mut marks = sent.clone();
        marks.dedup();
        let kinds = marks.iter().collect::<std::collections::HashSet<_>>().len();
        prop_assert_eq!(marks.len(), kinds, "an item was cut by another");
    }
}

/// What can be seen of an outbox after it was done something to.
fn seen_after(op: &Op, number: usize, outbox: &mut Outbox, limits: &QueueLimits) -> String {
    let item = |bytes: usize, messages, sequence: u64, volatile| Item {
        bytes: vec![number as u8; bytes].into(),
        messages,
        room: 0,
        sequence,
        // What has a subject is one message.
        subject: if messages == 1 { bytes as u64 % 3 } else { 0 },
        volatile,
    };
    let mut scratch = Vec::new();
    let done = match *op {
        Op::Push { bytes, messages, recorded, lane } => {
            let sequence = if recorded { number as u64 + 1 } else { 0 };
            format!("{:?}", outbox.push(item(bytes, messages, sequence, !recorded), lane, limits, 0))
        }
        Op::Reply(bytes) => {
            format!("{:?}", outbox.reply(limits, |out| out.resize(out.len() + bytes, number as u8)))
        }
        Op::Replay(bytes) => {
            outbox.replay(item(bytes, 1, 0, false));
            String::new()
        }
        Op::Send(most) => {
            let count = outbox.gather(&mut scratch).len().min(most);
            format!("{:?}", outbox.sent(count))
        }
    };
    let takes: Vec<_> = (0..40).map(|bytes| outbox.takes(&item(bytes, 1, 1, false), limits)).collect();
    let counts =
        (outbox.bytes(), outbox.messages(), outbox.owed(), outbox.last_sequence(), outbox.is_light(limits));
    let displaced = outbox.take_displaced();
    let unfinished = outbox.unfinished().to_vec();
    format!("{done} {counts:?} {takes:?} {displaced:?} {unfinished:?} {:?}", outbox.gather(&mut scratch))
}

proptest! {
    /// An item that waits alone is not in a queue, and nobody sees that.
    #[test]
    fn an_item_alone_is_as_one_in_a_queue(ops in vec(op(), 0..40), limit in 10..60_usize, messages in 1..10_usize, dropped in any::<bool>()) {
        let limits = QueueLimits { bytes: limit, messages };
        let (mut outbox, mut queued) = (Outbox::default(), Outbox::default());
        for (number, op) in ops.iter().enumerate() {
            let seen = seen_after(op, number, &mut outbox, &limits);
            let expected = seen_after(op, number, &mut queued, &limits);
            prop_assert_eq!(seen, expected, "{:?} at {}", op, number);
            // Has a queue made of what waits.
            queued.fell_behind(0);
        }
        if dropped {
            prop_assert_eq!(outbox.drop_volatile(), queued.drop_volatile());
        }
        prop_assert_eq!(drain(&mut outbox, 7), drain(&mut queued, 7));
    }
}
