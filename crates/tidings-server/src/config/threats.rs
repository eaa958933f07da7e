//! What is taken for an attack.

use serde::{Deserialize, Serialize};

use crate::threats::Kind;

/// What is taken for an attack: hits of one source within the window that are an alert; 0: never.
///
/// A fifth of them is a notice, two fifths are a warning, and five times as many an alert for a whole
/// organisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThreatsConfig {
    /// Whether threats are looked for at all.
    pub detect: bool,
    /// Seconds within which hits are added up.
    pub window_seconds: u64,
    /// Sign-ins with wrong passwords.
    pub login_storm: u32,
    /// Refresh tokens that were used already.
    pub token_reuse: u32,
    /// Requests of pages that may not ask.
    pub origin_refused: u32,
    /// Connections that were closed for flooding.
    pub flood: u32,
    /// Tokens and keys that are forged, foreign or damaged.
    pub token_probing: u32,
    /// Session ids that do not exist.
    pub session_guessing: u32,
}

impl Default for ThreatsConfig {
    fn default() -> Self {
        Self {
            detect: true,
            window_seconds: 300,
            login_storm: 40,
            token_reuse: 2,
            origin_refused: 200,
            flood: 30,
            token_probing: 40,
            session_guessing: 100,
        }
    }
}

impl ThreatsConfig {
    /// How many hits of a kind are an alert; 0: none is.
    pub const fn alert(&self, kind: Kind) -> u32 {
        match kind {
            Kind::LoginStorm => self.login_storm,
            Kind::TokenReuse => self.token_reuse,
            Kind::OriginRefused => self.origin_refused,
            Kind::Flood => self.flood,
            Kind::TokenProbing => self.token_probing,
            Kind::SessionGuessing => self.session_guessing,
        }
    }
}
