//! Digests of what members have, by which a client, an auditor or another server shows that it has the same.
//!
//! The text of an account is its user, its cash, and a line for each position by symbol, each line ended:
//!
//! ```text
//! ada
//! 9000.5
//! BTC-EUR 0.25
//! ```
//!
//! Its digest is the SHA-256 of that. The room's is the one of all accounts' digests, each on a line, by user.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::account::Account;
use crate::decimal::Dec;
use crate::journal::Hash;

/// The digest of an account; `positions` is symbols and quantities.
pub fn of_account<'a>(user: &str, cash: Dec, positions: impl IntoIterator<Item = (&'a str, Dec)>) -> Hash {
    let positions: BTreeMap<&str, Dec> = positions.into_iter().collect();
    let mut text = format!("{user}\n{cash}\n");
    for (symbol, quantity) in positions {
        // Writing to memory does not fail.
        let _ = writeln!(text, "{symbol} {quantity}");
    }
    Hash::of(&text)
}

/// The digest of a room; `symbols` are its instruments in their order.
pub fn of_room(accounts: &BTreeMap<String, Account>, symbols: &[&str]) -> Hash {
    let mut text = String::with_capacity(accounts.len() * 65);
    for (user, account) in accounts {
        let positions = account.holdings.iter();
        let positions = positions.filter_map(|(at, held)| Some((*symbols.get(*at)?, held.quantity)));
        let _ = writeln!(text, "{}", of_account(user, account.cash, positions));
    }
    Hash::of(&text)
}
