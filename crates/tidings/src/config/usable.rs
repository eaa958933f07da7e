//! Whether a server would start with a configuration: the one list of what is asked of it, for the start and for whoever
//! wants to know before.

use anyhow::Result;
use tidings_server::config::{Config, LogConfig};
use tidings_server::{Footing, refuse_unusable};
use tracing_subscriber::EnvFilter;

use super::check::{is_loopback, refuse_unsafe};
use super::secret::{self, Found};
use super::{Misconfigured, Resolved, database, doubts, hooks, refuse};

/// A configuration that a server starts with, as far as that is the configuration's doing.
pub(crate) struct Usable {
    /// With its secrets and the URL of its database.
    pub(crate) config: Config,
    /// The signing secret; `None`: there is none yet, and another stands in its place.
    pub(crate) secret: Option<Found>,
    /// What is logged.
    pub(crate) filter: EnvFilter,
    /// What the operator should know, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Finds the secrets of a configuration and asks everything of it that a start does before it opens anything; nothing is
/// written.
///
/// Ports, the data directory and the database are not tried: they say something of the machine.
///
/// # Errors
/// [`Misconfigured`] with the reason and the way out.
pub(crate) fn usable(resolved: &Resolved) -> Result<Usable> {
    refuse_unsafe(&resolved.config)?;
    let secret = secret::find(resolved)?;
    let previous = secret::resolve_previous(resolved)?;
    let mut warnings = resolved.warnings.clone();
    warnings.extend(secret.iter().chain(&previous).filter_map(|secret| secret.warning.clone()));
    warnings.extend(secret::refuse_weak_issuers(resolved)?);
    warnings.extend(doubts(&resolved.config));
    let url = database::url(resolved)?;
    if let Err(problem) = tidings_store::check_url(&url.text) {
        refuse!("the database: {problem}");
    }
    warnings.extend(url.warning);
    let mut config = resolved.config.clone();
    config.auth.jwt_secret = match &secret {
        Some(secret) => secret.text.clone(),
        None => secret::random_hex::<32>()?,
    };
    config.auth.jwt_secret_previous = previous.map(|previous| previous.text).unwrap_or_default();
    config.database.url = url.text;
    config.hooks.secret = hooks::resolve(&config)?;
    let filter = filter(&config.log)?;
    let apps = crate::apps::apps(&config).map_err(Misconfigured)?;
    let footing = Footing { loopback: is_loopback(&config)?, stored: true };
    refuse_unusable(&config, apps, footing).map_err(Misconfigured)?;
    Ok(Usable { config, secret, filter, warnings })
}

fn filter(log: &LogConfig) -> Result<EnvFilter> {
    Ok(EnvFilter::try_new(&log.filter).map_err(|error| Misconfigured(format!("`log.filter`: {error}")))?)
}
