//! Messages to users that nobody acknowledged: kept until an administrator sends them again or throws them away.

use tidings_core::{Lane, MessageId, Org, Payload};

use crate::args;
use crate::error::{Result, StoreError};
use crate::log::{pack, signed, unpack, unsigned};
use crate::options::{SHORT_BYTES, page};
use crate::sql::{Reader, Row, Tx, Value, bounded};

/// A message that reached nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's id, which it keeps when it is sent again.
    pub id: MessageId,
    /// For whom it was.
    pub user: String,
    /// The room it was published in.
    pub room: String,
    /// The event's name.
    pub event: String,
    /// The event's data.
    pub payload: Payload,
    /// The idempotency key it was published with.
    pub key: Option<String>,
    /// How urgent it was.
    pub lane: Lane,
    /// Why it is here, in a word: `not_connected`, `not_acknowledged`, `shutdown`.
    pub reason: String,
    /// How often it was sent, redrives included.
    pub tries: u64,
    /// What went wrong the first time.
    pub first_error: String,
    /// What went wrong the last time.
    pub last_error: String,
    /// When it was published.
    pub published_ms: u64,
    /// When it was given up, the last time.
    pub died_ms: u64,
    /// How often it was sent again by request.
    pub redriven: u64,
}

/// Where a page of dead letters goes on: what was given up before that time, or at it and before that id.
pub type Before = (u64, MessageId);

/// The columns of a dead letter, before the rest of a statement.
macro_rules! letters {
    ($rest:literal) => {
        concat!(
            "SELECT node, number, user_id, room, event, data, attachments, idempotency_key, lane, reason, ",
            "tries, first_error, last_error, published_ms, died_ms, redriven FROM dead_letters ",
            $rest
        )
    };
}

impl Tx {
    /// Keeps a message; one that is here already keeps its first error, and its tries are added up.
    ///
    /// Beyond `most` of the organisation the oldest are thrown away; how many is the answer.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a text that is empty or too long.
    pub async fn keep_dead_letter(&mut self, org: &Org, letter: &DeadLetter, most: u64) -> Result<u64> {
        let texts = [
            &letter.user,
            &letter.room,
            &letter.event,
            &letter.reason,
            &letter.first_error,
            &letter.last_error,
        ];
        texts.iter().try_for_each(|text| bounded(text, SHORT_BYTES, "a text is 1 to 1024 bytes"))?;
        let sql = "INSERT INTO dead_letters (org, node, number, user_id, room, event, data, attachments, \
                   idempotency_key, lane, reason, tries, first_error, last_error, published_ms, died_ms, redriven) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0) \
                   ON CONFLICT (org, node, number) DO UPDATE SET reason = excluded.reason, \
                   tries = dead_letters.tries + excluded.tries, last_error = excluded.last_error, \
                   died_ms = excluded.died_ms";
        let (node, number) = place(letter.id);
        let packed = pack(&letter.payload);
        let values = args![
            org,
            node,
            number,
            &letter.user,
            &letter.room,
            &letter.event,
            &letter.payload.json[..],
            Value::Bytes(packed.as_deref()),
            &letter.key,
            lane_number(letter.lane),
            &letter.reason,
            letter.tries,
            &letter.first_error,
            &letter.last_error,
            letter.published_ms,
            letter.died_ms,
        ];
        self.run(sql, values).await?;
        self.trim_dead_letters(org, most).await
    }

    async fn trim_dead_letters(&mut self, org: &Org, most: u64) -> Result<u64> {
        let count = "SELECT count(*) FROM dead_letters WHERE org = $1";
        let held = self.row(count, args![org]).await?.map_or(Ok(0), |row| row.count(0))?;
        let Some(excess) = held.checked_sub(most).filter(|excess| *excess > 0) else { return Ok(0) };
        let sql = "DELETE FROM dead_letters WHERE org = $1 AND (node, number) IN \
                   (SELECT node, number FROM dead_letters WHERE org = $1 ORDER BY died_ms LIMIT $2)";
        self.run(sql, args![org, excess]).await
    }

    /// Counts that a message is sent again by request; whether there is such.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count_redrive(&mut self, org: &Org, id: MessageId) -> Result<bool> {
        let sql = "UPDATE dead_letters SET redriven = redriven + 1 \
                   WHERE org = $1 AND node = $2 AND number = $3";
        let (node, number) = place(id);
        Ok(self.run(sql, args![org, node, number]).await? > 0)
    }

    /// Forgets a message; whether there was such.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn drop_dead_letter(&mut self, org: &Org, id: MessageId) -> Result<bool> {
        let (node, number) = place(id);
        let sql = "DELETE FROM dead_letters WHERE org = $1 AND node = $2 AND number = $3";
        Ok(self.run(sql, args![org, node, number]).await? > 0)
    }

    /// Forgets an organisation's messages that were given up before `before_ms`; how many they were.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn purge_dead_letters(&mut self, org: &Org, before_ms: u64) -> Result<u64> {
        let sql = "DELETE FROM dead_letters WHERE org = $1 AND died_ms < $2";
        self.run(sql, args![org, before_ms]).await
    }
}

impl Reader {
    /// An organisation's dead letters, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn dead_letters(
        &mut self,
        org: &Org,
        before: Option<Before>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>> {
        let (at_ms, id) = before.unwrap_or((u64::MAX, MessageId { node: 0, number: 0 }));
        let (node, number) = place(id);
        let sql = letters!(
            "WHERE org = $1 AND (died_ms < $2 OR (died_ms = $2 AND (node, number) < ($3, $4))) \
             ORDER BY died_ms DESC, node DESC, number DESC LIMIT $5"
        );
        self.rows(sql, args![org, at_ms, node, number, page(limit)]).await?.iter().map(letter).collect()
    }

    /// One dead letter.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn dead_letter(&mut self, org: &Org, id: MessageId) -> Result<Option<DeadLetter>> {
        let (node, number) = place(id);
        let sql = letters!("WHERE org = $1 AND node = $2 AND number = $3");
        self.row(sql, args![org, node, number]).await?.as_ref().map(letter).transpose()
    }

    /// How many dead letters an organisation has.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count_dead_letters(&mut self, org: &Org) -> Result<u64> {
        let sql = "SELECT count(*) FROM dead_letters WHERE org = $1";
        self.row(sql, args![org]).await?.map_or(Ok(0), |row| row.count(0))
    }
}

/// Both halves of an id use all 64 bits; both databases have signed numbers.
fn place(id: MessageId) -> (i64, i64) {
    (signed(id.node), signed(id.number))
}

const LANES: [Lane; 4] = [Lane::Critical, Lane::High, Lane::Normal, Lane::Low];

fn lane_number(lane: Lane) -> u64 {
    LANES.iter().position(|known| *known == lane).unwrap_or(2) as u64
}

fn letter(row: &Row) -> Result<DeadLetter> {
    let attachments = row.bytes_or_none(6)?.map_or(Ok(Vec::new()), |packed| unpack(&packed))?;
    let lane = usize::try_from(row.count(8)?).ok().and_then(|at| LANES.get(at));
    Ok(DeadLetter {
        id: MessageId { node: unsigned(row.int(0)?), number: unsigned(row.int(1)?) },
        user: row.text(2)?,
        room: row.text(3)?,
        event: row.text(4)?,
        payload: Payload {
            json: row.bytes(5)?.into(),
            attachments: attachments.into_iter().map(Into::into).collect(),
        },
        key: row.text_or_none(7)?,
        lane: *lane.ok_or_else(|| StoreError::Corrupt("a lane is none".into()))?,
        reason: row.text(9)?,
        tries: row.count(10)?,
        first_error: row.text(11)?,
        last_error: row.text(12)?,
        published_ms: row.count(13)?,
        died_ms: row.count(14)?,
        redriven: row.count(15)?,
    })
}
