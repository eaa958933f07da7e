use std::collections::HashSet;

use super::*;
use crate::order::Kind;

/// The room of the demo without a server: who trades in it, price by price.
fn played(seed: u64) -> (Room, HashSet<String>) {
    let (tape, mut dice, mut traders) = (tape().unwrap(), Dice::new(seed), trader::all());
    let mut room = Room::new(ID, rules(&tape).unwrap()).unwrap();
    let mut refused = HashSet::new();
    let mut at_ms = 0;
    room.apply(at_ms, Input::Open).unwrap();
    for (user, name) in trader::PEOPLE {
        room.apply(at_ms, Input::Join { user: user.into(), name: name.into() }).unwrap();
    }
    room.apply(at_ms, Input::Start).unwrap();
    let mut given = 0;
    while given < tape.len() {
        at_ms += STEP_MS;
        let due = tape.due((given, RATE), at_ms, &room.rules().instruments.clone(), 200);
        given = due.until;
        for (_, _, input) in due.prices {
            room.apply(at_ms, input).unwrap();
        }
        let trader = &mut traders[dice.below(trader::PEOPLE.len() as u64) as usize];
        let seen = Seen::of(&room, trader.user).unwrap();
        let user = trader.user.to_owned();
        let input = match trader.wish(&seen, at_ms, &mut dice) {
            Some(Wish::Place(ask)) => Input::Place { user, ask },
            Some(Wish::Cancel(order)) => {
                Input::Cancel { user, order: crate::order::order_number(&order).unwrap() }
            }
            None => continue,
        };
        if let Err(no) = room.apply(at_ms, input) {
            refused.insert(no.reason.as_str().to_owned());
        }
    }
    (room, refused)
}

#[test]
fn a_round_of_the_demo_is_traded_from_the_first_price_to_the_last() {
    let (room, refused) = played(7);
    let filled = room.orders().iter().filter(|order| !order.remaining.is_positive()).count();
    assert!(filled > 200, "{filled} of {} were filled", room.orders().len());
    let kinds: HashSet<Kind> = room.orders().iter().map(|order| order.ask.kind).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    assert!(room.accounts().values().all(|account| account.trades > 5), "everybody trades");
    let values: HashSet<_> = room.standings().iter().map(|row| row.portfolio_value).collect();
    assert!(values.len() > 8, "they fare differently: {values:?}");
    // What cannot be had is refused now and then; what makes no sense is never asked for.
    let sensible = ["insufficient_cash", "insufficient_position", "position_limit", "no_price"];
    assert!(refused.iter().all(|reason| sensible.contains(&reason.as_str())), "{refused:?}");
}
