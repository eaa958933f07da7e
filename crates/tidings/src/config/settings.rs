//! The one table of settings: key, type, documentation, and whether it is a secret.
//!
//! Flags, environment names, checks and the printed configuration are all made from it.

mod alerts;
mod apps;
mod presence;
mod recorder;
mod rooms;
mod table;

use std::sync::LazyLock;

use toml::Value;

use super::KeyPath;

/// Every setting, in the order in which it is printed.
pub(crate) static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    [
        table::SETTINGS,
        apps::SETTINGS,
        rooms::SETTINGS,
        alerts::SETTINGS,
        presence::SETTINGS,
        recorder::SETTINGS,
    ]
    .concat()
});

/// No bound above.
const ANY: u64 = i64::MAX as u64;
const HOUR_MS: u64 = 3_600_000;
/// Events in a time; more cannot be counted in nanoseconds.
const RATE: u64 = 1_000_000_000;

/// One setting, or one field of every table whose name the operator chooses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Dotted key as in the file; a part in capitals stands for a name the operator chooses.
    pub(crate) key: &'static str,
    /// What may be written there.
    pub(crate) kind: Kind,
    /// What it is, its unit, and what gets worse when it is raised or switched on.
    pub(crate) about: &'static str,
    /// Never printed, never a flag's value.
    pub(crate) secret: bool,
}

const fn row(key: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting { key, kind, about, secret: false }
}

const fn secret(key: &'static str, about: &'static str) -> Setting {
    Setting { key, kind: Kind::Text, about, secret: true }
}

/// What may be written at a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Switch,
    /// A whole number between two bounds, both included.
    Count(u64, u64),
    /// Several texts; commas separate them in the environment and in a flag.
    List,
    /// A list of tables, checked field by field when the configuration is read; one line of TOML in
    /// the environment and in a flag.
    Tables,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Reads a value as it stands in the environment or in a flag.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub(crate) fn read(self, text: &str) -> Result<Value, String> {
        let value = match self {
            Self::Text | Self::Choice(_) => Value::String(text.into()),
            Self::Switch => match text {
                "true" | "1" => Value::Boolean(true),
                "false" | "0" => Value::Boolean(false),
                _ => return Err(format!("expected true or false, found `{text}`")),
            },
            Self::Count(..) => {
                let number =
                    text.parse::<i64>().map_err(|_| format!("expected a whole number, found `{text}`"))?;
                Value::Integer(number)
            }
            Self::Tables => {
                let line = format!("tables = {text}").parse::<toml::Table>();
                let line = line.map_err(|error| format!("expected {}: {}", self.noun(), error.message()))?;
                line.get("tables").cloned().unwrap_or(Value::Array(Vec::new()))
            }
            Self::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::Array(items.map(|item| Value::String(item.into())).collect())
            }
        };
        self.check(&value).map(|()| value)
    }

    /// Checks type and bounds of a value from any layer.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub(crate) fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Switch, Value::Boolean(_)) => Ok(()),
            (Self::Count(least, most), Value::Integer(number)) => match u64::try_from(*number) {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                _ if most == ANY => Err(format!("expected {least} or more, found {number}")),
                _ => Err(format!("expected {least} to {most}, found {number}")),
            },
            (Self::List, Value::Array(items)) if items.iter().all(Value::is_str) => Ok(()),
            (Self::Tables, Value::Array(items)) if items.iter().all(Value::is_table) => Ok(()),
            (Self::Choice(words), Value::String(word)) if words.contains(&word.as_str()) => Ok(()),
            (Self::Choice(words), found) => Err(format!("expected {}, found {found}", words.join(" or "))),
            (_, found) => Err(format!("expected {}, found {found}", self.noun())),
        }
    }

    /// The value's name in help texts.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Switch => "true or false",
            Self::Count(..) => "a whole number",
            Self::List => "a list of texts",
            Self::Tables => "a list of tables such as [{ issuer = \"https://a.example/\" }]",
            Self::Choice(_) => "a word",
        }
    }
}

/// The whole key of one that has a short form: `recovery = "always"` says `recovery.mode`.
pub(crate) fn whole(mut path: KeyPath) -> KeyPath {
    if path == ["recovery"] {
        path.push("mode".into());
    }
    path
}

impl Setting {
    /// Finds the row of a key; a part in capitals in the table fits any name.
    pub(crate) fn find(path: &[String]) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.fits(path))
    }

    /// Whether some row lies below `path`, which makes it a table of the file.
    pub(crate) fn has_below(path: &[String]) -> bool {
        SETTINGS.iter().any(|setting| {
            let parts = setting.parts();
            parts.len() > path.len() && parts.iter().zip(path).all(|(part, name)| part_fits(part, name))
        })
    }

    /// The name under which the environment is read.
    pub(crate) fn env_name(&self) -> String {
        format!("TIDINGS_{}", self.key.replace('.', "__").to_uppercase())
    }

    /// The flag without its dashes; none for secrets and for tables that the operator names.
    pub(crate) fn flag_name(&self) -> Option<String> {
        (!self.secret && !self.is_pattern()).then(|| self.key.replace(['.', '_'], "-"))
    }

    /// Whether it stands in a table that is there only where something is set in it: one that the operator names, or an
    /// app's own.
    pub(crate) fn is_optional(&self) -> bool {
        self.is_pattern() || self.key.starts_with("apps.")
    }

    /// Whether the operator chooses a part of the key.
    pub(crate) fn is_pattern(&self) -> bool {
        self.parts().iter().any(|part| is_placeholder(part))
    }

    /// The table the key stands in; empty at the top.
    pub(crate) fn section(&self) -> &'static str {
        self.key.rsplit_once('.').map_or("", |(section, _)| section)
    }

    fn fits(&self, path: &[String]) -> bool {
        let parts = self.parts();
        parts.len() == path.len() && parts.iter().zip(path).all(|(part, name)| part_fits(part, name))
    }

    fn parts(&self) -> Vec<&'static str> {
        self.key.split('.').collect()
    }
}

fn part_fits(part: &str, name: &str) -> bool {
    if is_placeholder(part) { !name.is_empty() } else { part == name }
}

fn is_placeholder(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_uppercase())
}
