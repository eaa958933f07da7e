//! What the command line changes is written down where it is changed: in the same transaction.

use std::fs;

use tidings_core::Org;
use tidings_server::audit::{Actor, Entry};
use tidings_server::server::node_name;
use tidings_store::audit::AuditEntry;
use tidings_store::{Result, Tx};

use super::now_ms;

/// Bytes of the file of accounts that are read; a machine with more has its accounts elsewhere.
const ACCOUNTS: usize = 1 << 20;

/// Appends what is done to the audit log, so that it stands there if and only if it is done.
///
/// # Errors
/// What the store says; then nothing is done.
pub(crate) async fn note(tx: &mut Tx, org: &Org, entry: Entry) -> Result<()> {
    let now = now_ms();
    tx.append_audit(&[entry_of(entry.of(org), now)], now).await.map(drop)
}

fn entry_of(entry: Entry, now_ms: u64) -> AuditEntry {
    entry.by(actor()).stored(&node_name(), now_ms)
}

/// Whoever runs the command.
pub(crate) fn actor() -> Actor {
    Actor::Shell(operator().into())
}

/// Who runs the command: the account of this machine, and who became it by `sudo`.
///
/// Whoever can write to the database can write anything into it; this is for honest operators.
fn operator() -> String {
    let uid = rustix::process::getuid().as_raw();
    let accounts = fs::read("/etc/passwd").unwrap_or_default();
    let accounts = String::from_utf8_lossy(&accounts[..accounts.len().min(ACCOUNTS)]).into_owned();
    let name = name_of(uid, &accounts).unwrap_or_else(|| format!("uid {uid}"));
    match std::env::var("SUDO_USER") {
        Ok(before) if before != name => format!("{name} (sudo {before})"),
        _ => name,
    }
}

/// The name of an account, from lines `NAME:PASSWORD:UID:…`.
fn name_of(uid: u32, accounts: &str) -> Option<String> {
    let mut lines = accounts.lines().map(|line| line.split(':'));
    lines.find_map(|mut parts| {
        let (name, id) = (parts.next()?, parts.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\n+::::::\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_of(1_000, accounts).as_deref(), Some("ada"));
        assert_eq!(name_of(0, accounts).as_deref(), Some("root"));
        assert_eq!(name_of(1_001, accounts), None);
    }
}
