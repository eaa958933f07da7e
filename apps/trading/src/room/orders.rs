//! Orders are placed and cancelled.

use super::{Effects, ORDERS_MOST, ORDERS_OF_ONE_MOST, Room, State, Told};
use crate::account::Account;
use crate::decimal::{Dec, Rounding};
use crate::order::{Ask, Kind, Order, Side, Status};
use crate::refused::{Reason, Refused};

impl Room {
    pub(super) fn place(
        &mut self,
        user: &str,
        ask: &Ask,
        at_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        let (market, reserved) = self.may_place(user, ask, at_ms)?;
        let number = self.orders.len() as u64 + 1;
        let order = Order {
            number,
            user: user.to_owned(),
            ask: ask.clone(),
            market,
            placed_ms: at_ms,
            status: Status::Open,
            remaining: ask.quantity,
            sleeps: ask.kind == Kind::Stop,
            reserved,
            amount: Dec::ZERO,
            fees: Dec::ZERO,
        };
        if let Some(account) = self.accounts.get_mut(user) {
            account.pace.take(&self.rules, at_ms);
            account.reserved += reserved;
            account.open.insert(number);
            account.clients.insert(ask.client_order_id.clone(), number);
        }
        self.markets[market].add(&order);
        self.orders.push(order);
        effects.order = Some(number);
        self.meet(market, at_ms, effects);
        if self.order(number).is_some_and(|order| order.status == Status::Open) {
            effects.told.push(Told::Placed { user: user.to_owned(), order: number });
        }
        Ok(())
    }

    /// Before anything that may have changed since, even that the room runs or the member is in it: a repeat is answered
    /// with the order that there is.
    pub(super) fn is_new(&self, user: &str, ask: &Ask) -> Result<(), Refused> {
        let orders = self.accounts.get(user).map(|account| &account.clients);
        let Some(number) = orders.and_then(|orders| orders.get(&ask.client_order_id)) else { return Ok(()) };
        let message = "this clientOrderId was used before";
        Err(Refused::new(Reason::DuplicateClientOrderId, message).about(*number))
    }

    /// Where an order belongs, and how much cash it needs.
    fn may_place(&self, user: &str, ask: &Ask, at_ms: u64) -> Result<(usize, Dec), Refused> {
        self.is(&[State::Running], Reason::RoomNotRunning)?;
        let account = self.member(user)?;
        let market = self.market_of(&ask.symbol)?;
        ask.check(&self.rules.instruments[market])?;
        self.has_room_for_orders(account)?;
        let wait_ms = account.pace.wait_ms(&self.rules, at_ms);
        if wait_ms > 0 {
            let refused = Refused::new(Reason::RateExceeded, "orders come faster than the room takes them");
            return Err(Refused { retry_after_ms: Some(wait_ms), ..refused });
        }
        let reserved = match ask.side {
            Side::Sell => self.has_position(account, market, ask)?,
            Side::Buy => self.has_cash(account, market, ask)?,
        };
        Ok((market, reserved))
    }

    fn has_room_for_orders(&self, account: &Account) -> Result<(), Refused> {
        let message = if account.open.len() >= self.rules.max_open_orders as usize {
            "there are as many open orders as one may have"
        } else if account.clients.len() >= ORDERS_OF_ONE_MOST {
            "one has placed as many orders as one may"
        } else if self.orders.len() >= ORDERS_MOST {
            "this room has taken as many orders as it can"
        } else {
            return Ok(());
        };
        Err(Refused::new(Reason::TooManyOrders, message))
    }

    /// What open orders of a member still want of an instrument.
    fn wanted(&self, account: &Account, market: usize, side: Side) -> Dec {
        let open = account.open.iter().filter_map(|number| self.order(*number));
        open.filter(|order| order.market == market && order.ask.side == side)
            .map(|order| order.remaining)
            .sum()
    }

    fn has_position(&self, account: &Account, market: usize, ask: &Ask) -> Result<Dec, Refused> {
        self.has_price(market, ask)?;
        let free = account.quantity(market) - self.wanted(account, market, Side::Sell);
        if ask.quantity > free {
            let message = format!("{} is to be sold, {free} is free", ask.quantity);
            return Err(Refused::new(Reason::InsufficientPosition, message));
        }
        Ok(Dec::ZERO)
    }

    /// The cash that is kept for a buy.
    fn has_cash(&self, account: &Account, market: usize, ask: &Ask) -> Result<Dec, Refused> {
        let price = self.has_price(market, ask)?;
        let most = self.rules.instruments[market].max_position;
        let after = account.quantity(market) + self.wanted(account, market, Side::Buy) + ask.quantity;
        if after > most {
            let message = format!("the position would be {after}, and may be {most}");
            return Err(Refused::new(Reason::PositionLimit, message));
        }
        let needed = self.with_fee(price.times(ask.quantity, Rounding::Up));
        let free = account.free();
        if needed > free {
            let message = format!("{needed} is needed, {free} is free");
            return Err(Refused::new(Reason::InsufficientCash, message));
        }
        Ok(needed)
    }

    /// The price an order is expected to be filled at: its limit, or where it wakes, or the newest.
    fn has_price(&self, market: usize, ask: &Ask) -> Result<Dec, Refused> {
        let newest = self.price_of(market);
        let price = match (ask.price, ask.stop_price, newest) {
            (Some(limit), _, _) => Some(limit),
            (None, Some(stop), newest) => Some(newest.map_or(stop, |newest| newest.max(stop))),
            (None, None, newest) => newest,
        };
        price.ok_or_else(|| Refused::new(Reason::NoPrice, "this instrument had no price yet"))
    }

    /// The fee of an amount: a part of it, rounded up. An order pays it for all it has traded, so that it
    /// is the same in however many pieces it is filled.
    pub(super) fn fee(&self, amount: Dec) -> Dec {
        amount.times(self.rules.fee_rate, Rounding::Up)
    }

    pub(super) fn with_fee(&self, amount: Dec) -> Dec {
        amount + self.fee(amount)
    }

    pub(super) fn cancel(&mut self, user: &str, number: u64, effects: &mut Effects) -> Result<(), Refused> {
        self.is(&[State::Running], Reason::RoomNotRunning)?;
        self.member(user)?;
        let order = self.order(number).filter(|order| order.user == user);
        let order =
            order.ok_or_else(|| Refused::new(Reason::UnknownOrder, "there is no such order of yours"))?;
        let reason = match order.status {
            Status::Open => {
                self.withdraw(number, Status::Cancelled, effects);
                return Ok(());
            }
            Status::Filled => Reason::AlreadyFilled,
            Status::Cancelled | Status::Failed => Reason::AlreadyCancelled,
        };
        Err(Refused::new(reason, "nothing is left of this order").about(number))
    }

    /// A member arms the switch, puts it off, or lays it down.
    pub(super) fn cancel_after(
        &mut self,
        user: &str,
        after_ms: Option<u64>,
        at_ms: u64,
    ) -> Result<(), Refused> {
        self.is(&[State::Running], Reason::RoomNotRunning)?;
        self.member(user)?;
        self.arm(user, after_ms.map(|ms| at_ms.saturating_add(ms)));
        Ok(())
    }

    /// Says when a member's open orders are to be cancelled.
    pub(super) fn arm(&mut self, user: &str, cancel_ms: Option<u64>) {
        let Some(account) = self.accounts.get_mut(user) else { return };
        if let Some(before) = std::mem::replace(&mut account.cancel_ms, cancel_ms) {
            self.switches.remove(&(before, user.to_owned()));
        }
        self.switches.extend(cancel_ms.map(|at| (at, user.to_owned())));
    }

    /// The member did not put it off in time. That it was due is checked here, so that a journal proves it.
    pub(super) fn cancel_due(
        &mut self,
        user: &str,
        at_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        self.is(&[State::Running], Reason::RoomNotRunning)?;
        if self.member(user)?.cancel_ms.is_none_or(|at| at > at_ms) {
            return Err(Refused::new(Reason::RoomState, "nothing is to be cancelled yet"));
        }
        self.arm(user, None);
        self.cancel_all(user, effects);
        Ok(())
    }

    pub(super) fn cancel_all(&mut self, user: &str, effects: &mut Effects) {
        let open = self.accounts.get(user).map(|account| account.open.clone()).unwrap_or_default();
        open.into_iter().for_each(|number| self.withdraw(number, Status::Cancelled, effects));
    }

    /// Takes what is left of an order away, and frees its cash.
    pub(super) fn withdraw(&mut self, number: u64, status: Status, effects: &mut Effects) {
        let Some(order) = self.orders.get_mut(number as usize - 1) else { return };
        self.markets[order.market].remove(order);
        let reserved = std::mem::take(&mut order.reserved);
        order.status = status;
        if let Some(account) = self.accounts.get_mut(&order.user) {
            account.reserved -= reserved;
            account.open.remove(&number);
        }
        if status != Status::Filled {
            let (user, remaining) = (order.user.clone(), order.remaining);
            effects.touched.insert(user.clone());
            effects.told.push(Told::Cancelled { user, order: number, remaining });
        }
    }
}
