//! The books of a room as somebody keeps them who has nothing but its export and docs/trading.md: lines of JSON, and whole
//! numbers of hundred-millionths. They share no code with the room, not even its types.
//!
//! Only what was taken is in a journal, so nothing is refused here; and sums run along, so that a journal of a hundred
//! thousand entries takes seconds. The model beside it adds up everything anew and refuses as well, of short histories.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

#[path = "books/market.rs"]
mod market;
#[path = "books/member.rs"]
mod member;
#[path = "books/order.rs"]
mod order;

use market::Market;
pub(crate) use member::Member;
pub(crate) use order::{Fill, Order};

/// Units of one.
pub(crate) const ONE: i128 = 100_000_000;
/// Orders that one entry fills, or gives up, at most.
const FILLS_MOST: usize = 200;

/// A decimal as units.
pub(crate) fn units(text: &str) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(part.len() <= 8, "{text} has too many digits");
    let part: i128 = format!("{part:0<8}").parse().unwrap();
    sign * (whole.parse::<i128>().unwrap() * ONE + part)
}

/// Units as the shortest decimal.
pub(crate) fn decimal(units: i128) -> String {
    let (sign, size) = (if units < 0 { "-" } else { "" }, units.abs());
    let text = format!("{sign}{}.{:08}", size / ONE, size % ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Rounded up.
fn up(number: i128, by: i128) -> i128 {
    number.div_euclid(by) + i128::from(number.rem_euclid(by) > 0)
}

/// To the nearest, halves to the even one.
fn nearest(number: i128, by: i128) -> i128 {
    let (down, twice) = (number.div_euclid(by), 2 * number.rem_euclid(by));
    if twice > by || twice == by && down % 2 != 0 { down + 1 } else { down }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A decimal that may be missing.
fn amount(value: &Value, name: &str) -> Option<i128> {
    value[name].as_str().map(units)
}

/// The books of a room.
pub(crate) struct Books {
    rules: Value,
    fee_rate: i128,
    start: i128,
    now: u64,
    began: bool,
    came: usize,
    /// Members by user, those who left too.
    pub(crate) members: BTreeMap<String, Member>,
    /// Every order; the first is number 1.
    pub(crate) orders: Vec<Order>,
    markets: BTreeMap<String, Market>,
    /// How many entries there were.
    pub(crate) entries: u64,
}

impl Books {
    /// Keeps the books along an export; its last line is returned with them.
    pub(crate) fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> (Self, Value) {
        let mut lines = lines.into_iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let head = lines.next().unwrap();
        assert_eq!((text(&head, "format"), &head["version"]), ("tidings-trading-room", &Value::from(1)));
        let mut books = Self::new(head["rules"].clone());
        for line in lines {
            if line["input"].is_null() {
                return (books, line);
            }
            books.entries += 1;
            assert_eq!(line["seq"], books.entries, "an entry is missing or there twice");
            books.take(line["atMs"].as_u64().unwrap(), &line["input"]);
        }
        panic!("the export has no end");
    }

    fn new(rules: Value) -> Self {
        let (fee_rate, start) = (units(text(&rules, "feeRate")), units(text(&rules, "startingCash")));
        let markets = rules["instruments"].as_array().unwrap().iter();
        let markets =
            markets.map(|one| (text(one, "symbol").to_owned(), Market::new(units(text(one, "lotSize")))));
        let markets = markets.collect();
        let (members, orders) = (BTreeMap::new(), Vec::new());
        let (now, began, came, entries) = (0, false, 0, 0);
        Self { rules, fee_rate, start, now, began, came, members, orders, markets, entries }
    }

    /// An entry of the journal.
    fn take(&mut self, at: u64, input: &Value) {
        assert!(at >= self.now, "time goes back");
        self.now = at;
        match text(input, "do") {
            "open" | "cancelAfter" => {}
            "join" => self.join(text(input, "user"), text(input, "name")),
            "leave" => self.leave(text(input, "user")),
            "start" => {
                self.began = true;
                self.members.values_mut().for_each(|member| member.begin(at));
            }
            "price" => self.price(text(input, "symbol"), amount(input, "price"), amount(input, "volume")),
            "place" => self.place(text(input, "user"), &input["ask"]),
            "cancel" => self.close(input["order"].as_u64().unwrap() as usize - 1, "cancelled"),
            "cancelDue" => self.close_all(Some(text(input, "user"))),
            "goOn" => self.meet(text(input, "symbol")),
            "end" => {
                self.close_all(None);
                self.members.values_mut().for_each(|member| member.weigh(at));
            }
            other => panic!("{other} is not known"),
        }
    }

    fn join(&mut self, user: &str, name: &str) {
        let member = Member::new(name, self.came, self.start, self.now);
        self.came += 1;
        assert!(self.members.insert(user.to_owned(), member).is_none(), "{user} joins twice");
    }

    /// Before trading begins a member who leaves is as if never there.
    fn leave(&mut self, user: &str) {
        if self.began {
            self.members.get_mut(user).unwrap().left = true;
            self.close_all(Some(user));
        } else {
            self.members.remove(user);
        }
    }

    fn price(&mut self, symbol: &str, price: Option<i128>, volume: Option<i128>) {
        let price = price.unwrap();
        self.markets.get_mut(symbol).unwrap().quote(price, volume);
        for member in self.members.values_mut() {
            member.mark(symbol, price, self.now);
        }
        self.meet(symbol);
    }

    fn place(&mut self, user: &str, ask: &Value) {
        let order = Order::of(user, ask);
        let newest = self.markets[&order.symbol].price;
        let price = order.limit.or_else(|| order.stop.map(|stop| stop.max(newest.unwrap_or(0)))).or(newest);
        let (at, symbol) = (self.orders.len(), order.symbol.clone());
        self.markets.get_mut(&symbol).unwrap().open(order.buys).insert(at);
        let cost = price.unwrap() * order.quantity / ONE;
        let kept = if order.buys { cost + self.fee(cost) } else { 0 };
        self.members.get_mut(user).unwrap().kept += kept;
        self.orders.push(Order { kept, ..order });
        self.meet(&symbol);
    }

    /// The fee of all that an order has traded.
    fn fee(&self, amount: i128) -> i128 {
        up(amount * self.fee_rate, ONE)
    }

    fn close(&mut self, at: usize, status: &'static str) {
        let order = &mut self.orders[at];
        assert_eq!(order.status, "open", "order {} is closed twice", at + 1);
        order.status = status;
        self.members.get_mut(&order.user).unwrap().kept -= std::mem::take(&mut order.kept);
        self.markets.get_mut(&order.symbol).unwrap().open(order.buys).remove(&at);
    }

    /// Closes what is open, of everybody or of one.
    fn close_all(&mut self, user: Option<&str>) {
        let open: BTreeSet<usize> = self.markets.values_mut().flat_map(Market::all_open).collect();
        for at in open {
            if user.is_none_or(|user| self.orders[at].user == user) {
                self.close(at, "cancelled");
            }
        }
    }

    /// Lets orders meet the price, sells first, as many as one entry may.
    fn meet(&mut self, symbol: &str) {
        let Some(price) = self.markets[symbol].price else { return };
        let mut left = FILLS_MOST;
        for buys in [false, true] {
            let open = self.markets.get_mut(symbol).unwrap().open(buys).clone();
            for at in &open {
                self.orders[*at].wake(price);
            }
            while let Some(at) = self.next(symbol, buys, price) {
                if left == 0 {
                    return;
                }
                if !self.fill(at, price) {
                    break;
                }
                left -= 1;
            }
        }
    }

    /// Whose turn it is: orders for any price, then the better price, of equal ones the older.
    fn next(&mut self, symbol: &str, buys: bool, price: i128) -> Option<usize> {
        let open = self.markets.get_mut(symbol)?.open(buys).iter();
        let turn = open.filter_map(|at| Some((self.orders[*at].turn(price)?, *at)));
        turn.min().map(|(_, at)| at)
    }

    /// Fills an order as far as there is volume, or gives it up; `false` if there is none.
    fn fill(&mut self, at: usize, price: i128) -> bool {
        let order = &self.orders[at];
        let market = self.markets.get_mut(&order.symbol).unwrap();
        let quantity = market.left(order.buys, order.remaining());
        if quantity == 0 {
            return false;
        }
        let amount = quantity * price / ONE;
        assert_eq!(amount * ONE, quantity * price, "an amount is not exact");
        let fee = up((order.amount() + amount) * self.fee_rate, ONE) - order.fees();
        let member = self.members.get_mut(&order.user).unwrap();
        let free = member.cash - member.kept + order.kept;
        if order.buys && amount + fee > free {
            self.close(at, "failed");
            return true;
        }
        market.take(order.buys, quantity);
        member.trades += u64::from(order.fills.is_empty());
        let fill = Fill { quantity, price, fee };
        member.fill(&order.symbol, order.buys, fill, self.now);
        self.orders[at].fills.push(fill);
        self.keep(at, price, free - amount - fee);
        if self.orders[at].remaining() == 0 {
            self.close(at, "filled");
        }
        true
    }

    /// Keeps the cash for what is left of a buy.
    fn keep(&mut self, at: usize, price: i128, free: i128) {
        let order = &self.orders[at];
        let rest = order.remaining() * order.limit.unwrap_or(price) / ONE;
        let wanted = rest + self.fee(order.amount() + rest) - order.fees();
        let kept = if order.buys && rest > 0 { wanted.min(free) } else { 0 };
        let order = &mut self.orders[at];
        self.members.get_mut(&order.user).unwrap().kept += kept - order.kept;
        order.kept = kept;
    }

    /// Where everybody stands, as the last line of an export has it.
    pub(crate) fn standings(&self) -> Value {
        let ranking = &self.rules["ranking"];
        let least = ranking["minTrades"].as_u64().unwrap_or(0);
        let cap = amount(ranking, "maxDrawdown").unwrap_or(i128::MAX);
        let mut rows: Vec<_> = Vec::new();
        for (user, member) in self.members.iter().filter(|(_, member)| !member.left) {
            let (gain, part) = (member.equity() - self.start, |gain: i128| nearest(gain * ONE, self.start));
            let value = match ranking["measure"].as_str().unwrap_or("roi") {
                "absolute" => gain,
                "roi" => part(gain),
                "timeWeighted" => part(member.average(self.now) - self.start),
                other => panic!("{other} is not known"),
            };
            let qualified = member.drawdown <= cap && member.trades >= least;
            rows.push((!qualified, -value, member.drawdown, member.came, user, member));
        }
        rows.sort_by_key(|row| (row.0, row.1, row.2, row.3));
        let row =
            |(rank, (out, value, drawdown, _, user, member)): (usize, (bool, i128, i128, _, _, &Member))| {
                serde_json::json!({
                    "userId": user, "name": member.name, "rank": rank + 1, "value": decimal(-value),
                    "portfolioValue": decimal(member.equity()), "qualified": !out, "trades": member.trades,
                    "drawdown": decimal(drawdown),
                })
            };
        rows.into_iter().enumerate().map(row).collect()
    }
}
