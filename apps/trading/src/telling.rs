//! What is told of something that has happened: events and their rooms.

use tidings_app::time::iso8601;
use tidings_app::{Lane, Org, Refusal, Room as Place, Tells};

use crate::account::{Holding, Portfolio};
use crate::order::{Status, order_id};
use crate::refused::Refused;
use crate::room::{Applied, Room, State, Told};
use crate::standing::Standing;
use crate::views;
use crate::wire::*;

/// Places of standings that are told at most; the others are read.
pub const ENTRIES_MOST: usize = 100;

/// The public room, or that of a member.
///
/// # Errors
/// `bad_request` for a name that cannot be a room's.
pub fn place(org: &Org, id: &str, user: Option<&str>) -> Result<Place, Refusal> {
    let name = user.map_or_else(|| format!("trade:{id}"), |user| format!("trade:{id}:{user}"));
    tidings_app::room(org, &name)
}

/// The first places as they are told.
pub fn entries(standings: &[Standing]) -> Vec<LeaderboardEntry> {
    let entry = |row: &Standing| LeaderboardEntry {
        user_id: row.user_id.clone(),
        name: row.name.clone(),
        rank: row.rank,
        value: row.value,
        portfolio_value: row.portfolio_value,
    };
    standings.iter().take(ENTRIES_MOST).map(entry).collect()
}

/// A position as it is told.
pub fn position(room_id: &str, user: &str, symbol: &str, holding: &Holding) -> TradeEvent {
    TradeEvent::Position(PositionUpdated {
        room_id: room_id.to_owned(),
        user_id: user.to_owned(),
        symbol: symbol.to_owned(),
        quantity: holding.quantity,
        average_price: holding.average_price(),
        mark_price: holding.mark,
        unrealised_pnl: holding.unrealised(),
    })
}

/// What a member has, as it is told.
pub fn portfolio(room_id: &str, user: &str, portfolio: &Portfolio) -> TradeEvent {
    TradeEvent::Portfolio(PortfolioUpdated {
        room_id: room_id.to_owned(),
        user_id: user.to_owned(),
        cash: portfolio.cash,
        equity: portfolio.equity,
        realised_pnl: portfolio.realised,
        unrealised_pnl: portfolio.unrealised,
    })
}

/// An order that cannot be done.
pub fn failed(room_id: &str, client_order_id: &str, refused: &Refused) -> TradeEvent {
    let reason = FailedReason { code: refused.reason, message: refused.message.clone() };
    let (room_id, client_order_id) = (room_id.to_owned(), client_order_id.to_owned());
    TradeEvent::Failed(OrderFailed { room_id, client_order_id, reason })
}

/// What is told of an input. What concerns money goes before everything else to a client that is slow.
///
/// # Errors
/// As [`place`].
pub fn tell(tells: &mut Tells, org: &Org, room: &Room, applied: Applied) -> Result<(), Refusal> {
    let (id, entry) = (room.id(), applied.entry);
    let at = iso8601(entry.at_ms);
    for told in applied.told {
        let room_id = id.to_owned();
        let (user, event) = match told {
            Told::State { old, new } => {
                tell_state(tells, org, room, (old, new, entry.seq))?;
                continue;
            }
            Told::Marked { .. } => continue,
            Told::Joined { user, name } => {
                (None, TradeEvent::Joined(TradeMemberJoined { room_id, user_id: user, name }))
            }
            Told::Left { user } => (None, TradeEvent::Left(TradeMemberLeft { room_id, user_id: user })),
            Told::Executed(fill) => {
                let event = OrderExecuted {
                    room_id,
                    order_id: order_id(fill.order),
                    client_order_id: fill.client_order_id,
                    symbol: fill.symbol,
                    side: fill.side,
                    quantity: fill.quantity,
                    price: fill.price,
                    fee: fill.fee,
                    remaining: fill.remaining,
                    executed_at: at.clone(),
                };
                (Some(fill.user), TradeEvent::Executed(event))
            }
            Told::Placed { user, order } => {
                let Some(order) = room.order(order).map(views::of_order) else { continue };
                (Some(user), TradeEvent::Placed(OrderPlaced { room_id, order }))
            }
            // What cannot be paid is told as failed, and by that alone.
            Told::Cancelled { order, .. }
                if room.order(order).is_some_and(|order| order.status == Status::Failed) =>
            {
                continue;
            }
            Told::Cancelled { user, order, remaining } => {
                let event = OrderCancelled { room_id, order_id: order_id(order), remaining };
                (Some(user), TradeEvent::Cancelled(event))
            }
            Told::Failed { user, client_order_id, refused } => {
                (Some(user), failed(id, &client_order_id, &refused))
            }
            Told::Position { user, symbol, holding } => {
                let event = position(id, &user, &symbol, &holding);
                (Some(user), event)
            }
            Told::Closed { user, symbol, realised } => {
                let event = PositionClosed { room_id, user_id: user.clone(), symbol, realised_pnl: realised };
                (Some(user), TradeEvent::Closed(event))
            }
            Told::Portfolio { user, portfolio: has } => {
                let event = portfolio(id, &user, &has);
                (Some(user), event)
            }
            Told::Digest { user, digest } => {
                let (user_id, digest) = (user.clone(), digest.to_string());
                (Some(user), TradeEvent::Digest(AccountDigest { room_id, user_id, seq: entry.seq, digest }))
            }
        };
        let lane = user.is_some().then_some(Lane::Critical);
        tells.say_in(&place(org, id, user.as_deref())?, &event, lane)?;
    }
    Ok(())
}

fn tell_state(
    tells: &mut Tells,
    org: &Org,
    room: &Room,
    (old_state, new_state, seq): (State, State, u64),
) -> Result<(), Refusal> {
    let (public, room_id) = (place(org, room.id(), None)?, room.id().to_owned());
    let changed = TradeStateChanged { room_id: room_id.clone(), old_state, new_state };
    tells.say(&public, &TradeEvent::State(changed))?;
    let at = |ms: Option<u64>| iso8601(ms.unwrap_or(room.at_ms()));
    match new_state {
        State::Running => {
            let (started_at, ends_at) = (at(room.started_ms()), room.ends_ms().map(iso8601));
            tells.say(&public, &TradeEvent::Started(TradeStarted { room_id, started_at, ends_at }))?;
        }
        State::Ended => {
            let (ended_at, standings) = (at(room.ended_ms()), entries(&room.standings()));
            let ended = TradeEnded { room_id, ended_at, final_offset: seq, standings };
            tells.say_in(&public, &TradeEvent::Ended(ended), Some(Lane::Critical))?;
        }
        State::Draft | State::Open => {}
    }
    Ok(())
}
