//! `tidings serve`.

use std::io::IsTerminal as _;

use anyhow::{Result, bail};
use clap::Args;
use tidings_server::config::{Config, LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Misconfigured, SettingFlags};

/// `tidings serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeLine {
    #[command(flatten)]
    settings: SettingFlags,
}

/// Runs the server until it is told to leave.
///
/// # Errors
/// [`Misconfigured`], or what stopped the server.
pub(crate) fn run(line: ServeLine) -> Result<()> {
    let resolved = config::resolve(&line.settings.inputs())?;
    config::refuse_unsafe(&resolved.config)?;
    let secret = config::resolve_secret(&resolved)?;
    start_log(&resolved.config.log)?;
    for warning in resolved.warnings.iter().chain(&secret.warning) {
        tracing::warn!("{warning}");
    }
    tracing::info!(secret = secret.origin, "signing secret found");
    let mut config = resolved.config;
    config.auth.jwt_secret = secret.text;
    serve(config)
}

fn serve(_config: Config) -> Result<()> {
    bail!("the server is not built in yet")
}

/// The log goes to standard error: standard output says where the server listens.
fn start_log(log: &LogConfig) -> Result<()> {
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|error| Misconfigured(format!("`log.filter`: {error}")))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    Ok(())
}
