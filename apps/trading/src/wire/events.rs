//! What is heard: in `trade:ROOM` what is public, in `trade:ROOM:USER` what is the member's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_app::Event;

use crate::decimal::Dec;
use crate::order::Side;
use crate::room::State;

use super::{AccountDigest, MarketPrice, OrderPlaced};

/// What is heard in rooms of trading.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub enum TradeEvent {
    /// Something of an order is filled.
    #[serde(rename = "order:executed")]
    Executed(OrderExecuted),
    /// An order, or what is left of it, cannot be done.
    #[serde(rename = "order:failed")]
    Failed(OrderFailed),
    /// An order is placed, and something of it waits.
    #[serde(rename = "order:placed")]
    Placed(OrderPlaced),
    /// What is left of an order is not wanted any more.
    #[serde(rename = "order:cancelled")]
    Cancelled(OrderCancelled),
    /// Where everybody stands.
    #[serde(rename = "leaderboard:updated")]
    Standings(LeaderboardUpdated),
    /// Somebody's place is another.
    #[serde(rename = "leaderboard:ranking_changed")]
    Ranking(RankingChanged),
    /// The standings of a moment are kept.
    #[serde(rename = "leaderboard:snapshot_created")]
    Snapshot(SnapshotCreated),
    /// A position is another, or is worth something else.
    #[serde(rename = "position:updated")]
    Position(PositionUpdated),
    /// A position is none any more.
    #[serde(rename = "position:closed")]
    Closed(PositionClosed),
    /// What a member has is another, or is worth something else.
    #[serde(rename = "portfolio:updated")]
    Portfolio(PortfolioUpdated),
    /// What a member has, summed up: who has followed comes to the same.
    #[serde(rename = "account:digest")]
    Digest(AccountDigest),
    /// What something costs now.
    #[serde(rename = "market:price")]
    Price(MarketPrice),
    /// The room stands otherwise.
    #[serde(rename = "room:state_changed")]
    State(TradeStateChanged),
    /// Trading has begun.
    #[serde(rename = "room:started")]
    Started(TradeStarted),
    /// Trading has ended.
    #[serde(rename = "room:ended")]
    Ended(TradeEnded),
    /// Somebody is in.
    #[serde(rename = "room:member_joined")]
    Joined(TradeMemberJoined),
    /// Somebody is out.
    #[serde(rename = "room:member_left")]
    Left(TradeMemberLeft),
}

impl Event for TradeEvent {
    /// Of prices, which are not kept, a slow client hears the newest of each symbol. Positions, portfolios and standings are about
    /// something too, for kinds that are configured to keep nothing; fills and what becomes of orders are about nothing but
    /// themselves.
    fn slot(&self) -> Option<&str> {
        match self {
            Self::Position(position) => Some(&position.symbol),
            Self::Portfolio(_) => Some("portfolio"),
            Self::Standings(_) => Some("standings"),
            Self::Price(price) => Some(&price.symbol),
            _ => None,
        }
    }
}

/// Something of an order is filled.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderExecuted {
    /// In which room.
    pub room_id: String,
    /// Which order.
    pub order_id: String,
    /// The client's own id of it.
    pub client_order_id: String,
    /// What.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// How much.
    pub quantity: Dec,
    /// At which price.
    pub price: Dec,
    /// The fee.
    pub fee: Dec,
    /// How much of the order is left.
    pub remaining: Dec,
    /// When, in the room's time.
    pub executed_at: String,
}

/// An order, or what is left of it, cannot be done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderFailed {
    /// In which room.
    pub room_id: String,
    /// The client's own id of it.
    pub client_order_id: String,
    /// Why.
    pub reason: FailedReason,
}

/// Why an order cannot be done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedReason {
    /// The code to branch on.
    pub code: crate::refused::Reason,
    /// A sentence for people.
    pub message: String,
}

/// What is left of an order is not wanted any more.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// In which room.
    pub room_id: String,
    /// Which order.
    pub order_id: String,
    /// How much of it was not filled.
    pub remaining: Dec,
}

/// Where somebody stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaderboardEntry {
    /// Who.
    pub user_id: String,
    /// By which name.
    pub name: String,
    /// The place, counted from 1.
    pub rank: u32,
    /// What members are compared by.
    pub value: Dec,
    /// Cash and what positions are worth.
    pub portfolio_value: Dec,
}

/// Where everybody stands: the first hundred of them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaderboardUpdated {
    /// In which room.
    pub room_id: String,
    /// The first of them, in order.
    pub entries: Vec<LeaderboardEntry>,
}

/// Somebody's place is another.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RankingChanged {
    /// In which room.
    pub room_id: String,
    /// Who.
    pub user_id: String,
    /// Where before, if anywhere.
    pub old_rank: Option<u32>,
    /// Where now.
    pub new_rank: u32,
}

/// The standings of a moment are kept.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotCreated {
    /// In which room.
    pub room_id: String,
    /// By which id they are found.
    pub snapshot_id: String,
    /// When, in the room's time.
    pub at: String,
    /// The first hundred, in order.
    pub entries: Vec<LeaderboardEntry>,
}

/// A position is another, or is worth something else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PositionUpdated {
    /// In which room.
    pub room_id: String,
    /// Whose.
    pub user_id: String,
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
}

/// A position is none any more.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PositionClosed {
    /// In which room.
    pub room_id: String,
    /// Whose.
    pub user_id: String,
    /// What.
    pub symbol: String,
    /// Its profit with all of its fees.
    pub realised_pnl: Dec,
}

/// What a member has is another, or is worth something else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortfolioUpdated {
    /// In which room.
    pub room_id: String,
    /// Whose.
    pub user_id: String,
    /// Cash.
    pub cash: Dec,
    /// Cash and what positions are worth.
    pub equity: Dec,
    /// Profit from what was sold, less all fees.
    pub realised_pnl: Dec,
    /// The profit there would be if everything were sold.
    pub unrealised_pnl: Dec,
}

/// The room stands otherwise.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeStateChanged {
    /// Which room.
    pub room_id: String,
    /// Before.
    pub old_state: State,
    /// Now.
    pub new_state: State,
}

/// Trading has begun.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeStarted {
    /// In which room.
    pub room_id: String,
    /// When, in the room's time.
    pub started_at: String,
    /// When it is to end, if that is known.
    pub ends_at: Option<String>,
}

/// Trading has ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeEnded {
    /// In which room.
    pub room_id: String,
    /// When, in the room's time.
    pub ended_at: String,
    /// The number of the entry of the room's journal at which it ended: what is before it counts. It is no offset of an event.
    pub final_offset: u64,
    /// The first hundred, in order.
    pub standings: Vec<LeaderboardEntry>,
}

/// Somebody is in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeMemberJoined {
    /// In which room.
    pub room_id: String,
    /// Who.
    pub user_id: String,
    /// By which name.
    pub name: String,
}

/// Somebody is out.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeMemberLeft {
    /// Out of which room.
    pub room_id: String,
    /// Who.
    pub user_id: String,
}
