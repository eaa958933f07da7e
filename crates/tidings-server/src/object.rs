//! JSON objects, and nothing that could be taken for one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A value that was read from an object.
///
/// serde reads a struct from an array as well, by the order of its fields: then `[true]` would be a backend's
/// yes, and a field more in a later version would change what a body means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Pair<'a> {
        left: bool,
        #[serde(borrow)]
        right: Option<&'a RawValue>,
    }

    #[test]
    fn an_object_is_read_and_its_parts_stay_where_they_lie() {
        let text = "{\"right\": {\"a\":[1]} ,\"left\":true}";
        let read: Object<Pair<'_>> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}"));
        assert!(read.0.left);
        assert_eq!(read.0.right.map(RawValue::get), Some("{\"a\":[1]}"));
    }

    #[test]
    fn an_array_in_the_order_of_the_fields_is_none() {
        let array = "[true,1]";
        assert!(serde_json::from_str::<Pair<'_>>(array).is_ok(), "serde would take it");
        assert!(serde_json::from_str::<Object<Pair<'_>>>(array).is_err());
    }
}
