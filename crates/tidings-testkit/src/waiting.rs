//! Waiting for what nobody tells, by looking again and again.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks: whoever looks without a pause keeps from its work what is waited for.
const MOMENT: Duration = Duration::from_millis(5);

/// Looks until it is so.
///
/// # Panics
/// If that takes longer than half a minute; `what` says what is waited for.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually_told(what, || (), |()| is_so());
}

/// Asks until the answer fits; that answer.
///
/// # Panics
/// If that takes longer than half a minute, with the last answer.
pub fn eventually_told<T: Debug>(
    what: &str,
    mut ask: impl FnMut() -> T,
    mut fits: impl FnMut(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let told = ask();
        if fits(&told) {
            return told;
        }
        assert!(begun.elapsed() < PATIENCE, "never {what}: {told:?}");
        thread::sleep(MOMENT);
    }
}
