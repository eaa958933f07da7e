//! What is asked and changed in the tables of images.

use tidings_app::args;
use tidings_store::{Reader, StoreError, Tx};

use super::PARTS_MOST;
use crate::journal::Hash;
use crate::rooms::Key;

/// Which image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The entry it is of.
    pub seq: u64,
    /// How it is written.
    pub version: u64,
}

/// An image as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Which.
    pub name: Name,
    /// The link of the chain at its entry.
    pub chain: String,
    /// Its bytes, as far as there are any.
    pub bytes: Vec<u8>,
}

/// The name of a room's image.
///
/// # Errors
/// Those of the store, here and below.
pub async fn name(reader: &mut Reader, key: &Key) -> Result<Option<Name>, StoreError> {
    let sql = "SELECT seq, version FROM trading_images WHERE org = $1 AND room = $2";
    let row = reader.row(sql, args![&key.0, &key.1]).await?;
    row.map(|row| Ok(Name { seq: row.count(0)?, version: row.count(1)? })).transpose()
}

/// A room's image with its bytes, read in steps that none takes long. If another takes its place meanwhile, which a reader
/// of one moment does not see, some are missing.
pub async fn find(reader: &mut Reader, key: &Key) -> Result<Option<Stored>, StoreError> {
    let sql = "SELECT seq, version, chain, parts FROM trading_images WHERE org = $1 AND room = $2";
    let Some(row) = reader.row(sql, args![&key.0, &key.1]).await? else { return Ok(None) };
    let name = Name { seq: row.count(0)?, version: row.count(1)? };
    let (chain, parts) = (row.text(2)?, row.count(3)?);
    let sql = "SELECT bytes FROM trading_image_parts WHERE org = $1 AND room = $2 AND seq = $3 AND version = $4 \
               AND part >= $5 AND part < $6 ORDER BY part";
    let (mut bytes, mut from) = (Vec::new(), 0);
    while from < parts {
        let to = parts.min(from + PARTS_MOST);
        let rows = reader.rows(sql, args![&key.0, &key.1, name.seq, name.version, from, to]).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            bytes.extend(row.bytes(0)?);
        }
        from = to;
    }
    Ok(Some(Stored { name, chain, bytes }))
}

/// Stores a part. What was there of the same name is replaced by the same, unless it was damaged.
pub async fn add_part(
    tx: &mut Tx,
    key: &Key,
    name: Name,
    (part, bytes): (usize, &[u8]),
) -> Result<(), StoreError> {
    let sql = "INSERT INTO trading_image_parts (org, room, seq, version, part, bytes) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (org, room, seq, version, part) DO UPDATE SET bytes = excluded.bytes";
    tx.run(sql, args![&key.0, &key.1, name.seq, name.version, part as u64, bytes]).await.map(drop)
}

/// Makes an image whose parts are stored the one of its room, which is held and has come to the entry `top`; whether it
/// is. A newer one stays, but for one of an entry that there is not.
pub async fn name_it(
    tx: &mut Tx,
    key: &Key,
    (name, chain, parts): (Name, Hash, usize),
    top: u64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO trading_images (org, room, seq, version, chain, parts) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (org, room) DO UPDATE SET seq = excluded.seq, version = excluded.version, \
               chain = excluded.chain, parts = excluded.parts \
               WHERE trading_images.seq <= excluded.seq OR trading_images.seq > $7";
    let chain = chain.to_string();
    let values = args![&key.0, &key.1, name.seq, name.version, &chain, parts as u64, top];
    Ok(tx.run(sql, values).await? > 0)
}

/// Removes parts of images before the room's, so many at most; how many.
pub async fn remove_older(tx: &mut Tx, key: &Key, most: u64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM trading_image_parts WHERE org = $1 AND room = $2 AND (seq, version, part) IN \
               (SELECT p.seq, p.version, p.part FROM trading_image_parts p JOIN trading_images i \
               ON i.org = p.org AND i.room = p.room WHERE p.org = $1 AND p.room = $2 AND p.seq < i.seq LIMIT $3)";
    tx.run(sql, args![&key.0, &key.1, most]).await
}

/// Removes a room's image and so many parts at most; how much there was.
pub async fn clear(tx: &mut Tx, key: &Key, most: u64) -> Result<u64, StoreError> {
    let named =
        tx.run("DELETE FROM trading_images WHERE org = $1 AND room = $2", args![&key.0, &key.1]).await?;
    let sql = "DELETE FROM trading_image_parts WHERE org = $1 AND room = $2 AND (seq, version, part) IN \
               (SELECT seq, version, part FROM trading_image_parts WHERE org = $1 AND room = $2 LIMIT $3)";
    Ok(named + tx.run(sql, args![&key.0, &key.1, most]).await?)
}
