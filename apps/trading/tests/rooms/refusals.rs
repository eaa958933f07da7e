//! Every refusal by its code, and that it changes nothing.

use tidings_app::{Code, Refusal};
use tidings_trading::journal::Input;
use tidings_trading::order::{Ask, Kind, Side};
use tidings_trading::refused::{Reason, Refused};
use tidings_trading::room::{ENTRIES_MOST, Room};
use tidings_trading::rules::Rules;

use super::asks::{ask, dec, instruments, rules};
use super::images::with_entries;
use super::trades::{free, join, place, price, running};

/// Why an input is refused, and that nothing has changed.
fn refused(room: &mut Room, at_ms: u64, input: Input) -> Refused {
    let before = room.clone();
    let refused = room.apply(at_ms, input).unwrap_err();
    assert_eq!(before, *room);
    refused
}

fn why(room: &mut Room, input: Input) -> Reason {
    refused(room, 10, input).reason
}

fn buy(quantity: &str) -> Ask {
    ask("a", Side::Buy, (Kind::Market, quantity))
}

#[test]
fn only_members_of_a_running_room_trade_in_it() {
    let mut room = running(free());
    room.apply(1, price("10", None)).unwrap();
    assert_eq!(why(&mut room, place("eve", buy("1"))), Reason::NotAMember);
    assert_eq!(why(&mut room, Input::Cancel { user: "eve".into(), order: 1 }), Reason::NotAMember);
    room.apply(2, Input::Leave { user: "bob".into() }).unwrap();
    assert_eq!(why(&mut room, place("bob", buy("1"))), Reason::NotAMember);
    let mut fresh = Room::new("room", free()).unwrap();
    assert_eq!(why(&mut fresh, place("ada", buy("1"))), Reason::RoomNotRunning);
    assert_eq!(why(&mut fresh, price("10", None)), Reason::RoomNotRunning);
    assert_eq!(why(&mut fresh, Input::End), Reason::RoomNotRunning);
    room.apply(3, Input::End).unwrap();
    assert_eq!(why(&mut room, place("ada", buy("1"))), Reason::RoomNotRunning);
}

#[test]
fn a_room_is_opened_joined_and_started_in_this_order_and_once() {
    let mut room = Room::new("room", Rules { max_members: 1, late_join: false, ..free() }).unwrap();
    assert_eq!(why(&mut room, join("ada")), Reason::RoomState);
    assert_eq!(why(&mut room, Input::Start), Reason::RoomState);
    room.apply(0, Input::Open).unwrap();
    assert_eq!(why(&mut room, Input::Open), Reason::RoomState);
    room.apply(0, join("ada")).unwrap();
    assert_eq!(why(&mut room, join("ada")), Reason::AlreadyAMember);
    assert_eq!(why(&mut room, join("bob")), Reason::RoomFull);
    room.apply(0, Input::Leave { user: "ada".into() }).unwrap();
    room.apply(0, join("bob")).unwrap();
    room.apply(0, Input::Start).unwrap();
    assert_eq!(why(&mut room, join("ada")), Reason::RoomState);
    assert_eq!(why(&mut room, Input::Start), Reason::RoomState);
}

#[test]
fn prices_and_sizes_are_whole_steps_within_bounds() {
    let mut room = running(free());
    assert_eq!(why(&mut room, place("ada", buy("1"))), Reason::NoPrice);
    room.apply(1, price("10", None)).unwrap();
    for quantity in ["0", "-1", "0.5", "51", "1.00000001"] {
        assert_eq!(why(&mut room, place("ada", buy(quantity))), Reason::BadSize, "{quantity}");
    }
    for limit in ["0", "-5", "9.99", "1000.05"] {
        let ask = Ask { kind: Kind::Limit, price: Some(dec(limit)), ..buy("1") };
        assert_eq!(why(&mut room, place("ada", ask)), Reason::BadTick, "{limit}");
        assert_eq!(why(&mut room, price(limit, None)), Reason::BadTick, "{limit}");
        let ask = Ask { kind: Kind::Stop, stop_price: Some(dec(limit)), ..buy("1") };
        assert_eq!(why(&mut room, place("ada", ask)), Reason::BadTick, "{limit}");
    }
    for (kind, price, stop_price) in [
        (Kind::Market, Some("10"), None),
        (Kind::Market, None, Some("10")),
        (Kind::Limit, None, None),
        (Kind::Limit, Some("10"), Some("10")),
        (Kind::Stop, Some("10"), None),
    ] {
        let ask = Ask { kind, price: price.map(dec), stop_price: stop_price.map(dec), ..buy("1") };
        assert_eq!(why(&mut room, place("ada", ask)), Reason::BadTick, "{kind:?}");
    }
    let unknown = Ask { symbol: "NONE".into(), ..buy("1") };
    assert_eq!(why(&mut room, place("ada", unknown)), Reason::UnknownSymbol);
    assert_eq!(why(&mut room, price("10", Some("-1"))), Reason::BadSize);
}

#[test]
fn nobody_spends_cash_or_sells_what_is_not_free() {
    let mut room = running(rules());
    room.apply(1, price("25", None)).unwrap();
    let refused = refused(&mut room, 2, place("ada", buy("40")));
    assert_eq!(refused.to_string(), "insufficient_cash: 1001.23 is needed, 1000 is free");
    room.apply(3, place("ada", Ask { kind: Kind::Limit, price: Some(dec("20")), ..buy("45") })).unwrap();
    let second = Ask { client_order_id: "b".into(), ..buy("4") };
    assert_eq!(why(&mut room, place("ada", second.clone())), Reason::InsufficientCash);
    room.apply(4, Input::Cancel { user: "ada".into(), order: 1 }).unwrap();
    room.apply(5, place("ada", second)).unwrap();
    let sell = |client: &str, quantity| ask(client, Side::Sell, (Kind::Market, quantity));
    assert_eq!(why(&mut room, place("ada", sell("c", "5"))), Reason::InsufficientPosition);
    let dear = Ask { kind: Kind::Limit, price: Some(dec("30")), ..sell("d", "3") };
    room.apply(6, place("ada", dear)).unwrap();
    assert_eq!(why(&mut room, place("ada", sell("e", "2"))), Reason::InsufficientPosition);
    room.apply(7, place("ada", sell("f", "1"))).unwrap();
}

#[test]
fn a_position_has_a_limit_that_counts_what_is_ordered() {
    let mut room = running(free());
    room.apply(1, price("0.05", None)).unwrap();
    let low = Ask { kind: Kind::Limit, price: Some(dec("0.05")), ..buy("50") };
    room.apply(2, price("1", None)).unwrap();
    room.apply(3, place("ada", low.clone())).unwrap();
    let next = Ask { client_order_id: "b".into(), quantity: dec("31"), ..low };
    assert_eq!(why(&mut room, place("ada", next.clone())), Reason::PositionLimit);
    room.apply(4, place("ada", Ask { quantity: dec("30"), ..next })).unwrap();
}

#[test]
fn an_order_is_cancelled_once_by_whose_it_is() {
    let mut room = running(free());
    room.apply(1, price("10", None)).unwrap();
    room.apply(2, place("ada", Ask { kind: Kind::Limit, price: Some(dec("9")), ..buy("1") })).unwrap();
    room.apply(3, place("ada", Ask { client_order_id: "b".into(), ..buy("1") })).unwrap();
    let cancel = |user: &str, order| Input::Cancel { user: user.into(), order };
    assert_eq!(why(&mut room, cancel("bob", 1)), Reason::UnknownOrder);
    assert_eq!(why(&mut room, cancel("ada", 0)), Reason::UnknownOrder);
    assert_eq!(why(&mut room, cancel("ada", u64::MAX)), Reason::UnknownOrder);
    assert_eq!(why(&mut room, cancel("ada", 2)), Reason::AlreadyFilled);
    room.apply(4, cancel("ada", 1)).unwrap();
    assert_eq!(why(&mut room, cancel("ada", 1)), Reason::AlreadyCancelled);
}

#[test]
fn an_id_of_a_client_is_used_once_in_a_room_and_names_its_order() {
    let mut room = running(free());
    room.apply(1, price("10", None)).unwrap();
    room.apply(2, place("ada", buy("1"))).unwrap();
    let again = refused(&mut room, 3, place("ada", buy("1")));
    assert_eq!((again.reason, again.order), (Reason::DuplicateClientOrderId, Some(1)));
    room.apply(4, place("bob", buy("1"))).unwrap();
}

#[test]
fn a_month_of_thirty_prices_a_second_fits_in_a_journal() {
    const MONTH: u64 = 30 * 31 * 86_400;
    let mut room = with_entries(&running(free()), MONTH);
    room.apply(1, price("10", None)).unwrap();
    room.apply(2, place("ada", buy("1"))).unwrap();
    let mut full = with_entries(&running(free()), ENTRIES_MOST);
    assert_eq!(why(&mut full, price("10", None)), Reason::RoomFull);
    full.apply(3, Input::End).unwrap();
}

#[test]
fn a_repeat_is_known_when_nobody_trades_any_more() {
    let mut room = running(free());
    room.apply(1, price("10", None)).unwrap();
    for user in ["ada", "bob"] {
        room.apply(2, place(user, buy("1"))).unwrap();
    }
    let is_known = |room: &mut Room, user: &str| {
        let again = refused(room, 9, place(user, buy("1")));
        assert_eq!((again.reason, again.order.is_some()), (Reason::DuplicateClientOrderId, true), "{user}");
    };
    let mut full = with_entries(&room, ENTRIES_MOST);
    is_known(&mut full, "ada");
    let new = Ask { client_order_id: "b".into(), ..buy("1") };
    assert_eq!(why(&mut full, place("ada", new.clone())), Reason::RoomFull);
    room.apply(3, Input::Leave { user: "bob".into() }).unwrap();
    is_known(&mut room, "bob");
    assert_eq!(why(&mut room, place("bob", new.clone())), Reason::NotAMember);
    room.apply(4, Input::End).unwrap();
    is_known(&mut room, "ada");
    is_known(&mut room, "bob");
    assert_eq!(why(&mut room, place("ada", new)), Reason::RoomNotRunning);
}

#[test]
fn orders_come_no_faster_than_the_room_takes_them() {
    let mut room = running(Rules { orders_per_second: 10, order_burst: 2, ..free() });
    room.apply(1, price("10", None)).unwrap();
    let order = |client: u32| place("ada", Ask { client_order_id: client.to_string(), ..buy("1") });
    for client in 0..2 {
        assert_eq!(room.budget("ada", 1_000), 2 - client);
        room.apply(1_000, order(client)).unwrap();
    }
    let refused = refused(&mut room, 1_000, order(2));
    assert_eq!((refused.reason, refused.retry_after_ms), (Reason::RateExceeded, Some(100)));
    assert!(room.apply(1_099, order(3)).is_err());
    room.apply(1_100, order(4)).unwrap();
    assert_eq!(room.budget("bob", 1_100), 2, "everybody has a budget of their own");
}

#[test]
fn a_member_has_so_many_open_orders_and_no_more() {
    let mut room = running(Rules { max_open_orders: 2, ..free() });
    let low = Ask { kind: Kind::Limit, price: Some(dec("1")), ..buy("1") };
    let order = |client: u32| place("ada", Ask { client_order_id: client.to_string(), ..low.clone() });
    room.apply(1, order(1)).unwrap();
    room.apply(2, order(2)).unwrap();
    assert_eq!(why(&mut room, order(3)), Reason::TooManyOrders);
    room.apply(3, Input::Cancel { user: "ada".into(), order: 1 }).unwrap();
    room.apply(4, order(3)).unwrap();
}

#[test]
fn a_refusal_of_a_room_is_one_of_the_wire_contract() {
    let refusal = Refusal::from(Refused::new(Reason::InsufficientCash, "5 is needed, 4 is free"));
    assert_eq!(
        (refusal.code, &*refusal.message),
        (Code::Conflict, "insufficient_cash: 5 is needed, 4 is free")
    );
    let reasons = [(Reason::NotAMember, 403), (Reason::UnknownSymbol, 404), (Reason::BadTick, 400)];
    for (reason, status) in
        reasons.into_iter().chain([(Reason::RateExceeded, 429), (Reason::AlreadyFilled, 409)])
    {
        assert_eq!(reason.code().status(), status);
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}

#[test]
fn rules_that_make_no_sense_are_not_a_room() {
    let wrong = |change: fn(&mut Rules), field: &str| {
        let mut rules = rules();
        change(&mut rules);
        let problem = Room::new("room", rules).unwrap_err();
        assert!(problem.contains(field), "{problem}");
    };
    wrong(|rules| rules.starting_cash = dec("0.5"), "startingCash");
    wrong(|rules| rules.starting_cash = dec("1000000001"), "startingCash");
    wrong(|rules| rules.fee_rate = dec("0.10000001"), "feeRate");
    wrong(|rules| rules.fee_rate = dec("-0.1"), "feeRate");
    wrong(|rules| rules.instruments.clear(), "instruments");
    wrong(|rules| rules.instruments = vec![instruments()[0].clone(); 2], "each symbol once");
    wrong(|rules| rules.max_members = 0, "maxMembers");
    wrong(|rules| rules.order_burst = 1_001, "orderBurst");
    wrong(|rules| rules.duration_ms = Some(999), "durationMs");
    wrong(|rules| rules.ranking.max_drawdown = Some(dec("1.1")), "maxDrawdown");
    wrong(|rules| rules.instruments[0].symbol = "acme".into(), "symbol");
    wrong(|rules| rules.instruments[0].tick_size = dec("0"), "tickSize");
    wrong(|rules| rules.instruments[1].tick_size = dec("0.01"), "digits together");
    wrong(|rules| rules.instruments[0].min_quantity = dec("0.5"), "minQuantity");
    wrong(|rules| rules.instruments[0].max_position = dec("49"), "maxPosition");
    wrong(|rules| rules.instruments[0].max_price = dec("0.01"), "maxPrice");
    wrong(|rules| rules.instruments[0].max_position = dec("1000000001"), "maxPrice times maxPosition");
}
