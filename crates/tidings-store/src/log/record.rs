//! One event as it is stored, and how it is found to be whole.

use tidings_core::{Epoch, MessageId, Payload, Position};

use super::unsigned;
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::sql::Row;

/// An event of a durable room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The message's id.
    pub id: MessageId,
    /// Where it stands in its room.
    pub position: Position,
    /// Its number among the durable events of its organisation.
    pub sequence: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub at_ms: u64,
    /// The event's name.
    pub event: String,
    /// The event's data.
    pub payload: Payload,
    /// It is not what was written: nothing else of it can be believed, and its name and data are not here.
    pub damaged: bool,
}

impl Record {
    /// Reads a row of place, sequence, node, number, time, event, data, attachments and checksum, and compares this.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a column holds something else.
    pub(super) fn read(row: &Row, room_id: i64, epoch: Epoch) -> Result<Self> {
        let id = MessageId { node: unsigned(row.int(2)?), number: unsigned(row.int(3)?) };
        let (place, sequence, at_ms) = (row.count(0)?, row.count(1)?, row.count(4)?);
        let (event, data, packed) = (row.text(5)?, row.bytes(6)?, row.bytes_or_none(7)?);
        let whole = Content { event: &event, data: &data, attachments: packed.as_deref() };
        if whole.checksum(room_id, place, sequence, id, at_ms) != row.int(8)? {
            let (event, payload) = (String::new(), Payload::json("null"));
            let position = Position::of(epoch, place, id);
            return Ok(Self { id, position, sequence, at_ms, event, payload, damaged: true });
        }
        let attachments = packed.map_or(Ok(Vec::new()), |packed| unpack(&packed))?;
        let payload =
            Payload { json: data.into(), attachments: attachments.into_iter().map(Into::into).collect() };
        let position = Position::of(epoch, place, id);
        Ok(Self { id, position, sequence, at_ms, event, payload, damaged: false })
    }
}

/// What an event says, as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) event: &'a str,
    pub(super) data: &'a [u8],
    pub(super) attachments: Option<&'a [u8]>,
}

impl Content<'_> {
    /// Eight bytes of SHA-256 over everything the row says, each text with its length before it.
    pub(super) fn checksum(&self, room_id: i64, place: u64, sequence: u64, id: MessageId, at_ms: u64) -> i64 {
        let attachments = self.attachments.unwrap_or_default();
        let mut all = Vec::with_capacity(72 + self.event.len() + self.data.len() + attachments.len());
        let numbers = [place, sequence, id.node, id.number, at_ms];
        all.extend_from_slice(&room_id.to_le_bytes());
        numbers.iter().for_each(|number| all.extend_from_slice(&number.to_le_bytes()));
        for text in [self.event.as_bytes(), self.data, attachments] {
            all.extend_from_slice(&(text.len() as u64).to_le_bytes());
            all.extend_from_slice(text);
        }
        let [a, b, c, d, e, f, g, h, ..] = *Digest::of(&all).as_bytes();
        i64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Bytes it takes, roughly.
    pub(super) fn bytes(&self) -> u64 {
        (self.event.len() + self.data.len() + self.attachments.map_or(0, <[u8]>::len)) as u64
    }
}

/// The same of an event that is to be stored.
pub(super) fn bytes_of(event: &str, payload: &Payload) -> u64 {
    let attachments = payload.attachments.iter().map(|one| one.len() + 4).sum::<usize>();
    (event.len() + payload.json.len() + attachments) as u64
}

/// Attachments one after the other, each behind its length in four bytes; `None` without any.
pub(crate) fn pack(payload: &Payload) -> Option<Vec<u8>> {
    if payload.attachments.is_empty() {
        return None;
    }
    let mut packed = Vec::with_capacity(payload.attachments.iter().map(|one| one.len() + 4).sum());
    for one in &payload.attachments {
        packed.extend_from_slice(&(one.len() as u32).to_le_bytes());
        packed.extend_from_slice(one);
    }
    Some(packed)
}

/// The attachments that [`pack`] put one after the other.
pub(crate) fn unpack(mut packed: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut attachments = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk() {
        let (one, rest) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or_else(|| StoreError::Corrupt("an attachment is cut off".into()))?;
        attachments.push(one.to_vec());
        packed = rest;
    }
    Ok(attachments)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn attachments_come_back_as_they_were() {
        let mut payload = Payload::json("1");
        assert_eq!(pack(&payload), None);
        payload.attachments = Box::new([vec![1, 2, 3].into(), Vec::new().into()]);
        assert_eq!(unpack(&pack(&payload).unwrap()).unwrap(), [vec![1, 2, 3], vec![]]);
        assert!(unpack(&[4, 0, 0, 0, 1]).is_err());
    }
}
