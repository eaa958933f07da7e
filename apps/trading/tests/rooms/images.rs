//! A room that is made of its image is the same room, and bytes that are no image are not taken for one.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use tidings_trading::instrument::Instrument;
use tidings_trading::journal::Input;
use tidings_trading::order::{Ask, Kind, Side, Status};
use tidings_trading::room::image::{NoImage, Sketch, VERSION};
use tidings_trading::room::{FILLS_MOST, Room, State};
use tidings_trading::rules::Rules;

use super::asks::{ask, dec, histories};
use super::trades::{free, join, place, price, running};

/// The image of a room, made at once.
fn image(room: &Room) -> Vec<u8> {
    room.image(Sketch::default()).into_bytes()
}

fn again(room: &Room, bytes: &[u8]) -> Room {
    Room::from_image(room.id(), room.rules(), bytes).unwrap()
}

/// Bytes with the checksum that an image of them has.
fn summed(body: &[u8]) -> Vec<u8> {
    let what = format!("tidings-trading-image {VERSION}\n");
    let sum = Sha256::new().chain_update(what).chain_update(body).finalize();
    [body, &sum].concat()
}

/// Both take the same input with the same outcome.
fn go_on_alike(room: &mut Room, other: &mut Room, (at_ms, input): (u64, Input)) {
    assert_eq!(room.apply(at_ms, input.clone()), other.apply(at_ms, input), "told or refused otherwise");
    assert_eq!((room.seq(), room.chain()), (other.seq(), other.chain()));
    assert_eq!((room.digest(), room.standings()), (other.digest(), other.standings()));
    assert_eq!(room.next_cancel_ms(), other.next_cancel_ms());
    for user in room.accounts().keys() {
        assert_eq!(room.account_digest(user), other.account_digest(user));
        assert_eq!(room.budget(user, at_ms), other.budget(user, at_ms));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_room_made_of_its_image_goes_on_as_the_room_itself(
        (rules, inputs) in histories(120),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut room = Room::new("room", rules).unwrap();
        let (before, after) = inputs.split_at(cut.index(inputs.len() + 1));
        for (at_ms, input) in before {
            drop(room.apply(*at_ms, input.clone()));
        }
        let bytes = image(&room);
        let mut other = again(&room, &bytes);
        prop_assert_eq!(&room, &other);
        prop_assert_eq!(image(&other), bytes, "one room has one image");
        for input in after {
            go_on_alike(&mut room, &mut other, input.clone());
        }
        prop_assert_eq!(room, other);
    }

    #[test]
    fn an_image_that_was_sketched_while_the_room_went_on_is_of_its_last_moment(
        (rules, inputs) in histories(120),
        at_once in 1..4_usize,
        every in 1..9_usize,
    ) {
        let (mut room, mut sketch) = (Room::new("room", rules).unwrap(), Sketch::default());
        for (turn, (at_ms, input)) in inputs.into_iter().enumerate() {
            drop(room.apply(at_ms, input));
            if turn % every == 0 {
                room.sketch(&mut sketch, at_once);
            }
        }
        let sketched = room.image(sketch);
        prop_assert_eq!((sketched.seq, sketched.chain), (room.seq(), room.chain()));
        prop_assert_eq!(sketched.into_bytes(), image(&room));
    }

    #[test]
    fn an_image_of_which_a_byte_is_another_is_refused(
        (rules, inputs) in histories(60),
        at in any::<prop::sample::Index>(),
        by in 1..=u8::MAX,
    ) {
        let mut room = Room::new("room", rules).unwrap();
        inputs.into_iter().for_each(|(at_ms, input)| drop(room.apply(at_ms, input)));
        let mut bytes = image(&room);
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert_eq!(Room::from_image("room", room.rules(), &bytes), Err(NoImage::Checksum));
    }

    #[test]
    fn an_image_that_lacks_bytes_or_has_more_is_refused(
        (rules, inputs) in histories(60),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let mut room = Room::new("room", rules).unwrap();
        inputs.into_iter().for_each(|(at_ms, input)| drop(room.apply(at_ms, input)));
        let bytes = image(&room);
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()) + 1);
        let (from, to) = (from.min(to - 1), to.max(from + 1));
        let without = [&bytes[..from], &bytes[to..]].concat();
        prop_assert_eq!(Room::from_image("room", room.rules(), &without), Err(NoImage::Checksum));
        let twice = [&bytes[..to], &bytes[from..]].concat();
        prop_assert_eq!(Room::from_image("room", room.rules(), &twice), Err(NoImage::Checksum));
    }

    /// Whoever can write checksums can write journals too: it is enough that nothing panics, or takes memory without end.
    #[test]
    fn bytes_that_say_what_no_room_can_be_panic_nowhere(
        (rules, inputs) in histories(40),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut room = Room::new("room", rules).unwrap();
        inputs.into_iter().for_each(|(at_ms, input)| drop(room.apply(at_ms, input)));
        let bytes = image(&room);
        let mut body = bytes[..bytes.len() - 32].to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        drop(Room::from_image("room", room.rules(), &summed(&body)));
    }
}

/// The same room when its journal has so many entries.
pub(crate) fn with_entries(room: &Room, entries: u64) -> Room {
    let bytes = image(room);
    // Behind what it is of and its state stands the number of its newest entry, here of one byte.
    let at = 33;
    assert_eq!(u64::from(bytes[at]), room.seq());
    let (mut number, mut rest) = (Vec::new(), entries);
    while rest >= 0x80 {
        number.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    number.push(rest as u8);
    let body = [&bytes[..at], &number, &bytes[at + 1..bytes.len() - 32]].concat();
    let room = Room::from_image("room", room.rules(), &summed(&body)).unwrap();
    assert_eq!(room.seq(), entries);
    room
}

#[test]
fn the_sum_that_the_tests_write_is_the_one_of_an_image() {
    let bytes = image(&running(free()));
    assert_eq!(summed(&bytes[..bytes.len() - 32]), bytes);
    let short = summed(&bytes[..bytes.len() - 33]);
    assert_eq!(Room::from_image("room", &free(), &short), Err(NoImage::Form));
    let long = summed(&[&bytes[..bytes.len() - 32], &[0]].concat());
    assert_eq!(Room::from_image("room", &free(), &long), Err(NoImage::Form));
}

#[test]
fn an_image_is_of_one_room_under_its_rules() {
    let room = running(free());
    let bytes = image(&room);
    assert_eq!(Room::from_image("room", &free(), &bytes), Ok(room));
    assert_eq!(Room::from_image("other", &free(), &bytes), Err(NoImage::Foreign));
    let richer = Rules { starting_cash: dec("1000.01"), ..free() };
    assert_eq!(Room::from_image("room", &richer, &bytes), Err(NoImage::Foreign));
    let senseless = Rules { instruments: Vec::<Instrument>::new(), ..free() };
    assert_eq!(Room::from_image("room", &senseless, &bytes), Err(NoImage::Foreign));
    assert_eq!(Room::from_image("room", &free(), &[]), Err(NoImage::Checksum));
}

#[test]
fn a_room_has_an_image_from_its_making_to_its_end() {
    let mut room = Room::new("room", free()).unwrap();
    let mut states = Vec::new();
    let limit = Ask { price: Some(dec("9")), ..ask("a", Side::Buy, (Kind::Limit, "3")) };
    let stop = Ask { stop_price: Some(dec("12")), ..ask("b", Side::Buy, (Kind::Stop, "2")) };
    let inputs = [
        Input::Open,
        join("cyd"),
        join("ada"),
        // Whoever leaves before the start was never there, and a number is missing.
        Input::Leave { user: "cyd".into() },
        join("bob"),
        Input::Start,
        price("10", Some("4")),
        place("ada", ask("m", Side::Buy, (Kind::Market, "7"))),
        place("ada", limit),
        place("bob", stop),
        Input::CancelAfter { user: "bob".into(), after_ms: Some(5_000) },
        Input::Leave { user: "ada".into() },
        price("13", None),
        Input::End,
    ];
    for (at_ms, input) in (0..).step_by(7).zip([None].into_iter().chain(inputs.map(Some))) {
        if let Some(input) = input {
            room.apply(at_ms, input).unwrap();
        }
        assert_eq!(again(&room, &image(&room)), room);
        states.push(room.state());
    }
    states.dedup();
    assert_eq!(states, [State::Draft, State::Open, State::Running, State::Ended]);
}

#[test]
fn orders_that_have_not_met_a_price_meet_it_in_a_room_made_of_an_image() {
    let mut room = Room::new("room", Rules { max_members: 500, ..free() }).unwrap();
    let users: Vec<String> = (0..FILLS_MOST + 50).map(|number| format!("user-{number:03}")).collect();
    room.apply(0, Input::Open).unwrap();
    users.iter().for_each(|user| drop(room.apply(0, join(user)).unwrap()));
    room.apply(0, Input::Start).unwrap();
    for user in &users {
        let limit = Ask { price: Some(dec("10")), ..ask("a", Side::Buy, (Kind::Limit, "1")) };
        room.apply(1, place(user, limit)).unwrap();
    }
    room.apply(2, price("9", None)).unwrap();
    let mut other = again(&room, &image(&room));
    assert_eq!(other.unfinished(), Some("ACME"));
    go_on_alike(&mut room, &mut other, (3, price("8", None)));
    go_on_alike(&mut room, &mut other, (4, Input::GoOn { symbol: "ACME".into() }));
    assert_eq!(other.unfinished(), None);
    assert!(other.orders().iter().all(|order| order.status == Status::Filled));
}

/// If this fails, images that are stored would be read as something they are not, or would have been made by other
/// rules than the journal is read by: it wants another `VERSION`, and then other numbers here.
#[test]
fn images_of_this_version_are_these_bytes() {
    let mut room = running(Rules { fee_rate: dec("0.0025"), ..free() });
    let limit = Ask { price: Some(dec("11")), ..ask("sell-1", Side::Sell, (Kind::Limit, "2")) };
    let inputs = [
        (1, price("10", Some("5"))),
        (2, place("ada", ask("buy-1", Side::Buy, (Kind::Market, "7")))),
        (3, place("bob", ask("buy-2", Side::Buy, (Kind::Market, "1")))),
        (4, place("ada", limit)),
        (5, price("10.95", None)),
        (6, Input::CancelAfter { user: "ada".into(), after_ms: Some(1_000) }),
    ];
    inputs.into_iter().for_each(|(at_ms, input)| drop(room.apply(at_ms, input).unwrap()));
    let bytes = image(&room);
    let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = "a636e8d069834753e559c8917c5153090033130a00a56540ee51f521525866b4";
    assert_eq!((VERSION, bytes.len(), hex.as_str()), (2, 352, expected));
}
