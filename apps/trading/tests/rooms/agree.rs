//! The room and the model agree after every input, whatever comes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tidings_trading::decimal::Dec;
use tidings_trading::journal::{Hash, Input};
use tidings_trading::order::Side;
use tidings_trading::room::{Room, Told};
use tidings_trading::rules::Rules;

use super::asks::histories;
use super::naive::{Held, Naive};

/// What a client knows who does nothing but listen: cash and quantities.
#[derive(Debug, Default)]
struct Listener {
    cash: BTreeMap<String, Dec>,
    quantities: BTreeMap<(String, String), Dec>,
}

impl Listener {
    fn hear(&mut self, told: &[Told]) {
        for told in told {
            match told {
                Told::Portfolio { user, portfolio } => drop(self.cash.insert(user.clone(), portfolio.cash)),
                Told::Position { user, symbol, holding } => {
                    self.quantities.insert((user.clone(), symbol.clone()), holding.quantity);
                }
                Told::Closed { user, symbol, .. } => {
                    self.quantities.remove(&(user.clone(), symbol.clone())).unwrap();
                }
                Told::Digest { user, digest } => {
                    assert_eq!(self.digest(user), *digest, "{user} is not in step");
                }
                _ => {}
            }
        }
    }

    fn digest(&self, user: &str) -> Hash {
        let own = self.quantities.iter().filter(|((whose, _), _)| whose == user);
        let own = own.map(|((_, symbol), quantity)| (symbol.as_str(), *quantity));
        tidings_trading::digest::of_account(user, self.cash[user], own)
    }

    fn knows(&self, room: &Room) {
        for user in room.accounts().keys().filter(|user| room.member(user).is_ok()) {
            assert_eq!(self.digest(user), room.account_digest(user).unwrap(), "{user} is not in step");
        }
    }
}

fn accounts_agree(room: &Room, naive: &Naive) {
    assert_eq!(room.state(), naive.state);
    assert!(room.accounts().keys().eq(naive.members.keys()));
    assert_eq!(room.members(), naive.members.values().filter(|member| !member.left).count() as u64);
    for (user, account) in room.accounts() {
        let member = &naive.members[user];
        assert_eq!(account.cash.as_units(), naive.cash(user), "cash of {user}");
        assert_eq!(account.reserved.as_units(), naive.kept(user), "kept cash of {user}");
        assert_eq!(account.equity.as_units(), naive.equity(user), "equity of {user}");
        assert_eq!(account.peak.as_units(), member.peak, "peak of {user}");
        assert_eq!(account.drawdown.as_units(), member.drawdown, "drawdown of {user}");
        assert_eq!(account.trades, naive.trades(user), "trades of {user}");
        assert_eq!(room.budget(user, 0), naive.budget(user), "budget of {user}");
        assert!(account.free() >= Dec::ZERO, "{user} has spent what is kept");
        let held = naive.held(user);
        let gained: i128 = held.values().map(|held| held.gained).sum();
        assert_eq!(account.realised.as_units(), gained, "realised of {user}");
        // Nothing comes from nowhere: what one has is what one began with and what one gained.
        let worth = room.rules().starting_cash + account.realised + account.unrealised();
        assert_eq!(account.equity, worth, "balance of {user}");
        let held: Vec<(String, Held)> = held.into_iter().filter(|(_, held)| held.quantity > 0).collect();
        assert_eq!(account.holdings.len(), held.len(), "positions of {user}");
        for (symbol, expected) in held {
            let place = room.rules().instruments.iter().position(|it| it.symbol == symbol).unwrap();
            let holding = account.holdings[&place];
            assert_eq!(
                (holding.quantity.as_units(), holding.cost.as_units()),
                (expected.quantity, expected.cost)
            );
            assert!(holding.quantity <= room.rules().instruments[place].max_position);
        }
    }
}

fn orders_agree(room: &Room, naive: &Naive) {
    assert_eq!(room.orders().len(), naive.orders.len());
    for (order, expected) in room.orders().iter().zip(&naive.orders) {
        let (status, remaining) = (order.status, order.remaining.as_units());
        assert_eq!((status, remaining), (expected.status, expected.remaining()), "{order:?}");
        assert_eq!(order.fees.as_units(), expected.fees(), "{order:?}");
        let account = &room.accounts().get(&order.user);
        assert!(account.is_none_or(|account| account.open.contains(&order.number)
            == (status == expected.status && status == tidings_trading::order::Status::Open)));
    }
}

fn standings_agree(room: &Room, naive: &Naive) {
    let shown = room.standings();
    assert!(shown.iter().zip(1..).all(|(row, rank)| row.rank == rank));
    let shown: Vec<(String, i128)> =
        shown.into_iter().map(|row| (row.user_id, row.value.as_units())).collect();
    assert_eq!(shown, naive.standings());
}

/// What was told of fills is what was filled: never at a worse price than the limit.
fn fills_are_fair(room: &Room, told: &[Told]) {
    for told in told {
        let Told::Executed(fill) = told else { continue };
        let limit = room.order(fill.order).unwrap().limit();
        let better = |limit| if fill.side == Side::Buy { fill.price <= limit } else { fill.price >= limit };
        assert!(limit.is_none_or(better), "{fill:?} is worse than its limit");
        assert!(fill.quantity.is_positive() && fill.fee >= Dec::ZERO);
    }
}

pub(crate) fn play(rules: &Rules, inputs: &[(u64, Input)]) -> Room {
    let (mut room, mut naive) = (Room::new("room", rules.clone()).unwrap(), Naive::new(rules.clone()));
    let mut listener = Listener::default();
    for (at_ms, input) in inputs {
        let before = room.clone();
        let done = room.apply(*at_ms, input.clone());
        let expected = naive.apply(*at_ms, input);
        match &done {
            Ok(applied) => {
                fills_are_fair(&room, &applied.told);
                listener.hear(&applied.told);
            }
            Err(_) => assert_eq!(before, room, "what is refused changes nothing"),
        }
        let done = done.map(drop).map_err(|refused| refused.reason);
        assert_eq!(done, expected, "{input:?}");
        accounts_agree(&room, &naive);
        orders_agree(&room, &naive);
        standings_agree(&room, &naive);
        listener.knows(&room);
    }
    room
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_room_and_the_model_agree_after_every_input((rules, inputs) in histories(120)) {
        play(&rules, &inputs);
    }
}

#[test]
fn the_histories_meet_every_refusal_and_every_event() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
    for _ in 0..150 {
        let (rules, inputs) = histories(120).new_tree(&mut runner).unwrap().current();
        let mut room = Room::new("room", rules).unwrap();
        for (at_ms, input) in inputs {
            match room.apply(at_ms, input) {
                Ok(applied) => met.extend(applied.told.iter().map(|told| {
                    let text = format!("{told:?}");
                    text.split([' ', '(']).next().unwrap().to_owned()
                })),
                Err(refused) => drop(met.insert(refused.reason.as_str().to_owned())),
            }
        }
        let partly = |order: &tidings_trading::order::Order| {
            order.filled().is_positive() && order.remaining.is_positive()
        };
        met.extend(room.orders().iter().any(partly).then(|| "partly".to_owned()));
        let sleeper = |order: &tidings_trading::order::Order| order.ask.stop_price.is_some() && !order.sleeps;
        met.extend(room.orders().iter().any(sleeper).then(|| "woken".to_owned()));
    }
    let refusals = "not_a_member already_a_member room_not_running room_state room_full unknown_symbol no_price bad_tick \
                    bad_size insufficient_cash insufficient_position position_limit too_many_orders rate_exceeded \
                    duplicate_client_order_id unknown_order already_cancelled already_filled";
    let told = "State Joined Left Executed Cancelled Failed Position Closed Portfolio Placed Digest Marked partly woken";
    let missing: Vec<&str> = refusals
        .split(' ')
        .chain(told.split(' '))
        .filter(|name| !name.is_empty() && !met.contains(*name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "met: {met:?}");
}
