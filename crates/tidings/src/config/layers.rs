//! The four layers and how they become one configuration.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::Result;
use tidings_server::config::Config;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::check::{self, DEFAULT_PORT};
use super::settings::{Setting, whole};
use super::{KeyPath, Layer, Origin, Resolved, Sourced, refuse};

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "tidings.toml";
/// Names under `TIDINGS_` that are not settings of the server.
const OTHER_NAMES: [&str; 2] = ["TIDINGS_CONFIG", "TIDINGS_TOKEN"];
/// Names that say where other software is, for versions that use it.
const IGNORED_NAMES: [&str; 1] = ["REDIS_URL"];

/// What the layers are read from.
#[derive(Debug, Default, Clone)]
pub(crate) struct Inputs {
    /// The file named by `--config`.
    pub(crate) file: Option<PathBuf>,
    /// The environment.
    pub(crate) env: BTreeMap<OsString, OsString>,
    /// The flags that were given.
    pub(crate) flags: Layer,
}

impl Inputs {
    /// The environment of this process.
    pub(crate) fn of_process(file: Option<PathBuf>, flags: Layer) -> Self {
        Self { file, env: std::env::vars_os().collect(), flags }
    }

    /// A variable's text; a set but empty one counts as unset.
    fn text(&self, name: &str) -> Result<Option<&str>> {
        Ok(self.raw(name)?.filter(|text| !text.is_empty()))
    }

    fn raw(&self, name: &str) -> Result<Option<&str>> {
        match self.env.get(OsStr::new(name)).map(|value| value.to_str()) {
            Some(None) => refuse!("{name} is not UTF-8"),
            found => Ok(found.flatten()),
        }
    }

    fn port(&self, name: &str) -> Result<Option<u16>> {
        match self.text(name)?.map(str::parse) {
            Some(Err(_)) => refuse!("{name} is not a port number"),
            found => Ok(found.and_then(Result::ok)),
        }
    }
}

/// Merges the layers: defaults, file, environment, flags.
///
/// # Errors
/// [`super::Misconfigured`], naming the key and where it was set; a read error of the file.
pub(crate) fn resolve(inputs: &Inputs) -> Result<Resolved> {
    let mut values = defaults()?;
    values.extend(file_layer(inputs)?);
    values.extend(env_layer(inputs, &values)?);
    values.extend(inputs.flags.clone());
    name_ports(inputs, &mut values)?;
    check_values(&values)?;
    let config = to_config(&values)?;
    Ok(Resolved { config, values, warnings: warnings(inputs) })
}

pub(crate) fn defaults() -> Result<Layer> {
    let mut layer = Layer::new();
    flatten(&Table::try_from(Config::default())?, &mut Vec::new(), &mut |path, value| {
        layer.insert(path.to_vec(), Sourced { value: value.clone(), origin: Origin::Default });
    });
    // What is chosen by name has no default; an empty table of it would count as a value.
    layer.retain(|_, sourced| !sourced.value.is_table());
    Ok(layer)
}

fn file_layer(inputs: &Inputs) -> Result<Layer> {
    let named = inputs.file.clone().or(inputs.text("TIDINGS_CONFIG")?.map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    match std::fs::read_to_string(&path) {
        Ok(text) => parse_file(&path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(Layer::new()),
        Err(error) => refuse!("cannot read the configuration {}: {error}", path.display()),
    }
}

fn parse_file(path: &Path, text: &str) -> Result<Layer> {
    let (spans, values) = match (DeTable::parse(text), text.parse::<Table>()) {
        (Ok(spans), Ok(values)) => (spans, values),
        (Err(error), _) | (_, Err(error)) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            refuse!("{}:{line}: {}", path.display(), error.message())
        }
    };
    let mut lines = BTreeMap::new();
    collect_lines(spans.get_ref(), text, &mut Vec::new(), &mut lines);
    let mut layer = Layer::new();
    flatten(&values, &mut Vec::new(), &mut |key, value| {
        let line = lines.get(key).copied().unwrap_or(1);
        let key = if value.is_table() { key.to_vec() } else { whole(key.to_vec()) };
        layer.insert(key, Sourced { value: value.clone(), origin: Origin::File(path.into(), line) });
    });
    for (key, sourced) in &layer {
        refuse_unknown(key, sourced)?;
    }
    Ok(layer)
}

/// An empty table names a room kind or a section; anything else has to be a row of the table.
fn refuse_unknown(key: &[String], sourced: &Sourced) -> Result<()> {
    let known = match &sourced.value {
        Value::Table(_) => Setting::has_below(key),
        _ => Setting::find(key).is_some(),
    };
    if !known {
        refuse!("unknown key `{}` ({})", key.join("."), sourced.origin);
    }
    Ok(())
}

fn flatten(table: &Table, path: &mut KeyPath, leaf: &mut dyn FnMut(&[String], &Value)) {
    for (name, value) in table {
        path.push(name.clone());
        match value {
            Value::Table(below) if !below.is_empty() && Setting::has_below(path) => {
                flatten(below, path, leaf);
            }
            _ => leaf(path, value),
        }
        path.pop();
    }
}

fn collect_lines(table: &DeTable<'_>, text: &str, path: &mut KeyPath, lines: &mut BTreeMap<KeyPath, usize>) {
    for (name, value) in table {
        path.push(name.get_ref().to_string());
        lines.insert(path.clone(), line_of(text, name.span().start));
        if let DeValue::Table(below) = value.get_ref() {
            collect_lines(below, text, path, lines);
        }
        path.pop();
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn env_layer(inputs: &Inputs, below: &Layer) -> Result<Layer> {
    let mut layer = Layer::new();
    short_names(inputs, below, &mut layer)?;
    for name in inputs.env.keys() {
        let Some(name) = name.to_str().filter(|name| !OTHER_NAMES.contains(name)) else { continue };
        let Some(key) = name.strip_prefix("TIDINGS_") else { continue };
        if is_service_link(name) {
            continue;
        }
        let path = whole(key.split("__").map(str::to_lowercase).collect());
        let Some(setting) = Setting::find(&path) else {
            refuse!("unknown key `{}` (env {name})", path.join("."));
        };
        let text = inputs.raw(name)?.unwrap_or_default();
        match setting.kind.read(text) {
            Ok(value) => layer.insert(path, Sourced { value, origin: Origin::Env(name.into()) }),
            Err(expected) => refuse!("`{}` (env {name}): {expected}", setting.key),
        };
    }
    Ok(layer)
}

/// Kubernetes sets these in every pod beside a Service whose name starts with `tidings`.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || ["_TCP", "_UDP"].iter().any(|transport| name.contains("_PORT_") && name.contains(transport))
}

/// Names without our prefix, which platforms and existing deployments set; a prefixed name wins.
fn short_names(inputs: &Inputs, below: &Layer, layer: &mut Layer) -> Result<()> {
    let mut put = |key: &[&str], name: &str, value: String| {
        let path = key.iter().map(|part| (*part).to_owned()).collect();
        layer.insert(path, Sourced { value: Value::String(value), origin: Origin::Env(name.into()) });
    };
    if let Some(port) = inputs.port("PORT")? {
        let address = text_at(below, "listen").and_then(check::host_of).unwrap_or_else(|| "127.0.0.1".into());
        put(&["listen"], "PORT", format!("{address}:{port}"));
    }
    // An empty secret is not an absent one: it is a deployment that lost its secret.
    if let Some(secret) = inputs.raw("JWT_SECRET")? {
        put(&["auth", "jwt_secret"], "JWT_SECRET", secret.into());
    }
    if let Some(file) = inputs.text("JWT_SECRET_FILE")? {
        put(&["auth", "jwt_secret_file"], "JWT_SECRET_FILE", file.into());
    }
    if let Some(url) = inputs.text("DATABASE_URL")? {
        put(&["database", "url"], "DATABASE_URL", url.into());
    }
    if let Some(file) = inputs.text("DATABASE_URL_FILE")? {
        put(&["database", "url_file"], "DATABASE_URL_FILE", file.into());
    }
    Ok(())
}

/// Gives an address without a port its port, and `WS_PORT` the main listener's address.
fn name_ports(inputs: &Inputs, values: &mut Layer) -> Result<()> {
    let port = inputs.port("PORT")?.unwrap_or(DEFAULT_PORT);
    if let Some(listen) = values.get_mut(&vec!["listen".to_owned()])
        && let Value::String(text) = &mut listen.value
        && let Some(host) = check::host_without_port(text)
    {
        *text = format!("{host}:{port}");
    }
    let Some(port) = inputs.port("WS_PORT")? else { return Ok(()) };
    let key = vec!["ws_listen".to_owned()];
    let named = values.get(&key).is_some_and(|sourced| sourced.origin >= Origin::Env(String::new()));
    if !named {
        let host = text_at(values, "listen").and_then(check::host_of).unwrap_or_else(|| "127.0.0.1".into());
        let value = Value::String(format!("{host}:{port}"));
        values.insert(key, Sourced { value, origin: Origin::Env("WS_PORT".into()) });
    }
    Ok(())
}

fn text_at<'a>(values: &'a Layer, key: &str) -> Option<&'a str> {
    values.get(&vec![key.to_owned()]).and_then(|sourced| sourced.value.as_str())
}

fn check_values(values: &Layer) -> Result<()> {
    for (path, Sourced { value, origin }) in values {
        let Some(setting) = Setting::find(path) else { continue };
        match setting.kind.check(value) {
            Err(_) if setting.secret => refuse!("`{}` ({origin}): expected text", path.join(".")),
            Err(expected) => refuse!("`{}` ({origin}): {expected}", path.join(".")),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn to_config(values: &Layer) -> Result<Config> {
    let mut root = Table::new();
    for (path, sourced) in values {
        insert(&mut root, path, &sourced.value);
    }
    serde_path_to_error::deserialize(Value::Table(root)).or_else(|error| {
        let key = error.path().to_string();
        let origin =
            values.iter().find(|(path, _)| path.join(".") == key).map(|(_, sourced)| &sourced.origin);
        let origin = origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
        refuse!("`{key}`{origin}: {}", error.inner().message())
    })
}

fn insert(table: &mut Table, path: &[String], value: &Value) {
    match path {
        [] => {}
        [name] => {
            table.insert(name.clone(), value.clone());
        }
        [name, below @ ..] => {
            let entry = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = entry {
                insert(inner, below, value);
            }
        }
    }
}

fn warnings(inputs: &Inputs) -> Vec<String> {
    let set = IGNORED_NAMES.iter().filter(|name| inputs.env.contains_key(OsStr::new(name)));
    set.map(|name| format!("{name} is set, but this version does not use it: it is ignored")).collect()
}
