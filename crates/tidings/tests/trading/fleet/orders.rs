//! What a bot orders: mostly for the market, some of it with limits and stops, some of it cancelled again.

use std::collections::BTreeMap;
use std::time::Instant;

use super::chance::Chance;
use super::plan::SYMBOLS;
use crate::books::{ONE, decimal};

/// The price around which all prices are, in cents.
pub(crate) const AROUND: u64 = 10_000;

/// An order as the bot knows it.
#[derive(Debug)]
pub(crate) struct Order {
    /// All of it but its id.
    pub(crate) rest: String,
    /// When it was to be placed, and when it was said first.
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
    /// It is filled at once if there is volume, and was said once: what it took is measured.
    pub(crate) measured: bool,
    /// How often it was said.
    pub(crate) said: u64,
    /// The room's id of it, once it is acknowledged.
    pub(crate) placed: Option<String>,
    /// The code with which it was refused.
    pub(crate) refused: Option<String>,
}

/// An order that is drawn: whether it is for the market, and all of it but its id.
pub(crate) fn draw(chance: &mut Chance, held: &BTreeMap<String, i128>) -> (bool, String) {
    let symbol = SYMBOLS[chance.below(SYMBOLS.len() as u64) as usize];
    let quantity = 1 + chance.below(5);
    // What waits to be sold already is not known for certain: now and then it is refused.
    let has = held.get(symbol).copied().unwrap_or(0);
    let sells = has >= 2 * i128::from(quantity) * ONE && chance.per_mille(450);
    let side = if sells { "sell" } else { "buy" };
    // Near the prices that come: some are filled at once, most wait for a while, some for ever.
    let near = decimal(i128::from(AROUND - 200 + chance.below(400)) * ONE / 100);
    let (kind, prices) = match chance.below(100) {
        0..70 => ("market", String::new()),
        70..90 => ("limit", format!(",\"price\":\"{near}\"")),
        _ => ("stop", format!(",\"stopPrice\":\"{near}\"")),
    };
    let what = format!("\"symbol\":\"{symbol}\",\"side\":\"{side}\",\"type\":\"{kind}\"");
    (kind == "market", format!("{what},\"quantity\":\"{quantity}\"{prices}"))
}

/// The command that places an order, but for its beginning.
pub(crate) fn placing(room: &str, client: &str, rest: &str) -> String {
    format!(
        "\"type\":\"command\",\"ns\":\"/trading\",\"name\":\"order:place\",\"data\":{{\"roomId\":\"{room}\",\
         \"clientOrderId\":\"{client}\",{rest}}}}}"
    )
}

/// The command that cancels one.
pub(crate) fn cancelling(room: &str, order: &str) -> String {
    format!(
        "\"type\":\"command\",\"ns\":\"/trading\",\"name\":\"order:cancel\",\"data\":{{\"roomId\":\"{room}\",\
         \"orderId\":\"{order}\"}}}}"
    )
}
