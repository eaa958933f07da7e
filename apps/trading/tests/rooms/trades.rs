//! Trading by example, each a fact with its numbers.

use tidings_trading::decimal::Dec;
use tidings_trading::journal::Input;
use tidings_trading::order::{Ask, Kind, Side, Status};
use tidings_trading::refused::Reason;
use tidings_trading::room::{Applied, Room, Told};
use tidings_trading::rules::Rules;
use tidings_trading::standing::{Measure, Ranking, moved};

use super::asks::{ask, dec, rules};

pub(crate) fn join(user: &str) -> Input {
    Input::Join { user: user.into(), name: user.to_uppercase() }
}

pub(crate) fn price(price: &str, volume: Option<&str>) -> Input {
    Input::Price { symbol: "ACME".into(), price: dec(price), volume: volume.map(dec) }
}

pub(crate) fn place(user: &str, ask: Ask) -> Input {
    Input::Place { user: user.into(), ask }
}

/// A room that runs, with `ada` and `bob`, without fees.
pub(crate) fn running(rules: Rules) -> Room {
    let mut room = Room::new("room", rules).unwrap();
    for input in [Input::Open, join("ada"), join("bob"), Input::Start] {
        room.apply(0, input).unwrap();
    }
    room
}

pub(crate) fn free() -> Rules {
    Rules { fee_rate: Dec::ZERO, ..rules() }
}

fn at(room: &mut Room, at_ms: u64, input: Input) -> Applied {
    room.apply(at_ms, input).unwrap()
}

fn limit(client: &str, side: Side, quantity: &str, limit: &str) -> Ask {
    Ask { price: Some(dec(limit)), ..ask(client, side, (Kind::Limit, quantity)) }
}

fn stop(client: &str, side: Side, quantity: &str, stop: &str) -> Ask {
    Ask { stop_price: Some(dec(stop)), ..ask(client, side, (Kind::Stop, quantity)) }
}

fn market(client: &str, side: Side, quantity: &str) -> Ask {
    ask(client, side, (Kind::Market, quantity))
}

/// Order, quantity and price of each fill that was told.
fn fills(applied: &Applied) -> Vec<(u64, String, String)> {
    let fill = |told: &Told| match told {
        Told::Executed(fill) => Some((fill.order, fill.quantity.to_string(), fill.price.to_string())),
        _ => None,
    };
    applied.told.iter().filter_map(fill).collect()
}

fn names(applied: &Applied) -> Vec<String> {
    let name = |told: &Told| format!("{told:?}").split([' ', '(']).next().unwrap().to_owned();
    applied.told.iter().map(name).collect()
}

#[test]
fn a_market_order_is_filled_at_once_as_far_as_there_is_volume_and_then_as_it_comes() {
    let mut room = running(free());
    at(&mut room, 1, price("10", Some("4")));
    let placed = at(&mut room, 2, place("ada", market("a", Side::Buy, "10")));
    assert_eq!(fills(&placed), [(1, "4".into(), "10".into())]);
    assert_eq!(names(&placed), ["Executed", "Position", "Placed", "Portfolio"]);
    let more = at(&mut room, 3, price("11", Some("5.9")));
    assert_eq!(fills(&more), [(1, "5".into(), "11".into())], "less than a lot is not traded");
    let last = at(&mut room, 4, price("9", None));
    assert_eq!(fills(&last), [(1, "1".into(), "9".into())]);
    let account = room.member("ada").unwrap();
    assert_eq!((account.cash, account.reserved), (dec("896"), Dec::ZERO));
    assert_eq!(account.holdings[&0].average_price(), dec("10.4"));
    assert_eq!((account.unrealised(), account.equity), (dec("-14"), dec("986")));
    assert_eq!(account.trades, 1, "however many pieces an order is filled in, it is one");
}

#[test]
fn a_limit_order_is_filled_at_its_price_or_a_better_one() {
    let mut room = running(free());
    at(&mut room, 1, price("10", None));
    assert_eq!(fills(&at(&mut room, 2, place("ada", limit("a", Side::Buy, "5", "9.5")))), []);
    assert_eq!(room.member("ada").unwrap().free(), dec("952.5"));
    assert_eq!(fills(&at(&mut room, 3, price("9.55", None))), []);
    assert_eq!(fills(&at(&mut room, 4, price("9", None))), [(1, "5".into(), "9".into())]);
    assert_eq!(room.member("ada").unwrap().free(), dec("955"), "what was not needed is free again");
    assert_eq!(fills(&at(&mut room, 5, place("ada", limit("b", Side::Sell, "5", "12")))), []);
    let sold = at(&mut room, 6, price("13", None));
    assert_eq!(fills(&sold), [(2, "5".into(), "13".into())]);
    assert!(sold.told.contains(&Told::Closed {
        user: "ada".into(),
        symbol: "ACME".into(),
        realised: dec("20")
    }));
}

#[test]
fn a_stop_order_sleeps_until_its_price_is_reached() {
    let mut room = running(free());
    at(&mut room, 1, price("10", None));
    at(&mut room, 2, place("ada", market("a", Side::Buy, "5")));
    assert_eq!(fills(&at(&mut room, 3, place("ada", stop("b", Side::Sell, "5", "8")))), []);
    assert_eq!(fills(&at(&mut room, 4, price("8.05", None))), []);
    assert_eq!(fills(&at(&mut room, 5, price("7", None))), [(2, "5".into(), "7".into())]);
    assert_eq!(fills(&at(&mut room, 6, place("bob", stop("c", Side::Buy, "2", "9")))), []);
    assert_eq!(fills(&at(&mut room, 7, price("9", None))), [(3, "2".into(), "9".into())]);
    let reached = place("bob", stop("d", Side::Buy, "2", "8.5"));
    assert_eq!(fills(&at(&mut room, 8, reached)), [(4, "2".into(), "9".into())], "it was reached before");
}

#[test]
fn a_stop_order_with_a_price_wakes_as_a_limit_order() {
    let mut room = running(free());
    at(&mut room, 1, price("10", None));
    let ask = Ask { price: Some(dec("12")), ..stop("a", Side::Buy, "2", "11") };
    at(&mut room, 2, place("ada", ask));
    assert_eq!(fills(&at(&mut room, 3, price("13", None))), [], "awake, but it is too dear");
    assert_eq!(fills(&at(&mut room, 4, price("10", None))), [(1, "2".into(), "10".into())]);
}

#[test]
fn scarce_volume_goes_to_the_better_price_and_then_to_the_older_order() {
    let mut room = running(free());
    at(&mut room, 1, price("20", None));
    at(&mut room, 2, place("ada", limit("a", Side::Buy, "3", "10")));
    at(&mut room, 3, place("bob", limit("b", Side::Buy, "3", "11")));
    at(&mut room, 4, place("bob", limit("c", Side::Buy, "3", "10")));
    let filled = at(&mut room, 5, price("9", Some("7")));
    let expected = [(2, "3".into(), "9".into()), (1, "3".into(), "9".into()), (3, "1".into(), "9".into())];
    assert_eq!(fills(&filled), expected);
}

#[test]
fn buyers_and_sellers_do_not_take_volume_from_each_other() {
    let mut room = running(free());
    at(&mut room, 1, price("10", Some("5")));
    at(&mut room, 2, place("ada", market("a", Side::Buy, "5")));
    let sold = at(&mut room, 3, place("ada", market("b", Side::Sell, "5")));
    assert_eq!(fills(&sold), [(2, "5".into(), "10".into())]);
}

#[test]
fn a_market_order_that_cannot_be_paid_any_more_fails_and_says_so() {
    let mut room = running(free());
    at(&mut room, 1, price("19", Some("30")));
    at(&mut room, 2, place("ada", market("a", Side::Buy, "50")));
    let failed = at(&mut room, 3, price("100", None));
    assert_eq!(names(&failed), ["Marked", "Failed", "Cancelled", "Portfolio"]);
    let order = room.order(1).unwrap();
    assert_eq!((order.status, order.filled()), (Status::Failed, dec("30")), "what was filled stays");
    assert_eq!(room.member("ada").unwrap().free(), dec("430"));
}

#[test]
fn the_fee_of_an_order_is_the_same_in_however_many_pieces_it_is_filled() {
    let mut whole = running(Rules { fee_rate: dec("0.00000001"), ..rules() });
    at(&mut whole, 1, price("3.05", None));
    at(&mut whole, 2, place("ada", market("a", Side::Buy, "7")));
    let mut pieces = running(Rules { fee_rate: dec("0.00000001"), ..rules() });
    at(&mut pieces, 1, price("3.05", Some("1")));
    at(&mut pieces, 2, place("ada", market("a", Side::Buy, "7")));
    for _ in 0..6 {
        at(&mut pieces, 3, price("3.05", Some("1")));
    }
    let (whole, pieces) = (whole.member("ada").unwrap(), pieces.member("ada").unwrap());
    assert_eq!(whole.fees, dec("0.00000022"), "a part of 21.35, rounded up");
    assert_eq!((whole.fees, whole.cash), (pieces.fees, pieces.cash));
}

#[test]
fn fees_are_a_loss_when_they_are_paid() {
    let mut room = running(Rules { fee_rate: dec("0.01"), ..rules() });
    at(&mut room, 1, price("10", None));
    at(&mut room, 2, place("ada", market("a", Side::Buy, "10")));
    let account = room.member("ada").unwrap();
    assert_eq!((account.realised, account.unrealised(), account.equity), (dec("-1"), Dec::ZERO, dec("999")));
    let closed = at(&mut room, 3, place("ada", market("b", Side::Sell, "10")));
    assert!(closed.told.contains(&Told::Closed {
        user: "ada".into(),
        symbol: "ACME".into(),
        realised: dec("-2")
    }));
}

#[test]
fn what_is_sold_of_a_position_takes_its_share_of_the_cost_and_the_last_part_takes_the_rest() {
    let mut room = running(free());
    at(&mut room, 1, price("0.05", None));
    at(&mut room, 2, place("ada", market("a", Side::Buy, "2")));
    at(&mut room, 3, price("0.1", None));
    at(&mut room, 4, place("ada", market("b", Side::Buy, "1")));
    at(&mut room, 5, place("ada", market("c", Side::Sell, "1")));
    let holding = room.member("ada").unwrap().holdings[&0];
    assert_eq!((holding.cost, holding.realised), (dec("0.13333334"), dec("0.03333334")));
    at(&mut room, 6, place("ada", market("d", Side::Sell, "2")));
    assert_eq!(room.member("ada").unwrap().realised, dec("0.1"), "0.3 was got for what cost 0.2");
}

#[test]
fn a_room_ends_at_a_place_of_its_journal() {
    let mut room = running(free());
    at(&mut room, 1, price("10", None));
    at(&mut room, 2, place("ada", limit("a", Side::Buy, "5", "9")));
    let ended = at(&mut room, 3, Input::End);
    assert_eq!(names(&ended), ["State", "Cancelled", "Portfolio"]);
    let then = (room.standings(), room.seq(), room.digest());
    assert!(room.apply(9, price("5", None)).is_err());
    assert!(room.apply(9, place("ada", market("b", Side::Buy, "1"))).is_err());
    assert_eq!((room.standings(), room.seq(), room.digest()), then);
}

/// `ada` gains a tenth at once and keeps it, `bob` gains a fifth at the very end, having lost a half between.
fn race(ranking: Ranking) -> Vec<String> {
    let mut room = running(Rules { ranking, ..free() });
    at(&mut room, 0, price("10", None));
    at(&mut room, 0, place("ada", market("a", Side::Buy, "50")));
    at(&mut room, 0, price("12", None));
    at(&mut room, 0, place("ada", market("b", Side::Sell, "50")));
    at(&mut room, 0, place("bob", market("c", Side::Buy, "50")));
    at(&mut room, 0, price("2", None));
    at(&mut room, 900, price("16", None));
    at(&mut room, 1_000, Input::End);
    room.standings()
        .into_iter()
        .map(|row| format!("{} {} {}", row.user_id, row.value, row.qualified))
        .collect()
}

#[test]
fn members_are_ranked_by_the_rule_of_the_room() {
    let by = |measure| Ranking { measure, ..Ranking::default() };
    assert_eq!(race(by(Measure::Absolute)), ["bob 200 true", "ada 100 true"]);
    assert_eq!(race(by(Measure::Roi)), ["bob 0.2 true", "ada 0.1 true"]);
    // Nine tenths of the time at half of it, one tenth at a fifth more.
    assert_eq!(race(by(Measure::TimeWeighted)), ["ada 0.1 true", "bob -0.43 true"]);
    let capped = Ranking { max_drawdown: Some(dec("0.4999")), ..Ranking::default() };
    assert_eq!(race(capped), ["ada 0.1 true", "bob 0.2 false"]);
    let exactly = Ranking { max_drawdown: Some(dec("0.5")), ..Ranking::default() };
    assert_eq!(race(exactly), ["bob 0.2 true", "ada 0.1 true"]);
    let busy = Ranking { min_trades: Some(2), ..Ranking::default() };
    assert_eq!(race(busy), ["ada 0.1 true", "bob 0.2 false"]);
}

#[test]
fn ties_go_to_who_lost_less_of_a_peak_and_then_to_who_joined_first() {
    let mut room = Room::new("room", free()).unwrap();
    for input in [Input::Open, join("zoe"), join("ada"), join("bob"), Input::Start, price("10", None)] {
        at(&mut room, 0, input);
    }
    at(&mut room, 1, place("zoe", market("a", Side::Buy, "1")));
    at(&mut room, 2, price("9", None));
    at(&mut room, 3, price("10", None));
    let order: Vec<String> = room.standings().into_iter().map(|row| row.user_id).collect();
    assert_eq!(order, ["ada", "bob", "zoe"]);
}

#[test]
fn who_moves_is_told_from_where_to_where() {
    let mut room = running(free());
    at(&mut room, 0, price("10", None));
    let before = room.standings();
    at(&mut room, 1, place("bob", market("a", Side::Buy, "1")));
    at(&mut room, 2, price("11", None));
    let steps = moved(&before, &room.standings());
    let steps: Vec<_> = steps.iter().map(|it| (it.user_id.as_str(), it.old_rank, it.new_rank)).collect();
    assert_eq!(steps, [("bob", Some(2), 1), ("ada", Some(1), 2)]);
    assert_eq!(moved(&[], &before).len(), 2);
}

#[test]
fn who_leaves_a_running_room_has_no_place_and_no_open_orders() {
    let mut room = running(free());
    at(&mut room, 1, price("10", None));
    at(&mut room, 2, place("ada", limit("a", Side::Buy, "5", "9")));
    let left = at(&mut room, 3, Input::Leave { user: "ada".into() });
    assert_eq!(names(&left), ["Cancelled", "Left"]);
    assert_eq!(room.standings().len(), 1);
    assert!(room.member("ada").is_err() && room.apply(4, join("ada")).is_err());
}

#[test]
fn time_never_goes_back() {
    let mut room = running(free());
    assert_eq!(at(&mut room, 50, price("10", None)).entry.at_ms, 50);
    assert_eq!(at(&mut room, 20, price("11", None)).entry.at_ms, 50);
}

#[test]
fn the_largest_room_there_may_be_counts_without_loss() {
    use tidings_trading::instrument::Instrument;
    use tidings_trading::rules::STARTING_CASH_MOST;
    let instrument = Instrument {
        symbol: "ACME".into(),
        tick_size: dec("0.00000001"),
        lot_size: dec("1"),
        min_quantity: dec("1"),
        max_quantity: dec("100000000"),
        max_position: dec("100000000"),
        max_price: dec("10000"),
    };
    let starting_cash = STARTING_CASH_MOST;
    let mut room = running(Rules { starting_cash, instruments: vec![instrument], ..free() });
    at(&mut room, 0, price("0.00000001", None));
    at(&mut room, 0, place("ada", market("a", Side::Buy, "100000000")));
    at(&mut room, 0, price("10000", None));
    let century = tidings_trading::rules::DURATION_MOST_MS;
    at(&mut room, century, place("ada", market("b", Side::Sell, "33333333")));
    at(&mut room, century, place("ada", market("c", Side::Sell, "66666667")));
    let account = room.member("ada").unwrap();
    let (worth, paid) = (dec("1000000000000"), dec("1"));
    assert_eq!(account.cash, starting_cash + worth - paid);
    assert_eq!((account.realised, account.equity), (worth - paid, account.cash));
    assert_eq!(account.average_equity(century), account.cash, "it stood there for all of the time");
}

#[test]
fn a_price_that_meets_more_orders_than_one_entry_fills_goes_on_in_the_next() {
    let mut room = Room::new("room", Rules { max_members: 500, ..free() }).unwrap();
    at(&mut room, 0, Input::Open);
    let users: Vec<String> = (0..450).map(|number| format!("user-{number:03}")).collect();
    for user in &users {
        at(&mut room, 0, join(user));
    }
    at(&mut room, 0, Input::Start);
    for user in &users {
        at(&mut room, 0, place(user, limit("a", Side::Buy, "1", "10")));
    }
    let go_on = || Input::GoOn { symbol: "ACME".into() };
    assert_eq!(room.apply(1, go_on()).unwrap_err().reason, Reason::RoomState);
    let met = at(&mut room, 1, price("9", Some("440")));
    assert_eq!((fills(&met).len(), room.unfinished()), (200, Some("ACME")));
    assert!(met.told.len() <= 1 + 4 * 200, "what is told fits in a transaction");
    assert_eq!(room.apply(2, price("20", None)).unwrap_err().reason, Reason::RoomBusy);
    // Whoever comes in between comes behind those who were there.
    at(&mut room, 2, Input::Cancel { user: "user-449".into(), order: 450 });
    assert_eq!(fills(&at(&mut room, 2, go_on())).len(), 200);
    let last = at(&mut room, 3, go_on());
    assert_eq!((fills(&last).len(), room.unfinished()), (40, None), "there is no more volume");
    assert!(room.orders().iter().take(440).all(|order| order.status == Status::Filled));
    at(&mut room, 4, price("20", None));
    let ended = at(&mut room, 5, Input::End);
    assert_eq!(names(&ended)[..2], ["State", "Cancelled"], "the end is told before what it ends");
}

#[test]
fn whoever_does_not_put_it_off_has_no_open_orders_when_it_is_due() {
    let mut room = running(free());
    let after = |after_ms| Input::CancelAfter { user: "ada".into(), after_ms };
    let due = || Input::CancelDue { user: "ada".into() };
    at(&mut room, 0, place("ada", limit("a", Side::Buy, "1", "10")));
    assert_eq!(room.apply(0, due()).unwrap_err().reason, Reason::RoomState, "nobody asked for it");
    at(&mut room, 0, after(Some(1_000)));
    at(&mut room, 900, after(Some(1_000)));
    assert_eq!((room.next_cancel_ms(), room.cancels_due(1_899).count()), (Some(1_900), 0));
    assert_eq!(room.apply(1_899, due()).unwrap_err().reason, Reason::RoomState, "it was put off");
    assert_eq!(room.cancels_due(1_900).collect::<Vec<_>>(), ["ada"]);
    assert_eq!(names(&at(&mut room, 1_900, due())), ["Cancelled", "Portfolio"]);
    assert_eq!((room.next_cancel_ms(), room.order(1).unwrap().status), (None, Status::Cancelled));
    at(&mut room, 2_000, after(Some(1_000)));
    at(&mut room, 2_000, after(None));
    assert!(room.apply(9_000, due()).is_err(), "it was laid down");
}

#[test]
fn the_profit_of_the_largest_positions_is_exact() {
    let mut rules = Rules { starting_cash: dec("1000000000"), ..free() };
    let one = &mut rules.instruments[0];
    let most = dec("9999999999999");
    (one.tick_size, one.max_price) = (dec("0.0001"), dec("0.1"));
    (one.max_quantity, one.max_position) = (most, most);
    let mut room = running(rules);
    let steps = [
        ("a", Side::Buy, "0.0001"),
        ("b", Side::Sell, "0.0002"),
        ("c", Side::Buy, "0.0002"),
        ("d", Side::Sell, "0.0002"),
    ];
    for (at_ms, (client, side, at)) in (1..).zip(steps) {
        room.apply(at_ms, price(at, None)).unwrap();
        room.apply(at_ms, place("ada", market(client, side, "9999999999999"))).unwrap();
        let account = room.member("ada").unwrap();
        let worth = room.rules().starting_cash + account.realised + account.unrealised();
        assert_eq!(account.equity, worth, "behind {client}");
    }
    let account = room.member("ada").unwrap();
    assert_eq!((account.realised, account.cash), (dec("999999999.9999"), dec("1999999999.9999")));
}
