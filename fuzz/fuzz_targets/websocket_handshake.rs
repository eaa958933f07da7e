//! Header values of any kind are accepted or refused, and an accepted answer keeps the rules.
//!
//! Input: the values of the headers, one a line; the first line is the method.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::websocket::{DeflateConfig, UpgradeRequest, accept};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let request = UpgradeRequest {
        method: lines.next().unwrap_or_default(),
        http_1_1: true,
        upgrade: lines.next(),
        connection: lines.next(),
        version: lines.next(),
        key: lines.next(),
        extensions: lines.next(),
    };
    for window_bits in [0, 9, 12, 15, 255] {
        let config = DeflateConfig { window_bits };
        match accept(&request, Some(&config)) {
            Ok(accepted) => {
                assert_eq!(accepted.accept.len(), 28);
                assert_eq!(accepted.extensions.is_some(), accepted.deflate.is_some());
                let window = accepted.deflate.map_or(9, |deflate| deflate.window_bits);
                assert!((9..=window_bits.clamp(9, 15)).contains(&window), "window {window}");
            }
            Err(refused) => assert!(matches!(refused.status, 400 | 426)),
        }
    }
});
