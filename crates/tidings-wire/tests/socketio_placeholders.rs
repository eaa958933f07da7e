//! Placeholders: counting them and moving them behind other attachments.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tidings_wire::socketio::{count_placeholders, decode, msgpack, shift_placeholders};
use tidings_wire::{CloseReason, Limits};

fn shifted(json: &str, by: u32) -> String {
    let mut out = b"before ".to_vec();
    shift_placeholders(json, by, &mut out);
    String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
}

#[test]
fn look_alikes_are_counted_however_their_key_is_written() {
    for (json, count) in [
        ("[]", 0),
        ("\"_placeholder\"", 0),
        ("{\"a\":\"_placeholder\",\"b\":true}", 0),
        ("{\"_placeholder\":false,\"num\":0}", 0),
        ("{\"_placeholder\":[true],\"num\":0}", 0),
        ("{\"_placeholder\":true,\"num\":0}", 1),
        ("{\"_placeholder\":true}", 1),
        ("{ \"num\" : 3 , \"_placeholder\" : true }", 1),
        ("{\"_placehold\\u0065r\":true,\"num\":0}", 1),
        ("[{\"_placeholder\":true,\"num\":0},{\"a\":{\"_placeholder\":true,\"num\":1}}]", 2),
        ("{\"_placeholder\":true,\"num\":0,\"in\":{\"_placeholder\":true,\"num\":1}}", 2),
    ] {
        assert_eq!(count_placeholders(json), count, "{json}");
    }
}

#[test]
fn numbers_are_raised_and_nothing_else_changes() {
    let json = r#"[ "num", {"num": 9}, { "_placeholder" : true , "num" : 0 }, {"x":[{"num":10,"_placeholder":true}]}]"#;
    let moved = r#"[ "num", {"num": 9}, { "_placeholder" : true , "num" : 5 }, {"x":[{"num":15,"_placeholder":true}]}]"#;
    assert_eq!(shifted(json, 5), moved);
    assert_eq!(shifted(json, 0), json);
    assert_eq!(shifted("[1,{\"_placeholder\":true}]", 5), "[1,{\"_placeholder\":true}]");
}

#[test]
fn a_hundred_thousand_brackets_end_the_search() {
    let bomb = format!("{{\"_placeholder\":true,\"a\":{}", "[".repeat(100_000));
    assert_eq!(count_placeholders(&bomb), 0);
    assert_eq!(shifted(&bomb, 1), bomb);
}

fn place(value: &Value, by: u64) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| place(item, by)).collect(),
        Value::Object(map) if map.get("_placeholder") == Some(&Value::Bool(true)) => {
            json!({"_placeholder": true, "num": map["num"].as_u64().unwrap() + by})
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), place(value, by))).collect())
        }
        other => other.clone(),
    }
}

fn payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        (0u32..10).prop_map(|num| json!({"_placeholder": true, "num": num})),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{0,4}|num", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_placeholder_moves_by_the_same_distance(value in payload(), by in 0u32..1_000) {
        let moved: Value = serde_json::from_str(&shifted(&value.to_string(), by)).unwrap();
        prop_assert_eq!(moved, place(&value, u64::from(by)));
    }

    #[test]
    fn unchecked_text_is_searched_without_panic(text in r#"([\[\]{}:,"\\é]|"_placeholder":true|"num":1|\\u){0,24}"#) {
        prop_assert!(count_placeholders(&text) <= text.len());
        prop_assert!(shifted(&text, 7).len() >= text.len());
    }
}

#[test]
fn a_small_packet_cannot_unfold_into_a_large_one() {
    let limits = Limits::default();
    let packet = |count: usize| {
        let placeholders = vec![r#"{"_placeholder":true,"num":0}"#; count].join(",");
        format!("51-[\"e\",{placeholders}]")
    };
    assert!(decode(&packet(10), &limits).is_ok(), "several may name the same attachment");
    assert_eq!(decode(&packet(11), &limits).map_err(|bad| bad.reason), Err(CloseReason::Structure));
}

#[test]
fn a_small_msgpack_packet_cannot_either() {
    let packed = |count: u8| {
        let mut packet = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdc\x00".to_vec();
        packet.extend_from_slice(&[count + 1, 0xa1, b'e', 0xc4, 1, b'x']);
        for _ in 1..count {
            packet.extend_from_slice(b"\x82\xac_placeholder\xc3\xa3num\x00");
        }
        packet
    };
    let read = |count| msgpack::decode(&packed(count), &Limits::default()).map_err(|bad| bad.reason);
    assert_eq!(read(10).map(|packet| packet.attachments.len()), Ok(1));
    assert_eq!(read(11), Err(CloseReason::Structure));
}
