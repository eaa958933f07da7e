//! How large a run is.

use std::time::Duration;

use tidings_testkit::settings;

/// Instruments that are traded.
pub(crate) const SYMBOLS: [&str; 8] = ["ACME", "BTC", "COAL", "DOGE", "ETH", "FISH", "GOLD", "HAY"];

/// How large a run is, and what is done to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Members who trade (`FLEET_BOTS`).
    pub(crate) bots: u64,
    /// Orders a second, of all of them together (`FLEET_RATE`).
    pub(crate) rate: u64,
    /// For so many seconds (`FLEET_SECONDS`).
    pub(crate) seconds: u64,
    /// Prices a second, of all instruments together (`FLEET_PRICES`).
    pub(crate) prices: u64,
    /// How often the server is killed (`FLEET_KILLS`).
    pub(crate) kills: u64,
    /// Of a thousand orders so many are followed by the end of their connection (`FLEET_RESETS`).
    pub(crate) resets: u64,
    /// Whether bots come back with the place up to which they heard.
    pub(crate) since: bool,
    /// Whether what was not answered is said again under the same id.
    pub(crate) same_id: bool,
}

impl Plan {
    /// What fits into the tests.
    pub(crate) fn small() -> Self {
        let (since, same_id) = (true, true);
        Self { bots: 20, rate: 200, seconds: 4, prices: 20, kills: 1, resets: 25, since, same_id }
    }

    pub(crate) fn of_the_environment() -> Self {
        let number = |name, default| settings::number(name).unwrap_or(default);
        let small = Self::small();
        Self {
            bots: number("FLEET_BOTS", small.bots).max(1),
            rate: number("FLEET_RATE", small.rate).max(1),
            seconds: number("FLEET_SECONDS", small.seconds).max(1),
            prices: number("FLEET_PRICES", small.prices).max(1),
            kills: number("FLEET_KILLS", small.kills),
            resets: number("FLEET_RESETS", small.resets),
            ..small
        }
    }

    /// All orders of a run.
    pub(crate) fn orders(&self) -> u64 {
        self.rate * self.seconds
    }

    /// Orders of one bot.
    pub(crate) fn orders_of(&self, bot: u64) -> u64 {
        self.orders() / self.bots + u64::from(bot < self.orders() % self.bots)
    }

    /// When a bot places an order: evenly, by turns.
    pub(crate) fn due(&self, bot: u64, order: u64) -> Duration {
        Duration::from_secs_f64((order * self.bots + bot) as f64 / self.rate as f64)
    }

    /// The name of a bot.
    pub(crate) fn bot(number: u64) -> String {
        format!("bot-{number:03}")
    }
}
