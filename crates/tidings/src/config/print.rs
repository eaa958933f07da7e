//! The effective configuration as a commented file, or as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;
use toml::Value;

use super::settings::{SETTINGS, Setting};
use super::{Layer, Origin, Resolved, Sourced};

/// Columns of a comment line.
const WIDTH: usize = 100;

/// Writes TOML that can be loaded again; secrets are left out, and said to be.
pub(crate) fn to_toml(resolved: &Resolved) -> String {
    let mut text = String::from("# The configuration in effect: defaults < file < environment < flags.\n");
    let mut section = "";
    for row in rows(&resolved.values) {
        if row.section() != section {
            section = row.setting.section();
            if !row.setting.is_optional() {
                let _ = write!(text, "\n[{section}]\n");
            }
        }
        if !row.setting.is_optional() {
            write_row(&mut text, &row);
        }
    }
    write_named_tables(&mut text, &resolved.values);
    text
}

/// Writes one object per setting: key, value, source, flag, environment name, documentation.
pub(crate) fn to_json(resolved: &Resolved) -> serde_json::Value {
    let rows = rows(&resolved.values).map(|row| {
        json!({
            "key": row.path.join("."),
            "value": if row.setting.secret { serde_json::Value::Null } else { json!(row.value()) },
            "set": row.origin() != &Origin::Default,
            "from": row.origin().layer(),
            "source": row.origin().to_string(),
            "env": row.env_name(),
            "flag": row.setting.flag_name().map(|flag| format!("--{flag}")),
            "about": row.setting.about,
            "secret": row.setting.secret,
        })
    });
    json!({ "settings": rows.collect::<Vec<_>>() })
}

/// A setting with the place it is printed at and the value in effect.
struct Row<'a> {
    setting: &'static Setting,
    path: Vec<String>,
    sourced: Option<&'a Sourced>,
}

impl Row<'_> {
    fn section(&self) -> &'static str {
        self.setting.section()
    }

    fn origin(&self) -> &Origin {
        self.sourced.map_or(&Origin::Default, |sourced| &sourced.origin)
    }

    fn value(&self) -> Option<&Value> {
        self.sourced.map(|sourced| &sourced.value)
    }

    /// None where a chosen name cannot stand in a variable's name.
    fn env_name(&self) -> Option<String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let usable = self.path.iter().all(|part| part.bytes().all(fits) && !part.contains("__"));
        usable.then(|| format!("TIDINGS_{}", self.path.join("__").to_uppercase()))
    }
}

/// In the table's order; of tables that are there only where something is set, what is set.
fn rows(values: &Layer) -> impl Iterator<Item = Row<'_>> {
    SETTINGS.iter().flat_map(|setting| {
        if !setting.is_optional() {
            let path: Vec<String> = setting.key.split('.').map(str::to_owned).collect();
            return vec![Row { setting, sourced: values.get(&path), path }];
        }
        let fitting = values
            .iter()
            .filter(|(path, _)| Setting::find(path).is_some_and(|found| std::ptr::eq(found, setting)));
        fitting.map(|(path, sourced)| Row { setting, path: path.clone(), sourced: Some(sourced) }).collect()
    })
}

fn write_row(text: &mut String, row: &Row<'_>) {
    text.push('\n');
    write_comment(text, row.setting.about);
    let flag = row.setting.flag_name().map(|flag| format!("--{flag}"));
    let names: Vec<String> = row.env_name().into_iter().chain(flag).collect();
    let separator = if names.is_empty() { "" } else { "; " };
    let _ = writeln!(text, "# {}{separator}from {}", names.join(", "), row.origin());
    let name = row.path.last().map(String::as_str).unwrap_or_default();
    match (row.setting.secret, row.value()) {
        (true, Some(_)) => {
            let _ = writeln!(text, "# {name} is set; its value is not shown");
        }
        (true, None) => {
            let _ = writeln!(text, "# {name} is not set");
        }
        (false, Some(value)) => {
            let _ = writeln!(text, "{name} = {value}");
        }
        (false, None) => {}
    }
}

/// The tables that the operator names, each with what is set in it.
fn write_named_tables(text: &mut String, values: &Layer) {
    let tables: BTreeSet<&[String]> =
        values.iter().filter_map(|(path, sourced)| named_table(path, sourced)).collect();
    for table in tables {
        let header: Vec<String> = table.iter().map(|part| quoted(part)).collect();
        let _ = write!(text, "\n[{}]\n", header.join("."));
        let rows = rows(values).filter(|row| row.setting.is_optional());
        for row in rows.filter(|row| row.path.split_last().is_some_and(|(_, section)| section == table)) {
            write_row(text, &row);
        }
    }
}

fn named_table<'a>(path: &'a [String], sourced: &Sourced) -> Option<&'a [String]> {
    if sourced.value.is_table() {
        return (path.len() > 1).then_some(path);
    }
    Setting::find(path).filter(|setting| setting.is_optional())?;
    path.split_last().map(|(_, section)| section)
}

fn quoted(part: &str) -> String {
    let bare =
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { part.into() } else { Value::String(part.into()).to_string() }
}

fn write_comment(text: &mut String, about: &str) {
    let mut line = String::from("#");
    for word in about.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
