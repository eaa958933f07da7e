//! The server of these tests, and tokens for it.

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_server::signin::now_seconds;
use tidings_testkit::settings;

use crate::common::config;

/// A server with two shards, so that what crosses from one to the other is walked as well.
pub(crate) fn two_shards() -> Config {
    let mut config = Config { shards: 2, ..config() };
    // Whose connections come and go is told to nobody elsewhere either.
    (config.presence.announce_up_to, config.presence.grace_ms) = (1_000, 50);
    config
}

/// A token with these claims, good for an hour.
pub(crate) fn token(more: &Value) -> String {
    let mut claims = json!({ "exp": now_seconds() + 3_600 });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = jsonwebtoken::EncodingKey::from_secret(config().auth.jwt_secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// Numbers that look drawn and are the same for the same seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    pub(crate) fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// A number from the environment, else `default`.
pub(crate) fn told(name: &str, default: u64) -> u64 {
    settings::number(name).unwrap_or(default)
}
