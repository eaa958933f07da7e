//! An order and its fills.

use serde_json::Value;

use super::{ONE, amount, text, units};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) quantity: i128,
    pub(crate) price: i128,
    pub(crate) fee: i128,
}

impl Fill {
    pub(crate) fn amount(&self) -> i128 {
        self.quantity * self.price / ONE
    }
}

pub(crate) struct Order {
    pub(crate) user: String,
    pub(crate) client: String,
    pub(crate) symbol: String,
    pub(crate) buys: bool,
    pub(crate) quantity: i128,
    pub(crate) limit: Option<i128>,
    /// What it still waits for.
    pub(crate) stop: Option<i128>,
    pub(crate) fills: Vec<Fill>,
    pub(crate) status: &'static str,
    /// Cash that is kept for it.
    pub(crate) kept: i128,
}

impl Order {
    pub(crate) fn of(user: &str, ask: &Value) -> Self {
        Self {
            user: user.to_owned(),
            client: text(ask, "clientOrderId").to_owned(),
            symbol: text(ask, "symbol").to_owned(),
            buys: text(ask, "side") == "buy",
            quantity: units(text(ask, "quantity")),
            limit: amount(ask, "price"),
            stop: amount(ask, "stopPrice"),
            fills: Vec::new(),
            status: "open",
            kept: 0,
        }
    }

    pub(crate) fn remaining(&self) -> i128 {
        self.quantity - self.fills.iter().map(|fill| fill.quantity).sum::<i128>()
    }

    pub(crate) fn amount(&self) -> i128 {
        self.fills.iter().map(Fill::amount).sum()
    }

    pub(crate) fn fees(&self) -> i128 {
        self.fills.iter().map(|fill| fill.fee).sum()
    }

    pub(crate) fn wake(&mut self, price: i128) {
        if self.stop.is_some_and(|stop| if self.buys { price >= stop } else { price <= stop }) {
            self.stop = None;
        }
    }

    /// What it is sorted by at a price; nothing if it does not trade at it.
    pub(crate) fn turn(&self, price: i128) -> Option<Option<i128>> {
        let reaches = |limit| if self.buys { limit >= price } else { limit <= price };
        let goes = self.stop.is_none() && self.limit.is_none_or(reaches);
        goes.then(|| self.limit.map(|limit| if self.buys { -limit } else { limit }))
    }
}
