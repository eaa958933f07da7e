//! JSON objects as tokens have them: read once, and refused if they could be read in two ways.

use std::borrow::Cow;

use tidings_wire::json;

use super::Fault;

/// Levels of nesting in header and claims.
const DEPTH: u32 = 16;

/// Members of one object in header or claims.
const MEMBERS: usize = 256;

/// Names and raw values of an object in which no name stands twice.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// Reads a text that is one JSON object of bounded depth in which no name stands twice, at any depth.
///
/// Two parsers that disagree on which of two equal names counts are how a token means one thing to
/// its issuer and another to us.
///
/// # Errors
/// [`Fault::Malformed`] if it is anything else.
pub(super) fn members(text: &str) -> Result<Members<'_>, Fault> {
    json::check(text, DEPTH).map_err(|_| Fault::Malformed)?;
    if text.starts_with('{') { object(text) } else { Err(Fault::Malformed) }
}

fn object(text: &str) -> Result<Members<'_>, Fault> {
    let mut members = Members::with_capacity(16);
    for (name, value) in json::members(text) {
        let name = json::string(name).ok_or(Fault::Malformed)?;
        if members.len() == MEMBERS || members.iter().any(|(known, _)| *known == name) {
            return Err(Fault::Malformed);
        }
        no_twins(value)?;
        members.push((name, value));
    }
    Ok(members)
}

/// Looks for equal names in a value; its depth is bounded already.
fn no_twins(value: &str) -> Result<(), Fault> {
    match value.as_bytes().first() {
        Some(b'[') => json::elements(value).try_for_each(no_twins),
        Some(b'{') => object(value).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stand_twice_are_found_at_any_depth_and_in_any_spelling() {
        let twice = |text: &str| members(text).is_err();
        assert!(twice(r#"{"a":1,"a":2}"#) && twice(r#"{"sub":1,"s\u0075b":2}"#));
        assert!(twice(r#"{"a":[{"b":{"c":1,"c":1}}]}"#));
        assert!(!twice(r#"{"a":{"a":{"a":1}},"b":["a","a"]}"#));
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "[]", "1", " {}", r#"{"a":1"#, &"[".repeat(20)] {
            assert_eq!(members(text), Err(Fault::Malformed), "{text}");
        }
        assert_eq!(members("{}"), Ok(Vec::new()));
        assert_eq!(members(r#"{"a":{"b":1}}"#), Ok(vec![("a".into(), r#"{"b":1}"#)]));
    }
}
