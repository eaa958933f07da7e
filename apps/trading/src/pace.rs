//! How fast a member may place orders, in the room's time: a bucket in one number.

use crate::rules::Rules;

/// Microseconds of a second.
const SECOND: u64 = 1_000_000;

/// A bucket that fills with time: the moment at which it is full again, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    pub(crate) full_at: u64,
}

impl Pace {
    /// How many orders may be placed now.
    pub fn remaining(self, rules: &Rules, now_ms: u64) -> u32 {
        let each = SECOND / u64::from(rules.orders_per_second.max(1));
        let owed = self.full_at.saturating_sub(now_ms.saturating_mul(1_000)).div_ceil(each);
        u64::from(rules.order_burst).saturating_sub(owed) as u32
    }

    /// How long until one may be placed, in milliseconds.
    pub fn wait_ms(self, rules: &Rules, now_ms: u64) -> u32 {
        let each = SECOND / u64::from(rules.orders_per_second.max(1));
        let room = each.saturating_mul(u64::from(rules.order_burst.saturating_sub(1)));
        let wait = self.full_at.saturating_sub(now_ms.saturating_mul(1_000)).saturating_sub(room);
        u32::try_from(wait.div_ceil(1_000)).unwrap_or(u32::MAX)
    }

    /// An order is placed.
    pub fn take(&mut self, rules: &Rules, now_ms: u64) {
        let each = SECOND / u64::from(rules.orders_per_second.max(1));
        self.full_at = self.full_at.max(now_ms.saturating_mul(1_000)).saturating_add(each);
    }
}
