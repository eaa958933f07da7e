//! `tidings serve`.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use clap::Args;
use tidings_core::Org;
use tidings_server::accounts::set_up::SetUp;
use tidings_server::audit::{Action, Actor, Entry};
use tidings_server::config::{Config, LogFormat};
use tidings_server::server::StartError;
use tidings_server::{Extras, Publisher, Server, try_addresses};
use tidings_store::{Store, StoreOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing_subscriber::EnvFilter;

use crate::changes::Settings;
use crate::config::{self, Misconfigured, SettingFlags, Source};
use crate::demo::Demo;
use crate::host::Host;
use crate::reload::{self, Started};
use crate::witness::Witness;
use crate::{people, records, token};

/// `tidings serve`.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeLine {
    #[command(flatten)]
    settings: SettingFlags,
}

/// Runs the server until it is told to leave.
///
/// # Errors
/// [`Misconfigured`], or what stopped the server.
pub(crate) fn run(line: ServeLine) -> Result<()> {
    let inputs = line.settings.inputs();
    let resolved = config::resolve(&inputs)?;
    let usable = config::usable(&resolved)?;
    start_log(usable.config.log.format, usable.filter);
    usable.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut config = usable.config;
    let secret = match usable.secret {
        Some(secret) => secret,
        None => {
            // A start that comes to nothing leaves nothing, so that the next one is the first.
            try_addresses(&config)?;
            config::resolve_secret(&resolved)?
        }
    };
    let is_made = secret.source == Source::Made;
    tracing::info!(secret = secret.origin, "signing secret {}", if is_made { "made" } else { "found" });
    config.auth.jwt_secret = secret.text;
    let data_dir = &config.data_dir;
    config::make_directory(data_dir).with_context(|| format!("cannot make {}", data_dir.display()))?;
    let made = Entry::ok(Action::SecretCreate).by(Actor::System).on("the signing secret");
    let first = First { is_ours: secret.source != Source::Given, made: is_made.then_some(made) };
    serve(Started { inputs, values: resolved.values, config }, first)
}

/// Keeps memory in small pages: of a huge page that is needed in part, all 2 MB are resident.
///
/// An idle server has 3 instead of 18 MB, and ten thousand connections cost a third less
/// (`docs/decisions/0020`).
fn keep_pages_small() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory comes in huge pages");
    }
}

/// What tells a first start from others.
struct First {
    /// The signing secret is one that we have made, now or before.
    is_ours: bool,
    /// What is to be noted of one that was made now.
    made: Option<Entry>,
}

fn serve(started: Started, first: First) -> Result<()> {
    keep_pages_small();
    let config = started.config.clone();
    let _alone = records::alone(&config.database.url)?;
    let mut front = tokio::runtime::Builder::new_multi_thread();
    if config.front_threads > 0 {
        front.worker_threads(config.front_threads);
    }
    front.enable_all().thread_name("front").build()?.block_on(async {
        // Whoever is told to read its configuration again while it starts does so then, and does not end of it.
        let hangup = signal(SignalKind::hangup())?;
        let store = records::open(&config.database.url, store_options()).await?;
        people::arrange_demo(&store, config.demo).await?;
        let apps = crate::apps::apps(&config).map_err(Misconfigured)?;
        // A token may have been made before it, and the secret with it.
        let is_first = first.is_ours && store.read().await?.last_config().await?.is_none();
        let set_up = if is_first { set_up(&config, &store).await? } else { None };
        let (secret, set_up) = set_up.unzip();
        let (witness, moved_back) = Witness::call(&store, &config.data_dir).await?;
        let settings = Settings::of(&started.values, &config)?;
        let changed = settings.since_last_start(&store).await;
        let happened = first.made.into_iter().chain(moved_back).chain(changed).collect();
        let extras = Extras { store: Some(store.clone()), apps, happened, set_up, ..Extras::default() };
        let server = match Server::start(&config, extras).await {
            Err(StartError::Config(problem)) => return Err(Misconfigured(problem).into()),
            started => started?,
        };
        settings.keep(&store).await;
        let mut lively = JoinSet::new();
        lively.spawn(witness.watch(store.clone(), server.publisher()));
        if config.host.publish {
            lively.spawn(publish_host(server.publisher(), config.clone()));
        }
        if config.demo {
            lively.spawn(publish_demo(server.publisher()));
        }
        tokio::spawn(reload::on_signal(hangup, server.live(), started, (settings, store.clone())));
        // Whoever reads that it listens may already tell it to leave.
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        announce(&server, &config, secret.as_deref())?;
        leave(server, store, lively, signals).await
    })
}

/// The link by which the first administrator is made, and its secret; `None` where there are people already, as with the
/// demo, and behind a proxy: this server is on loopback then and not, and whoever asks may be anywhere.
async fn set_up(config: &Config, store: &Store) -> Result<Option<(String, SetUp)>> {
    let nobody = store.read().await?.users(&Org::default(), "", 1).await?.is_empty();
    let wanted = nobody && config.accounts.enabled && !config.has_proxy();
    wanted.then(SetUp::make).transpose().map_err(anyhow::Error::msg)
}

/// Says on standard output where the server listens; tools read these lines.
///
/// All of it at once: a tool may read one line and hang up.
fn announce(server: &Server, config: &Config, set_up: Option<&str>) -> Result<()> {
    let mut said = format!("listening on http://{}\n", server.addr());
    if let Some(addr) = server.ws_addr() {
        said += &format!("plain protocol on ws://{addr}\n");
    }
    if let Some(addr) = server.admin_addr() {
        said += &format!("administration on http://{addr}\n");
    }
    if let Some(secret) = set_up {
        said += &format!(
            "to set this server up open this link on this machine, once and within 15 minutes: \
             http://{}/account#setup={secret}\n",
            server.addr()
        );
    }
    if let Some(token) = administrator(config)? {
        said +=
            &format!("to administer this demo sign in with this token, good for an hour at most: {token}\n");
    }
    let mut out = std::io::stdout().lock();
    out.write_all(said.as_bytes())?;
    Ok(out.flush()?)
}

/// The token by which a newcomer administers the demo; `None` where there is none.
fn administrator(config: &Config) -> Result<Option<String>> {
    let grant = people::demo_administrator(config);
    let sign =
        |grant| token::signer(config, &config.auth.jwt_secret).sign(&grant).map_err(anyhow::Error::msg);
    grant.map(sign).transpose()
}

/// Waits for the signal to leave, and leaves; a second signal leaves at once.
async fn leave(
    server: Server,
    store: Store,
    mut lively: JoinSet<()>,
    (mut terminate, mut interrupt): (Signal, Signal),
) -> Result<()> {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(connections = server.connections(), "leaving");
    // What they would say now could not be stored any more.
    lively.shutdown().await;
    let left = async {
        server.drain().await;
        // This may take as long as a database that does not answer is waited for.
        store.close().await;
    };
    tokio::select! {
        () = left => tracing::info!("left"),
        _ = terminate.recv() => tracing::warn!("left at once"),
        _ = interrupt.recv() => tracing::warn!("left at once"),
    }
    Ok(())
}

/// Publishes this host's figures to `metrics:host`.
async fn publish_host(publisher: Publisher, config: Config) {
    let mut host = Host::new(&config.data_dir);
    let mut pace = tokio::time::interval(Duration::from_millis(config.host.interval_ms.max(100)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let Some(figures) = host.read(Instant::now(), SystemTime::now()) else { continue };
        let published = serde_json::to_string(&figures)
            .map_err(anyhow::Error::from)
            .and_then(|json| Ok(publisher.publish("metrics:host", "host", json)?));
        if let Err(error) = published {
            return tracing::warn!(%error, "the host's figures are not published");
        }
    }
}

/// Publishes lifelike traffic.
async fn publish_demo(publisher: Publisher) {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_secs());
    for step in Demo::new(seed) {
        tokio::time::sleep(step.after).await;
        if let Err(error) = publisher.publish(step.room, step.event, step.data.to_string()) {
            return tracing::warn!(%error, "the demo has stopped");
        }
    }
}

/// The log goes to standard error: standard output says where the server listens.
fn start_log(format: LogFormat, filter: EnvFilter) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // Where the log cannot be written neither can this, and trying to panics.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}

/// Another process that writes our SQLite file is waited for so long, as is a database elsewhere: who publishes meanwhile is
/// told before they give up.
const LOCK: Duration = Duration::from_secs(2);

/// How the store is opened: as it should be, unless a test wants to see what comes of something else.
fn store_options() -> StoreOptions {
    let synced = !tidings_server::failpoint::is_off("synced");
    let lock =
        if tidings_server::failpoint::is_off("patience") { StoreOptions::default().lock } else { LOCK };
    StoreOptions { synced, lock, ..StoreOptions::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use tidings_core::lock;

    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Publishes to a durable room for ever, as fast as it is stored.
    async fn talk(publisher: Publisher, said: Arc<Mutex<u64>>) {
        loop {
            publisher.publish("lobby:welcome", "said", "1".to_owned()).unwrap();
            *lock(&said) += 1;
            tokio::task::yield_now().await;
        }
    }

    async fn lets_pass(more: u64, said: &Mutex<u64>) {
        let until = *lock(said) + more;
        while *lock(said) < until {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_server_that_leaves_in_the_middle_of_everything_warns_of_nothing() {
        let logged = Logged::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        let place = tidings_testkit::Place::new();
        let url = format!("sqlite:{}", place.path().join("tidings.db").display());
        // One thread, so that what all tasks log comes here.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tracing::subscriber::with_default(subscriber, || {
            runtime.block_on(async {
                let mut config =
                    Config { listen: "127.0.0.1:0".into(), shards: 1, demo: true, ..Config::default() };
                config.auth.jwt_secret = "a secret of this test, long enough".into();
                let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
                let apps = crate::apps::apps(&config).unwrap();
                let extras = Extras { store: Some(store.clone()), apps, ..Extras::default() };
                let server = Server::start(&config, extras).await.unwrap();
                let said = Arc::default();
                let talking = tokio::spawn(talk(server.publisher(), Arc::clone(&said)));
                lets_pass(200, &said).await;
                server.drain().await;
                store.close().await;
                // Whoever does not notice is heard no more, and that is all.
                lets_pass(200, &said).await;
                talking.abort();
            });
        });
        let logged = String::from_utf8(lock(&logged.0).clone()).unwrap();
        assert_eq!(logged.lines().next(), None);
    }
}
