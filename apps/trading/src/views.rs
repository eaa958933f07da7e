//! How rooms, accounts and orders are shown.

use tidings_app::time::iso8601;

use crate::account::Account;
use crate::order::{Order, order_id};
use crate::room::Room;
use crate::store::RoomRow;
use crate::telling::entries;
use crate::wire::*;

/// A room.
pub fn of_room(row: &RoomRow, room: &Room) -> TradeRoomView {
    let prices = room
        .rules()
        .instruments
        .iter()
        .enumerate()
        .filter_map(|(at, it)| Some(PriceView { symbol: it.symbol.clone(), price: room.price_of(at)? }));
    TradeRoomView {
        id: row.id.clone(),
        name: row.name.clone(),
        owner: row.owner.clone(),
        state: room.state(),
        rules: row.rules.clone(),
        members: room.members(),
        created_at: iso8601(row.created_ms),
        started_at: room.started_ms().map(iso8601),
        ends_at: room.ends_ms().map(iso8601),
        ended_at: room.ended_ms().map(iso8601),
        journal: room.seq(),
        chain: room.chain().to_string(),
        digest: room.digest().to_string(),
        prices: prices.collect(),
        standings: entries(&room.standings()),
    }
}

/// Positions of an account, by symbol.
pub fn positions(room: &Room, account: &Account) -> Vec<PositionView> {
    let position = |(at, holding): (&usize, &crate::account::Holding)| {
        Some(PositionView {
            symbol: room.instrument(*at)?.symbol.clone(),
            quantity: holding.quantity,
            average_price: holding.average_price(),
            mark_price: holding.mark,
            unrealised_pnl: holding.unrealised(),
            realised_pnl: holding.realised,
        })
    };
    let mut positions: Vec<PositionView> = account.holdings.iter().filter_map(position).collect();
    positions.sort_by(|one, other| one.symbol.cmp(&other.symbol));
    positions
}

/// What a member has; `now_ms` is the room's time.
///
/// # Errors
/// `not_a_member`
pub fn of_account(room: &Room, user: &str, now_ms: u64) -> Result<AccountView, crate::refused::Refused> {
    let account = room.member(user)?;
    let open = account.open.iter().filter_map(|number| room.order(*number));
    Ok(AccountView {
        user_id: user.to_owned(),
        name: account.name.clone(),
        cash: account.cash,
        reserved: account.reserved,
        equity: account.equity,
        realised_pnl: account.realised,
        unrealised_pnl: account.unrealised(),
        fees: account.fees,
        trades: account.trades,
        drawdown: account.drawdown,
        orders_remaining: room.budget(user, now_ms),
        journal: room.seq(),
        digest: room.account_digest(user)?.to_string(),
        positions: positions(room, account),
        open_orders: open.map(of_order).collect(),
    })
}

/// An order.
pub fn of_order(order: &Order) -> OrderView {
    OrderView {
        order_id: order_id(order.number),
        client_order_id: order.ask.client_order_id.clone(),
        symbol: order.ask.symbol.clone(),
        side: order.ask.side,
        kind: order.ask.kind,
        quantity: order.ask.quantity,
        remaining: order.remaining,
        price: order.ask.price,
        stop_price: order.ask.stop_price,
        status: order.status,
        amount: order.amount,
        fees: order.fees,
        placed_at: iso8601(order.placed_ms),
    }
}

/// What a command about an order is answered; `now_ms` is the room's time.
pub fn of_reply(room: &Room, order: &Order, now_ms: u64) -> OrderReply {
    OrderReply {
        room_id: room.id().to_owned(),
        order_id: order_id(order.number),
        client_order_id: order.ask.client_order_id.clone(),
        status: order.status,
        remaining_quantity: order.remaining,
        orders_remaining: room.budget(&order.user, now_ms),
        duplicate: None,
    }
}
