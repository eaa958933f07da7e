//! What whoever runs a test has set in its environment, to make it larger or longer.

use std::time::Duration;

/// The number in a variable of the environment; `None` if it is not set, or empty.
///
/// # Panics
/// If it is no number: a run with the usual one would be taken for what was asked.
pub fn number(name: &str) -> Option<u64> {
    let given = std::env::var(name).ok().filter(|given| !given.is_empty())?;
    Some(given.parse().unwrap_or_else(|_| panic!("{name} is no number: {given}")))
}

/// Asserts that something took no longer than the seconds in a variable of the environment, if it is set: how long
/// things take says as much about the machine.
///
/// # Panics
/// If it took longer, or the variable is no number.
pub fn promised(name: &str, took: Duration) {
    if let Some(seconds) = number(name) {
        assert!(took <= Duration::from_secs(seconds), "{took:?}, and {name}={seconds}");
    }
}
