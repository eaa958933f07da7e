//! How routes stand in the description of the HTTP API.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use tidings_app::describe::{Path, SignIn};

/// A row: method, path, what it does, the query's parameters, the body, the status of the answer.
pub type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<fn() -> Value>,
    &'static [u16],
);

/// Of what is read, or done.
pub const DONE: &[u16] = &[200];

/// Of what is made.
pub const MADE: &[u16] = &[201];

/// The routes of an app, each for whoever is signed in; what changes something is done once under a key.
pub fn paths(tag: &'static str, lines: &[Line]) -> Vec<Path> {
    let path = |&(method, path, about, query, body, statuses): &Line| Path {
        method,
        path,
        tag,
        about,
        sign_in: SignIn::Needed,
        query,
        needs: &[],
        body: body.map(|body| body()),
        keyed: method != "get",
        statuses,
        text: None,
    };
    lines.iter().map(path).collect()
}

/// The schema of a body.
pub fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
