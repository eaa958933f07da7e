//! The ticker of `lobby:market`: four invented companies whose prices wander.

use std::time::Duration;

use serde_json::json;

use tidings_app::Dice;

use super::Act;

/// An invented company: symbol, name, and the price in cents it keeps coming back to.
const COMPANIES: [(&str, &str, i64); 4] = [
    ("TIDE", "Tidewater Energy", 8_450),
    ("KELP", "Kelp Foods", 1_275),
    ("BUOY", "Buoy Instruments", 23_110),
    ("REEF", "Reef Robotics", 5_690),
];

/// The prices as they stand.
#[derive(Debug)]
pub(crate) struct Market {
    /// Cents, in the order of [`COMPANIES`].
    prices: [i64; COMPANIES.len()],
    last: usize,
}

impl Market {
    /// Every price where it belongs.
    pub(crate) fn new() -> Self {
        Self { prices: COMPANIES.map(|(_, _, home)| home), last: 0 }
    }

    /// The next tick: a price moves by up to half a percent, and is drawn back to where it began,
    /// so that it stays lively for weeks without running away.
    pub(crate) fn next(&mut self, dice: &mut Dice) -> Act {
        self.last = (self.last + dice.between(1, COMPANIES.len() as u64 - 1) as usize) % COMPANIES.len();
        let (symbol, name, home) = COMPANIES[self.last];
        let before = self.prices[self.last];
        let reach = (home / 200).max(1);
        let step = dice.between(0, 2 * reach as u64) as i64 - reach;
        let price = (before + step + (home - before) / 40).max(1);
        self.prices[self.last] = price;
        let data = json!({
            "symbol": symbol,
            "name": name,
            "price": cents(price),
            "change": cents(price - home),
            "changePercent": cents((price - home) * 10_000 / home),
            "quantity": dice.between(1, 40) * 5,
        });
        Act { pause: Duration::from_millis(dice.between(250, 900)), event: "tick", data }
    }
}

/// A number of hundredths as a decimal string: `-12` is `-0.12`.
fn cents(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let size = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundredths_become_decimal_strings() {
        let written = [0, 5, -5, 1_275, -12_345].map(cents);
        assert_eq!(written, ["0.00", "0.05", "-0.05", "12.75", "-123.45"]);
    }

    #[test]
    fn prices_move_and_stay_near_where_they_began() {
        let mut dice = Dice::new(3);
        let mut market = Market::new();
        for _ in 0..20_000 {
            market.next(&mut dice);
            for (price, (_, _, home)) in market.prices.iter().zip(COMPANIES) {
                assert!((home / 2..home * 2).contains(price), "{price} is far from {home}");
            }
        }
        assert_ne!(market.prices, COMPANIES.map(|(_, _, home)| home));
    }
}
