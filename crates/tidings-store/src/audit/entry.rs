//! One entry, and the bytes its hash is taken over.

use crate::args;
use crate::digest::Digest;
use crate::error::Result;
use crate::sql::{Row, Tx};

/// Bytes of one short text of an entry; what is longer is cut, since refusing it would lose the entry.
const TEXT_BYTES: usize = 1_024;
/// Bytes of the old and the new value of what was changed.
const VALUE_BYTES: usize = 16 * 1_024;
/// What stands behind a text that was cut.
const CUT: &str = "…[cut]";
/// The first bytes of everything that is hashed: a change of the encoding has another word here.
const FORMAT: &[u8] = b"tidings audit 1";

/// What happened. It never holds tokens, keys, passwords or payloads; ids of sessions are hashed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened.
    pub at_ms: u64,
    /// The node it happened on.
    pub node: String,
    /// The version of the server there.
    pub version: String,
    /// The id of the request that led to it.
    pub request: Option<String>,
    /// What did it: `user`, `key`, `operator`, `system`, `anonymous`.
    pub actor_kind: String,
    /// Its id.
    pub actor: Option<String>,
    /// The organisation; none for what concerns the whole server.
    pub org: Option<String>,
    /// The source address, as it was judged.
    pub address: Option<String>,
    /// What was done, such as `login`.
    pub action: String,
    /// What it was done to.
    pub object: Option<String>,
    /// What came of it: `ok`, `refused`, `failed`.
    pub result: String,
    /// Why.
    pub reason: Option<String>,
    /// The value before, of what was changed.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
}

/// An entry as it stands in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its number.
    pub seq: u64,
    /// When it was written.
    pub written_ms: u64,
    /// What happened.
    pub entry: AuditEntry,
    /// The hash of the entry before it.
    pub previous: Digest,
    /// Its own hash.
    pub hash: Digest,
}

impl AuditEntry {
    /// The entry as it can be stored: texts within bounds and without NUL, times as databases count them.
    pub(super) fn storable(&self) -> Self {
        let short = |text: &String| fit(text, TEXT_BYTES);
        let may = |text: &Option<String>, most| text.as_deref().map(|text| fit(text, most));
        Self {
            at_ms: self.at_ms.min(i64::MAX as u64),
            node: short(&self.node),
            version: short(&self.version),
            request: may(&self.request, TEXT_BYTES),
            actor_kind: short(&self.actor_kind),
            actor: may(&self.actor, TEXT_BYTES),
            org: may(&self.org, TEXT_BYTES),
            address: may(&self.address, TEXT_BYTES),
            action: short(&self.action),
            object: may(&self.object, TEXT_BYTES),
            result: short(&self.result),
            reason: may(&self.reason, TEXT_BYTES),
            before: may(&self.before, VALUE_BYTES),
            after: may(&self.after, VALUE_BYTES),
        }
    }
}

/// Cuts a text to `most` bytes, at a character, and replaces NUL, which PostgreSQL cannot store.
fn fit(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.replace('\0', "\u{fffd}");
    }
    // A replaced NUL grows to three bytes: what is stored may exceed `most` threefold, and no more.
    let kept = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    kept.replace('\0', "\u{fffd}") + CUT
}

impl Recorded {
    /// Puts an entry behind `previous`.
    pub(super) fn after(seq: u64, previous: Digest, written_ms: u64, entry: AuditEntry) -> Self {
        let mut recorded =
            Self { seq, written_ms: written_ms.min(i64::MAX as u64), entry, previous, hash: previous };
        recorded.hash = recorded.hashed();
        recorded
    }

    /// The hash of what stands here: every field, each behind its length, absent ones told from empty ones.
    pub fn hashed(&self) -> Digest {
        let mut bytes = FORMAT.to_vec();
        let e = &self.entry;
        for number in [self.seq, self.written_ms, e.at_ms] {
            bytes.extend(number.to_be_bytes());
        }
        put(&mut bytes, Some(self.previous.as_bytes()));
        let must = [&e.node, &e.version, &e.actor_kind, &e.action, &e.result];
        must.iter().for_each(|text| put(&mut bytes, Some(text.as_bytes())));
        let may = [&e.request, &e.actor, &e.org, &e.address, &e.object, &e.reason, &e.before, &e.after];
        may.iter().for_each(|text| put(&mut bytes, text.as_ref().map(|text| text.as_bytes())));
        Digest::of(&bytes)
    }

    pub(super) async fn insert(&self, tx: &mut Tx) -> Result<()> {
        let sql = "INSERT INTO audit (seq, at_ms, written_ms, node, version, request, actor_kind, actor, org, \
                   address, action, object, result, reason, old_value, new_value, previous, hash) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
        let e = &self.entry;
        let values = args![
            self.seq,
            e.at_ms,
            self.written_ms,
            &e.node,
            &e.version,
            &e.request,
            &e.actor_kind,
            &e.actor,
            &e.org,
            &e.address,
            &e.action,
            &e.object,
            &e.result,
            &e.reason,
            &e.before,
            &e.after,
            &self.previous,
            &self.hash
        ];
        tx.run(sql, values).await.map(drop)
    }

    pub(super) fn read(row: &Row) -> Result<Self> {
        let entry = AuditEntry {
            at_ms: row.count(1)?,
            node: row.text(3)?,
            version: row.text(4)?,
            request: row.text_or_none(5)?,
            actor_kind: row.text(6)?,
            actor: row.text_or_none(7)?,
            org: row.text_or_none(8)?,
            address: row.text_or_none(9)?,
            action: row.text(10)?,
            object: row.text_or_none(11)?,
            result: row.text(12)?,
            reason: row.text_or_none(13)?,
            before: row.text_or_none(14)?,
            after: row.text_or_none(15)?,
        };
        let (previous, hash) = (row.digest(16)?, row.digest(17)?);
        Ok(Self { seq: row.count(0)?, written_ms: row.count(2)?, entry, previous, hash })
    }
}

/// The columns [`Recorded::read`] reads, before the rest of a statement.
macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT seq, at_ms, written_ms, node, version, request, actor_kind, actor, org, address, action, ",
            "object, result, reason, old_value, new_value, previous, hash FROM audit ",
            $rest
        )
    };
}
pub(super) use entries;

/// Appends a field: 0 if it is absent, else 1, its length in four bytes, and itself.
fn put(bytes: &mut Vec<u8>, field: Option<&[u8]>) {
    bytes.push(field.is_some().into());
    if let Some(field) = field {
        bytes.extend((field.len() as u32).to_be_bytes());
        bytes.extend(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_from_one_field_to_the_next_changes_the_hash() {
        let entry = |node: &str, version: &str, actor: Option<&str>| AuditEntry {
            node: node.into(),
            version: version.into(),
            actor: actor.map(Into::into),
            ..AuditEntry::default()
        };
        let hash = |entry| Recorded::after(1, Digest::of(b""), 0, entry).hash;
        assert_eq!(hash(entry("ab", "c", None)), hash(entry("ab", "c", None)));
        assert_ne!(hash(entry("ab", "c", None)), hash(entry("a", "bc", None)));
        assert_ne!(hash(entry("a", "b", None)), hash(entry("a", "b", Some(""))));
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_at_a_character_and_says_so() {
        assert_eq!(fit("äöü", 3), format!("ä{CUT}"));
        assert_eq!(fit("äöü", 6), "äöü");
        assert_eq!(fit("a\0b", 3), "a\u{fffd}b");
    }
}
