//! What happened in a room, in order: the only thing its state is made of. Entries are a chain of hashes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::decimal::Dec;
use crate::order::Ask;

/// Something that happens in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Input {
    /// Members may come.
    Open,
    /// Somebody joins.
    Join {
        /// Who.
        user: String,
        /// By which name.
        name: String,
    },
    /// Somebody leaves.
    Leave {
        /// Who.
        user: String,
    },
    /// Trading begins.
    Start,
    /// An instrument has a price.
    Price {
        /// Which.
        symbol: String,
        /// The price.
        price: Dec,
        /// How much can be had and given at it; any amount if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        volume: Option<Dec>,
    },
    /// A member places an order.
    Place {
        /// Who.
        user: String,
        /// What.
        ask: Ask,
    },
    /// A member cancels one.
    Cancel {
        /// Who.
        user: String,
        /// Its number.
        order: u64,
    },
    /// A member wants open orders cancelled after a while, unless this is said again before: a switch that a dead
    /// program no longer holds.
    CancelAfter {
        /// Who.
        user: String,
        /// How long, in milliseconds of the room's time; never, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<u64>,
    },
    /// That while is over.
    CancelDue {
        /// Whose.
        user: String,
    },
    /// Orders go on to meet the newest price of an instrument.
    GoOn {
        /// Which.
        symbol: String,
    },
    /// Trading ends.
    End,
}

impl Input {
    /// Whether a switch that cancels open orders is armed, put off, laid down or gone after it.
    pub(crate) const fn is_of_a_switch(&self) -> bool {
        // Whoever leaves takes the switch along, and at the end there is nothing left to cancel.
        matches!(self, Self::CancelAfter { .. } | Self::CancelDue { .. } | Self::Leave { .. } | Self::End)
    }
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its number, counted from 1 without holes.
    pub seq: u64,
    /// When, in milliseconds of the room's time; never before the entry before it.
    pub at_ms: u64,
    /// What.
    pub input: Input,
}

/// A SHA-256, written in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; Hash::BYTES]);

impl Hash {
    /// Bytes of one.
    pub(crate) const BYTES: usize = 32;

    /// Of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Of bytes, and what they are.
    pub(crate) fn of_bytes(what: &str, bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update(what).chain_update(bytes).finalize().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The next link of a chain: the hash before it, a line break, and the entry as JSON.
    #[must_use]
    pub fn then(self, entry: &Entry) -> Self {
        // A plain struct of strings and numbers is always written.
        let json = serde_json::to_string(entry).unwrap_or_default();
        Self::of(&format!("{self}\n{json}"))
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0; Self::BYTES];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected 64 hexadecimal digits"))
    }
}
