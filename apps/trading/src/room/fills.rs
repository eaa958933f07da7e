//! Orders meet prices.

use super::{Effects, Executed, FILLS_MOST, Room, State, Told};
use crate::account::Fill;
use crate::decimal::{Dec, Rounding};
use crate::market::Quote;
use crate::order::{Side, Status};
use crate::refused::{Reason, Refused};

impl Room {
    /// Which instrument has a price, if there is one that it can have, however the room stands.
    pub(crate) fn market_at(
        &self,
        symbol: &str,
        (price, volume): (Dec, Option<Dec>),
    ) -> Result<usize, Refused> {
        let market = self.market_of(symbol)?;
        self.rules.instruments[market].check_price("price", price)?;
        if volume.is_some_and(|volume| volume < Dec::ZERO) {
            return Err(Refused::new(Reason::BadSize, "volume: expected 0 or more"));
        }
        Ok(market)
    }

    /// A price comes: positions are worth it, orders that sleep may wake, and those that wait are filled.
    pub(super) fn price(
        &mut self,
        symbol: &str,
        (price, volume): (Dec, Option<Dec>),
        at_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        self.is(&[State::Open, State::Running], Reason::RoomNotRunning)?;
        let market = self.market_at(symbol, (price, volume))?;
        if self.unfinished.contains(&market) {
            return Err(Refused::new(Reason::RoomBusy, "orders still meet the price before this one"));
        }
        let instrument = &self.rules.instruments[market];
        // What is less than a lot can be traded by nobody.
        let volume = volume.map(|volume| volume.floor_to(instrument.lot_size));
        let book = &mut self.markets[market];
        book.quote = Some(Quote::new(price, volume));
        for user in &book.holders {
            if let Some(account) = self.accounts.get_mut(user) {
                account.mark(market, price, at_ms);
            }
        }
        effects.told.push(Told::Marked { symbol: symbol.to_owned(), price });
        self.meet(market, at_ms, effects);
        Ok(())
    }

    /// Orders go on to meet a price that had more of them than one entry fills.
    pub(super) fn go_on(&mut self, symbol: &str, at_ms: u64, effects: &mut Effects) -> Result<(), Refused> {
        self.is(&[State::Open, State::Running], Reason::RoomNotRunning)?;
        let market = self.market_of(symbol)?;
        if !self.unfinished.contains(&market) {
            return Err(Refused::new(Reason::RoomState, "all orders have met the newest price"));
        }
        self.meet(market, at_ms, effects);
        Ok(())
    }

    /// Wakes and fills what the newest price lets, sells first: what they bring may pay for buys. Of more than
    /// [`FILLS_MOST`] the rest waits for an entry of its own.
    pub(super) fn meet(&mut self, market: usize, at_ms: u64, effects: &mut Effects) {
        self.unfinished.remove(&market);
        let mut left = FILLS_MOST;
        for side in [Side::Sell, Side::Buy] {
            while let Some(number) = self.markets[market].woken(side) {
                self.wake_order(number);
            }
            while let Some(number) = self.markets[market].next(side) {
                if left == 0 {
                    self.unfinished.insert(market);
                    return;
                }
                if !self.fill(number, at_ms, effects) {
                    break;
                }
                left -= 1;
            }
        }
    }

    fn wake_order(&mut self, number: u64) {
        let order = &mut self.orders[number as usize - 1];
        self.markets[order.market].remove(order);
        order.sleeps = false;
        self.markets[order.market].add(order);
    }

    /// Fills as much of an order as there is volume for; `false` if there is none left.
    fn fill(&mut self, number: u64, at_ms: u64, effects: &mut Effects) -> bool {
        let order = &self.orders[number as usize - 1];
        let (market, side, user) = (order.market, order.ask.side, order.user.clone());
        let quantity = self.markets[market].there_is(side, order.remaining);
        let Some(price) = self.price_of(market).filter(|_| quantity.is_positive()) else { return false };
        let amount = price.times(quantity, Rounding::Down);
        let fee = self.fee(order.amount + amount) - order.fees;
        let client_order_id = order.ask.client_order_id.clone();
        if side == Side::Buy && self.is_short_of(number, amount + fee) {
            let message = format!("{} is needed to go on with it", amount + fee);
            let refused = Refused::new(Reason::InsufficientCash, message).about(number);
            effects.told.push(Told::Failed { user, client_order_id, refused });
            self.withdraw(number, Status::Failed, effects);
            return true;
        }
        self.markets[market].take(side, quantity);
        let closed = self.book_fill(number, Fill { side, quantity, price, amount, fee }, at_ms);
        let order = &self.orders[number as usize - 1];
        let (symbol, remaining) = (order.ask.symbol.clone(), order.remaining);
        let held = self.accounts.get(&user).and_then(|account| account.holdings.get(&market)).copied();
        effects.touched.insert(user.clone());
        effects.told.push(Told::Executed(Executed {
            user: user.clone(),
            order: number,
            client_order_id,
            symbol: symbol.clone(),
            side,
            quantity,
            price,
            fee,
            remaining,
        }));
        effects.told.push(match closed {
            Some(realised) => Told::Closed { user, symbol, realised },
            None => Told::Position { user, symbol, holding: held.unwrap_or_default() },
        });
        if remaining == Dec::ZERO {
            self.withdraw(number, Status::Filled, effects);
        }
        true
    }

    /// Whether a buy cannot be paid: one for any price, when prices have risen since its cash was kept.
    fn is_short_of(&self, number: u64, needed: Dec) -> bool {
        let order = &self.orders[number as usize - 1];
        self.accounts.get(&order.user).is_none_or(|account| account.free() + order.reserved < needed)
    }

    /// Changes order and account by a fill; the profit of the position if it is none any more.
    fn book_fill(&mut self, number: u64, fill: Fill, at_ms: u64) -> Option<Dec> {
        let order = &mut self.orders[number as usize - 1];
        let account = self.accounts.get_mut(&order.user)?;
        if order.amount == Dec::ZERO {
            account.trades += 1;
        }
        order.remaining -= fill.quantity;
        order.amount += fill.amount;
        order.fees += fill.fee;
        let closed = account.fill(order.market, fill, at_ms);
        let holders = &mut self.markets[order.market].holders;
        if closed.is_some() {
            holders.remove(&order.user);
        } else if !holders.contains(&order.user) {
            holders.insert(order.user.clone());
        }
        self.keep_cash(number, fill.price);
        closed
    }

    /// Keeps the cash for what is left of a buy: at its limit, else at the newest price as far as there is any.
    fn keep_cash(&mut self, number: u64, price: Dec) {
        let order = &self.orders[number as usize - 1];
        if order.ask.side == Side::Sell {
            return;
        }
        let rest = order.limit().unwrap_or(price).times(order.remaining, Rounding::Up);
        let wanted = rest + self.fee(order.amount + rest) - order.fees;
        let wanted = if order.remaining == Dec::ZERO { Dec::ZERO } else { wanted };
        let order = &mut self.orders[number as usize - 1];
        if let Some(account) = self.accounts.get_mut(&order.user) {
            let reserved = wanted.min(account.free() + order.reserved).max(Dec::ZERO);
            account.reserved = account.reserved - order.reserved + reserved;
            order.reserved = reserved;
        }
    }
}
