//! What a channel's types say of it.

use std::any::TypeId;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::channel::Channel;

/// What a channel's types say of it.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Commands by name.
    pub(crate) commands: Vec<Variant>,
    /// Events by name.
    pub(crate) events: Vec<Variant>,
    /// What commands are acknowledged with; `None`: nothing.
    pub(crate) reply: Option<Value>,
    /// What a newcomer gets; `None`: nothing.
    pub(crate) snapshot: Option<Value>,
}

/// A variant of a command's or an event's enum.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) data: Value,
}

/// Reads the types of a channel; what they refer to is left in the generator.
pub(crate) fn shape_of<C: Channel>(generator: &mut SchemaGenerator) -> Shape {
    Shape {
        commands: variants::<C::Command>(generator),
        events: variants::<C::Event>(generator),
        reply: unless_nothing::<C::Reply>(generator),
        snapshot: unless_nothing::<C::Snapshot>(generator),
    }
}

/// The schema of a type; none of `()`.
pub(super) fn unless_nothing<T: JsonSchema + 'static>(generator: &mut SchemaGenerator) -> Option<Value> {
    if TypeId::of::<T>() == TypeId::of::<()>() {
        return None;
    }
    Some(generator.subschema_for::<T>().to_value())
}

/// The variants of an enum as serde writes it: an object with the name as its only member, or the name.
fn variants<T: JsonSchema>(generator: &mut SchemaGenerator) -> Vec<Variant> {
    let schema = T::json_schema(generator).to_value();
    let list = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array).cloned();
    // A single variant stands by itself; an empty enum is a schema that nothing fits.
    let list = list.unwrap_or_else(|| vec![schema]);
    list.iter().flat_map(of_variant).collect()
}

fn of_variant(schema: &Value) -> Vec<Variant> {
    let about = schema["description"].as_str().unwrap_or_default();
    let new =
        |name: &str, data: &Value| Variant { name: name.into(), about: about.into(), data: data.clone() };
    if let Some(members) = schema["properties"].as_object() {
        return members.iter().map(|(name, data)| new(name, data)).collect();
    }
    let alone = schema["const"].as_str().into_iter();
    let several = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    alone.chain(several).map(|name| new(name, &serde_json::json!({ "type": "null" }))).collect()
}
