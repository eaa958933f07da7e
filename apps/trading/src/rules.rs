//! The rules of a room, which are fixed when it is made.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decimal::Dec;
use crate::instrument::Instrument;
use crate::standing::Ranking;

/// Instruments of one room at most.
pub const INSTRUMENTS_MOST: usize = 64;
/// Members of one room at most.
pub const MEMBERS_MOST: u32 = 10_000;
/// Open orders of one member at most.
pub const OPEN_ORDERS_MOST: u32 = 200;
/// Orders of one member in a second at most.
pub const ORDERS_PER_SECOND_MOST: u32 = 1_000;
/// So much cash at most to begin with.
pub const STARTING_CASH_MOST: Dec = Dec::whole(1_000_000_000);
/// A hundred days: no room runs longer, in milliseconds.
pub const DURATION_MOST_MS: u64 = 100 * 24 * 3_600 * 1_000;

/// Times faster than life at most.
pub const SPEED_MOST: u32 = 1_000;

/// The rules of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TradeRules")]
pub struct Rules {
    /// What everybody begins with.
    pub starting_cash: Dec,
    /// The part of every amount that is taken as a fee, rounded up once for each order: 0 to 0.1.
    #[serde(default)]
    pub fee_rate: Dec,
    /// What is traded.
    pub instruments: Vec<Instrument>,
    /// How members are ranked.
    #[serde(default)]
    pub ranking: Ranking,
    /// Members at most.
    #[serde(default = "members")]
    pub max_members: u32,
    /// Open orders of a member at most.
    #[serde(default = "open_orders")]
    pub max_open_orders: u32,
    /// Orders a member may place in a second, in the room's time.
    #[serde(default = "orders_per_second")]
    pub orders_per_second: u32,
    /// Orders a member may place at once.
    #[serde(default = "order_burst")]
    pub order_burst: u32,
    /// Whether one may join while the room runs.
    #[serde(default)]
    pub late_join: bool,
    /// How long it runs, in milliseconds; until somebody ends it, if not said.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// How many times faster than life the room's clock goes.
    #[serde(default = "speed")]
    pub speed: u32,
    /// How often the standings are kept, in milliseconds of the room's time; only when asked, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_every_ms: Option<u64>,
}

fn speed() -> u32 {
    1
}

fn members() -> u32 {
    1_000
}

fn open_orders() -> u32 {
    50
}

fn orders_per_second() -> u32 {
    10
}

fn order_burst() -> u32 {
    20
}

impl Rules {
    /// Whether they make sense.
    ///
    /// # Errors
    /// What is wrong, with the name of the field.
    pub fn check(&self) -> Result<(), String> {
        let count = |name: &str, number: u32, most: u32| {
            let fits = (1..=most).contains(&number);
            fits.then_some(()).ok_or_else(|| format!("{name}: expected 1 to {most}, found {number}"))
        };
        if !(Dec::ONE..=STARTING_CASH_MOST).contains(&self.starting_cash) {
            return Err(format!(
                "startingCash: expected 1 to {STARTING_CASH_MOST}, found {}",
                self.starting_cash
            ));
        }
        // Above a tenth, rounded up, a fee could be more than the amount it is a part of.
        if !(Dec::ZERO..=Dec::units(10_000_000)).contains(&self.fee_rate) {
            return Err(format!("feeRate: expected 0 to 0.1, found {}", self.fee_rate));
        }
        if !(1..=INSTRUMENTS_MOST).contains(&self.instruments.len()) {
            return Err(format!("instruments: expected 1 to {INSTRUMENTS_MOST}"));
        }
        self.instruments.iter().try_for_each(Instrument::check)?;
        let symbols: BTreeSet<&str> = self.instruments.iter().map(|it| it.symbol.as_str()).collect();
        if symbols.len() < self.instruments.len() {
            return Err("instruments: expected each symbol once".into());
        }
        count("maxMembers", self.max_members, MEMBERS_MOST)?;
        count("maxOpenOrders", self.max_open_orders, OPEN_ORDERS_MOST)?;
        count("ordersPerSecond", self.orders_per_second, ORDERS_PER_SECOND_MOST)?;
        count("orderBurst", self.order_burst, ORDERS_PER_SECOND_MOST)?;
        if self.duration_ms.is_some_and(|ms| !(1_000..=DURATION_MOST_MS).contains(&ms)) {
            return Err(format!("durationMs: expected 1000 to {DURATION_MOST_MS}"));
        }
        count("speed", self.speed, SPEED_MOST)?;
        // In the clock of the server it is a second at least, whatever the speed.
        if self
            .snapshot_every_ms
            .is_some_and(|ms| ms / u64::from(self.speed) < 1_000 || ms > DURATION_MOST_MS)
        {
            return Err(format!("snapshotEveryMs: expected 1000 times speed to {DURATION_MOST_MS}"));
        }
        self.ranking.check()
    }
}
