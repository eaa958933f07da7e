//! What has to hold of every history: nothing comes from nowhere, nothing is traded that is not there, nobody is passed
//! over; and whoever keeps the books from the export alone comes to the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidings_trading::decimal::{Dec, Rounding};
use tidings_trading::export;
use tidings_trading::journal::{Entry, Input};
use tidings_trading::order::{Order, Side, Status};
use tidings_trading::room::{Applied, Executed, Room, Told};
use tidings_trading::rules::Rules;

use super::asks::{ask, dec, histories};
use super::books::{Books, decimal};
use super::trades::{free, join, place, price};

/// A room, step by step: what it was before each input that was taken, the input, and what came of it.
fn steps(rules: &Rules, inputs: &[(u64, Input)], mut each: impl FnMut(&Room, &Room, &Applied)) -> Room {
    let mut room = Room::new("room", rules.clone()).unwrap();
    for (at_ms, input) in inputs {
        let before = room.clone();
        if let Ok(applied) = room.apply(*at_ms, input.clone()) {
            each(&before, &room, &applied);
        }
    }
    room
}

/// The lines of a room's export.
fn exported(rules: &Rules, entries: &[Entry], room: &Room) -> Vec<String> {
    let mut again = Room::new("room", rules.clone()).unwrap();
    let mut lines = vec![export::head("room", rules)];
    for entry in entries {
        again.replay(entry).unwrap();
        lines.push(export::line(entry, again.chain()));
    }
    lines.push(export::end(room));
    lines
}

fn fills(applied: &Applied) -> impl Iterator<Item = &Executed> {
    applied.told.iter().filter_map(|told| match told {
        Told::Executed(fill) => Some(fill),
        _ => None,
    })
}

/// The books of a history that is ended, beside the room.
fn books_agree(rules: &Rules, mut inputs: Vec<(u64, Input)>) {
    inputs.push((u64::MAX >> 20, Input::End));
    let mut entries = Vec::new();
    let room = steps(rules, &inputs, |_, _, applied| entries.push(applied.entry.clone()));
    let lines = exported(rules, &entries, &room);
    let (books, end) = Books::of(lines.iter().map(String::as_str));
    assert_eq!(books.entries, room.seq());
    assert_eq!(books.standings(), end["standings"]);
    assert!(books.members.keys().eq(room.accounts().keys()));
    for (user, account) in room.accounts() {
        let member = &books.members[user];
        let shown = |numbers: [i128; 4]| numbers.map(decimal);
        let known = shown([member.cash, member.kept, member.realised, member.fees]);
        let ours = [account.cash, account.reserved, account.realised, account.fees];
        assert_eq!(known, ours.map(|number| number.to_string()), "{user}");
        let held: Vec<_> = account.holdings.iter().map(|(at, held)| (symbol(rules, *at), *held)).collect();
        assert_eq!(member.held.len(), held.len());
        for (symbol, held) in held {
            let known = &member.held[symbol];
            assert_eq!(
                (known.quantity, known.cost),
                (held.quantity.as_units(), held.cost.as_units()),
                "{user} {symbol}"
            );
        }
    }
    for (order, known) in room.orders().iter().zip(&books.orders) {
        assert_eq!((&order.user, &order.ask.client_order_id), (&known.user, &known.client));
        let (left, fees) = (order.remaining.as_units(), order.fees.as_units());
        assert_eq!((left, fees), (known.remaining(), known.fees()), "{order:?}");
        assert_eq!(format!("{:?}", order.status).to_lowercase(), known.status);
    }
}

fn symbol(rules: &Rules, at: usize) -> &str {
    &rules.instruments[at].symbol
}

/// How much of an instrument may be traded by one side between two prices, and how much was.
#[derive(Default)]
struct Volumes(BTreeMap<(String, Side), (Option<Dec>, Dec)>);

impl Volumes {
    fn take(&mut self, applied: &Applied) {
        if let Input::Price { symbol, volume, .. } = &applied.entry.input {
            for side in [Side::Buy, Side::Sell] {
                self.0.insert((symbol.clone(), side), (*volume, Dec::ZERO));
            }
        }
        for fill in fills(applied) {
            let (most, traded) = self.0.get_mut(&(fill.symbol.clone(), fill.side)).unwrap();
            *traded += fill.quantity;
            assert!(most.is_none_or(|most| *traded <= most), "{traded:?} of {most:?} was traded");
        }
    }
}

/// Whether an order waits at a price that would fill it.
fn waits(order: &Order, price: Dec) -> bool {
    let reached = |limit: Dec| if order.ask.side == Side::Buy { limit >= price } else { limit <= price };
    order.status == Status::Open && !order.sleeps && order.limit().is_none_or(reached)
}

/// What is traded first: any price, then the better one, of equal ones the older order.
fn turn(order: &Order) -> (Option<Dec>, u64) {
    let worst = |limit: Dec| if order.ask.side == Side::Buy { -limit } else { limit };
    (order.limit().map(worst), order.number)
}

/// Nobody who was filled had anybody before them who waits still.
fn nobody_is_passed_over(room: &Room, applied: &Applied) {
    for fill in fills(applied) {
        let filled = room.order(fill.order).unwrap();
        let mut others = room.orders().iter().filter(|other| {
            other.market == filled.market && other.ask.side == filled.ask.side && waits(other, fill.price)
        });
        assert!(others.all(|other| turn(filled) <= turn(other)), "{fill:?} came before its turn");
    }
}

/// What is kept of an account's cash is what its open orders keep.
fn is_kept_for_open_orders(room: &Room) {
    for (user, account) in room.accounts() {
        let own = room.orders().iter().filter(|order| order.user == *user);
        let kept: Dec = own.clone().map(|order| order.reserved).sum();
        assert_eq!(account.reserved, kept, "{user}");
        let closed = own.filter(|order| order.status != Status::Open);
        assert!(closed.map(|order| order.reserved).all(|kept| kept == Dec::ZERO));
    }
}

/// A cancellation frees what the order kept, and moves nothing else.
fn frees_what_it_kept(before: &Room, room: &Room, applied: &Applied) {
    let Input::Cancel { user, order } = &applied.entry.input else { return };
    let kept = before.order(*order).unwrap().reserved;
    let (had, has) = (&before.accounts()[user], &room.accounts()[user]);
    assert_eq!(has.free(), had.free() + kept);
    assert_eq!((has.cash, &has.holdings, has.equity), (had.cash, &had.holdings, had.equity));
    assert!(
        before.accounts().iter().all(|(other, account)| other == user || room.accounts()[other] == *account)
    );
}

/// All money there is: what the members had to begin with, what the market paid and got, less fees.
#[derive(Default)]
struct Money {
    paid: Dec,
}

impl Money {
    fn balances(&mut self, room: &Room, applied: &Applied) {
        for fill in fills(applied) {
            let amount = fill.price.times(fill.quantity, Rounding::Down);
            self.paid += if fill.side == Side::Buy { amount } else { -amount } + fill.fee;
        }
        let cash: Dec = room.accounts().values().map(|account| account.cash).sum();
        let began = room.accounts().values().map(|_| room.rules().starting_cash).sum::<Dec>();
        assert_eq!(cash + self.paid, began);
        for (user, account) in room.accounts() {
            let worth: Dec = account.holdings.values().map(|held| held.worth()).sum();
            assert_eq!(
                account.cash + worth,
                room.rules().starting_cash + account.realised + account.unrealised()
            );
            assert_eq!(account.equity, account.cash + worth, "{user}");
            assert!(account.free() >= Dec::ZERO);
            assert!(account.holdings.values().all(|held| held.quantity.is_positive()));
        }
    }
}

/// An order's fee is that of all it traded, rounded up once.
fn fees_are_rounded_once(room: &Room) {
    for order in room.orders() {
        assert_eq!(order.fees, order.amount.times(room.rules().fee_rate, Rounding::Up), "{order:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whoever_keeps_the_books_from_the_export_comes_to_what_the_room_says((rules, inputs) in histories(120)) {
        books_agree(&rules, inputs);
    }

    #[test]
    fn after_every_entry_nothing_has_come_from_nowhere_and_nobody_was_passed_over((rules, inputs) in histories(120)) {
        let (mut volumes, mut money) = (Volumes::default(), Money::default());
        steps(&rules, &inputs, |before, room, applied| {
            volumes.take(applied);
            // A member who leaves before the start takes the cash along, as if never there.
            money.balances(room, applied);
            nobody_is_passed_over(room, applied);
            is_kept_for_open_orders(room);
            frees_what_it_kept(before, room, applied);
            fees_are_rounded_once(room);
        });
    }

    #[test]
    fn a_journal_that_is_replayed_has_the_same_links_and_tells_the_same((rules, inputs) in histories(80)) {
        let (mut again, mut state) = (Room::new("room", rules.clone()).unwrap(), None);
        steps(&rules, &inputs, |_, room, applied| {
            assert_eq!(again.replay(&applied.entry).as_ref(), Ok(&applied.told));
            assert_eq!(again.chain(), room.chain());
            state = Some(room.clone());
        });
        prop_assert!(state.is_none_or(|room| room == again));
    }
}

#[test]
fn the_books_know_that_an_entry_fills_no_more_than_two_hundred_orders() {
    let rules = Rules { max_members: 500, ..free() };
    let users: Vec<String> = (0..450).map(|number| format!("user-{number:03}")).collect();
    let limit = |user: &String| {
        let order = ask("a", Side::Buy, (tidings_trading::order::Kind::Limit, "1"));
        (2, place(user, tidings_trading::order::Ask { price: Some(dec("10")), ..order }))
    };
    let go_on = || Input::GoOn { symbol: "ACME".into() };
    let mut inputs = vec![(0, Input::Open)];
    inputs.extend(users.iter().map(|user| (1, join(user))));
    inputs.push((1, Input::Start));
    inputs.extend(users.iter().map(limit));
    inputs
        .extend([(3, price("9", Some("440"))), (4, Input::Cancel { user: users[300].clone(), order: 301 })]);
    inputs.extend([(5, go_on()), (6, go_on()), (7, price("12", None))]);
    books_agree(&rules, inputs);
}

/// The control: books that are kept of another room do not agree with this one.
#[test]
#[should_panic(expected = "assertion")]
fn books_of_a_journal_that_lacks_an_entry_are_found_out() {
    let inputs = [(0, Input::Open), (0, join("ada")), (0, Input::Start), (1, price("10", None))];
    let mut entries = Vec::new();
    let room = steps(&free(), &inputs, |_, _, applied| entries.push(applied.entry.clone()));
    let mut lines = exported(&free(), &entries, &room);
    lines.remove(2);
    Books::of(lines.iter().map(String::as_str));
}
