//! A room as bytes, at a place of its journal: what saves the next start the entries before it.
//!
//! An image is believed only as far as it proves itself: it is of this room and these rules, none of its bytes is another,
//! and the chain that goes on from it is the one in the room's row. Who doubts it reads the journal.

use std::collections::BTreeMap;

use super::{ORDERS_MOST, Room, State, beginning};
use crate::account::Account;
use crate::bytes::{In, Out};
use crate::journal::Hash;
use crate::market::Quote;
use crate::order::{Ask, Kind, Order, Side, Status};
use crate::rules::Rules;

/// The version of images. Another one is needed where they are written otherwise, and where the same journal comes to
/// something else: an image is what the rules of trading made of it. Since 2 what was paid for the part of a position that is
/// sold is exact however large the position.
pub const VERSION: u64 = 2;

/// Bytes that an order seldom needs more of.
const ORDER_BYTES: usize = 128;

/// The checksum at the end of an image: a SHA-256 of what it is, and of all before it.
fn checksum(body: &[u8]) -> Hash {
    Hash::of_bytes(&format!("tidings-trading-image {VERSION}\n"), body)
}

/// Why bytes are no image of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// Some of them are missing, or others.
    #[error("its checksum is another")]
    Checksum,
    /// They are of another room, or of other rules.
    #[error("it is of another room, or of other rules")]
    Foreign,
    /// They say what no room can be.
    #[error("it says what no room can be")]
    Form,
}

/// Orders that were written ahead of the rest: of a closed order nothing changes any more, so that it may be written while
/// the room goes on.
#[derive(Debug, Default)]
pub struct Sketch {
    /// The orders in their order, each with bytes of its own, so that nothing large is copied as it grows while a room
    /// stands still; nothing of those that were open.
    orders: Vec<Box<[u8]>>,
    /// The places of those.
    open: Vec<usize>,
}

/// A room of which everything is written, and is only to be put together.
#[derive(Debug)]
pub struct Image {
    /// The entry it is of.
    pub seq: u64,
    /// The link of the chain at that entry.
    pub chain: Hash,
    head: Vec<u8>,
    orders: Vec<Box<[u8]>>,
}

impl Image {
    /// Its bytes: the same for the same room, whoever makes them.
    pub fn into_bytes(self) -> Vec<u8> {
        let Self { head, orders, .. } = self;
        let mut out = Out(head);
        out.count(orders.len());
        out.0.reserve(orders.iter().map(|order| order.len()).sum::<usize>() + Hash::BYTES);
        orders.iter().for_each(|order| out.0.extend_from_slice(order));
        let checksum = checksum(&out.0);
        out.hash(checksum);
        out.0
    }
}

impl Room {
    /// Goes on with a sketch by so many orders at most; whether that were all.
    pub fn sketch(&self, sketch: &mut Sketch, most: usize) -> bool {
        let from = sketch.orders.len();
        if from == 0 {
            // Some more come while it is made.
            sketch.orders.reserve(self.orders.len() + self.orders.len() / 8);
        }
        for order in self.orders.iter().skip(from).take(most) {
            let is_open = order.status == Status::Open;
            sketch.open.extend(is_open.then_some(sketch.orders.len()));
            sketch.orders.push(if is_open { Box::default() } else { self.write_order(order) });
        }
        sketch.orders.len() >= self.orders.len()
    }

    /// The image of this moment, with what was sketched of it.
    pub fn image(&self, mut sketch: Sketch) -> Image {
        self.sketch(&mut sketch, usize::MAX);
        let Sketch { mut orders, open } = sketch;
        for at in open {
            orders[at] = self.orders.get(at).map(|order| self.write_order(order)).unwrap_or_default();
        }
        Image { seq: self.seq, chain: self.chain, head: self.head(), orders }
    }

    /// Makes a room of its image.
    ///
    /// # Errors
    /// Why it is none of this room under these rules.
    pub fn from_image(id: &str, rules: &Rules, bytes: &[u8]) -> Result<Self, NoImage> {
        let (body, sum) = bytes.split_last_chunk::<{ Hash::BYTES }>().ok_or(NoImage::Checksum)?;
        if checksum(body).as_bytes() != sum {
            return Err(NoImage::Checksum);
        }
        let mut from = In(body);
        let room = Self::new(id, rules.clone()).map_err(|_| NoImage::Foreign)?;
        if from.hash() != Some(room.chain) {
            return Err(NoImage::Foreign);
        }
        room.read(&mut from).filter(|_| from.0.is_empty()).ok_or(NoImage::Form)
    }

    /// All but the orders. What a room makes of others of its parts is not written: who waits in which queue, whose
    /// orders are open, who has what, whose switch is next.
    fn head(&self) -> Vec<u8> {
        let Self {
            id,
            rules,
            state,
            seq,
            at_ms,
            chain,
            started_ms,
            ended_ms,
            joined,
            present,
            markets,
            accounts,
            orders: _,
            switches: _,
            unfinished,
        } = self;
        let mut out = Out::default();
        out.hash(beginning(id, rules));
        out.byte(*state as u8);
        [*seq, *at_ms, *joined, *present].into_iter().for_each(|number| out.number(number));
        out.hash(*chain);
        [*started_ms, *ended_ms].into_iter().for_each(|ms| out.perhaps(ms, Out::number));
        for market in markets {
            out.perhaps(market.quote, |out, Quote { price, to_buy, to_sell }| {
                out.dec(price);
                [to_buy, to_sell].into_iter().for_each(|left| out.perhaps(left, Out::dec));
            });
        }
        out.count(unfinished.len());
        unfinished.iter().for_each(|market| out.count(*market));
        out.count(accounts.len());
        for (user, account) in accounts {
            out.text(user);
            account.write(&mut out);
        }
        out.0
    }

    fn read(mut self, from: &mut In<'_>) -> Option<Self> {
        self.state = state(from.byte()?)?;
        (self.seq, self.at_ms) = (from.number()?, from.number()?);
        (self.joined, self.present) = (from.number()?, from.number()?);
        self.chain = from.hash()?;
        (self.started_ms, self.ended_ms) = (from.perhaps(In::number)?, from.perhaps(In::number)?);
        for market in &mut self.markets {
            market.quote = from.perhaps(|from| {
                let price = from.dec()?;
                Some(Quote { price, to_buy: from.perhaps(In::dec)?, to_sell: from.perhaps(In::dec)? })
            })?;
        }
        for _ in 0..from.count()? {
            self.unfinished.insert(from.place().filter(|market| *market < self.markets.len())?);
        }
        for _ in 0..from.count()? {
            let (user, account) = (from.text()?.to_owned(), Account::read(from)?);
            self.add_account(user, account)?;
        }
        let users: BTreeMap<u64, String> =
            self.accounts.iter().map(|(user, account)| (account.joined, user.clone())).collect();
        let orders = from.count()?;
        self.orders.reserve_exact(orders.min(ORDERS_MOST));
        for _ in 0..orders {
            let order = self.read_order(&users, from)?;
            self.add_order(order)?;
        }
        Some(self)
    }

    fn add_account(&mut self, user: String, account: Account) -> Option<()> {
        for market in account.holdings.keys() {
            self.markets.get_mut(*market)?.holders.insert(user.clone());
        }
        self.switches.extend(account.cancel_ms.map(|at| (at, user.clone())));
        self.accounts.insert(user, account);
        Some(())
    }

    fn add_order(&mut self, order: Order) -> Option<()> {
        let account = self.accounts.get_mut(&order.user)?;
        account.clients.insert(order.ask.client_order_id.clone(), order.number);
        if order.status == Status::Open {
            account.open.insert(order.number);
            self.markets.get_mut(order.market)?.add(&order);
        }
        self.orders.push(order);
        Some(())
    }

    /// An order. Its number is its place, its symbol its market's.
    fn write_order(&self, order: &Order) -> Box<[u8]> {
        let Order {
            number: _,
            user,
            ask,
            market,
            placed_ms,
            status,
            remaining,
            sleeps,
            reserved,
            amount,
            fees,
        } = order;
        let Ask { client_order_id, symbol: _, side, kind, quantity, price, stop_price } = ask;
        let mut out = Out(Vec::with_capacity(ORDER_BYTES));
        // By the number of a member, not by place: who comes later changes it for nobody. Whoever has an order is a member for good.
        out.number(self.accounts.get(user).map_or(u64::MAX, |account| account.joined));
        out.count(*market);
        out.byte(*side as u8 | (*kind as u8) << 1 | (*status as u8) << 3 | u8::from(*sleeps) << 5);
        out.text(client_order_id);
        out.number(placed_ms.wrapping_sub(self.started_ms.unwrap_or_default()));
        [quantity, remaining, reserved, amount, fees].into_iter().for_each(|dec| out.dec(*dec));
        [price, stop_price].into_iter().for_each(|price| out.perhaps(*price, Out::dec));
        out.0.into()
    }

    fn read_order(&self, users: &BTreeMap<u64, String>, from: &mut In<'_>) -> Option<Order> {
        let user = users.get(&from.number()?)?.clone();
        let market = from.place()?;
        let symbol = self.instrument(market)?.symbol.clone();
        let bits = from.byte()?;
        let (side, kind, status) = (side(bits & 1), kind(bits >> 1 & 3)?, status(bits >> 3 & 3));
        let sleeps = match bits >> 5 {
            0 => false,
            1 => true,
            _ => return None,
        };
        let client_order_id = from.text()?.to_owned();
        let placed_ms = from.number()?.wrapping_add(self.started_ms.unwrap_or_default());
        let (quantity, remaining, reserved) = (from.dec()?, from.dec()?, from.dec()?);
        let (amount, fees) = (from.dec()?, from.dec()?);
        let (price, stop_price) = (from.perhaps(In::dec)?, from.perhaps(In::dec)?);
        let ask = Ask { client_order_id, symbol, side, kind, quantity, price, stop_price };
        let number = self.orders.len() as u64 + 1;
        Some(Order {
            number,
            user,
            ask,
            market,
            placed_ms,
            status,
            remaining,
            sleeps,
            reserved,
            amount,
            fees,
        })
    }
}

const fn state(byte: u8) -> Option<State> {
    Some(match byte {
        0 => State::Draft,
        1 => State::Open,
        2 => State::Running,
        3 => State::Ended,
        _ => return None,
    })
}

const fn side(bit: u8) -> Side {
    if bit == 0 { Side::Buy } else { Side::Sell }
}

const fn kind(bits: u8) -> Option<Kind> {
    Some(match bits {
        0 => Kind::Market,
        1 => Kind::Limit,
        2 => Kind::Stop,
        _ => return None,
    })
}

const fn status(bits: u8) -> Status {
    match bits {
        0 => Status::Open,
        1 => Status::Filled,
        2 => Status::Cancelled,
        _ => Status::Failed,
    }
}
