//! What is heard beside the fourteen events that front ends know: orders that wait, digests, prices.

use schemars::JsonSchema;
use serde::Serialize;

use crate::decimal::Dec;

use super::OrderView;

/// An order is placed, and something of it waits; what is filled at once is told before it, as `order:executed`, and what is
/// filled at once as a whole is told by that alone.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    /// In which room.
    pub room_id: String,
    /// The order as it stands.
    pub order: OrderView,
}

/// What a member has, summed up; behind every sixteenth event of an account, and told with what it sums up.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountDigest {
    /// In which room.
    pub room_id: String,
    /// Whose.
    pub user_id: String,
    /// The entry of the room's journal behind which it holds.
    pub seq: u64,
    /// The SHA-256 of `user`, cash, and `SYMBOL quantity` by symbol, each on a line, as hexadecimal digits.
    pub digest: String,
}

/// What something costs now; of a symbol four times a second at most, and not kept.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarketPrice {
    /// In which room.
    pub room_id: String,
    /// What.
    pub symbol: String,
    /// The price.
    pub price: Dec,
    /// When, in the room's time.
    pub at: String,
}
