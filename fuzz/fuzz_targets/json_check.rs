//! The structure check and `serde_json` agree on what is JSON, and slices of checked text never panic.
//!
//! Input: any text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use tidings_wire::{CloseReason, json, plain, socketio};

const DEPTH: u32 = 32;

fuzz_target!(|text: &str| {
    let checked = json::check(text, DEPTH);
    // A raw value is checked by grammar alone: numbers of any size and lone surrogates are JSON.
    let oracle = serde_json::from_str::<&RawValue>(text);
    match checked {
        Ok(()) => assert!(oracle.is_ok(), "taken for JSON: {:?}", oracle.err()),
        Err(violation) if violation.reason == CloseReason::Structure => assert!(depth(text) > DEPTH),
        Err(_) => assert!(oracle.is_err(), "not taken for JSON"),
    }
    // On text that did not pass these return nonsense or nothing, and must not panic either.
    let elements = json::elements(text).inspect(|element| use_up(element)).count();
    let members = json::members(text).inspect(|(_, value)| use_up(value)).count();
    let _ = (json::string(text), json::string_lossy(text), json::unsigned(text), socketio::event(text));
    let _ = plain::PublishBody::parse(text, &tidings_wire::Limits::default());
    if checked.is_ok() {
        let tree = oracle.ok().and_then(|_| serde_json::from_str::<serde_json::Value>(text).ok());
        match tree {
            Some(serde_json::Value::Array(array)) => assert_eq!(elements, array.len()),
            Some(serde_json::Value::Object(object)) => assert!(members >= object.len()),
            _ => {}
        }
    }
});

fn use_up(value: &str) {
    let _ = (json::string(value), json::unsigned(value), socketio::count_placeholders(value));
}

/// The deepest nesting of brackets outside strings.
fn depth(text: &str) -> u32 {
    let (mut depth, mut deepest, mut inside, mut escaped) = (0_i64, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'{' | b'[' if !inside => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !inside => depth -= 1,
            _ => {}
        }
    }
    u32::try_from(deepest).unwrap_or(0)
}
