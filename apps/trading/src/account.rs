//! The account of a member: cash, positions, and how the value of both went.

use std::collections::{BTreeMap, BTreeSet};

use crate::bytes::{In, Out};
use crate::decimal::{Dec, Rounding};
use crate::order::Side;
use crate::pace::Pace;

/// A position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// How much.
    pub quantity: Dec,
    /// What was paid for it, without fees.
    pub cost: Dec,
    /// Profit from what was sold of it, less all of its fees.
    pub realised: Dec,
    /// The price it is valued at.
    pub mark: Dec,
}

impl Holding {
    /// What one of it cost, rounded to the nearest.
    pub fn average_price(&self) -> Dec {
        self.cost.share(Dec::ONE, self.quantity, Rounding::Nearest)
    }

    /// What it is worth.
    pub fn worth(&self) -> Dec {
        // Exact, as the instrument's steps have at most eight digits together.
        self.quantity.times(self.mark, Rounding::Down)
    }

    /// The profit there would be if it were sold at the mark, without the fee.
    pub fn unrealised(&self) -> Dec {
        self.worth() - self.cost
    }
}

/// What an account comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Portfolio {
    /// Cash, with what is reserved.
    pub cash: Dec,
    /// Cash and what positions are worth.
    pub equity: Dec,
    /// Profit from what was sold, less all fees.
    pub realised: Dec,
    /// The profit there would be if everything were sold at its mark.
    pub unrealised: Dec,
}

/// A fill, as an account sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Which way.
    pub side: Side,
    /// How much.
    pub quantity: Dec,
    /// At which price.
    pub price: Dec,
    /// Both multiplied.
    pub amount: Dec,
    /// The fee.
    pub fee: Dec,
}

/// The account of a member. `cash + worth of positions = starting cash + realised + unrealised`, always and
/// exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// By which name.
    pub name: String,
    /// How many joined before.
    pub joined: u64,
    /// Whether the member has left while the room ran.
    pub left: bool,
    /// Cash, with what is reserved.
    pub cash: Dec,
    /// Cash that is kept for open orders.
    pub reserved: Dec,
    /// Profit from what was sold, less all fees.
    pub realised: Dec,
    /// All fees.
    pub fees: Dec,
    /// Orders of which something was filled.
    pub trades: u64,
    /// Cash and what positions are worth.
    pub equity: Dec,
    /// The most that it ever was.
    pub peak: Dec,
    /// The largest part of a peak that was ever lost, rounded up.
    pub drawdown: Dec,
    /// Positions, by the instrument's place.
    pub holdings: BTreeMap<usize, Holding>,
    /// Open orders, by number.
    pub open: BTreeSet<u64>,
    /// Orders by the client's own id.
    pub clients: BTreeMap<String, u64>,
    /// How fast orders come.
    pub pace: Pace,
    /// When open orders are cancelled, unless the member puts it off before; in milliseconds of the room's time.
    pub cancel_ms: Option<u64>,
    /// What was told of it, counted; by that its digests come.
    pub told: u64,
    /// Equity times milliseconds, from the start to `seen_ms`.
    weighted: i128,
    start_ms: u64,
    seen_ms: u64,
}

impl Account {
    /// An account with nothing but cash.
    pub fn new(name: &str, joined: u64, cash: Dec, at_ms: u64) -> Self {
        Self {
            name: name.to_owned(),
            joined,
            left: false,
            cash,
            reserved: Dec::ZERO,
            realised: Dec::ZERO,
            fees: Dec::ZERO,
            trades: 0,
            equity: cash,
            peak: cash,
            drawdown: Dec::ZERO,
            holdings: BTreeMap::new(),
            open: BTreeSet::new(),
            clients: BTreeMap::new(),
            pace: Pace::default(),
            cancel_ms: None,
            told: 0,
            weighted: 0,
            start_ms: at_ms,
            seen_ms: at_ms,
        }
    }

    /// Cash that is not kept for anything.
    pub fn free(&self) -> Dec {
        self.cash - self.reserved
    }

    /// The profit there would be if everything were sold at its mark.
    pub fn unrealised(&self) -> Dec {
        self.holdings.values().map(Holding::unrealised).sum()
    }

    /// What it comes to.
    pub fn portfolio(&self) -> Portfolio {
        let (cash, equity, realised) = (self.cash, self.equity, self.realised);
        Portfolio { cash, equity, realised, unrealised: self.unrealised() }
    }

    /// How much of an instrument it has.
    pub fn quantity(&self, market: usize) -> Dec {
        self.holdings.get(&market).map_or(Dec::ZERO, |holding| holding.quantity)
    }

    /// Time counts from here.
    pub fn begin(&mut self, at_ms: u64) {
        self.weighted = 0;
        (self.start_ms, self.seen_ms) = (at_ms, at_ms);
    }

    /// Time has gone by with the equity as it is.
    pub fn weigh(&mut self, at_ms: u64) {
        self.weighted = self.weighted.saturating_add(self.since_seen(at_ms));
        self.seen_ms = self.seen_ms.max(at_ms);
    }

    /// The equity of an average millisecond up to a moment.
    pub fn average_equity(&self, at_ms: u64) -> Dec {
        let at_ms = at_ms.max(self.seen_ms);
        let passed = at_ms.saturating_sub(self.start_ms);
        if passed == 0 {
            return self.equity;
        }
        Dec::average(self.weighted.saturating_add(self.since_seen(at_ms)), passed, Rounding::Nearest)
    }

    /// Equity times the milliseconds since it changed last.
    fn since_seen(&self, at_ms: u64) -> i128 {
        self.equity.as_units().saturating_mul(i128::from(at_ms.saturating_sub(self.seen_ms)))
    }

    /// A position is worth another price.
    pub fn mark(&mut self, market: usize, price: Dec, at_ms: u64) {
        let Some(holding) = self.holdings.get_mut(&market) else { return };
        let before = holding.worth();
        holding.mark = price;
        let by = holding.worth() - before;
        self.change_equity(by, at_ms);
    }

    /// Takes a fill in. What is realised includes the fee; the position's own share of it is kept beside it
    /// until it is closed, when it is answered.
    pub fn fill(&mut self, market: usize, fill: Fill, at_ms: u64) -> Option<Dec> {
        let holding = self.holdings.entry(market).or_default();
        let worth = holding.worth();
        holding.mark = fill.price;
        let gain = match fill.side {
            Side::Buy => {
                holding.quantity += fill.quantity;
                holding.cost += fill.amount;
                self.cash -= fill.amount;
                Dec::ZERO
            }
            Side::Sell => {
                // Rounded down, so that the rest carries the difference; the last part has what is left.
                let share = holding.cost.share(fill.quantity, holding.quantity, Rounding::Down);
                holding.quantity -= fill.quantity;
                holding.cost -= share;
                self.cash += fill.amount;
                fill.amount - share
            }
        };
        self.cash -= fill.fee;
        self.fees += fill.fee;
        self.realised += gain - fill.fee;
        holding.realised += gain - fill.fee;
        let traded = if fill.side == Side::Buy { fill.amount } else { -fill.amount };
        let by = holding.worth() - worth - traded - fill.fee;
        let closed = (holding.quantity == Dec::ZERO).then_some(holding.realised);
        if closed.is_some() {
            self.holdings.remove(&market);
        }
        self.change_equity(by, at_ms);
        closed
    }

    fn change_equity(&mut self, by: Dec, at_ms: u64) {
        self.weigh(at_ms);
        self.equity += by;
        self.peak = self.peak.max(self.equity);
        let lost = (self.peak - self.equity).share(Dec::ONE, self.peak, Rounding::Up);
        self.drawdown = self.drawdown.max(lost);
    }
    /// Writes it into an image of its room. What the room's orders say of it is not written twice.
    pub(crate) fn write(&self, out: &mut Out) {
        let Self {
            name,
            joined,
            left,
            cash,
            reserved,
            realised,
            fees,
            trades,
            equity,
            peak,
            drawdown,
            holdings,
            open: _,
            clients: _,
            pace,
            cancel_ms,
            told,
            weighted,
            start_ms,
            seen_ms,
        } = self;
        out.text(name);
        out.number(*joined);
        out.flag(*left);
        [cash, reserved, realised, fees, equity, peak, drawdown].into_iter().for_each(|dec| out.dec(*dec));
        out.count(holdings.len());
        for (market, Holding { quantity, cost, realised, mark }) in holdings {
            out.count(*market);
            [quantity, cost, realised, mark].into_iter().for_each(|dec| out.dec(*dec));
        }
        out.perhaps(*cancel_ms, Out::number);
        out.signed(*weighted);
        [*trades, pace.full_at, *told, *start_ms, *seen_ms].into_iter().for_each(|number| out.number(number));
    }

    /// Reads it from an image, without its orders.
    pub(crate) fn read(from: &mut In<'_>) -> Option<Self> {
        let (name, joined, left) = (from.text()?.to_owned(), from.number()?, from.flag()?);
        let (cash, reserved, realised, fees) = (from.dec()?, from.dec()?, from.dec()?, from.dec()?);
        let (equity, peak, drawdown) = (from.dec()?, from.dec()?, from.dec()?);
        let mut holdings = BTreeMap::new();
        for _ in 0..from.count()? {
            let market = from.place()?;
            let (quantity, cost) = (from.dec()?, from.dec()?);
            let holding = Holding { quantity, cost, realised: from.dec()?, mark: from.dec()? };
            holdings.insert(market, holding);
        }
        let (cancel_ms, weighted) = (from.perhaps(In::number)?, from.signed()?);
        let (trades, full_at, told) = (from.number()?, from.number()?, from.number()?);
        Some(Self {
            name,
            joined,
            left,
            cash,
            reserved,
            realised,
            fees,
            trades,
            equity,
            peak,
            drawdown,
            holdings,
            open: BTreeSet::new(),
            clients: BTreeMap::new(),
            pace: Pace { full_at },
            cancel_ms,
            told,
            weighted,
            start_ms: from.number()?,
            seen_ms: from.number()?,
        })
    }
}
