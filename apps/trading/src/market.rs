//! The market of one instrument: its price, the volume that is left at it, and the orders that wait.

use std::collections::BTreeSet;

use crate::decimal::Dec;
use crate::order::{Order, Side};

/// A price and what is left of the volume that came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// The price.
    pub price: Dec,
    /// What buyers may still take at it; `None`: as much as they like.
    pub to_buy: Option<Dec>,
    /// What sellers may still give at it.
    pub to_sell: Option<Dec>,
}

impl Quote {
    /// A price that has just come. Each side has all of the volume: members trade with the market, not with
    /// one another.
    pub fn new(price: Dec, volume: Option<Dec>) -> Self {
        Self { price, to_buy: volume, to_sell: volume }
    }

    /// What is left for a side.
    pub fn left(&self, side: Side) -> Option<Dec> {
        match side {
            Side::Buy => self.to_buy,
            Side::Sell => self.to_sell,
        }
    }

    /// Takes from what is left for a side.
    fn take(&mut self, side: Side, quantity: Dec) {
        let left = match side {
            Side::Buy => &mut self.to_buy,
            Side::Sell => &mut self.to_sell,
        };
        if let Some(left) = left {
            *left -= quantity;
        }
    }
}

/// Orders of one side that wait. What is first in each set is first in turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Queue {
    /// Those for any price, by number.
    any: BTreeSet<u64>,
    /// Those with a limit, the best first, of equal ones the older.
    limits: BTreeSet<(Dec, u64)>,
    /// Those that sleep, by the price that wakes them.
    stops: BTreeSet<(Dec, u64)>,
}

/// How a price stands in a side's order: what is better to be filled at is less.
fn eager(side: Side, price: Dec) -> Dec {
    match side {
        // A buyer who pays more comes first, a seller who takes less.
        Side::Buy => -price,
        Side::Sell => price,
    }
}

/// The market of one instrument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Market {
    /// The newest price, if there was one.
    pub quote: Option<Quote>,
    /// Who has a position in it.
    pub holders: BTreeSet<String>,
    buys: Queue,
    sells: Queue,
}

impl Market {
    /// The newest price.
    pub fn price(&self) -> Option<Dec> {
        self.quote.map(|quote| quote.price)
    }

    fn queue(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }

    /// Puts an order where it waits.
    pub fn add(&mut self, order: &Order) {
        let (side, number) = (order.ask.side, order.number);
        let queue = self.queue(side);
        match (order.sleeps, order.ask.stop_price, order.limit()) {
            // A sell is woken by a price that falls, a buy by one that rises: the other way round than filled.
            (true, Some(stop), _) => drop(queue.stops.insert((-eager(side, stop), number))),
            (_, _, Some(limit)) => drop(queue.limits.insert((eager(side, limit), number))),
            _ => drop(queue.any.insert(number)),
        }
    }

    /// Takes an order away from where it waits.
    pub fn remove(&mut self, order: &Order) {
        let (side, number) = (order.ask.side, order.number);
        let queue = self.queue(side);
        match (order.sleeps, order.ask.stop_price, order.limit()) {
            (true, Some(stop), _) => drop(queue.stops.remove(&(-eager(side, stop), number))),
            (_, _, Some(limit)) => drop(queue.limits.remove(&(eager(side, limit), number))),
            _ => drop(queue.any.remove(&number)),
        }
    }

    /// The next order that the price wakes.
    pub fn woken(&mut self, side: Side) -> Option<u64> {
        let price = self.price()?;
        let (stop, number) = self.queue(side).stops.first().copied()?;
        (stop <= -eager(side, price)).then_some(number)
    }

    /// The order whose turn it is at the price, if there is any: those for any price first.
    pub fn next(&mut self, side: Side) -> Option<u64> {
        let price = self.price()?;
        let queue = self.queue(side);
        if let Some(number) = queue.any.first() {
            return Some(*number);
        }
        let (limit, number) = queue.limits.first().copied()?;
        (limit <= eager(side, price)).then_some(number)
    }

    /// How much of `wanted` there is volume for.
    pub fn there_is(&self, side: Side, wanted: Dec) -> Dec {
        self.quote.map_or(Dec::ZERO, |quote| quote.left(side).map_or(wanted, |left| left.min(wanted)))
    }

    /// Takes volume away.
    pub fn take(&mut self, side: Side, quantity: Dec) {
        if let Some(quote) = &mut self.quote {
            quote.take(side, quantity);
        }
    }
}
