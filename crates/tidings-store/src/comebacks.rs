//! Sessions that can be taken up again by another process: what is known of them besides the rooms' logs.
//!
//! Each is found by the digest of its private id alone, which proves whose it is. A row is the whole
//! session: whoever writes it writes all of it, so that the last write is what is true.

use tidings_core::{Org, Room};

use crate::args;
use crate::digest::Digest;
use crate::error::Result;
use crate::log::{signed, unsigned};
use crate::many::ManyRows;
use crate::options::{PRUNE_MOST, SHORT_BYTES};
use crate::sql::{Reader, Row, Tx, Value, bounded};

/// Bytes of a session's rooms at most, as they are packed by whoever knows them.
pub const ROOMS_BYTES: usize = 256 * 1024;

/// A session that can be taken up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comeback {
    /// The digest of its private id.
    pub digest: Digest,
    /// Where it belongs.
    pub org: Org,
    /// Its user; none for a client without a token.
    pub user: Option<String>,
    /// The id of the token it was opened with, if that had one.
    pub token_id: Option<String>,
    /// When that token was made, in seconds since 1970, if it said so.
    pub issued_at: Option<u64>,
    /// The namespace it is in.
    pub namespace: String,
    /// Its public socket id.
    pub socket: String,
    /// The process that holds it, or held it when it ended; a random number.
    pub process: u64,
    /// Its rooms, packed by whoever knows them.
    pub rooms: Vec<u8>,
}

static KEEP: ManyRows = ManyRows::new(
    "INSERT INTO comebacks (digest, org, user_id, token_id, issued_at, namespace, socket, process, rooms) VALUES ",
    9,
    " ON CONFLICT (digest) DO UPDATE SET org = excluded.org, user_id = excluded.user_id, \
     token_id = excluded.token_id, issued_at = excluded.issued_at, namespace = excluded.namespace, \
     socket = excluded.socket, process = excluded.process, rooms = excluded.rooms",
);

static END: ManyRows = ManyRows::new(
    "WITH ended (of_digest) AS (VALUES ",
    1,
    ") DELETE FROM comebacks WHERE digest IN (SELECT of_digest FROM ended)",
);

static FIND: ManyRows = ManyRows::new(
    "WITH asked (of_digest) AS (VALUES ",
    1,
    ") SELECT digest, org, user_id, token_id, issued_at, namespace, socket, process, rooms \
     FROM comebacks JOIN asked ON digest = of_digest",
);

static SPOKE: ManyRows = ManyRows::new(
    "INSERT INTO spoken_rooms (process, org, room) VALUES ",
    3,
    " ON CONFLICT (process, org, room) DO NOTHING",
);

static SPOKEN: ManyRows = ManyRows::new(
    "WITH asked (here, of_org, of_room) AS (VALUES ",
    3,
    ") SELECT DISTINCT org, room FROM spoken_rooms \
     JOIN asked ON org = of_org AND room = of_room AND process <> here",
);

impl Comeback {
    fn row(&self) -> [Value<'_>; 9] {
        let Self { digest, org, user, token_id, issued_at, namespace, socket, process, rooms } = self;
        let (process, rooms) = (signed(*process), rooms.as_slice());
        *args![digest, org, user, token_id, *issued_at, namespace, socket, process, rooms]
    }

    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            digest: row.digest(0)?,
            org: row.org(1)?,
            user: row.text_or_none(2)?,
            token_id: row.text_or_none(3)?,
            issued_at: row.count_or_none(4)?,
            namespace: row.text(5)?,
            socket: row.text(6)?,
            process: unsigned(row.int(7)?),
            rooms: row.bytes(8)?,
        })
    }

    fn check(&self) -> Result<()> {
        bounded(&self.namespace, SHORT_BYTES, "a namespace is 1 to 1024 bytes")?;
        bounded(&self.socket, SHORT_BYTES, "a socket id is 1 to 1024 bytes")?;
        if self.rooms.len() > ROOMS_BYTES {
            return Err(crate::StoreError::Invalid("a session's rooms are too many to be kept"));
        }
        Ok(())
    }
}

impl Tx {
    /// Keeps sessions as they are now, each once; what was kept of them before is replaced.
    ///
    /// # Errors
    /// [`StoreError::Invalid`](crate::StoreError::Invalid) for texts or rooms beyond their bounds.
    pub async fn keep_comebacks(&mut self, sessions: &[Comeback]) -> Result<()> {
        sessions.iter().try_for_each(Comeback::check)?;
        let values: Vec<_> = sessions.iter().flat_map(Comeback::row).collect();
        self.run_rows(&KEEP, &values).await.map(drop)
    }

    /// Forgets sessions that are over; how many there were.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn end_comebacks(&mut self, digests: &[Digest]) -> Result<u64> {
        let values: Vec<_> = digests.iter().map(Value::from).collect();
        self.run_rows(&END, &values).await
    }

    /// Notes that a process holds something in memory alone that was said in these rooms.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn note_spoken(&mut self, process: u64, rooms: &[Room]) -> Result<()> {
        let values = rooms.iter().flat_map(|room| *args![signed(process), room.org(), room.name()]);
        self.run_rows(&SPOKE, &values.collect::<Vec<_>>()).await.map(drop)
    }

    /// Forgets sessions of all processes but one, at most [`PRUNE_MOST`] a call, and the notes of their rooms.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn prune_comebacks(&mut self, but: u64) -> Result<u64> {
        let sql = "DELETE FROM comebacks WHERE digest IN \
                   (SELECT digest FROM comebacks WHERE process <> $1 LIMIT $2)";
        let pruned = self.run(sql, args![signed(but), PRUNE_MOST]).await?;
        if pruned < u64::from(PRUNE_MOST) {
            self.run("DELETE FROM spoken_rooms WHERE process <> $1", args![signed(but)]).await?;
        }
        Ok(pruned)
    }
}

impl Reader {
    /// Of rooms those in which something was said that was in memory alone, in any process but one.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn spoken(&mut self, but: u64, rooms: &[&Room]) -> Result<Vec<(Org, String)>> {
        let values = rooms.iter().flat_map(|room| *args![signed(but), room.org(), room.name()]);
        let found = self.rows_of(&SPOKEN, &values.collect::<Vec<_>>()).await?;
        found.iter().map(|row| Ok((row.org(0)?, row.text(1)?))).collect()
    }

    /// Finds sessions, in no order; those that are not there are left out.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn comebacks(&mut self, digests: &[Digest]) -> Result<Vec<Comeback>> {
        let values: Vec<_> = digests.iter().map(Value::from).collect();
        self.rows_of(&FIND, &values).await?.iter().map(Comeback::read).collect()
    }
}
