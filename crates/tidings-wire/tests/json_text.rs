//! The JSON check, slices and strings, against `serde_json` as the oracle.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;
use std::borrow::Cow;
use tidings_wire::{CloseReason, Violation, json};

const DEEP: u32 = 128;

#[test]
fn every_valid_text_passes() {
    for text in [
        "0",
        "-0",
        "-0.0e+1",
        "1E9",
        "12.50",
        "1e999",
        "true",
        "false",
        "null",
        r#""""#,
        "[]",
        "{}",
        " [ ] ",
        " {\t}\r\n",
        r#"{"a":[1,{"b":null}],"":"x"}"#,
        r#""\"\\\/\b\f\n\r\t\u00e9\uD834\udd1e\ud800""#,
        "\"\u{7f}é𝄞\u{2028}\"",
        "[[],{},[{}]]",
        r#"{"a":1,"a":2}"#,
    ] {
        assert_eq!(json::check(text, DEEP), Ok(()), "{text}");
    }
}

#[test]
fn every_invalid_text_is_a_protocol_violation() {
    for text in [
        "",
        " ",
        "abc",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{a:1}"#,
        r#"{1:1}"#,
        "[1 2]",
        "[1}",
        r#"{"a":1]"#,
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "tru",
        "nul",
        "falsee",
        "true false",
        r#"""#,
        r#""\"#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        "\"\n\"",
        "\"\u{1}\"",
        "'a'",
        "[1]x",
        "\u{feff}1",
        "\u{a0}1",
        "[1]]",
        r#""\u+123""#,
    ] {
        let violation = json::check(text, DEEP).unwrap_err();
        assert_eq!(violation.reason, CloseReason::Protocol, "{text:?}");
    }
}

#[test]
fn a_depth_at_the_limit_passes_and_one_more_is_a_structure_violation() {
    for depth in [1u32, 2, 32, 128] {
        let nested = |n: u32| "[".repeat(n as usize) + &"]".repeat(n as usize);
        assert_eq!(json::check(&nested(depth), depth), Ok(()));
        assert_eq!(json::check(&nested(depth + 1), depth).unwrap_err().reason, CloseReason::Structure);
        let objects = "{\"a\":".repeat(depth as usize) + "1" + &"}".repeat(depth as usize);
        assert_eq!(json::check(&objects, depth), Ok(()));
        assert_eq!(json::check(&objects, depth - 1).unwrap_err().reason, CloseReason::Structure);
    }
    assert_eq!(json::check("1", 0), Ok(()));
}

#[test]
fn a_hundred_thousand_brackets_are_refused_at_once_even_with_a_boundless_limit() {
    for text in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        assert_eq!(json::check(&text, u32::MAX), Err(Violation::structure("payload is nested too deeply")));
        // Slicing needs no check to be safe.
        assert_eq!(json::elements(&text).count(), usize::from(text.starts_with('[')));
        assert_eq!(json::members(&text).count(), usize::from(text.starts_with('{')));
    }
    let wide = format!("[{}]", vec!["[]"; 100_000].join(","));
    assert_eq!(json::check(&wide, 2), Ok(()));
    assert_eq!(json::elements(&wide).count(), 100_000);
}

#[test]
fn elements_are_raw_slices_without_the_space_around_them() {
    let array = " [ 1 , \"a,]\\\"\" ,[2,[3]] , {\"k\": [\"]\"]} ,null ] ";
    let found: Vec<_> = json::elements(array).collect();
    assert_eq!(found, ["1", "\"a,]\\\"\"", "[2,[3]]", "{\"k\": [\"]\"]}", "null"]);
    assert_eq!(json::elements("[ ]").count(), 0);
    assert_eq!(json::elements("{\"a\":1}").count(), 0);
    assert_eq!(json::elements("").count(), 0);
}

#[test]
fn members_are_key_literals_and_raw_values() {
    let object = r#" { "a" : 1 , "\u0062" :{"c":2}, "":[] } "#;
    let found: Vec<_> = json::members(object).collect();
    assert_eq!(found, [(r#""a""#, "1"), (r#""\u0062""#, r#"{"c":2}"#), (r#""""#, "[]")]);
    assert_eq!(json::members("[1]").count(), 0);
}

#[test]
fn a_string_without_escapes_is_borrowed() {
    assert!(matches!(json::string("\"héllo\""), Some(Cow::Borrowed("héllo"))));
    assert_eq!(json::string(r#""a\n\u00e9\ud834\udd1e\/""#).unwrap(), "a\né𝄞/");
}

#[test]
fn half_a_surrogate_pair_has_no_strict_reading_and_a_replacement_in_the_lossy_one() {
    for text in [r#""\ud800""#, r#""\udc00x""#, r#""\ud800A""#, r#""\ud800\ud800""#] {
        assert_eq!(json::string(text), None, "{text}");
    }
    assert_eq!(json::string_lossy(r#""\ud800A\udc00""#).unwrap(), "\u{fffd}A\u{fffd}");
}

#[test]
fn what_is_not_a_string_literal_has_no_reading() {
    for text in ["", "\"", "a", "\"a", "a\"", "\"a\"b\"", "\"\\\"", "\"\\é\"", "\"\\u00é\"", "1"] {
        assert_eq!(json::string(text), None, "{text}");
    }
}

#[test]
fn unsigned_reads_whole_numbers_of_at_most_nineteen_digits() {
    assert_eq!(json::unsigned("0"), Some(0));
    assert_eq!(json::unsigned("9999999999999999999"), Some(9_999_999_999_999_999_999));
    for text in ["", "-1", "+1", "1.0", "1e3", "10000000000000000000", "a", " 1"] {
        assert_eq!(json::unsigned(text), None, "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn written_strings_are_read_back_by_us_and_by_serde(text: String) {
        let mut out = Vec::new();
        json::write_string(&mut out, &text);
        let literal = String::from_utf8(out).unwrap();
        prop_assert_eq!(json::check(&literal, 0), Ok(()));
        prop_assert_eq!(&serde_json::from_str::<String>(&literal).unwrap(), &text);
        prop_assert_eq!(json::string(&literal).unwrap().into_owned(), text);
    }

    #[test]
    fn escaped_strings_are_read_as_serde_reads_them(inner in r#"([a-zé]|\\u[0-9a-fD]{4}|\\["\\/bfnrt]|"){0,12}"#) {
        let literal = format!("\"{inner}\"");
        prop_assert_eq!(json::string(&literal).map(Cow::into_owned), serde_json::from_str::<String>(&literal).ok());
    }

    #[test]
    fn whatever_serde_writes_passes_and_is_sliced_into_its_parts(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(json::check(&text, DEEP), Ok(()));
        let parse = |raw: &str| serde_json::from_str::<Value>(raw).unwrap();
        if let Value::Array(items) = &value {
            let found: Vec<_> = json::elements(&text).map(parse).collect();
            prop_assert_eq!(&found, &serde_json::from_str::<Vec<Value>>(&text).unwrap());
            prop_assert_eq!(found.len(), items.len());
        }
        if let Value::Object(_) = &value {
            let found = json::members(&text)
                .map(|(key, raw)| (json::string(key).unwrap().into_owned(), parse(raw)))
                .collect();
            prop_assert_eq!(Value::Object(found), parse(&text));
        }
    }

    #[test]
    fn any_text_is_judged_as_serde_judges_it(text in r#"[ \[\]{}:,"\\untrlfase0-9eE.+\-]{0,24}"#) {
        let serde = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(json::check(&text, DEEP).is_ok(), serde, "{}", text);
    }

    #[test]
    fn a_damaged_text_is_judged_as_serde_judges_it(value in any_json(), at: prop::sample::Index, with: char) {
        let mut chars: Vec<char> = serde_json::to_string(&value).unwrap().chars().collect();
        let at = at.index(chars.len());
        chars[at] = with;
        let text: String = chars.into_iter().collect();
        let serde = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(json::check(&text, DEEP).is_ok(), serde, "{}", text);
    }

    #[test]
    fn unchecked_text_is_sliced_without_panic(text: String) {
        let _ = (json::elements(&text).count(), json::members(&text).count(), json::string(&text));
        let text = format!("[{text}");
        let _ = (json::elements(&text).count(), json::members(&format!("{{{text}")).count());
    }
}

#[test]
fn a_text_means_the_same_whoever_wrote_it() {
    let one = r#"{"b":[1,{"y":null,"x":"\u00e9\/\ud83d\ude00"}],"a":1.0,"\u0062c":[],"d":{}}"#;
    let other =
        "{ \"a\": 1.0,\n \"bc\":[ ], \"d\":{\t}, \"b\" : [1, {\"x\": \"\u{e9}/\u{1f600}\", \"y\": null}] } ";
    assert_eq!(json::meant(one), json::meant(other));
    assert_eq!(
        json::meant(one),
        "{\"a\":1.0,\"b\":[1,{\"x\":\"\u{e9}/\u{1f600}\",\"y\":null}],\"bc\":[],\"d\":{}}"
    );
}

#[test]
fn texts_that_say_something_else_mean_something_else() {
    let different = [
        r#"{"a":1}"#,
        r#"{"a":1.0}"#,
        r#"{"a":"1"}"#,
        r#"{"a":[1]}"#,
        r#"{"a":1,"b":null}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":2,"a":1}"#,
        r#"{"a":12345678901234567890123}"#,
        r#"{"a":12345678901234567890124}"#,
        r#"[1,2]"#,
        r#"[2,1]"#,
        r#"[12]"#,
        r#""\ud800""#,
        r#""\ud801""#,
        "",
        "{",
        "no JSON",
    ];
    let meanings: std::collections::BTreeSet<_> = different.into_iter().map(json::meant).collect();
    assert_eq!(meanings.len(), different.len());
}

#[test]
fn what_is_no_json_too_deep_or_too_long_means_what_is_written() {
    let deep = "[ ".repeat(30_000) + &"]".repeat(30_000);
    let long = format!("[ {}1]", " ".repeat(64 << 10));
    for text in ["[1, 2", "{'a': 1}", &deep, &long] {
        assert_eq!(json::meant(text), text);
    }
}

proptest! {
    #[test]
    fn a_meaning_says_what_the_text_says(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let meant = json::meant(&text);
        // Read twice: serde's way of reading may change the last digit of a number it has written.
        let read = |text| serde_json::from_str::<Value>(text).unwrap();
        prop_assert_eq!(read(&meant), read(&text));
        prop_assert_eq!(json::meant(&meant), meant.clone());
    }
}
