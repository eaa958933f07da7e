//! Types with bounds, which are checked where they are read and stand in the schema.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use tidings_core::Refusal;

/// A text of `LEAST` to `MOST` characters on one line: none of them is a control character, be it a line break or a tab.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<const LEAST: usize, const MOST: usize>(String);

impl<const LEAST: usize, const MOST: usize> Text<LEAST, MOST> {
    /// Takes a text that fits.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let count = text.chars().count();
        if !(LEAST..=MOST).contains(&count) {
            return Err(format!("expected {LEAST} to {MOST} characters, found {count}"));
        }
        if text.chars().any(char::is_control) {
            return Err("control characters are not taken".into());
        }
        Ok(Self(text))
    }

    /// The text itself.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const LEAST: usize, const MOST: usize> Deref for Text<LEAST, MOST> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de, const LEAST: usize, const MOST: usize> Deserialize<'de> for Text<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(reader)?).map_err(D::Error::custom)
    }
}

impl<const LEAST: usize, const MOST: usize> JsonSchema for Text<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": LEAST, "maxLength": MOST })
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Whole<const LEAST: i64, const MOST: i64>(i64);

impl<const LEAST: i64, const MOST: i64> Whole<LEAST, MOST> {
    /// Takes a number that fits.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(number: i64) -> Result<Self, String> {
        if (LEAST..=MOST).contains(&number) {
            return Ok(Self(number));
        }
        Err(format!("expected {LEAST} to {MOST}, found {number}"))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl<'de, const LEAST: i64, const MOST: i64> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(reader)?).map_err(D::Error::custom)
    }
}

impl<const LEAST: i64, const MOST: i64> JsonSchema for Whole<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Whole{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }
}

/// A list of `LEAST` to `MOST` things; reading stops at the first that is too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Many<T, const LEAST: usize, const MOST: usize>(Vec<T>);

impl<T, const LEAST: usize, const MOST: usize> Many<T, LEAST, MOST> {
    /// The things.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const LEAST: usize, const MOST: usize> Deref for Many<T, LEAST, MOST> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const LEAST: usize, const MOST: usize> Deserialize<'de>
    for Many<T, LEAST, MOST>
{
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let things = reader.deserialize_seq(Reading::<T, MOST>(std::marker::PhantomData))?;
        if things.len() < LEAST {
            return Err(D::Error::custom(format!(
                "expected {LEAST} to {MOST} items, found {}",
                things.len()
            )));
        }
        Ok(Self(things))
    }
}

struct Reading<T, const MOST: usize>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Reading<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        let mut things = Vec::new();
        while let Some(thing) = sequence.next_element()? {
            if things.len() == MOST {
                return Err(A::Error::custom(format!("more than {MOST} items")));
            }
            things.push(thing);
        }
        Ok(things)
    }
}

impl<T: JsonSchema, const LEAST: usize, const MOST: usize> JsonSchema for Many<T, LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Many{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Many{}{LEAST}To{MOST}", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "type": "array", "items": items, "minItems": LEAST, "maxItems": MOST })
    }
}

/// An id that stands in names of rooms and in paths, where `.` and `..` alone mean something else.
///
/// # Errors
/// [`Code::BadRequest`](crate::Code::BadRequest) with the field's name for anything but 1 to 64 ASCII letters, digits,
/// `.`, `_` and `-`.
pub fn plain_id(id: &str, field: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if matches!(id, "" | "." | "..") || id.len() > 64 || !id.bytes().all(plain) {
        let message = format!("{field}: expected 1 to 64 letters, digits, `.`, `_` or `-`, not dots alone");
        return Err(Refusal::bad_request(&message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_on_one_line() {
        assert_eq!(&*Text::<1, 4>::new("a ä€").unwrap(), "a ä€");
        for text in ["a\n", "\ra", "a\tb", "\u{0}", "\u{85}", "\u{7f}", "", "abcde"] {
            assert!(Text::<1, 4>::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_id_can_stand_in_a_path() {
        for id in ["a", "2026-11", "a.b_c-D", "...", &"x".repeat(64)] {
            assert!(plain_id(id, "id").is_ok(), "{id}");
        }
        for id in ["", ".", "..", "a/b", "a b", "a:b", "ä", "a\n", &"x".repeat(65)] {
            assert!(plain_id(id, "id").is_err(), "{id}");
        }
    }
}
