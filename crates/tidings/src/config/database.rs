//! The URL of the database: a secret, since it may hold a password.

use anyhow::Result;

use super::secret::{Found, Source, given};
use super::{Resolved, refuse};

/// The file in the data directory.
const FILE_NAME: &str = "tidings.db";

/// Finds the URL: what is configured, else a file in the data directory.
///
/// # Errors
/// [`super::Misconfigured`] if it is set twice or its file cannot be read.
pub(crate) fn url(resolved: &Resolved) -> Result<Found> {
    let keys = ["database", "url", "url_file"];
    let set = given(resolved, keys, "URL of the database")?.filter(|found| !found.text.is_empty());
    if let Some(url) = set {
        return Ok(url);
    }
    let data_dir = &resolved.config.data_dir;
    match data_dir.join(FILE_NAME).to_str() {
        Some(path) => Ok(Found {
            text: format!("sqlite:{path}"),
            origin: path.into(),
            warning: None,
            source: Source::Given,
        }),
        None => refuse!("`data_dir`: the path is not UTF-8"),
    }
}
