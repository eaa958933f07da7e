//! What a room says no to, each with a code of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_app::{Code, Refusal};

/// Why a room says no. The name on the wire is what programs branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TradeRefusal")]
pub enum Reason {
    /// Whoever asks is not in the room, or has left it.
    NotAMember,
    /// Whoever joins is in it, or was.
    AlreadyAMember,
    /// The room is not running.
    RoomNotRunning,
    /// The room does not stand so that this could be done.
    RoomState,
    /// Orders still meet the price before; the next may come when they have.
    RoomBusy,
    /// It has as many members as it takes.
    RoomFull,
    /// There is no such instrument here.
    UnknownSymbol,
    /// The instrument had no price yet.
    NoPrice,
    /// A price is missing, not wanted, out of range or no whole number of ticks.
    BadTick,
    /// A quantity is out of range or no whole number of lots.
    BadSize,
    /// It cannot be read as an order: something is missing, or is none of what it may be.
    BadOrder,
    /// There is not enough cash that is free.
    InsufficientCash,
    /// There is not enough of the position that is free.
    InsufficientPosition,
    /// The position would be larger than the instrument lets it.
    PositionLimit,
    /// There are as many orders as may be.
    TooManyOrders,
    /// Orders come faster than the room lets them.
    RateExceeded,
    /// The client has used this id for another order.
    DuplicateClientOrderId,
    /// There is no such order of this member.
    UnknownOrder,
    /// The order was cancelled before.
    AlreadyCancelled,
    /// The order was filled before.
    AlreadyFilled,
}

impl Reason {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAMember => "not_a_member",
            Self::AlreadyAMember => "already_a_member",
            Self::RoomNotRunning => "room_not_running",
            Self::RoomState => "room_state",
            Self::RoomBusy => "room_busy",
            Self::RoomFull => "room_full",
            Self::UnknownSymbol => "unknown_symbol",
            Self::NoPrice => "no_price",
            Self::BadTick => "bad_tick",
            Self::BadSize => "bad_size",
            Self::BadOrder => "bad_order",
            Self::InsufficientCash => "insufficient_cash",
            Self::InsufficientPosition => "insufficient_position",
            Self::PositionLimit => "position_limit",
            Self::TooManyOrders => "too_many_orders",
            Self::RateExceeded => "rate_exceeded",
            Self::DuplicateClientOrderId => "duplicate_client_order_id",
            Self::UnknownOrder => "unknown_order",
            Self::AlreadyCancelled => "already_cancelled",
            Self::AlreadyFilled => "already_filled",
        }
    }

    /// The code of the wire contract that it is a case of.
    pub const fn code(self) -> Code {
        match self {
            Self::NotAMember => Code::Forbidden,
            Self::UnknownSymbol | Self::UnknownOrder => Code::NotFound,
            Self::BadTick | Self::BadSize | Self::BadOrder => Code::BadRequest,
            Self::RateExceeded => Code::RateLimited,
            Self::RoomBusy => Code::Unavailable,
            _ => Code::Conflict,
        }
    }
}

/// The name under which an answer says how many more orders the room takes.
pub(crate) const ORDERS_REMAINING: &str = "ordersRemaining";

/// A no of a room: nothing has changed by what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Refused {
    /// The code to branch on.
    pub reason: Reason,
    /// A sentence for people.
    pub message: String,
    /// When to try again, in milliseconds, where orders came too fast.
    pub retry_after_ms: Option<u32>,
    /// The order it is about, where there is one: of an id that was used before.
    pub order: Option<u64>,
    /// How many more orders the room takes of who asked, where that is a member.
    pub orders_remaining: Option<u32>,
}

impl Refused {
    /// A no with a code and a sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after_ms: None, order: None, orders_remaining: None }
    }

    /// A no that is about an order.
    #[must_use]
    pub fn about(mut self, order: u64) -> Self {
        self.order = Some(order);
        self
    }
}

impl From<Refused> for Refusal {
    /// The room's own code stands before the sentence, since the wire contract has few codes.
    fn from(refused: Refused) -> Self {
        let refusal = Self::new(refused.reason.code(), &refused.to_string());
        let left = refused.orders_remaining.map(|left| (ORDERS_REMAINING, left));
        Self { retry_after_ms: refused.retry_after_ms, left, ..refusal }
    }
}
