//! Rooms, accounts and orders as they stand.

use schemars::JsonSchema;
use serde::Serialize;

use crate::decimal::Dec;
use crate::order::{Kind, Side, Status};
use crate::room::State;
use crate::rules::Rules;

use super::LeaderboardEntry;

/// What a newcomer to a room gets: of `trade:ROOM` the room, of `trade:ROOM:USER` the account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeSnapshot {
    /// The room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<TradeRoomView>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
}

/// A room as it stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeRoomView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// How it stands.
    pub state: State,
    /// Its rules.
    pub rules: Rules,
    /// How many are in it.
    pub members: u64,
    /// When it was made.
    pub created_at: String,
    /// When trading began, in the room's time.
    pub started_at: Option<String>,
    /// When it ends by itself, in the room's time, where its rules say so; that stays, also if it was ended before.
    pub ends_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How many entries its journal has.
    pub journal: u64,
    /// The newest link of the journal's chain.
    pub chain: String,
    /// The digest of what everybody has.
    pub digest: String,
    /// The newest prices.
    pub prices: Vec<PriceView>,
    /// The first hundred, in order.
    pub standings: Vec<LeaderboardEntry>,
}

/// The newest price of an instrument.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceView {
    /// What.
    pub symbol: String,
    /// The price.
    pub price: Dec,
}

/// What a member has.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    /// Whose.
    pub user_id: String,
    /// By which name.
    pub name: String,
    /// Cash.
    pub cash: Dec,
    /// Cash that is kept for open orders.
    pub reserved: Dec,
    /// Cash and what positions are worth.
    pub equity: Dec,
    /// Profit from what was sold, less all fees.
    pub realised_pnl: Dec,
    /// The profit there would be if everything were sold.
    pub unrealised_pnl: Dec,
    /// All fees.
    pub fees: Dec,
    /// Orders of which something was filled.
    pub trades: u64,
    /// The largest part of a peak that was lost.
    pub drawdown: Dec,
    /// How many orders the room takes now.
    pub orders_remaining: u32,
    /// The newest entry of the room's journal that it knows of.
    pub journal: u64,
    /// The digest of cash and positions.
    pub digest: String,
    /// Positions, by symbol.
    pub positions: Vec<PositionView>,
    /// Open orders, the oldest first.
    pub open_orders: Vec<OrderView>,
}

/// A position.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PositionView {
    /// What.
    pub symbol: String,
    /// How much.
    pub quantity: Dec,
    /// What one of it cost, without fees.
    pub average_price: Dec,
    /// The price it is valued at.
    pub mark_price: Dec,
    /// The profit there would be if it were sold at that.
    pub unrealised_pnl: Dec,
    /// Profit from what was sold of it, less all of its fees.
    pub realised_pnl: Dec,
}

/// An order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    /// Its id.
    pub order_id: String,
    /// The client's own id of it.
    pub client_order_id: String,
    /// What.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// How it is filled.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How much was asked for.
    pub quantity: Dec,
    /// How much of it is not filled.
    pub remaining: Dec,
    /// The limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Dec>,
    /// What wakes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<Dec>,
    /// How it stands.
    pub status: Status,
    /// What was paid or got for it up to now, without fees.
    pub amount: Dec,
    /// Fees up to now.
    pub fees: Dec,
    /// When it was placed, in the room's time.
    pub placed_at: String,
}
