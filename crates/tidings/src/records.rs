//! Opening the store that is configured.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use tidings_store::{Store, StoreError, StoreOptions};

use crate::config::{Misconfigured, refuse};

/// Opens the store at a URL; its password is in no message.
///
/// # Errors
/// [`Misconfigured`] if the operator has to change something; else why it does not answer.
pub(crate) async fn open(url: &str, options: StoreOptions) -> Result<Store> {
    if !options.create
        && let Some(path) = missing(url)
    {
        refuse!(
            "there is no database at {path}; --data-dir names the directory of a server that was started"
        );
    }
    Store::open(url, &options).await.map_err(|error| match error {
        StoreError::Unusable(sentence) => Misconfigured(format!("the database: {sentence}")).into(),
        error => anyhow!("cannot open the database: {error}"),
    })
}

/// The file of a database in a file.
fn file(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:").filter(|path| *path != ":memory:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

/// The file of a database in a file that is not there; one that cannot be looked at may be.
pub(crate) fn missing(url: &str) -> Option<&str> {
    file(url).filter(|path| Path::new(path).try_exists().is_ok_and(|there| !there))
}

/// Keeps other servers away from a database in a file, as long as what is returned lives.
///
/// Two servers on one file would each think that nobody else notes sessions there, and events of the one would
/// not reach clients of the other. Commands beside a server are no servers, and PostgreSQL is shared.
///
/// # Errors
/// [`Misconfigured`] if another server is there; what keeps the lock from being made.
pub(crate) fn alone(url: &str) -> Result<Option<File>> {
    let Some(path) = file(url) else { return Ok(None) };
    let lock = format!("{path}.lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
    // A path that cannot be written is refused as the database itself is.
    let Ok(file) = opened else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => refuse!(
            "another server uses {path}; stop it, or give this one a data directory of its own with --data-dir"
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {lock}")),
    }
}
