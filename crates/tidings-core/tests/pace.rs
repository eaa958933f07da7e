//! Valves against naive models: what comes through, when, and that nothing else does.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidings_core::pace::{Batch, Changes, Diff, HELD_BYTES, Out, Pace, Pacing, Per, SCOPES, Throttle, Topic};

const INTERVAL_MS: u64 = 10;

fn topic<'a>(event: &'a str, slot: Option<&'a str>) -> Topic<'a> {
    Topic { event, slot }
}

#[test]
fn the_first_comes_through_and_the_newest_of_the_others_follows_when_the_interval_is_over() {
    let mut pace = Pace::new(Pacing::Throttle { interval_ms: 1_000, per: Per::Event });
    assert_eq!(pace.offer(0, topic("price", None), 1, "1"), Out::Pass("1"));
    assert_eq!(pace.offer(10, topic("price", None), 1, "2"), Out::Held);
    assert_eq!(pace.offer(900, topic("price", None), 1, "3"), Out::Replaced("2"));
    assert_eq!(pace.offer(900, topic("other", None), 1, "a"), Out::Pass("a"));
    assert_eq!((pace.take_due(999), pace.due_ms()), (vec![], Some(1_000)));
    assert_eq!(pace.take_due(1_000), ["3"]);
    assert_eq!(pace.offer(1_001, topic("price", None), 1, "4"), Out::Held, "a new interval has begun");
    assert_eq!(pace.take_due(2_000), ["4"]);
    assert_eq!((pace.take_due(3_000), pace.due_ms()), (vec![], None), "nothing is left to remember");
}

#[test]
fn a_batch_leaves_when_it_is_full_or_its_first_event_has_waited_long_enough() {
    let mut pace = Pace::new(Pacing::Batch { wait_ms: 100, most: 3 });
    assert_eq!(pace.offer(0, topic("e", None), 1, 1), Out::Held);
    assert_eq!(pace.offer(99, topic("e", Some("a")), 1, 2), Out::Held);
    assert_eq!(pace.offer(99, topic("e", Some("a")), 1, 3), Out::Replaced(2));
    assert!(pace.take_due(99).is_empty());
    assert_eq!(pace.take_due(100), [1, 3]);
    assert_eq!(pace.due_ms(), None);
    assert_eq!(pace.offer(100, topic("e", None), 1, 4), Out::Held);
    assert_eq!(pace.offer(100, topic("f", Some("a")), 1, 5), Out::Held);
    assert_eq!(pace.offer(100, topic("e", Some("a")), 1, 6), Out::Ready(vec![4, 5, 6]));
    assert_eq!(pace.due_ms(), None);
}

#[test]
fn scopes_and_bytes_are_bounded_and_what_is_too_much_is_given_back() {
    let mut throttle = Throttle::new(10, Per::Slot);
    for slot in 0..SCOPES {
        assert_eq!(throttle.offer(0, topic("e", Some(&slot.to_string())), 1, slot), Out::Pass(slot));
    }
    assert_eq!(throttle.offer(0, topic("e", Some("more")), 1, 7), Out::Full(7));
    assert_eq!(
        throttle.offer(0, topic("e", Some("0")), HELD_BYTES * 2, 7),
        Out::Held,
        "one alone may be large"
    );
    assert_eq!(throttle.offer(0, topic("e", Some("1")), 1, 8), Out::Full(8));
    assert_eq!(throttle.offer(0, topic("e", Some("0")), 1, 9), Out::Replaced(7));
    assert_eq!(throttle.offer(0, topic("e", Some("1")), 1, 8), Out::Held);
    assert_eq!(throttle.take_due(10), [9, 8]);
    assert_eq!(throttle.offer(10, topic("e", Some("more")), 1, 7), Out::Pass(7));

    let mut batch = Batch::new(10, 1_000);
    assert_eq!(batch.offer(0, topic("e", None), HELD_BYTES, 1), Out::Held);
    assert_eq!(batch.offer(0, topic("e", None), 1, 2), Out::Ready(vec![1, 2]));
}

#[test]
fn a_clock_that_is_put_back_releases_what_waits() {
    for pacing in
        [Pacing::Throttle { interval_ms: 1_000, per: Per::Room }, Pacing::Batch { wait_ms: 1_000, most: 9 }]
    {
        let mut pace = Pace::new(pacing);
        let _ = pace.offer(50_000, topic("e", None), 1, 1);
        let _ = pace.offer(50_000, topic("e", None), 1, 2);
        assert!(pace.take_due(50_200).is_empty());
        assert!(pace.take_due(49_999).is_empty(), "somebody else has read the clock a moment before");
        assert_eq!(pace.take_due(10_000).last(), Some(&2));
    }
}

#[derive(Debug, Clone)]
struct Offer {
    after_ms: u64,
    event: usize,
    slot: Option<usize>,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn offers() -> impl Strategy<Value = Vec<Offer>> {
    let offer = (0..7_u64, 0..NAMES.len(), proptest::option::of(0..NAMES.len()));
    vec(offer.prop_map(|(after_ms, event, slot)| Offer { after_ms, event, slot }), 0..80)
}

impl Offer {
    fn topic(&self) -> Topic<'static> {
        topic(NAMES[self.event], self.slot.map(|slot| NAMES[slot]))
    }

    fn scope(&self, per: Per) -> (Option<usize>, Option<usize>) {
        match per {
            Per::Room => (None, None),
            Per::Event => (Some(self.event), None),
            Per::Slot => (Some(self.event), self.slot),
        }
    }
}

/// What came through, and when.
type Through = Vec<(u64, usize)>;

/// Offers all, asking every millisecond for what is due.
fn through(pacing: Pacing, offers: &[Offer]) -> Through {
    let (mut pace, mut now, mut out) = (Pace::new(pacing), 0, Through::new());
    for (number, offer) in offers.iter().enumerate() {
        for _ in 0..offer.after_ms {
            now += 1;
            out.extend(pace.take_due(now).into_iter().map(|event| (now, event)));
        }
        match pace.offer(now, offer.topic(), 1, number) {
            Out::Pass(event) => out.push((now, event)),
            Out::Ready(events) => out.extend(events.into_iter().map(|event| (now, event))),
            Out::Held | Out::Replaced(_) => {}
            Out::Full(_) => panic!("there is room"),
        }
    }
    for _ in 0..3 * INTERVAL_MS {
        now += 1;
        out.extend(pace.take_due(now).into_iter().map(|event| (now, event)));
    }
    assert_eq!(pace.due_ms(), None);
    out
}

/// When each was offered.
fn times(offers: &[Offer]) -> Vec<u64> {
    let mut now = 0;
    offers
        .iter()
        .map(|offer| {
            now += offer.after_ms;
            now
        })
        .collect()
}

proptest! {
    /// Scope by scope: an event comes through at once if none did within the interval, else the newest one does
    /// exactly when the interval is over.
    #[test]
    fn a_throttle_does_what_a_naive_one_does(
        offers in offers(),
        per in prop_oneof![Just(Per::Room), Just(Per::Event), Just(Per::Slot)],
    ) {
        let (times, mut scopes) = (times(&offers), BTreeMap::<_, Vec<usize>>::new());
        for (number, offer) in offers.iter().enumerate() {
            scopes.entry(offer.scope(per)).or_default().push(number);
        }
        let mut expected = Through::new();
        for numbers in scopes.into_values() {
            let mut last: Option<u64> = None;
            for (at, number) in numbers.iter().enumerate() {
                let time = times[*number];
                // Whoever is offered when the interval is over finds it taken by what waited.
                match last {
                    Some(begun) if time < begun + INTERVAL_MS => {
                        let next = numbers.get(at + 1).map(|next| times[*next]);
                        if next.is_none_or(|next| next >= begun + INTERVAL_MS) {
                            expected.push((begun + INTERVAL_MS, *number));
                            last = Some(begun + INTERVAL_MS);
                        }
                    }
                    _ => {
                        expected.push((time, *number));
                        last = Some(time);
                    }
                }
            }
        }
        let mut got = through(Pacing::Throttle { interval_ms: INTERVAL_MS, per }, &offers);
        expected.sort_unstable();
        got.sort_unstable();
        prop_assert_eq!(got, expected);
    }

    /// All that is offered leaves in its order and in time, but for what has a newer one of its name and slot in
    /// the same batch: that stands where the older one stood.
    #[test]
    fn a_batch_does_what_a_naive_one_does(offers in offers(), most in 1..6_usize) {
        let (times, mut expected) = (times(&offers), Through::new());
        let mut batch: Vec<usize> = Vec::new();
        let mut due = 0;
        for (number, offer) in offers.iter().enumerate() {
            if !batch.is_empty() && times[number] >= due {
                expected.extend(batch.drain(..).map(|event| (due, event)));
            }
            let same = |held: &usize| {
                offer.slot.is_some() && (offers[*held].event, offers[*held].slot) == (offer.event, offer.slot)
            };
            match batch.iter().position(same) {
                Some(at) => batch[at] = number,
                None => {
                    if batch.is_empty() {
                        due = times[number] + INTERVAL_MS;
                    }
                    batch.push(number);
                    if batch.len() == most {
                        expected.extend(batch.drain(..).map(|event| (times[number], event)));
                    }
                }
            }
        }
        expected.extend(batch.drain(..).map(|event| (due, event)));
        prop_assert_eq!(through(Pacing::Batch { wait_ms: INTERVAL_MS, most }, &offers), expected);
    }

    /// Whoever puts the parts together has the object, and a part is never larger than what changed.
    #[test]
    fn the_parts_of_an_object_put_together_are_the_object(
        objects in vec(proptest::collection::btree_map("[a-d\"\n]", 0..3_u8, 0..5), 1..30),
        full_every in 0..5_u32,
        asks in vec(any::<bool>(), 30),
    ) {
        let (mut diff, mut known, mut since_full) = (Diff::new(full_every), Map::new(), 0);
        for (at, object) in objects.iter().enumerate() {
            let object: Map<String, Value> = object.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let text = Value::Object(object.clone()).to_string();
            let asked = at == 0 || asks[at] && at % 7 == 0;
            if asked {
                diff.ask_full();
            }
            match diff.offer(&text) {
                Changes::Full => {
                    prop_assert!(asked || full_every > 0 && since_full + 1 >= full_every);
                    (known, since_full) = (object.clone(), 0);
                }
                Changes::Nothing => prop_assert!(!asked),
                Changes::Part(part) => {
                    prop_assert!(!asked);
                    since_full += 1;
                    let part: Map<String, Value> = serde_json::from_str(&part).unwrap();
                    prop_assert!(!part.is_empty());
                    for (name, value) in part {
                        prop_assert_ne!(known.get(&name), Some(&value), "only what changed");
                        if value.is_null() { known.remove(&name); } else { known.insert(name, value); }
                    }
                }
            }
            prop_assert_eq!(&known, &object);
        }
    }
}

#[test]
fn a_full_one_comes_when_it_is_due_or_asked_for_and_what_is_no_object_goes_as_it_is() {
    let mut diff = Diff::new(2);
    assert_eq!(diff.offer("{\"a\":1,\"b\":2}"), Changes::Full);
    assert_eq!(diff.offer("{\"a\":1,\"b\":3,\"b\":4}"), Changes::Part("{\"b\":4}".into()));
    assert_eq!(diff.offer("{\"a\":1,\"b\":5}"), Changes::Full);
    assert_eq!(diff.offer("{\"b\":5}"), Changes::Part("{\"a\":null}".into()));
    diff.ask_full();
    assert_eq!(diff.offer("{\"b\":5}"), Changes::Full);
    assert_eq!(diff.offer("[1]"), Changes::Full);
    assert_eq!(diff.offer("{\"b\":5}"), Changes::Full, "nobody knows what was before");
    assert_eq!(diff.offer("{\"b\":5}"), Changes::Nothing);
}
