//! The apps of this server, and what is said of them.

use anyhow::Result;
use clap::Args;
use serde::de::DeserializeOwned;
use tidings_app::describe::{Description, asyncapi, openapi, typescript};
use tidings_app::{App, Registry};
use tidings_server::config::Config;
use tidings_server::{Routes, paths};

use crate::output;

/// The list of apps: each is mounted by its line here.
///
/// # Errors
/// What is wrong with what is set of one of them.
pub(crate) fn apps(config: &Config) -> Result<Vec<App<Routes>>, String> {
    Ok(vec![tidings_arena::app(), tidings_trading::app(&own(config, "trading")?)?])
}

/// What an app reads of the configuration.
fn own<T: DeserializeOwned>(config: &Config, app: &str) -> Result<T, String> {
    let own = config.apps.get(app).map(|app| app.own.clone()).unwrap_or_default();
    serde_json::from_value(own.into_iter().collect()).map_err(|problem| format!("apps.{app}: {problem}"))
}

/// `tidings openapi`, `tidings asyncapi` and `tidings types`: what this version offers, with every app.
#[derive(Debug, Args)]
pub(crate) struct DescribeLine {}

/// Prints the HTTP API as OpenAPI 3.1.
///
/// # Errors
/// The apps contradict each other.
pub(crate) fn print_openapi(_: DescribeLine) -> Result<()> {
    let said = described()?;
    output::line(&serde_json::to_string_pretty(&openapi(&said, env!("CARGO_PKG_VERSION"), &paths()))?)
}

/// Prints what is said on sockets as AsyncAPI 3.0.
///
/// # Errors
/// The apps contradict each other.
pub(crate) fn print_asyncapi(_: DescribeLine) -> Result<()> {
    let said = described()?;
    output::line(&serde_json::to_string_pretty(&asyncapi(&said, env!("CARGO_PKG_VERSION")))?)
}

/// Prints the types of commands and events for TypeScript.
///
/// # Errors
/// The apps contradict each other.
pub(crate) fn print_types(_: DescribeLine) -> Result<()> {
    let said = described()?;
    output::line(typescript(&said).trim_end())
}

fn described() -> Result<Description> {
    let (registry, _) = Registry::new(apps(&Config::default()).map_err(anyhow::Error::msg)?)?;
    Ok(registry.description().clone())
}
