//! Those who trade in the demo, each by a simple rule.

use std::collections::HashMap;

use tidings_app::Dice;

use crate::decimal::Dec;
use crate::order::{Ask, Kind, Side, order_id};
use crate::room::Room;

/// Who they are.
pub(super) const PEOPLE: [(&str, &str); 12] = [
    ("t01", "Aiko Bakker"),
    ("t02", "Bruna Ito"),
    ("t03", "Caio Fischer"),
    ("t04", "Darya Novak"),
    ("t05", "Emil Hansen"),
    ("t06", "Farah Costa"),
    ("t07", "Goran Silva"),
    ("t08", "Hana Moreau"),
    ("t09", "Jonas Varga"),
    ("t10", "Katya Rossi"),
    ("t11", "Luca Tanaka"),
    ("t12", "Noor Jensen"),
];

/// Open orders of one of them at most; the oldest is cancelled then.
const OPEN_MOST: usize = 6;
/// What somebody does not spend on one order is free cash divided by this.
const PARTS: i128 = 6;

/// By which rule somebody trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Buys what rises, sells what falls.
    Trend,
    /// The other way round.
    Contrary,
    /// Waits with limits a little below and above the price.
    Patient,
    /// Buys, and has a stop below it.
    Careful,
}

/// Somebody who trades.
#[derive(Debug, Clone)]
pub(super) struct Trader {
    /// The user.
    pub(super) user: &'static str,
    rule: Rule,
    /// What each instrument cost when it was last looked at.
    before: HashMap<String, Dec>,
    placed: u64,
}

/// All of them, who know nothing yet.
pub(super) fn all() -> Vec<Trader> {
    let rules = [Rule::Trend, Rule::Contrary, Rule::Patient, Rule::Careful].into_iter().cycle();
    let trader = |((user, _), rule)| Trader { user, rule, before: HashMap::new(), placed: 0 };
    PEOPLE.into_iter().zip(rules).map(trader).collect()
}

/// What somebody sees.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What is traded, at which price, and how much of it is held.
    pub(super) prices: Vec<(String, Dec, Dec)>,
    /// Cash that is free.
    pub(super) free: Dec,
    /// Open orders, the oldest first.
    pub(super) open: Vec<u64>,
}

impl Seen {
    /// What a member sees; nothing for others.
    pub(super) fn of(room: &Room, user: &str) -> Option<Self> {
        let account = room.member(user).ok()?;
        let of = |at: usize| {
            let held = account.holdings.get(&at).map(|held| held.quantity).unwrap_or_default();
            Some((room.instrument(at)?.symbol.clone(), room.price_of(at)?, held))
        };
        let prices = (0..room.rules().instruments.len()).filter_map(of).collect();
        let open = account.open.iter().copied().collect();
        Some(Self { prices, free: account.cash - account.reserved, open })
    }
}

/// What somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To place an order.
    Place(Ask),
    /// To cancel one.
    Cancel(String),
}

impl Trader {
    /// What somebody wants now, if anything. `now_ms` is in the order's id, which is used once.
    pub(super) fn wish(&mut self, seen: &Seen, now_ms: u64, dice: &mut Dice) -> Option<Wish> {
        if seen.open.len() >= OPEN_MOST {
            return seen.open.first().map(|number| Wish::Cancel(order_id(*number)));
        }
        let (symbol, price, held) = seen.prices.get(dice.below(seen.prices.len() as u64) as usize)?;
        let before = self.before.insert(symbol.clone(), *price);
        let rises = before.is_some_and(|before| *price > before);
        let falls = before.is_some_and(|before| *price < before);
        let buys = affordable(seen.free, *price, dice);
        let market = |side| (side, Kind::Market, None, None);
        let (side, kind, limit, stop) = match self.rule {
            Rule::Trend if rises => market(Side::Buy),
            Rule::Trend if falls => market(Side::Sell),
            Rule::Contrary if falls => market(Side::Buy),
            Rule::Contrary if rises => market(Side::Sell),
            Rule::Patient if held.is_positive() && dice.below(2) == 0 => {
                (Side::Sell, Kind::Limit, Some(percent(*price, 103)), None)
            }
            Rule::Patient => (Side::Buy, Kind::Limit, Some(percent(*price, 97)), None),
            Rule::Careful if held.is_positive() => (Side::Sell, Kind::Stop, None, Some(percent(*price, 92))),
            Rule::Careful => market(Side::Buy),
            Rule::Trend | Rule::Contrary => return None,
        };
        let quantity =
            if side == Side::Buy { buys } else { (*held).min(Dec::whole(2_000)).floor_to(Dec::ONE) };
        if !quantity.is_positive() {
            return None;
        }
        self.placed += 1;
        let client_order_id = format!("{now_ms:x}-{}", self.placed);
        let symbol = symbol.clone();
        Some(Wish::Place(Ask {
            client_order_id,
            symbol,
            side,
            kind,
            quantity,
            price: limit,
            stop_price: stop,
        }))
    }
}

/// Whole shares for a part of the free cash.
fn affordable(free: Dec, price: Dec, dice: &mut Dice) -> Dec {
    let part = free.as_units() / PARTS / i128::from(1 + dice.below(3));
    let shares = part.checked_div(price.as_units()).unwrap_or(0).clamp(0, 2_000);
    Dec::whole(i64::try_from(shares).unwrap_or(0))
}

/// So many hundredths of a price, in cents.
fn percent(price: Dec, hundredths: i128) -> Dec {
    Dec::units(price.as_units() * hundredths / 100).floor_to(Dec::units(1_000_000))
}
