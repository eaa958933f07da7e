//! Opening the store that is configured.

use anyhow::{Result, anyhow};
use tidings_store::{Store, StoreError, StoreOptions};

use crate::config::Misconfigured;

/// Opens the store at a URL; its password is in no message.
///
/// # Errors
/// [`Misconfigured`] if the operator has to change something; else why it does not answer.
pub(crate) async fn open(url: &str, options: StoreOptions) -> Result<Store> {
    Store::open(url, &options).await.map_err(|error| match error {
        StoreError::Unusable(sentence) => Misconfigured(format!("the database: {sentence}")).into(),
        error => anyhow!("cannot open the database: {error}"),
    })
}
