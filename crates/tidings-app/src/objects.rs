//! JSON whose structs are objects, wherever they stand in it.
//!
//! serde reads a struct from an array as well, by the order of its fields. Then an array would be an order that nothing
//! describes, and a field more in a later version would change what it means.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use tidings_core::{Code, Refusal};

/// Characters of a refusal that come from what was sent.
const SENTENCE: usize = 200;

/// Reads the body of a request; an empty one is an empty object.
///
/// # Errors
/// [`Code::BadRequest`] naming the field.
pub fn read_body<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, Refusal> {
    let json = if json.trim().is_empty() { "{}" } else { json };
    needs_object("the body", json)?;
    read_all(json).map_err(|wrong| wrong.told())
}

/// Reads a whole text.
///
/// # Errors
/// What is wrong with which field.
pub fn read_all<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, Wrong> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = read(&mut reader)?;
    let ended = reader.end();
    ended.map(|()| value).map_err(|error| Wrong { field: String::new(), problem: problem(&error) })
}

/// Refuses JSON that is something else than an object.
///
/// # Errors
/// [`Code::BadRequest`]
pub(crate) fn needs_object(what: &str, json: &str) -> Result<(), Refusal> {
    if json.trim_start().starts_with('{') {
        return Ok(());
    }
    Err(told(&format!("{what} must be an object")))
}

/// A refusal of what was sent.
pub(crate) fn told(sentence: &str) -> Refusal {
    Refusal::new(Code::BadRequest, &sentence.chars().take(SENTENCE).collect::<String>())
}

/// What is wrong, and where.
#[derive(Debug)]
pub struct Wrong {
    /// The path of the field; empty for the whole.
    pub field: String,
    /// What is wrong with it, which may quote what was sent.
    pub problem: String,
}

impl Wrong {
    pub(crate) fn told(&self) -> Refusal {
        match self.field.as_str() {
            "" => told(&self.problem),
            field => told(&format!("{field}: {}", self.problem)),
        }
    }
}

/// Reads a value all of whose structs are objects.
pub(crate) fn read<'de, T, D>(reader: D) -> Result<T, Wrong>
where
    T: Deserialize<'de>,
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(Strict(reader)).map_err(|error| {
        let field = error.path().to_string();
        // Of the whole the path is a dot, of what is no JSON a question mark.
        let field = if matches!(&*field, "." | "?") { String::new() } else { field };
        Wrong { field, problem: problem(error.inner()) }
    })
}

/// Where in a line it is says nothing to somebody who wrote no lines.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem).to_owned()
}

/// Something of serde, at any depth of which a struct is read from an object alone.
struct Strict<T>(T);

/// What a struct is read into.
struct Members<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Members<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(members))
    }
}

macro_rules! read {
    ($($method:ident($($arg:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($arg,)* Strict(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    read! {
        deserialize_any() deserialize_bool() deserialize_char() deserialize_str() deserialize_string()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_unit() deserialize_seq() deserialize_map()
        deserialize_identifier() deserialize_ignored_any()
        deserialize_unit_struct(name: &'static str) deserialize_newtype_struct(name: &'static str)
        deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Members(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! see {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    see! {
        visit_bool(bool) visit_char(char) visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128)
        visit_f32(f32) visit_f64(f64)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(reader))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, reader: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(reader))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Strict(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Strict(data))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(reader))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(seed).map(|(name, data)| (name, Strict(data)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Strict(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Members(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        count: u8,
    }

    #[derive(Debug, Deserialize)]
    enum Shape {
        Point,
        Line(Inner),
        Box { side: u8 },
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer<'a> {
        one: Inner,
        maybe: Option<Inner>,
        #[serde(default)]
        many: Vec<Inner>,
        #[serde(default)]
        named: BTreeMap<String, Inner>,
        #[serde(default)]
        shapes: Vec<Shape>,
        #[serde(default)]
        pair: (i64, f64),
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
        any: Option<serde_json::Value>,
    }

    fn refused(json: &str) -> String {
        read_body::<Outer<'_>>(json).map(|_| String::new()).unwrap_or_else(|refusal| refusal.message.into())
    }

    #[test]
    fn what_is_an_object_is_read_with_arrays_where_they_belong() {
        let json = r#"{"one":{"count":1},"maybe":{"count":2},"many":[{"count":3}],"named":{"a":{"count":4}},
            "shapes":["Point",{"Line":{"count":5}},{"Box":{"side":6}}],"pair":[-7,0.5],"raw":[ 1 ],"any":[[{}]]}"#;
        let read: Outer<'_> = read_body(json).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(
            (read.one.count, read.maybe.map(|inner| inner.count), read.many[0].count),
            (1, Some(2), 3)
        );
        assert_eq!((read.named["a"].count, read.pair), (4, (-7, 0.5)));
        assert!(matches!(
            &read.shapes[..],
            [Shape::Point, Shape::Line(Inner { count: 5 }), Shape::Box { side: 6 }]
        ));
        assert_eq!((read.raw.map(RawValue::get), read.any), (Some("[ 1 ]"), Some(serde_json::json!([[{}]]))));
    }

    #[test]
    fn an_array_in_the_order_of_the_fields_is_no_struct_at_any_depth() {
        for json in ["[[1]]", "[]", "5", "null", "\"x\"", " [ ] "] {
            assert_eq!(refused(json), "the body must be an object", "{json}");
        }
        let table = [
            (r#"{"one":[1]}"#, "one: "),
            (r#"{"one":{"count":1},"maybe":[1]}"#, "maybe: "),
            (r#"{"one":{"count":1},"many":[{"count":1},[1]]}"#, "many[1]: "),
            (r#"{"one":{"count":1},"named":{"a":[1]}}"#, "named.a: "),
            (r#"{"one":{"count":1},"shapes":[{"Line":[1]}]}"#, "shapes[0].Line: "),
            (r#"{"one":{"count":1},"shapes":[{"Box":[1]}]}"#, "shapes[0].Box: "),
        ];
        for (json, field) in table {
            assert_eq!(refused(json), format!("{field}invalid type: sequence, expected an object"), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field_and_without_a_place_in_a_line() {
        let table = [
            (r#"{"one":{"count":"x"}}"#, "one.count: invalid type: string \"x\", expected u8"),
            (r#"{"one":{"count":1,"more":2}}"#, "one.more: unknown field `more`, expected `count`"),
            (r#"{}"#, "missing field `one`"),
            ("", "missing field `one`"),
            (r#"{"one":{"count":1}} {}"#, "trailing characters"),
        ];
        for (json, expected) in table {
            assert_eq!(refused(json), expected, "{json}");
        }
    }
}
