use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use crate::hub::lock;
use crate::room::{Org, Room};

/// A place that is to be looked at.
#[derive(Debug)]
pub(super) enum Due {
    Room(Room),
    /// Everybody of an organisation in a namespace.
    Crowd(Org, u8),
}

/// Which places are to be looked at when.
///
/// A place stands in it for each time it was wanted earlier than before; it knows which of them counts.
#[derive(Default)]
pub(super) struct Agenda {
    dues: Mutex<Dues>,
    alarm: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Dues {
    by_time: BTreeMap<(u64, u64), Due>,
    /// Tells two of one time apart.
    put: u64,
}

impl Agenda {
    pub(super) fn on_alarm(&self, wake: Box<dyn Fn() + Send + Sync>) {
        // Who sets a second one is not heard: there is one task that looks.
        let _ = self.alarm.set(wake);
    }

    pub(super) fn put(&self, at_ms: u64, due: Due) {
        let is_first = {
            let mut dues = lock(&self.dues);
            dues.put += 1;
            let key = (at_ms, dues.put);
            dues.by_time.insert(key, due);
            dues.by_time.first_key_value().is_some_and(|(first, _)| *first == key)
        };
        if is_first && let Some(wake) = self.alarm.get() {
            wake();
        }
    }

    pub(super) fn next_ms(&self) -> u64 {
        lock(&self.dues).by_time.first_key_value().map_or(u64::MAX, |((at_ms, _), _)| *at_ms)
    }

    /// Takes what is due by now, and when it was.
    pub(super) fn take(&self, now_ms: u64) -> Option<(u64, Due)> {
        let mut dues = lock(&self.dues);
        let first = dues.by_time.first_entry().filter(|first| first.key().0 <= now_ms)?;
        let ((at_ms, _), due) = first.remove_entry();
        Some((at_ms, due))
    }
}
