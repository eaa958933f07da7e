//! Configuration: defaults, then the file, then the environment, then flags.

mod check;
mod database;
mod flags;
mod hooks;
mod layers;
mod print;
mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod usable;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use tidings_server::config::Config;
use toml::Value;

pub(crate) use check::doubts;
#[cfg(test)]
pub(crate) use check::refuse_unsafe;
pub(crate) use database::url as database_url;
pub(crate) use flags::{DatabaseFlags, LocateFlags, SettingFlags};
pub(crate) use layers::{Inputs, defaults, resolve};
pub(crate) use print::{to_json, to_toml};
pub(crate) use secret::{
    Source, has_secret, local as local_secret, make_directory, random_hex, resolve as resolve_secret,
};
pub(crate) use usable::usable;

/// The configuration in effect, with where each value came from.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// What the server is started with; the signing secret may still be missing from it.
    pub(crate) config: Config,
    /// Every value by its key, defaults included, secrets too.
    pub(crate) values: Layer,
    /// What the operator should know, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Whether the value at a place is a secret.
pub(crate) fn is_secret(path: &[String]) -> bool {
    settings::Setting::find(path).is_some_and(|setting| setting.secret)
}

/// A setting's place in the file, part by part.
pub(crate) type KeyPath = Vec<String>;

/// Values of one source, or of all of them merged.
pub(crate) type Layer = BTreeMap<KeyPath, Sourced>;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sourced {
    /// The value as it stands in the file.
    pub(crate) value: Value,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// Where a value came from; later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// The file, at a line counted from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Env(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl Origin {
    /// The layer alone: `default`, `file`, `env` or `flag`.
    pub(crate) fn layer(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(..) => "file",
            Self::Env(_) => "env",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "file {}:{line}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// The operator has to change the configuration; the process exits with code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misconfigured(pub(crate) String);

/// Ends with [`Misconfigured`] from a format string.
macro_rules! refuse {
    ($($argument:tt)*) => { return Err($crate::config::Misconfigured(format!($($argument)*)).into()) };
}
pub(crate) use refuse;
