//! How routes stand in the description of the HTTP API.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use tidings_app::describe::Path;

/// A row: method, path, what it does, the query's parameters, the body.
pub type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<fn() -> Value>,
);

/// The routes of an app, each for whoever is signed in.
pub fn paths(tag: &'static str, lines: &[Line]) -> Vec<Path> {
    let path = |&(method, path, about, query, body): &Line| Path {
        method,
        path,
        tag,
        about,
        signed_in: true,
        query,
        body: body.map(|body| body()),
        answer: None,
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
