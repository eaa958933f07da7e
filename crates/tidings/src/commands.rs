//! The commands that only look at the configuration.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::config::{self, SettingFlags};
use crate::output;

/// `tidings config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigLine {
    /// What is done with it; it is shown, said or not.
    #[arg(value_enum, value_name = "show", hide_possible_values = true, default_value_t = Deed::Show, hide_default_value = true)]
    deed: Deed,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Deed {
    /// Prints it.
    Show,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A commented file that can be loaded again.
    Toml,
    /// One object per setting.
    Json,
}

/// Prints the configuration in effect; what `serve` would refuse is an error after the print.
///
/// # Errors
/// The configuration cannot be read, or a server would not start with it.
pub(crate) fn config(line: ConfigLine) -> Result<()> {
    let Deed::Show = line.deed;
    let resolved = config::resolve(&line.settings.inputs())?;
    resolved.warnings.iter().for_each(|warning| output::note(&format!("tidings: {warning}")));
    match line.format {
        Format::Toml => output::line(config::to_toml(&resolved).trim_end())?,
        Format::Json => output::line(&serde_json::to_string_pretty(&config::to_json(&resolved))?)?,
    }
    config::usable(&resolved).map(drop)
}
