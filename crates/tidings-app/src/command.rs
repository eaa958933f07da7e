//! What clients may say and rooms may hear, as types that are checked at run time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tidings_core::limits::Rate;
use tidings_core::{Code, Payload, Refusal, Rule};

use crate::objects;

/// What clients may say: an enum whose variants each hold a struct.
///
/// The name on the wire is the variant's serde name, the data its struct, which has to deny unknown
/// fields. Bounds are part of the types ([`Text`](crate::Text), [`Whole`](crate::Whole),
/// [`Many`](crate::Many)); [`Command::check`] is for what concerns several fields.
pub trait Command: DeserializeOwned + JsonSchema + Send + 'static {
    /// What each command requires: one row for every variant, which is checked at the start.
    const RULES: &'static [Requires];

    /// Checks what types cannot.
    ///
    /// # Errors
    /// Which field is wrong, and why.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// The user whom the rule `owner` lets.
    fn owner(&self) -> Option<&str> {
        None
    }

    /// An idempotency key that is part of the data, such as the client's own id of an order.
    fn key(&self) -> Option<&str> {
        None
    }
}

/// What rooms may hear: an enum; the name on the wire is the variant's serde name, the data what it holds.
pub trait Event: Serialize + JsonSchema + Send + 'static {
    /// What it is about, such as the symbol of a price, at most 128 bytes: of one name and slot the newest counts where a
    /// kind is paced or a client is slow, and changes are told of one name and slot where a kind tells only changes.
    fn slot(&self) -> Option<&str> {
        None
    }
}

/// No command.
#[derive(Debug, Clone, Copy, serde::Deserialize, JsonSchema)]
pub enum NoCommand {}

impl Command for NoCommand {
    const RULES: &'static [Requires] = &[];
}

/// No event.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub enum NoEvent {}

impl Event for NoEvent {}

/// What one command requires of who says it.
#[derive(Debug, Clone)]
pub struct Requires {
    /// The command's name on the wire.
    pub name: &'static str,
    /// Who may say it.
    pub rule: Rule,
    /// How often one user may say it, out of a bucket of its own; `None`: out of the general one.
    pub rate: Option<Rate>,
    /// What one without a bucket of its own is counted as.
    pub counts: Counts,
    /// How it is acknowledged.
    pub ack: AckStyle,
}

/// What a command is counted as that has no bucket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// A publish, out of the user's general bucket.
    Publish,
    /// A subscription of its connection.
    Subscription,
    /// Nothing but a message.
    Message,
}

impl Counts {
    /// A command named as one of the engine's counts as that does: clients are told so, whatever the app.
    const fn of(name: &str) -> Self {
        match name.as_bytes() {
            b"subscribe" => Self::Subscription,
            b"unsubscribe" => Self::Message,
            _ => Self::Publish,
        }
    }
}

/// How a command is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckStyle {
    /// `{ok:true, …}`, or `{ok:false, error:{code, message, …}}`.
    Ok,
    /// `{success:true, …}`, or `{success:false, error:"message", code, …}`, for front ends that were there
    /// before.
    Success,
}

impl Requires {
    /// A command that `rule` guards, out of the general bucket; `subscribe` and `unsubscribe` count as the engine's.
    pub const fn new(name: &'static str, rule: Rule) -> Self {
        Self { name, rule, rate: None, counts: Counts::of(name), ack: AckStyle::Ok }
    }

    /// Gives it a bucket of its own.
    #[must_use]
    pub const fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Acknowledges it in another style.
    #[must_use]
    pub const fn acknowledged(mut self, ack: AckStyle) -> Self {
        self.ack = ack;
        self
    }
}

/// What is wrong with which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The field, by its path on the wire.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Cow<'static, str>,
}

impl Invalid {
    /// A field and what is wrong with it.
    pub fn new(field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Reads what a client said under a name that is known; `data` is JSON that was checked.
///
/// # Errors
/// [`Code::BadRequest`] naming the field.
pub(crate) fn parse<C: Command>(name: &str, data: &str) -> Result<C, Refusal> {
    let data = if data.trim().is_empty() || data == "null" { "{}" } else { data };
    objects::needs_object("data", data)?;
    let mut tagged = String::with_capacity(name.len() + data.len() + 8);
    // Writing to memory does not fail; `{:?}` would not be JSON.
    let _ = write!(tagged, "{{{}:{data}}}", serde_json::Value::from(name));
    let command: C =
        objects::read(&mut serde_json::Deserializer::from_str(&tagged)).map_err(|mut wrong| {
            // The name is no part of what the client wrote.
            let field = wrong.field.strip_prefix(name).unwrap_or(&wrong.field);
            wrong.field = field.trim_start_matches('.').to_owned();
            wrong.told()
        })?;
    command.check().map_err(|invalid| objects::told(&invalid.to_string()))?;
    Ok(command)
}

/// Name and data of an event.
///
/// # Errors
/// [`Code::Unavailable`] if the type is no enum, or cannot be written.
pub(crate) fn written<E: Event>(event: &E) -> Result<(String, Payload), Refusal> {
    let fault = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, event = std::any::type_name::<E>(), "an event cannot be written");
        Refusal::new(Code::Unavailable, "the server made an event that cannot be written")
    };
    let text = serde_json::to_string(event).map_err(|error| fault(&error))?;
    if let Ok(name) = serde_json::from_str::<String>(&text) {
        return Ok((name, Payload::json("null")));
    }
    let tagged: BTreeMap<String, &RawValue> = serde_json::from_str(&text).map_err(|error| fault(&error))?;
    let mut tagged = tagged.into_iter();
    match (tagged.next(), tagged.next()) {
        (Some((name, data)), None) => Ok((name, Payload::json(data.get().to_owned()))),
        _ => Err(fault(&"it is no variant of an enum")),
    }
}
