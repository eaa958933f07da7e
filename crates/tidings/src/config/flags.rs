//! Flags made from the table of settings.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use tidings_server::config::Config;
use toml::{Table, Value};

use super::settings::{Kind, SETTINGS, Setting};
use super::{Inputs, KeyPath, Layer, Origin, Sourced};

const CONFIG: &str = "config";

/// `--config` and a flag for every setting that is not a secret.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingFlags {
    file: Option<PathBuf>,
    layer: Layer,
}

impl SettingFlags {
    /// Joins the flags with the environment of this process.
    pub(crate) fn inputs(self) -> Inputs {
        Inputs::of_process(self.file, self.layer)
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The configuration file [env: TIDINGS_CONFIG] [default: tidings.toml, if it is there]");
        let defaults = Table::try_from(Config::default()).unwrap_or_default();
        command.arg(file).args(SETTINGS.iter().filter_map(|setting| arg(setting, &defaults)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let file = matches.get_one::<PathBuf>(CONFIG).cloned();
        let layer = SETTINGS.iter().filter_map(|setting| given(setting, matches)).collect();
        Ok(Self { file, layer })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags that say where a server keeps its signing secret.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LocateFlags {
    /// The server's configuration file [env: TIDINGS_CONFIG] [default: tidings.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data directory [env: TIDINGS_DATA_DIR] [default: ./data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// A file that holds the signing secret [env: JWT_SECRET_FILE; JWT_SECRET is the secret itself] [default: the one in the
    /// data directory].
    #[arg(long, value_name = "FILE", alias = "auth-jwt-secret-file")]
    jwt_secret_file: Option<String>,
}

impl LocateFlags {
    /// Joins the flags with the environment of this process.
    pub(crate) fn inputs(self) -> Inputs {
        let named = [
            ("data_dir", "--data-dir", self.data_dir),
            ("auth.jwt_secret_file", "--jwt-secret-file", self.jwt_secret_file),
        ];
        Inputs::of_process(self.config, texts(named))
    }
}

/// The flags that say where a server keeps its database.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DatabaseFlags {
    /// The server's configuration file [env: TIDINGS_CONFIG] [default: tidings.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data directory [env: TIDINGS_DATA_DIR] [default: ./data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// A file that holds the URL of the database [env: DATABASE_URL_FILE; DATABASE_URL is the URL itself] [default:
    /// tidings.db in the data directory].
    #[arg(long, value_name = "FILE")]
    database_url_file: Option<String>,
}

impl DatabaseFlags {
    /// Joins the flags with the environment of this process.
    pub(crate) fn inputs(self) -> Inputs {
        let named = [
            ("data_dir", "--data-dir", self.data_dir),
            ("database.url_file", "--database-url-file", self.database_url_file),
        ];
        Inputs::of_process(self.config, texts(named))
    }
}

/// A layer of the flags that were given.
fn texts<const N: usize>(named: [(&'static str, &'static str, Option<String>); N]) -> Layer {
    let given = named.into_iter().filter_map(|(key, flag, text)| {
        let sourced = Sourced { value: Value::String(text?), origin: Origin::Flag(flag.into()) };
        Some((path_of(key), sourced))
    });
    given.collect()
}

fn arg(setting: &'static Setting, defaults: &Table) -> Option<Arg> {
    let flag = setting.flag_name()?;
    let kind = setting.kind;
    let arg = Arg::new(setting.key)
        .long(flag)
        .help(format!("{}{} [env: {}]", setting.about, shown_default(setting, defaults), setting.env_name()))
        .help_heading(heading(setting))
        .value_parser(move |text: &str| kind.read(text));
    let arg = match setting.key {
        "auth.jwt_secret_file" => arg.visible_alias("jwt-secret-file"),
        "recovery.mode" => arg.visible_alias("recovery"),
        _ => arg,
    };
    Some(match kind {
        Kind::Switch => arg
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .action(ArgAction::Set),
        Kind::List => arg.value_name("LIST").action(ArgAction::Append),
        // A negative number is refused with what is expected, and not taken for a flag.
        Kind::Count(..) => arg.value_name("N").allow_negative_numbers(true).action(ArgAction::Set),
        Kind::Choice(words) => arg.value_name(words.join("|")).action(ArgAction::Set),
        Kind::Tables => arg.value_name("TOML").action(ArgAction::Set),
        Kind::Text => arg.value_name("TEXT").action(ArgAction::Set),
    })
}

fn heading(setting: &Setting) -> String {
    match setting.section() {
        "" => "Settings".into(),
        section => format!("Settings [{section}]"),
    }
}

fn shown_default(setting: &Setting, defaults: &Table) -> String {
    let mut parts = setting.key.split('.');
    let first = parts.next().and_then(|part| defaults.get(part));
    let value = parts.fold(first, |value, part| value.and_then(|value| value.get(part)));
    match value {
        Some(Value::String(text)) if !text.is_empty() => format!(" [default: {text}]"),
        Some(value @ (Value::Integer(_) | Value::Boolean(_))) => format!(" [default: {value}]"),
        _ => String::new(),
    }
}

/// The flag's value if it stood on the command line; a repeated list is one list.
fn given(setting: &'static Setting, matches: &ArgMatches) -> Option<(KeyPath, Sourced)> {
    let flag = setting.flag_name()?;
    let mut found = matches.get_many::<Value>(setting.key)?.cloned();
    let value = match setting.kind {
        Kind::List => Value::Array(found.filter_map(|value| value.as_array().cloned()).flatten().collect()),
        _ => found.next_back()?,
    };
    Some((path_of(setting.key), Sourced { value, origin: Origin::Flag(format!("--{flag}")) }))
}

fn path_of(key: &str) -> KeyPath {
    key.split('.').map(str::to_owned).collect()
}
