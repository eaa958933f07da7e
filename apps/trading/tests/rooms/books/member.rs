//! What a member has.

use std::collections::BTreeMap;

use super::order::Fill;
use super::{ONE, nearest, up};

/// A position, and what it is worth each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub(crate) quantity: i128,
    pub(crate) cost: i128,
    mark: i128,
}

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) came: usize,
    pub(crate) left: bool,
    pub(crate) cash: i128,
    /// Of that, what is kept for open orders.
    pub(crate) kept: i128,
    pub(crate) fees: i128,
    pub(crate) realised: i128,
    pub(crate) trades: u64,
    pub(crate) held: BTreeMap<String, Held>,
    pub(crate) drawdown: i128,
    peak: i128,
    /// Since when its time counts.
    since: u64,
    /// Equity times milliseconds up to a moment, and that moment.
    weighed: (i128, u64),
}

impl Member {
    pub(crate) fn new(name: &str, came: usize, cash: i128, now: u64) -> Self {
        let (name, held) = (name.to_owned(), BTreeMap::new());
        let (left, kept, fees, realised, trades, drawdown) = (false, 0, 0, 0, 0, 0);
        let (peak, since, weighed) = (cash, now, (0, now));
        Self { name, came, left, cash, kept, fees, realised, trades, held, drawdown, peak, since, weighed }
    }

    pub(crate) fn begin(&mut self, now: u64) {
        (self.since, self.weighed) = (now, (0, now));
    }

    pub(crate) fn equity(&self) -> i128 {
        self.cash + self.held.values().map(|held| held.quantity * held.mark / ONE).sum::<i128>()
    }

    /// Time has gone by with the equity as it is.
    pub(crate) fn weigh(&mut self, now: u64) {
        let (sum, since) = self.weighed;
        self.weighed = (sum + self.equity() * i128::from(now - since), now);
    }

    pub(crate) fn average(&self, now: u64) -> i128 {
        let (sum, since) = self.weighed;
        match now - self.since {
            0 => self.equity(),
            passed => nearest(sum + self.equity() * i128::from(now - since), i128::from(passed)),
        }
    }

    pub(crate) fn mark(&mut self, symbol: &str, price: i128, now: u64) {
        if self.held.contains_key(symbol) {
            self.weigh(now);
            self.held.entry(symbol.to_owned()).and_modify(|held| held.mark = price);
            self.look();
        }
    }

    fn look(&mut self) {
        let equity = self.equity();
        self.peak = self.peak.max(equity);
        self.drawdown = self.drawdown.max(up((self.peak - equity) * ONE, self.peak));
    }

    pub(crate) fn fill(&mut self, symbol: &str, buys: bool, fill: Fill, now: u64) {
        self.weigh(now);
        let amount = fill.amount();
        let held = self.held.entry(symbol.to_owned()).or_default();
        held.mark = fill.price;
        if buys {
            held.quantity += fill.quantity;
            held.cost += amount;
            self.cash -= amount;
        } else {
            let share = held.cost * fill.quantity / held.quantity;
            held.quantity -= fill.quantity;
            held.cost -= share;
            self.cash += amount;
            self.realised += amount - share;
        }
        if held.quantity == 0 {
            self.held.remove(symbol);
        }
        self.cash -= fill.fee;
        self.fees += fill.fee;
        self.realised -= fill.fee;
        self.look();
    }
}
