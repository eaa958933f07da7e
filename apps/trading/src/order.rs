//! Orders: what is asked for, and what has become of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decimal::Dec;
use crate::instrument::Instrument;
use crate::refused::{Reason, Refused};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "OrderSide")]
pub enum Side {
    /// Cash becomes a position.
    Buy,
    /// A position becomes cash.
    Sell,
}

/// How an order is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "OrderType")]
pub enum Kind {
    /// At whatever price there is, as volume comes.
    Market,
    /// At its price or a better one.
    Limit,
    /// Sleeps until the price reaches its stop price, then is a market order; with a price, a limit order.
    Stop,
}

/// What a member asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// The client's own id of it, used once by a member in a room.
    pub client_order_id: String,
    /// What is traded.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// How it is filled.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How much.
    pub quantity: Dec,
    /// The limit; not for market orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Dec>,
    /// What wakes a stop order; for no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<Dec>,
}

impl Ask {
    /// Whether its prices go with its kind, and everything with the instrument.
    ///
    /// # Errors
    /// `bad_size`, `bad_tick`
    pub fn check(&self, instrument: &Instrument) -> Result<(), Refused> {
        instrument.check_quantity(self.quantity)?;
        let wrong = |message: &str| Err(Refused::new(Reason::BadTick, message));
        match (self.kind, self.price, self.stop_price) {
            (Kind::Market, Some(_), _) => return wrong("price: a market order has none"),
            (Kind::Limit, None, _) => return wrong("price: a limit order needs one"),
            (Kind::Stop, _, None) => return wrong("stopPrice: a stop order needs one"),
            (Kind::Market | Kind::Limit, _, Some(_)) => return wrong("stopPrice: is for stop orders"),
            _ => {}
        }
        let prices = [("price", self.price), ("stopPrice", self.stop_price)];
        prices
            .into_iter()
            .filter_map(|(name, price)| Some((name, price?)))
            .try_for_each(|(name, price)| instrument.check_price(name, price))
    }
}

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "OrderStatus")]
pub enum Status {
    /// It waits for a price, for volume, or to be woken.
    Open,
    /// All of it is filled.
    Filled,
    /// What was left of it is not wanted any more.
    Cancelled,
    /// What was left of it could not be paid.
    Failed,
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number in the room, counted from 1.
    pub number: u64,
    /// Whose.
    pub user: String,
    /// What was asked for.
    pub ask: Ask,
    /// The instrument's place among the room's.
    pub market: usize,
    /// When it was placed, in milliseconds of the room's time.
    pub placed_ms: u64,
    /// How it stands.
    pub status: Status,
    /// How much of it is not filled.
    pub remaining: Dec,
    /// Whether it is a stop order that still sleeps.
    pub sleeps: bool,
    /// Cash that is kept for what is left of it.
    pub reserved: Dec,
    /// What was paid or got for it up to now, without fees.
    pub amount: Dec,
    /// Fees up to now.
    pub fees: Dec,
}

impl Order {
    /// The price it is filled at worst; `None`: at any.
    pub fn limit(&self) -> Option<Dec> {
        self.ask.price
    }

    /// How much of it is filled.
    pub fn filled(&self) -> Dec {
        self.ask.quantity - self.remaining
    }
}

/// Its id on the wire.
pub fn order_id(number: u64) -> String {
    format!("o{number}")
}

/// The number behind an id on the wire.
pub fn order_number(id: &str) -> Option<u64> {
    let digits = id.strip_prefix('o')?;
    let number = digits.parse().ok()?;
    (order_id(number) == id).then_some(number)
}
