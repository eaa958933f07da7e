//! A file of prices.
//!
//! CSV with a header, in the order of time; empty lines and those that begin with `#` are passed over:
//!
//! ```text
//! at,symbol,price,volume
//! 2010-03-01,ACME,28.8,5000
//! 2010-03-01T09:30:00.250Z,ACME,28.81,
//! ```
//!
//! `at` is a day or a moment (ISO 8601, UTC). `volume` may be left out, of a line or of the file: any amount.

use crate::decimal::Dec;
use crate::instrument::Instrument;
use crate::journal::{Hash, Input};

/// Bytes of a file at most, some forty thousand prices.
pub const BYTES_MOST: usize = 1 << 20;

/// A price of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tick {
    line: usize,
    at_ms: u64,
    /// The place of its symbol.
    symbol: usize,
    price: Dec,
    volume: Option<Dec>,
}

/// A file of prices, as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Tape {
    hash: Hash,
    symbols: Vec<String>,
    ticks: Vec<Tick>,
}

impl Tape {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, with the line's number.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MOST {
            return Err(format!("expected at most {BYTES_MOST} bytes, found {}", text.len()));
        }
        // Spreadsheets put a mark of the byte order before what they save.
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines();
        let mut lines = lines.map(str::trim_end).enumerate().map(|(at, line)| (at + 1, line));
        let mut lines = lines.by_ref().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let columns = match lines.next() {
            Some((_, "at,symbol,price")) => 3,
            Some((_, "at,symbol,price,volume")) => 4,
            Some((line, _)) => return Err(format!("line {line}: expected at,symbol,price,volume")),
            None => return Err("expected a line at,symbol,price,volume, and prices".into()),
        };
        let mut tape = Self { hash: Hash::of(text), symbols: Vec::new(), ticks: Vec::new() };
        for (line, text) in lines {
            tape.push(line, text, columns).map_err(|problem| format!("line {line}: {problem}"))?;
        }
        if tape.ticks.is_empty() { Err("expected at least one price".into()) } else { Ok(tape) }
    }

    fn push(&mut self, line: usize, text: &str, columns: usize) -> Result<(), String> {
        let fields: Vec<&str> = text.split(',').collect();
        let (&[at, symbol, price], volume) =
            fields.split_first_chunk::<3>().ok_or("expected three fields")?;
        if fields.len() > columns {
            return Err(format!("expected {columns} fields, found {}", fields.len()));
        }
        let at_ms = moment(at)
            .ok_or_else(|| format!("at: expected a time such as 2010-03-01T09:30:00Z, found {at}"))?;
        if self.ticks.last().is_some_and(|last| last.at_ms > at_ms) {
            return Err("at: is earlier than the line before".into());
        }
        let price: Dec = price.parse().map_err(|problem| format!("price: {problem}"))?;
        if !price.is_positive() {
            return Err(format!("price: expected more than 0, found {price}"));
        }
        let volume = volume.first().filter(|volume| !volume.is_empty());
        let volume: Option<Dec> = volume
            .map(|volume| volume.parse())
            .transpose()
            .map_err(|problem| format!("volume: {problem}"))?;
        if volume.is_some_and(|volume| volume < Dec::ZERO) {
            return Err("volume: expected 0 or more".into());
        }
        let symbol = self.place_of(symbol)?;
        self.ticks.push(Tick { line, at_ms, symbol, price, volume });
        Ok(())
    }

    fn place_of(&mut self, symbol: &str) -> Result<usize, String> {
        if let Some(place) = self.symbols.iter().position(|known| known == symbol) {
            return Ok(place);
        }
        if symbol.is_empty() {
            return Err("symbol: expected one".into());
        }
        if self.symbols.len() == SYMBOLS_MOST {
            return Err(format!("symbol: more than {SYMBOLS_MOST} in one file"));
        }
        self.symbols.push(symbol.to_owned());
        Ok(self.symbols.len() - 1)
    }

    /// What it is known by.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// How many prices there are.
    pub fn len(&self) -> usize {
        self.ticks.len()
    }

    /// Whether there is none, which no tape is.
    pub fn is_empty(&self) -> bool {
        self.ticks.is_empty()
    }

    /// What it has prices of.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// When a price was, in milliseconds since 1970.
    pub fn at_ms(&self, price: usize) -> Option<u64> {
        self.ticks.get(price).map(|tick| tick.at_ms)
    }

    /// How long after the first a price comes, `rate` times as fast as it did.
    pub fn after_ms(&self, price: usize, rate: u64) -> Option<u64> {
        Some((self.at_ms(price)? - self.at_ms(0)?).div_ceil(rate.max(1)))
    }

    /// Whether a room with these instruments can be fed: it has something of the file, and all prices of that fit.
    ///
    /// # Errors
    /// What is wrong, with the line's number if it is one line.
    pub fn fits(&self, instruments: &[Instrument]) -> Result<(), String> {
        let of = |tick: &Tick| instruments.iter().find(|it| it.symbol == self.symbols[tick.symbol]);
        let mut known = self.ticks.iter().filter_map(|tick| Some((tick, of(tick)?))).peekable();
        if known.peek().is_none() {
            return Err("the room has no instrument of this file".into());
        }
        known.try_for_each(|(tick, it)| {
            let (line, symbol) = (tick.line, &it.symbol);
            it.check_price("price", tick.price).map_err(|no| format!("line {line}: {symbol}: {}", no.message))
        })
    }

    /// Prices from one on that come up to a time after the first, for a room with these instruments, at most so many;
    /// each with the number of prices that are done with when it is,
    /// and how long after the first it comes.
    pub fn due(
        &self,
        (given, rate): (usize, u64),
        elapsed_ms: u64,
        instruments: &[Instrument],
        most: usize,
    ) -> Due {
        let mut due = Due { prices: Vec::new(), until: given };
        while due.prices.len() < most
            && let Some(after_ms) = self.after_ms(due.until, rate).filter(|after| *after <= elapsed_ms)
            && let Some(Tick { symbol, price, volume, .. }) = self.ticks.get(due.until)
        {
            due.until += 1;
            let symbol = &self.symbols[*symbol];
            if instruments.iter().any(|it| it.symbol == *symbol) {
                let input = Input::Price { symbol: symbol.clone(), price: *price, volume: *volume };
                due.prices.push((due.until, after_ms, input));
            }
        }
        due
    }
}

/// Symbols of one file at most.
const SYMBOLS_MOST: usize = 1_000;

/// Prices that are due.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// Each with how many of the file are done with when it is, and how long after the first it comes.
    pub prices: Vec<(usize, u64, Input)>,
    /// How many are done with when all of them are.
    pub until: usize,
}

fn moment(text: &str) -> Option<u64> {
    use tidings_app::time::parse;
    if text.len() == "2010-03-01".len() { parse(&format!("{text}T00:00Z")) } else { parse(text) }
}

#[cfg(test)]
mod tests;
