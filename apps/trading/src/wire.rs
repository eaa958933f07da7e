//! The contract: what clients say, what rooms hear, how things stand. Names on the wire are here and nowhere else.
//!
//! | module | what it is |
//! |---|---|
//! | `events`, `beside` | what is heard in `trade:ROOM` and `trade:ROOM:USER` |
//! | `views` | rooms, accounts and orders as they stand |

mod beside;
mod events;
mod views;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_app::{Command, Rate, Requires, Rule, Text, Whole};

use crate::decimal::Dec;
use crate::order::{Ask, Kind, Side, Status};

pub use beside::*;
pub use events::*;
pub use views::*;

/// An id of a room.
pub type RoomId = Text<1, 64>;

/// What clients say on `/trading`.
#[derive(Debug, Deserialize, JsonSchema)]
pub enum TradeSay {
    /// Places an order.
    #[serde(rename = "order:place")]
    Place(OrderPlace),
    /// Cancels what is left of one.
    #[serde(rename = "order:cancel")]
    Cancel(OrderCancel),
}

/// An order that is placed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderPlace {
    /// In which room.
    pub room_id: RoomId,
    /// The client's own id of it; a repeat of the same order under it is the same order.
    pub client_order_id: Text<1, 64>,
    /// What is traded.
    pub symbol: Text<1, 24>,
    /// Which way.
    pub side: Side,
    /// How it is filled.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How much.
    pub quantity: Dec,
    /// The limit.
    pub price: Option<Dec>,
    /// What wakes a stop order.
    pub stop_price: Option<Dec>,
}

impl OrderPlace {
    /// The room, and what is asked for in it.
    pub fn into_ask(self) -> (String, Ask) {
        let Self { room_id, client_order_id, symbol, side, kind, quantity, price, stop_price } = self;
        let (client_order_id, symbol) = (client_order_id.into_string(), symbol.into_string());
        (room_id.into_string(), Ask { client_order_id, symbol, side, kind, quantity, price, stop_price })
    }
}

/// An order of which nothing is wanted any more.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderCancel {
    /// In which room.
    pub room_id: RoomId,
    /// Which order.
    pub order_id: Text<1, 24>,
}

/// Orders of a user in all rooms together: bots say more than the general bucket lets through. Each room has a
/// pace of its own beside it.
const ORDERS: Rate = Rate::per_second(100, 200);

impl Command for TradeSay {
    const RULES: &'static [Requires] = &[
        Requires::new("order:place", Rule::SignedIn).rate(ORDERS),
        Requires::new("order:cancel", Rule::SignedIn).rate(ORDERS),
    ];
}

/// What clients say on `/trading` of a switch.
#[derive(Debug, Deserialize, JsonSchema)]
pub enum SwitchSay {
    /// Has open orders cancelled after a while, unless it is said again before.
    #[serde(rename = "order:cancel_after")]
    CancelAfter(OrderCancelAfter),
}

/// After how long a member's open orders are cancelled.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderCancelAfter {
    /// In which room.
    pub room_id: RoomId,
    /// How long, in milliseconds of the room's time; never, if not said.
    pub after_ms: Option<AfterMs>,
}

/// A second to a day.
pub type AfterMs = Whole<1_000, 86_400_000>;

impl Command for SwitchSay {
    const RULES: &'static [Requires] =
        &[Requires::new("order:cancel_after", Rule::SignedIn).rate(Rate::per_second(5, 20))];
}

/// What is answered of a switch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelAfterReply {
    /// In which room.
    pub room_id: String,
    /// When open orders are cancelled, in the room's time; never, if not said.
    pub cancel_at: Option<String>,
}

/// What clients say on `/trading` to hear a room there; on `/` and the plain protocol the generic commands do.
#[derive(Debug, Deserialize, JsonSchema)]
pub enum HearSay {
    /// Hears a room, and what one has in it.
    #[serde(rename = "subscribe")]
    Subscribe(RoomWish),
    /// Hears it no more.
    #[serde(rename = "unsubscribe")]
    Unsubscribe(RoomWish),
}

/// Which room.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoomWish {
    /// The room.
    pub room_id: RoomId,
}

impl Command for HearSay {
    const RULES: &'static [Requires] =
        &[Requires::new("subscribe", Rule::SignedIn), Requires::new("unsubscribe", Rule::SignedIn)];
}

/// What is answered to who comes and goes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HearReply {
    /// The room.
    pub room_id: String,
    /// What one hears now, or does not any more: the room, and for members what is their own.
    pub rooms: Vec<String>,
    /// How the room and the account stand, for those who come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<TradeSnapshot>,
}

/// What is answered on `/trading`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderReply {
    /// In which room.
    pub room_id: String,
    /// The order.
    pub order_id: String,
    /// The client's own id of it.
    pub client_order_id: String,
    /// How it stands.
    pub status: Status,
    /// How much of it is not filled.
    pub remaining_quantity: Dec,
    /// How many more orders the room takes of this member now.
    pub orders_remaining: u32,
    /// It was placed before, and this is how it stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
}
