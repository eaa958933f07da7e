//! Rules and inputs: few members, instruments and prices, so that they meet, and some of everything that is wrong.

use proptest::prelude::*;
use tidings_trading::decimal::Dec;
use tidings_trading::instrument::Instrument;
use tidings_trading::journal::Input;
use tidings_trading::order::{Ask, Kind, Side};
use tidings_trading::rules::Rules;
use tidings_trading::standing::{Measure, Ranking};

pub(crate) fn dec(text: &str) -> Dec {
    text.parse().unwrap()
}

/// Coarse lots and fine ticks, and the other way round.
pub(crate) fn instruments() -> Vec<Instrument> {
    let one = |symbol: &str, steps: [&str; 6]| {
        let [tick_size, lot_size, min_quantity, max_quantity, max_position, max_price] = steps.map(dec);
        let symbol = symbol.to_owned();
        Instrument { symbol, tick_size, lot_size, min_quantity, max_quantity, max_position, max_price }
    };
    vec![
        one("ACME", ["0.05", "1", "1", "50", "80", "1000"]),
        one("BTC-EUR", ["0.5", "0.0000001", "0.0000003", "2", "3", "100000"]),
    ]
}

pub(crate) fn rules() -> Rules {
    Rules {
        starting_cash: dec("1000"),
        fee_rate: dec("0.00123"),
        instruments: instruments(),
        ranking: Ranking::default(),
        max_members: 5,
        max_open_orders: 6,
        orders_per_second: 7,
        order_burst: 9,
        late_join: true,
        duration_ms: None,
        speed: 1,
        snapshot_every_ms: None,
    }
}

pub(crate) fn ask(client: &str, side: Side, (kind, quantity): (Kind, &str)) -> Ask {
    let (client_order_id, symbol) = (client.to_owned(), "ACME".to_owned());
    Ask { client_order_id, symbol, side, kind, quantity: dec(quantity), price: None, stop_price: None }
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let measure = prop_oneof![Just(Measure::Absolute), Just(Measure::Roi), Just(Measure::TimeWeighted)];
    let cap = prop::option::of((0..200_000_000_i128).prop_map(|cap| Dec::units(cap / 2)));
    let fee = prop_oneof![Just("0"), Just("0.00123"), Just("0.1"), Just("0.00000001")];
    let ranking = (measure, cap, prop::option::of(0..4_u64));
    (fee, ranking, any::<bool>(), 1..12_u32, 2..7_u32).prop_map(
        |(fee, (measure, max_drawdown, min_trades), late_join, order_burst, max_open_orders)| {
            let ranking = Ranking { measure, max_drawdown, min_trades };
            Rules { fee_rate: dec(fee), ranking, late_join, order_burst, max_open_orders, ..rules() }
        },
    )
}

fn user() -> impl Strategy<Value = String> {
    // Few do most of it, or nobody would ever cancel an order of one's own twice.
    prop_oneof![5 => 0..2_u32, 2 => 0..6_u32].prop_map(|number| format!("user-{number}"))
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![3 => Just(Side::Buy), 2 => Just(Side::Sell)]
}

/// The instrument, and what of it is multiplied: ticks and lots.
fn symbol() -> impl Strategy<Value = (&'static str, i128, i128)> {
    prop_oneof![
        5 => Just(("ACME", 5_000_000, 100_000_000)),
        4 => Just(("BTC-EUR", 50_000_000 * 40, 10)),
        1 => Just(("NONE", 1, 1)),
    ]
}

/// Prices near one another; now and then none.
fn price(tick: i128) -> impl Strategy<Value = Dec> {
    prop_oneof![
        30 => (180..240_i128).prop_map(move |ticks| Dec::units(ticks * tick)),
        2 => (1..2_000_i128).prop_map(move |ticks| Dec::units(ticks * tick)),
        1 => Just(Dec::ZERO),
        1 => Just(dec("-3")),
        1 => Just(dec("10.00000001")),
        1 => Just(dec("999999999999")),
    ]
}

fn quantity(lot: i128) -> impl Strategy<Value = Dec> {
    prop_oneof![
        30 => (1..30_i128).prop_map(move |lots| Dec::units(lots * lot)),
        8 => (1..700_000_i128).prop_map(move |lots| Dec::units(lots * lot)),
        1 => Just(Dec::ZERO),
        1 => Just(dec("-1")),
        1 => Just(Dec::units(1)),
    ]
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let client = prop_oneof![9 => 0..100_000_u32, 1 => 0..3_u32];
    let kind = prop_oneof![2 => Just(Kind::Market), 2 => Just(Kind::Limit), 1 => Just(Kind::Stop)];
    symbol().prop_flat_map(move |(symbol, tick, lot)| {
        let prices = (price(tick), price(tick), 0..20_u8);
        (client.clone(), side(), kind.clone(), quantity(lot), prices).prop_map(
            move |(client, side, kind, quantity, (limit, stop, odd))| {
                // Mostly what goes with the kind; now and then the contrary.
                let priced = (kind == Kind::Limit || kind == Kind::Stop && odd % 2 == 0) != (odd == 0);
                let stopped = (kind == Kind::Stop) != (odd == 1);
                let (price, stop_price) = (priced.then_some(limit), stopped.then_some(stop));
                let (client_order_id, symbol) = (format!("c{client}"), symbol.to_owned());
                Ask { client_order_id, symbol, side, kind, quantity, price, stop_price }
            },
        )
    })
}

fn any_price() -> impl Strategy<Value = Input> {
    symbol().prop_flat_map(|(symbol, tick, lot)| {
        let volume = prop::option::weighted(0.7, prop_oneof![quantity(lot), Just(Dec::units(lot * 5 / 2))]);
        (price(tick), volume).prop_map(move |(price, volume)| Input::Price {
            symbol: symbol.into(),
            price,
            volume,
        })
    })
}

fn input() -> impl Strategy<Value = Input> {
    let name = |user: &str| format!("Name of {user}");
    prop_oneof![
        60 => (user(), any_ask()).prop_map(|(user, ask)| Input::Place { user, ask }),
        40 => any_price(),
        20 => (user(), 0..16_u64).prop_map(|(user, order)| Input::Cancel { user, order }),
        3 => (user(), prop::option::of(0..200_u64))
            .prop_map(|(user, after_ms)| Input::CancelAfter { user, after_ms }),
        3 => user().prop_map(|user| Input::CancelDue { user }),
        3 => user().prop_map(move |user| Input::Join { name: name(&user), user }),
        1 => user().prop_map(|user| Input::Leave { user }),
    ]
}

/// Rules, and what happens at which time: a room that opens, fills, and runs; it may be ended early.
pub(crate) fn histories(most: usize) -> impl Strategy<Value = (Rules, Vec<(u64, Input)>)> {
    let step = prop_oneof![3 => 0..40_u64, 1 => 0..900_u64];
    let later = prop::collection::vec((step, input()), 1..most);
    (any_rules(), later, any::<bool>(), 0..6_u32).prop_map(|(rules, later, ends, early)| {
        let join = |number| {
            let user = format!("user-{number}");
            Input::Join { name: format!("Name of {user}"), user }
        };
        let mut inputs = vec![(1, Input::Open)];
        inputs.extend((0..early).map(|number| (5 + u64::from(number), join(number))));
        inputs.push((20, Input::Start));
        let mut now = 20_u64;
        for (step, input) in later {
            // Now and then a clock goes back.
            now = if step == 39 { now.saturating_sub(5) } else { now + step };
            inputs.push((now, input));
        }
        if ends {
            inputs.extend([(now + 7, Input::End), (now + 9, Input::End)]);
        }
        (rules, inputs)
    })
}
