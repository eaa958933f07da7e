//! Instruments: what is traded, in which steps, within which bounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decimal::{DIGITS, Dec};
use crate::refused::{Reason, Refused};

/// Characters of a symbol at most.
pub const SYMBOL_MOST: usize = 24;
/// What all of a position may be worth at the highest price; it keeps every amount, and every sum of amounts, far within
/// what a decimal holds.
pub const WORTH_MOST: Dec = Dec::whole(1_000_000_000_000);

/// Something that is traded in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Instrument {
    /// Its name: capitals, digits and `. _ - /`.
    pub symbol: String,
    /// The step of prices.
    pub tick_size: Dec,
    /// The step of quantities.
    pub lot_size: Dec,
    /// The smallest order.
    pub min_quantity: Dec,
    /// The largest order.
    pub max_quantity: Dec,
    /// The largest position of one member, with what is ordered for it.
    pub max_position: Dec,
    /// The highest price that is taken.
    pub max_price: Dec,
}

impl Instrument {
    /// Whether it makes sense, and everything that is computed from it is exact.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let Self { symbol, tick_size, lot_size, min_quantity, max_quantity, max_position, max_price } = self;
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
        if symbol.is_empty() || symbol.len() > SYMBOL_MOST || !symbol.bytes().all(plain) {
            return Err(format!("symbol: expected 1 to {SYMBOL_MOST} capitals, digits, . _ - or /"));
        }
        for (name, number) in [("tickSize", tick_size), ("lotSize", lot_size)] {
            if !number.is_positive() {
                return Err(format!("{symbol}: {name}: expected more than 0"));
            }
        }
        // A price times a quantity has as many digits as both: no amount is ever rounded.
        if tick_size.digits() + lot_size.digits() > DIGITS {
            return Err(format!("{symbol}: tickSize and lotSize: expected at most {DIGITS} digits together"));
        }
        let steps =
            [("minQuantity", min_quantity), ("maxQuantity", max_quantity), ("maxPosition", max_position)];
        for (name, number) in steps {
            if !number.is_positive() || !number.is_multiple_of(*lot_size) {
                return Err(format!("{symbol}: {name}: expected whole lots of {lot_size}"));
            }
        }
        if !max_price.is_positive() || !max_price.is_multiple_of(*tick_size) {
            return Err(format!("{symbol}: maxPrice: expected whole ticks of {tick_size}"));
        }
        if min_quantity > max_quantity || max_quantity > max_position {
            return Err(format!("{symbol}: expected minQuantity <= maxQuantity <= maxPosition"));
        }
        match max_price.exactly(*max_position) {
            Some(worth) if worth <= WORTH_MOST => Ok(()),
            _ => Err(format!("{symbol}: maxPrice times maxPosition: expected at most {WORTH_MOST}")),
        }
    }

    /// Whether a price may be one of it.
    ///
    /// # Errors
    /// `bad_tick`
    pub fn check_price(&self, name: &str, price: Dec) -> Result<(), Refused> {
        if price.is_positive() && price <= self.max_price && price.is_multiple_of(self.tick_size) {
            return Ok(());
        }
        let (tick, most) = (self.tick_size, self.max_price);
        Err(Refused::new(
            Reason::BadTick,
            format!("{name}: expected ticks of {tick} up to {most}, found {price}"),
        ))
    }

    /// Whether an order may be so large.
    ///
    /// # Errors
    /// `bad_size`
    pub fn check_quantity(&self, quantity: Dec) -> Result<(), Refused> {
        let (least, most, lot) = (self.min_quantity, self.max_quantity, self.lot_size);
        if (least..=most).contains(&quantity) && quantity.is_multiple_of(lot) {
            return Ok(());
        }
        let message = format!("quantity: expected {least} to {most} in lots of {lot}, found {quantity}");
        Err(Refused::new(Reason::BadSize, message))
    }
}
