//! A room as one would write it in an hour: a list of members, a list of orders with their fills, and sums over them.
//! It counts in hundred-millionths, as plain numbers, and shares no code with the room.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tidings_trading::decimal::Dec;
use tidings_trading::journal::Input;
use tidings_trading::order::{Kind, Side, Status};
use tidings_trading::refused::Reason;
use tidings_trading::room::State;
use tidings_trading::rules::Rules;
use tidings_trading::standing::Measure;

const ONE: i128 = 100_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Fill {
    pub(crate) quantity: i128,
    pub(crate) price: i128,
    pub(crate) fee: i128,
    /// Which one of all fills it is.
    pub(crate) turn: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) user: String,
    pub(crate) client: String,
    pub(crate) symbol: String,
    pub(crate) side: Side,
    pub(crate) quantity: i128,
    pub(crate) limit: Option<i128>,
    pub(crate) stop: Option<i128>,
    pub(crate) status: Status,
    pub(crate) fills: Vec<Fill>,
    /// What is kept for it.
    pub(crate) kept: i128,
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) place: usize,
    pub(crate) left: bool,
    pub(crate) peak: i128,
    pub(crate) drawdown: i128,
    /// Moments, and the equity from each on.
    values: Vec<(u64, i128)>,
    /// Microseconds that are in the bucket, and when that was.
    bucket: (u64, u64),
}

#[derive(Debug, Clone)]
struct Quote {
    price: i128,
    left: BTreeMap<Side, Option<i128>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Held {
    pub(crate) quantity: i128,
    pub(crate) cost: i128,
    pub(crate) gained: i128,
}

pub(crate) struct Naive {
    rules: Rules,
    pub(crate) state: State,
    now: u64,
    quotes: BTreeMap<String, Quote>,
    pub(crate) members: BTreeMap<String, Member>,
    came: usize,
    pub(crate) orders: Vec<Order>,
    turns: usize,
    /// When whose orders are to be cancelled.
    switches: BTreeMap<String, Option<u64>>,
}

fn units(number: Dec) -> i128 {
    number.as_units()
}

fn up(number: i128, by: i128) -> i128 {
    (number + by - 1).div_euclid(by)
}

/// To the nearest, halves to the even one.
fn nearest(number: i128, by: i128) -> i128 {
    let down = number.div_euclid(by);
    match (2 * number.rem_euclid(by)).cmp(&by) {
        std::cmp::Ordering::Less => down,
        std::cmp::Ordering::Greater => down + 1,
        std::cmp::Ordering::Equal => down + down.rem_euclid(2),
    }
}

impl Order {
    pub(crate) fn remaining(&self) -> i128 {
        self.quantity - self.fills.iter().map(|fill| fill.quantity).sum::<i128>()
    }

    fn amount(&self) -> i128 {
        self.fills.iter().map(|fill| fill.quantity * fill.price / ONE).sum()
    }

    pub(crate) fn fees(&self) -> i128 {
        self.fills.iter().map(|fill| fill.fee).sum()
    }

    fn is_open(&self) -> bool {
        self.status == Status::Open
    }
}

impl Naive {
    pub(crate) fn new(rules: Rules) -> Self {
        let (quotes, members, orders) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let switches = BTreeMap::new();
        Self { rules, state: State::Draft, now: 0, quotes, members, came: 0, orders, turns: 0, switches }
    }

    pub(crate) fn apply(&mut self, at: u64, input: &Input) -> Result<(), Reason> {
        let now = at.max(self.now);
        let before = self.now;
        self.now = now;
        let done = match input {
            Input::Open => self.goes(State::Draft, State::Open, Reason::RoomState),
            Input::Join { user, .. } => self.join(user),
            Input::Leave { user } => self.leave(user),
            Input::Start => self.start(),
            Input::Price { symbol, price, volume } => self.price(symbol, units(*price), volume.map(units)),
            Input::Place { user, ask } => self.place(user, ask),
            Input::Cancel { user, order } => self.cancel(user, *order),
            Input::CancelAfter { user, after_ms } => self.is_running(user).map(|()| {
                self.switches.insert(user.clone(), after_ms.map(|ms| now + ms));
            }),
            Input::CancelDue { user } => self.is_running(user).and_then(|()| {
                let at = self.switches.get(user).copied().flatten().filter(|at| *at <= now);
                at.ok_or(Reason::RoomState)?;
                self.switches.remove(user);
                self.close(|order| order.user == *user);
                Ok(())
            }),
            // There are never so many orders here that a price is not done with them at once.
            Input::GoOn { .. } => Err(Reason::RoomState),
            Input::End => self.end(),
        };
        if done.is_err() {
            self.now = before;
        }
        done
    }

    fn goes(&mut self, from: State, to: State, reason: Reason) -> Result<(), Reason> {
        if self.state != from {
            return Err(reason);
        }
        self.state = to;
        Ok(())
    }

    fn join(&mut self, user: &str) -> Result<(), Reason> {
        let late = self.state == State::Running && self.rules.late_join;
        if self.state != State::Open && !late {
            return Err(Reason::RoomState);
        }
        if self.members.contains_key(user) {
            return Err(Reason::AlreadyAMember);
        }
        if self.members.len() == self.rules.max_members as usize {
            return Err(Reason::RoomFull);
        }
        let cash = units(self.rules.starting_cash);
        let full = u64::from(self.rules.order_burst) * self.each();
        let values = vec![(self.now, cash)];
        let bucket = (full, self.now);
        let member = Member { place: self.came, left: false, peak: cash, drawdown: 0, values, bucket };
        self.members.insert(user.to_owned(), member);
        self.came += 1;
        Ok(())
    }

    fn is_running(&self, user: &str) -> Result<(), Reason> {
        if self.state != State::Running {
            return Err(Reason::RoomNotRunning);
        }
        self.is_member(user)
    }

    fn each(&self) -> u64 {
        1_000_000 / u64::from(self.rules.orders_per_second)
    }

    fn is_member(&self, user: &str) -> Result<(), Reason> {
        let is_in = self.members.get(user).is_some_and(|member| !member.left);
        is_in.then_some(()).ok_or(Reason::NotAMember)
    }

    fn leave(&mut self, user: &str) -> Result<(), Reason> {
        match self.state {
            State::Draft | State::Ended => return Err(Reason::RoomState),
            State::Open => {
                self.is_member(user)?;
                self.members.remove(user);
            }
            State::Running => {
                self.is_member(user)?;
                self.members.get_mut(user).unwrap().left = true;
                self.close(|order| order.user == user);
            }
        }
        Ok(())
    }

    fn close(&mut self, which: impl Fn(&Order) -> bool) {
        for order in self.orders.iter_mut().filter(|order| order.is_open() && which(order)) {
            order.status = Status::Cancelled;
        }
    }

    fn start(&mut self) -> Result<(), Reason> {
        self.goes(State::Open, State::Running, Reason::RoomState)?;
        let now = self.now;
        self.members.values_mut().for_each(|member| member.values = vec![(now, member.peak)]);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Reason> {
        self.goes(State::Running, State::Ended, Reason::RoomNotRunning)?;
        self.close(|_| true);
        Ok(())
    }

    /// The fills of a member, in the order in which they happened.
    fn fills(&self, user: &str) -> Vec<(&Order, &Fill)> {
        let own = self.orders.iter().filter(|order| order.user == user);
        let mut fills: Vec<_> =
            own.flat_map(|order| order.fills.iter().map(move |fill| (order, fill))).collect();
        fills.sort_by_key(|(_, fill)| fill.turn);
        fills
    }

    pub(crate) fn cash(&self, user: &str) -> i128 {
        let change = |(order, fill): &(&Order, &Fill)| {
            let amount = fill.quantity * fill.price / ONE;
            (if order.side == Side::Buy { -amount } else { amount }) - fill.fee
        };
        units(self.rules.starting_cash) + self.fills(user).iter().map(change).sum::<i128>()
    }

    pub(crate) fn held(&self, user: &str) -> BTreeMap<String, Held> {
        let mut held: BTreeMap<String, Held> = BTreeMap::new();
        for (order, fill) in self.fills(user) {
            let one = held.entry(order.symbol.clone()).or_default();
            let amount = fill.quantity * fill.price / ONE;
            one.gained -= fill.fee;
            if order.side == Side::Buy {
                one.quantity += fill.quantity;
                one.cost += amount;
            } else {
                let share = one.cost * fill.quantity / one.quantity;
                one.quantity -= fill.quantity;
                one.cost -= share;
                one.gained += amount - share;
            }
        }
        held
    }

    pub(crate) fn kept(&self, user: &str) -> i128 {
        self.orders.iter().filter(|order| order.user == user && order.is_open()).map(|order| order.kept).sum()
    }

    pub(crate) fn equity(&self, user: &str) -> i128 {
        let worth = |(symbol, held): (&String, &Held)| {
            held.quantity * self.quotes.get(symbol).map_or(0, |quote| quote.price) / ONE
        };
        self.cash(user) + self.held(user).iter().map(worth).sum::<i128>()
    }

    /// Everybody's equity is looked at after everything that may have changed it.
    fn look(&mut self) {
        for user in self.members.keys().cloned().collect::<Vec<_>>() {
            let (equity, now) = (self.equity(&user), self.now);
            let member = self.members.get_mut(&user).unwrap();
            member.peak = member.peak.max(equity);
            member.drawdown = member.drawdown.max(up((member.peak - equity) * ONE, member.peak));
            member.values.push((now, equity));
        }
    }

    fn fee(&self, amount: i128) -> i128 {
        up(amount * units(self.rules.fee_rate), ONE)
    }

    fn price(&mut self, symbol: &str, price: i128, volume: Option<i128>) -> Result<(), Reason> {
        if !matches!(self.state, State::Open | State::Running) {
            return Err(Reason::RoomNotRunning);
        }
        let one =
            self.rules.instruments.iter().find(|one| one.symbol == symbol).ok_or(Reason::UnknownSymbol)?;
        if price <= 0 || price > units(one.max_price) || price % units(one.tick_size) != 0 {
            return Err(Reason::BadTick);
        }
        if volume.is_some_and(|volume| volume < 0) {
            return Err(Reason::BadSize);
        }
        let volume = volume.map(|volume| volume - volume % units(one.lot_size));
        let left = BTreeMap::from([(Side::Buy, volume), (Side::Sell, volume)]);
        self.quotes.insert(symbol.to_owned(), Quote { price, left });
        self.look();
        self.trade(symbol);
        Ok(())
    }

    fn trade(&mut self, symbol: &str) {
        let Some(price) = self.quotes.get(symbol).map(|quote| quote.price) else { return };
        for order in self.orders.iter_mut().filter(|order| order.symbol == symbol && order.is_open()) {
            let wakes = |stop| if order.side == Side::Buy { price >= stop } else { price <= stop };
            if order.stop.is_some_and(wakes) {
                order.stop = None;
            }
        }
        for side in [Side::Sell, Side::Buy] {
            while self.trade_one(symbol, side, price) {}
        }
    }

    /// Fills, or gives up, the one whose turn it is.
    fn trade_one(&mut self, symbol: &str, side: Side, price: i128) -> bool {
        let goes = |order: &Order| {
            let reaches = |limit| if side == Side::Buy { limit >= price } else { limit <= price };
            let ours = order.symbol == symbol && order.side == side;
            order.is_open() && order.stop.is_none() && ours && order.limit.is_none_or(reaches)
        };
        let mut turn: Vec<usize> = (0..self.orders.len()).filter(|at| goes(&self.orders[*at])).collect();
        turn.sort_by_key(|at| {
            let worst = |limit: i128| if side == Side::Buy { -limit } else { limit };
            self.orders[*at].limit.map(worst)
        });
        let Some(at) = turn.first().copied() else { return false };
        let left = self.quotes[symbol].left[&side];
        let quantity = left.unwrap_or(i128::MAX).min(self.orders[at].remaining());
        if quantity == 0 {
            return false;
        }
        let amount = quantity * price / ONE;
        assert_eq!(amount * ONE, quantity * price, "an amount is not exact");
        let order = &self.orders[at];
        let fee = self.fee(order.amount() + amount) - order.fees();
        let free = self.cash(&order.user) - self.kept(&order.user) + order.kept;
        if side == Side::Buy && amount + fee > free {
            self.orders[at].status = Status::Failed;
            return true;
        }
        *self.quotes.get_mut(symbol).unwrap().left.get_mut(&side).unwrap() = left.map(|left| left - quantity);
        self.turns += 1;
        let turn = self.turns;
        self.orders[at].fills.push(Fill { quantity, price, fee, turn });
        self.keep(at, price, free - amount - fee);
        if self.orders[at].remaining() == 0 {
            self.orders[at].status = Status::Filled;
        }
        self.look();
        true
    }

    fn keep(&mut self, at: usize, price: i128, free: i128) {
        let order = &self.orders[at];
        if order.side == Side::Sell {
            return;
        }
        let rest = order.remaining() * order.limit.unwrap_or(price) / ONE;
        let wanted = rest + self.fee(order.amount() + rest) - order.fees();
        self.orders[at].kept = if rest == 0 { 0 } else { wanted.min(free) };
    }

    fn place(&mut self, user: &str, ask: &tidings_trading::order::Ask) -> Result<(), Reason> {
        let mut own = self.orders.iter().filter(|order| order.user == user);
        if own.any(|order| order.client == ask.client_order_id) {
            return Err(Reason::DuplicateClientOrderId);
        }
        self.is_running(user)?;
        let one = self.rules.instruments.iter().find(|one| one.symbol == ask.symbol);
        let one = one.ok_or(Reason::UnknownSymbol)?.clone();
        let quantity = units(ask.quantity);
        let fits = (units(one.min_quantity)..=units(one.max_quantity)).contains(&quantity);
        if !fits || quantity % units(one.lot_size) != 0 {
            return Err(Reason::BadSize);
        }
        let shape = match ask.kind {
            Kind::Market => ask.price.is_none() && ask.stop_price.is_none(),
            Kind::Limit => ask.price.is_some() && ask.stop_price.is_none(),
            Kind::Stop => ask.stop_price.is_some(),
        };
        let bad =
            |price: i128| price <= 0 || price > units(one.max_price) || price % units(one.tick_size) != 0;
        if !shape || [ask.price, ask.stop_price].into_iter().flatten().any(|price| bad(units(price))) {
            return Err(Reason::BadTick);
        }
        let open = self.orders.iter().filter(|order| order.user == user && order.is_open());
        if open.count() >= self.rules.max_open_orders as usize {
            return Err(Reason::TooManyOrders);
        }
        let bucket = self.bucket(user);
        if bucket < self.each() {
            return Err(Reason::RateExceeded);
        }
        let kept = self.affords(user, ask, units(one.max_position))?;
        self.members.get_mut(user).unwrap().bucket = (bucket - self.each(), self.now);
        self.orders.push(Order {
            user: user.to_owned(),
            client: ask.client_order_id.clone(),
            symbol: ask.symbol.clone(),
            side: ask.side,
            quantity,
            limit: ask.price.map(units),
            stop: ask.stop_price.map(units),
            status: Status::Open,
            fills: Vec::new(),
            kept,
        });
        self.trade(&ask.symbol);
        Ok(())
    }

    fn bucket(&self, user: &str) -> u64 {
        let (level, then) = self.members[user].bucket;
        let full = u64::from(self.rules.order_burst) * self.each();
        (level + (self.now - then) * 1_000).min(full)
    }

    pub(crate) fn budget(&self, user: &str) -> u32 {
        (self.bucket(user) / self.each()) as u32
    }

    fn affords(&self, user: &str, ask: &tidings_trading::order::Ask, most: i128) -> Result<i128, Reason> {
        let newest = self.quotes.get(&ask.symbol).map(|quote| quote.price);
        let (limit, stop) = (ask.price.map(units), ask.stop_price.map(units));
        let price = limit.or_else(|| stop.map(|stop| stop.max(newest.unwrap_or(0)))).or(newest);
        let price = price.ok_or(Reason::NoPrice)?;
        let held = self.held(user).get(&ask.symbol).map_or(0, |held| held.quantity);
        let same = |order: &&Order| {
            order.user == user && order.is_open() && order.symbol == ask.symbol && order.side == ask.side
        };
        let coming: i128 = self.orders.iter().filter(same).map(Order::remaining).sum();
        let quantity = units(ask.quantity);
        if ask.side == Side::Sell {
            return if held - coming < quantity { Err(Reason::InsufficientPosition) } else { Ok(0) };
        }
        if held + coming + quantity > most {
            return Err(Reason::PositionLimit);
        }
        let amount = quantity * price / ONE;
        let needed = amount + self.fee(amount);
        if needed > self.cash(user) - self.kept(user) { Err(Reason::InsufficientCash) } else { Ok(needed) }
    }

    fn cancel(&mut self, user: &str, number: u64) -> Result<(), Reason> {
        if self.state != State::Running {
            return Err(Reason::RoomNotRunning);
        }
        self.is_member(user)?;
        let order = (number as usize).checked_sub(1).and_then(|at| self.orders.get_mut(at));
        let order = order.filter(|order| order.user == user).ok_or(Reason::UnknownOrder)?;
        match order.status {
            Status::Open => order.status = Status::Cancelled,
            Status::Filled => return Err(Reason::AlreadyFilled),
            Status::Cancelled | Status::Failed => return Err(Reason::AlreadyCancelled),
        }
        Ok(())
    }

    fn average(&self, member: &Member) -> i128 {
        let (first, _) = member.values[0];
        let ends = member.values.iter().skip(1).map(|(at, _)| *at).chain([self.now]);
        let sum: i128 =
            member.values.iter().zip(ends).map(|((at, value), end)| value * i128::from(end - at)).sum();
        match self.now - first {
            0 => member.values.last().unwrap().1,
            passed => nearest(sum, i128::from(passed)),
        }
    }

    pub(crate) fn trades(&self, user: &str) -> u64 {
        self.orders.iter().filter(|order| order.user == user && !order.fills.is_empty()).count() as u64
    }

    /// Who stands where, and with which value.
    pub(crate) fn standings(&self) -> Vec<(String, i128)> {
        let ranking = self.rules.ranking;
        let start = units(self.rules.starting_cash);
        let mut rows: Vec<_> = Vec::new();
        for (user, member) in self.members.iter().filter(|(_, member)| !member.left) {
            let value = match ranking.measure {
                Measure::Absolute => self.equity(user) - start,
                Measure::Roi => nearest((self.equity(user) - start) * ONE, start),
                Measure::TimeWeighted => nearest((self.average(member) - start) * ONE, start),
            };
            let fell = ranking.max_drawdown.is_some_and(|cap| member.drawdown > units(cap));
            let idle = ranking.min_trades.is_some_and(|least| self.trades(user) < least);
            rows.push((fell || idle, Reverse(value), member.drawdown, member.place, user.clone()));
        }
        rows.sort();
        rows.into_iter().map(|(_, Reverse(value), _, _, user)| (user, value)).collect()
    }
}
