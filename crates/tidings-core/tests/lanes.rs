//! The lanes of an outbox against a naive model: who waits, who gives way, and that the bounds hold.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tidings_core::outbox::{Item, Pushed, Skip};
use tidings_core::{Lane, Outbox, QueueLimits};

const LIMITS: QueueLimits = QueueLimits { bytes: 800, messages: 80 };
const SHARE: usize = 8;

fn volatile(mark: u8, bytes: usize, subject: u64) -> Item {
    Item { bytes: vec![mark; bytes].into(), messages: 1, room: 0, sequence: 0, subject, volatile: true }
}

fn recorded(mark: u8, bytes: usize) -> Item {
    Item { bytes: vec![mark; bytes].into(), messages: 1, room: 0, sequence: 1, subject: 0, volatile: false }
}

/// Pushes volatile events until one is not queued; how many were.
fn flood(outbox: &mut Outbox, lane: Lane) -> usize {
    (0..1_000).take_while(|_| outbox.push(volatile(b'f', 10, 0), lane, &LIMITS, 0) == Pushed::Queued).count()
}

#[test]
fn every_lane_has_its_share_whatever_floods_another() {
    for flooded in Lane::ALL {
        let mut outbox = Outbox::default();
        assert_eq!(flood(&mut outbox, flooded), 40, "half of the queue");
        for lane in Lane::ALL.into_iter().filter(|lane| *lane < flooded) {
            assert_eq!(flood(&mut outbox, lane), 10, "{lane:?} has its eighth beside a flood in {flooded:?}");
        }
    }
}

#[test]
fn a_more_urgent_lane_takes_back_what_a_less_urgent_one_has_beyond_its_share() {
    let mut outbox = Outbox::default();
    assert_eq!(flood(&mut outbox, Lane::Low), 40);
    let push = |outbox: &mut Outbox| outbox.push(volatile(b'c', 10, 0), Lane::Critical, &LIMITS, 0);
    for _ in 0..10 {
        assert_eq!(push(&mut outbox), Pushed::Queued, "its own share");
    }
    assert_eq!(push(&mut outbox), Pushed::Displaced(30));
    assert_eq!(outbox.take_displaced(), [Skip { room: 0, lane: Lane::Low, count: 30 }]);
    assert_eq!(flood(&mut outbox, Lane::Critical), 19, "up to a half of the queue");
    assert_eq!(push(&mut outbox), Pushed::Dropped);
    assert_eq!(flood(&mut outbox, Lane::Low), 0, "the low lane has its share still");
}

#[test]
fn recorded_events_have_half_of_the_queue_whatever_volatile_ones_do() {
    let mut outbox = Outbox::default();
    flood(&mut outbox, Lane::Normal);
    for lane in Lane::ALL {
        flood(&mut outbox, lane);
    }
    let mut pushed = 0;
    while outbox.takes(&recorded(b'r', 10), &LIMITS) {
        assert_ne!(outbox.push(recorded(b'r', 10), Lane::Normal, &LIMITS, 0), Pushed::Overflow);
        assert!(outbox.bytes() <= LIMITS.bytes);
        pushed += 1;
    }
    assert_eq!(pushed, 40);
}

#[test]
fn what_is_least_urgent_makes_room_first() {
    let mut outbox = Outbox::default();
    for lane in Lane::ALL {
        for _ in 0..10 {
            let _ = outbox.push(volatile(b'v', 10, 0), lane, &LIMITS, 0);
        }
    }
    let lanes =
        |outbox: &mut Outbox| outbox.take_displaced().iter().map(|skip| skip.lane).collect::<Vec<_>>();
    assert_eq!(outbox.push(recorded(b'r', 500), Lane::Normal, &LIMITS, 0), Pushed::Displaced(10));
    assert_eq!(lanes(&mut outbox), [Lane::Low]);
    assert_eq!(outbox.push(recorded(b'r', 150), Lane::Normal, &LIMITS, 0), Pushed::Displaced(20));
    assert_eq!(lanes(&mut outbox), [Lane::Normal, Lane::High]);
    assert_eq!(outbox.push(recorded(b'r', 60), Lane::Normal, &LIMITS, 0), Pushed::Displaced(10));
    assert_eq!(lanes(&mut outbox), [Lane::Critical], "the critical lane is the last");
}

#[test]
fn a_newer_event_takes_the_place_of_its_subject_only_where_much_waits() {
    let mut outbox = Outbox::default();
    let push = |outbox: &mut Outbox, mark, subject| {
        outbox.push(volatile(mark, 10, subject), Lane::Normal, &LIMITS, 0)
    };
    for number in 0..20 {
        assert_eq!(push(&mut outbox, b'a' + number % 2, 1), Pushed::Queued, "who keeps up hears everything");
    }
    assert_eq!(push(&mut outbox, b'x', 2), Pushed::Queued);
    assert_eq!(push(&mut outbox, b'y', 1), Pushed::Replaced);
    assert_eq!(push(&mut outbox, b'z', 1), Pushed::Replaced);
    let other_room = Item { room: 1, ..volatile(b'o', 10, 1) };
    assert_eq!(outbox.push(other_room, Lane::Normal, &LIMITS, 0), Pushed::Queued, "rooms do not meet");
    let sent = outbox.gather(&mut Vec::new()).to_vec();
    assert_eq!(sent[190..], [[b'z'; 10], [b'x'; 10], [b'o'; 10]].concat(), "in the place of the newest one");
}

#[test]
fn what_was_begun_is_not_replaced() {
    let mut outbox = Outbox::default();
    assert_eq!(outbox.push(volatile(b'a', 210, 1), Lane::Normal, &LIMITS, 0), Pushed::Queued);
    let _ = outbox.gather(&mut Vec::new());
    let _ = outbox.sent(1);
    assert_eq!(outbox.push(volatile(b'b', 20, 1), Lane::Normal, &LIMITS, 0), Pushed::Queued);
    let _ = outbox.gather(&mut Vec::new());
    let _ = outbox.sent(209);
    assert_eq!(outbox.gather(&mut Vec::new()), [b'b'; 20]);
}

/// What waits, as the model sees it.
#[derive(Debug, Clone)]
struct Waits {
    mark: u8,
    bytes: usize,
    messages: usize,
    subject: u64,
    volatile: bool,
    sent: usize,
}

#[derive(Debug, Default)]
struct Naive([Vec<Waits>; 4]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Load(usize, usize);

impl Load {
    fn fits(self, part: usize) -> bool {
        self.0 <= LIMITS.bytes / part && self.1 <= LIMITS.messages / part
    }
}

impl Naive {
    /// The begun item goes first, then lane by lane.
    fn begun(&self) -> Option<usize> {
        self.0.iter().position(|lane| lane.first().is_some_and(|item| item.sent > 0))
    }

    fn all(&self) -> Load {
        let items = self.0.iter().flatten();
        items.fold(Load(0, 0), |sum, item| Load(sum.0 + item.bytes - item.sent, sum.1 + item.messages))
    }

    fn droppable(&self, lane: usize) -> Load {
        let items = self.0[lane].iter().filter(|item| item.volatile && item.sent == 0);
        items.fold(Load(0, 0), |sum, item| Load(sum.0 + item.bytes, sum.1 + item.messages))
    }

    /// What has to become of an item.
    fn foresee(&self, item: &Waits, lane: usize) -> Pushed {
        let all = self.all();
        let with = Load(all.0 + item.bytes, all.1 + item.messages);
        let droppable =
            (0..4).map(|lane| self.droppable(lane)).fold(Load(0, 0), |a, b| Load(a.0 + b.0, a.1 + b.1));
        if !item.volatile {
            let kept = Load(with.0 - droppable.0, with.1 - droppable.1);
            let alone = kept.1 == item.messages;
            return match with.fits(1) || all.1 == 0 {
                true => Pushed::Queued,
                false if kept.fits(1) || alone => Pushed::Displaced(0),
                false => Pushed::Overflow,
            };
        }
        let same = |old: &&Waits| old.volatile && old.sent == 0 && old.subject == item.subject;
        if item.subject > 0
            && !all.fits(4)
            && let Some(old) = self.0[lane].iter().rfind(same)
            && (item.bytes <= old.bytes || Load(with.0 - old.bytes, all.1).fits(2))
        {
            return Pushed::Replaced;
        }
        let own = self.droppable(lane);
        if with.fits(2)
            || all.1 == 0
            || Load(own.0 + item.bytes, own.1 + item.messages).fits(SHARE) && with.fits(1)
        {
            return Pushed::Queued;
        }
        let lent = (lane + 1..4).map(|lane| self.droppable(lane)).fold(Load(0, 0), |sum, load| {
            Load(
                sum.0 + load.0.saturating_sub(LIMITS.bytes / SHARE),
                sum.1 + load.1.saturating_sub(LIMITS.messages / SHARE),
            )
        });
        let rest = Load(with.0.saturating_sub(lent.0), with.1.saturating_sub(lent.1));
        if rest.fits(2) { Pushed::Displaced(0) } else { Pushed::Dropped }
    }

    /// Drops the oldest that may be dropped of a lane.
    fn drop_oldest(&mut self, lane: usize, count: usize) {
        for _ in 0..count {
            let at = self.0[lane].iter().position(|item| item.volatile && item.sent == 0);
            self.0[lane].remove(at.expect("only what was there is dropped"));
        }
    }

    fn add(&mut self, item: Waits, lane: usize) {
        self.0[if item.volatile { lane } else { 2 }].push(item);
    }

    fn replace(&mut self, item: Waits, lane: usize) {
        let same = |old: &Waits| old.volatile && old.sent == 0 && old.subject == item.subject;
        let at = self.0[lane].iter().rposition(same).unwrap();
        self.0[lane][at] = item;
    }

    /// The next bytes, up to so many.
    fn send(&mut self, most: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        while sent.len() < most {
            let Some(lane) = self.begun().or_else(|| self.0.iter().position(|lane| !lane.is_empty())) else {
                break;
            };
            let item = &mut self.0[lane][0];
            let count = (item.bytes - item.sent).min(most - sent.len());
            sent.extend(std::iter::repeat_n(item.mark, count));
            item.sent += count;
            if item.sent == item.bytes {
                self.0[lane].remove(0);
            }
        }
        sent
    }
}

#[derive(Debug, Clone)]
enum Op {
    Push { lane: usize, bytes: usize, messages: usize, subject: u64, volatile: bool },
    Send(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![8 => 1..40_usize, 1 => 100..900_usize];
    let push = (
        0..4_usize,
        bytes,
        prop_oneof![8 => Just(1_usize), 1 => 2..20_usize],
        0..4_u64,
        prop::bool::weighted(0.7),
    );
    prop_oneof![
        9 => push.prop_map(|(lane, bytes, messages, subject, volatile)| {
            // Only a single message can be about something.
            let subject = if messages == 1 && volatile { subject } else { 0 };
            Op::Push { lane, bytes, messages, subject, volatile }
        }),
        1 => (0..300_usize).prop_map(Op::Send),
    ]
}

proptest! {
    /// Whatever is pushed and sent: the outcome is the one that follows from what waits, the bounds hold, and the
    /// bytes that leave are those of the model.
    #[test]
    fn an_outbox_does_what_a_naive_one_does(ops in vec(op(), 0..200)) {
        let (mut outbox, mut naive, mut scratch) = (Outbox::default(), Naive::default(), Vec::new());
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Push { lane, bytes, messages, subject, volatile } => {
                    let item = Waits { mark: number as u8, bytes, messages, subject, volatile, sent: 0 };
                    let foreseen = naive.foresee(&item, lane);
                    let before = naive.all();
                    let pushed = Item {
                        bytes: vec![item.mark; bytes].into(), messages: messages as u32, room: 0,
                        sequence: u64::from(!volatile), subject, volatile,
                    };
                    let pushed = outbox.push(pushed, Lane::ALL[lane], &LIMITS, 0);
                    let displaced = outbox.take_displaced();
                    for skip in &displaced {
                        let lane = Lane::ALL.iter().position(|lane| *lane == skip.lane).unwrap();
                        let (mut left, before) = (skip.count as usize, naive.0[lane].len());
                        while left > 0 {
                            let oldest = naive.0[lane].iter().find(|item| item.volatile && item.sent == 0).unwrap();
                            left -= oldest.messages;
                            naive.drop_oldest(lane, 1);
                        }
                        prop_assert!(naive.0[lane].len() < before);
                    }
                    match (pushed, foreseen) {
                        (Pushed::Displaced(count), Pushed::Displaced(_)) => {
                            prop_assert_eq!(count, displaced.iter().map(|skip| skip.count).sum::<u32>());
                            naive.add(item, lane);
                        }
                        (pushed, foreseen) => {
                            prop_assert_eq!(pushed, foreseen);
                            prop_assert!(displaced.is_empty());
                            match pushed {
                                Pushed::Queued => naive.add(item, lane),
                                Pushed::Replaced => naive.replace(item, lane),
                                _ => {}
                            }
                        }
                    }
                    let all = naive.all();
                    let alone = naive.0.iter().flatten().count() <= 1;
                    // An item begun that is larger than the queue waits alone until it is gone.
                    prop_assert!(all.fits(1) || alone || all <= before || before.1 == 0 || !before.fits(1), "{:?}", all);
                }
                Op::Send(most) => {
                    let gathered = outbox.gather(&mut scratch);
                    let count = gathered.len().min(most);
                    let sent = gathered[..count].to_vec();
                    let _ = outbox.sent(count);
                    prop_assert_eq!(sent, naive.send(count));
                }
            }
            prop_assert_eq!(outbox.bytes(), naive.all().0);
        }
        while !outbox.is_empty() {
            let gathered = outbox.gather(&mut scratch).to_vec();
            let _ = outbox.sent(gathered.len());
            prop_assert_eq!(&gathered, &naive.send(gathered.len()));
        }
        prop_assert_eq!(naive.all(), Load(0, 0));
    }
}
