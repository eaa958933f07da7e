//! Reading the configuration again while the server runs, on SIGHUP.

use anyhow::Result;
use tidings_server::Live;
use tidings_server::config::Config;
use tidings_store::Store;
use tokio::signal::unix::Signal;

use crate::changes::Settings;
use crate::config::{self, Inputs, Layer, Misconfigured};

/// What the server was started with, to be compared with what is read later.
pub(crate) struct Started {
    /// Where the configuration is read.
    pub(crate) inputs: Inputs,
    /// Every value by its key.
    pub(crate) values: Layer,
    /// The configuration in effect; its room kinds are the ones last taken.
    pub(crate) config: Config,
}

/// Takes the room kinds of the configuration whenever the signal comes.
///
/// A configuration that a server would not start with changes nothing.
pub(crate) async fn on_signal(
    mut signal: Signal,
    live: Live,
    mut started: Started,
    (mut settings, store): (Settings, Store),
) {
    while signal.recv().await.is_some() {
        match reload(&live, &mut started) {
            Ok(now) => {
                settings.take_rooms(&now);
                settings.keep(&store).await;
                tracing::info!("room kinds are those of the configuration now");
            }
            Err(error) => tracing::error!("the configuration is not taken, nothing has changed: {error:#}"),
        }
    }
}

fn reload(live: &Live, started: &mut Started) -> Result<Settings> {
    let resolved = config::resolve(&started.inputs)?;
    let usable = config::usable(&resolved)?;
    let config = Config { rooms: usable.config.rooms.clone(), ..started.config.clone() };
    let settings = Settings::of(&resolved.values, &usable.config)?;
    let keeping = live.reload_rooms(&config, &started.config).map_err(Misconfigured)?;
    for kind in keeping {
        tracing::warn!("`rooms.{kind}`: keep, size and ttl_seconds need a restart to change");
    }
    for key in changed(&started.values, &resolved.values) {
        tracing::warn!("`{key}` needs a restart to change");
    }
    started.config = config;
    Ok(settings)
}

/// Keys that differ, but for those of room kinds.
fn changed(before: &Layer, now: &Layer) -> Vec<String> {
    let differs = |key: &&Vec<String>| {
        let value = |layer: &Layer| layer.get(*key).map(|sourced| sourced.value.clone());
        key.first().is_none_or(|first| first != "rooms") && value(before) != value(now)
    };
    let added = now.keys().filter(|key| !before.contains_key(*key));
    before.keys().chain(added).filter(differs).map(|key| key.join(".")).collect()
}
