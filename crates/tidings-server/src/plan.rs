//! A configuration, worked out as far as that needs no network and no database: what a start is made of, and what
//! tells beforehand whether there would be one.

use std::sync::Arc;

use tidings_app::App;
use tidings_core::Kinds;

use crate::accounts::Rules;
use crate::accounts::oidc::Oidc;
use crate::admin::ui::NAMESPACE;
use crate::apps::{AppRoutes, Apps};
use crate::config::{AdminUiMode, Config, NamespaceConfig};
use crate::front::{AllowedOrigins, Proxies};
use crate::hooks::Hooks;
use crate::server::StartError;
use crate::settings::{Footing, kinds};
use crate::signin::{SignIn, refuse_shared_with_hooks};

/// What a start is made of.
pub(crate) struct Plan {
    /// The configuration, with the namespaces of apps.
    pub(crate) config: Config,
    pub(crate) routes: AppRoutes,
    pub(crate) proxies: Proxies,
    pub(crate) origins: AllowedOrigins,
    pub(crate) parts: Parts,
}

/// What the shards and the accounts are made of.
pub(crate) struct Parts {
    pub(crate) apps: Apps,
    pub(crate) sign_in: Arc<SignIn>,
    pub(crate) kinds: Kinds,
    pub(crate) hooks: Option<Hooks>,
    pub(crate) rules: Rules,
    pub(crate) oidc: Oidc,
    /// Only this machine can connect.
    pub(crate) loopback: bool,
}

impl Plan {
    /// Works a configuration out; files that it names are read. `base` is where the server is reached if nothing is
    /// configured.
    ///
    /// # Errors
    /// [`StartError::Config`]: a sentence that names what cannot be used.
    pub(crate) fn of(
        config: &Config,
        apps: Vec<App<axum::Router>>,
        footing: Footing,
        base: &str,
    ) -> Result<Self, StartError> {
        let own_rates = config.rooms.values().filter(|kind| kind.publish_per_minute.is_some()).count();
        let mounted = Apps::mount(config, apps, own_rates)?;
        if mounted.0.needs_a_store() && !footing.stored {
            return Err(StartError::Config("an app has tables, and there is no database".into()));
        }
        Self::with(config, mounted, footing, base).map_err(StartError::Config)
    }

    fn with(
        config: &Config,
        (apps, routes): (Apps, AppRoutes),
        footing: Footing,
        base: &str,
    ) -> Result<Self, String> {
        let config = with_namespaces(config, &apps)?;
        let loopback = !config.has_proxy() && footing.loopback;
        refuse_shared_with_hooks(&config.hooks, &config.auth)?;
        let parts = Parts {
            sign_in: Arc::new(SignIn::configured(&config.auth)?),
            kinds: kinds(&config, Footing { loopback, ..footing }, apps.kinds())?,
            hooks: Hooks::new(&config.hooks)?,
            rules: Rules::new(&config, loopback, base)?,
            oidc: Oidc::new(&config, base)?,
            apps,
            loopback,
        };
        let (proxies, origins) = (Proxies::new(&config)?, AllowedOrigins::new(&config, loopback)?);
        Ok(Self { config, routes, proxies, origins, parts })
    }
}

/// Refuses a configuration with which [`crate::Server::start`] ends before it has opened anything; its secrets have to
/// be resolved.
///
/// Ports and the database are not tried: they say something of the machine.
///
/// # Errors
/// A sentence that names what cannot be used.
pub fn refuse_unusable(
    config: &Config,
    apps: Vec<App<axum::Router>>,
    footing: Footing,
) -> Result<(), String> {
    let base = format!("http://{}", config.listen);
    Plan::of(config, apps, footing, &base).map(drop).map_err(|error| error.to_string())
}

/// The configuration with the namespaces of apps.
fn with_namespaces(config: &Config, apps: &Apps) -> Result<Config, String> {
    let mut config = config.clone();
    if config.admin_ui.mode != AdminUiMode::Off {
        let taken = apps.namespaces().any(|name| name == NAMESPACE);
        if taken || config.namespaces.insert(NAMESPACE.into(), NamespaceConfig::default()).is_some() {
            return Err("admin_ui needs the namespace `/admin`, which is taken".into());
        }
    }
    for namespace in apps.namespaces().filter(|namespace| *namespace != "/") {
        config.namespaces.entry(namespace.to_owned()).or_default();
    }
    Ok(config)
}
