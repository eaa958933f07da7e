//! A command with a key is done once: its reply stands in the transaction that did it.

use tidings_core::{Code, Identity, Refusal, meant};
use tidings_store::log::KEY_MS;
use tidings_store::options::{LONG_BYTES, PRUNE_MOST};
use tidings_store::sql::bounded;
use tidings_store::{Digest, Migration, Reader, Store, StoreError, Tx, args};

use crate::commit::Changes;

/// The tables of this crate.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "apps",
    number: 1,
    name: "keys of commands",
    both: include_str!("../migrations/0001_keys.sql"),
    sqlite: "",
    postgres: "",
}];

/// Bytes of a key at most.
const KEY_BYTES: usize = 128;

/// A command that is to be done once.
///
/// [`Ctx::commit`](crate::Ctx::commit) and [`Stage::commit_once`](crate::Stage::commit_once) see to it by themselves. It is at
/// hand for apps that do what several ask in one transaction: each is begun, and kept or undone, for itself.
#[derive(Debug, Clone)]
pub struct Once {
    org: String,
    user: String,
    key: String,
    body: Digest,
    /// The same as it was written: servers before this one kept that.
    written: Digest,
}

/// What is known of a key.
pub(crate) enum Known {
    /// It was used with this very command, which was answered with this.
    Reply(String),
    /// It was used with another one.
    Other,
}

impl Once {
    /// A command of `who` under `key`.
    ///
    /// # Errors
    /// [`Code::BadRequest`] for a key beyond its bounds, and for one of somebody who did not sign in: nobody
    /// could tell its first attempt from another's.
    pub(crate) fn new(who: &Identity, key: &str, command: [&str; 3]) -> Result<Self, Refusal> {
        if who.user.is_none() && !who.is_server() {
            return Err(Refusal::new(Code::BadRequest, "a key needs a sign-in"));
        }
        bounded(key, KEY_BYTES, "a key is 1 to 128 bytes")?;
        let [whose, what, text] = command;
        let digest = |body: &str| Digest::of([whose, what, body].join("\0").as_bytes());
        let (body, written) = (digest(&meant(text)), digest(text));
        let user = who.user.as_deref().unwrap_or_default().to_owned();
        Ok(Self { org: who.org.as_str().to_owned(), user, key: key.to_owned(), body, written })
    }

    /// Takes the key, before anything is done under it; `false` if it was used before, and [`Stage::answered`](crate::Stage::answered)
    /// knows for what.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if it cannot be stored, here and below.
    pub async fn begin(&self, changes: &mut Changes) -> Result<bool, Refusal> {
        let now_ms = changes.now_ms();
        Ok(self.claim(changes, now_ms).await?.is_none())
    }

    /// Keeps what it was answered with, as JSON; what was kept before gives way.
    ///
    /// # Errors
    /// [`Code::TooLarge`] for more than 64 KiB.
    pub async fn done(&self, changes: &mut Changes, reply: &str) -> Result<(), Refusal> {
        Ok(self.keep(changes, reply).await?)
    }

    /// Lets the key go: nothing was done under it.
    ///
    /// # Errors
    /// As [`Once::begin`].
    pub async fn undo(&self, changes: &mut Changes) -> Result<(), Refusal> {
        let sql = "DELETE FROM command_keys WHERE org = $1 AND user_id = $2 AND idempotency_key = $3";
        changes.run(sql, args![&self.org, &self.user, &self.key]).await?;
        Ok(())
    }

    /// Takes the key, for as long as the transaction lasts and then for [`KEY_MS`]; what is known of it if it
    /// was used.
    pub(crate) async fn claim(&self, tx: &mut Tx, now_ms: u64) -> Result<Option<Known>, StoreError> {
        // Somebody who uses it at the same time is waited for.
        let sql = "INSERT INTO command_keys (org, user_id, idempotency_key, body, reply, at_ms) \
                   VALUES ($1, $2, $3, $4, '', $5) \
                   ON CONFLICT (org, user_id, idempotency_key) DO UPDATE \
                   SET body = excluded.body, reply = excluded.reply, at_ms = excluded.at_ms \
                   WHERE command_keys.at_ms <= $6";
        let over = now_ms.saturating_sub(KEY_MS);
        let values = args![&self.org, &self.user, &self.key, &self.body, now_ms, over];
        if tx.run(sql, values).await? > 0 {
            return Ok(None);
        }
        self.look(tx, now_ms).await
    }

    /// Keeps the reply.
    pub(crate) async fn keep(&self, tx: &mut Tx, reply: &str) -> Result<(), StoreError> {
        bounded(reply, LONG_BYTES, "the reply is too long to be kept for a key")?;
        let sql = "UPDATE command_keys SET reply = $4 \
                   WHERE org = $1 AND user_id = $2 AND idempotency_key = $3";
        tx.run(sql, args![&self.org, &self.user, &self.key, reply]).await.map(drop)
    }

    /// What is known of the key.
    pub(crate) async fn look(&self, reader: &mut Reader, now_ms: u64) -> Result<Option<Known>, StoreError> {
        let sql = "SELECT body, reply FROM command_keys \
                   WHERE org = $1 AND user_id = $2 AND idempotency_key = $3 AND at_ms > $4";
        let over = now_ms.saturating_sub(KEY_MS);
        let row = reader.row(sql, args![&self.org, &self.user, &self.key, over]).await?;
        let Some(row) = row else { return Ok(None) };
        let known = row.digest(0)?;
        let same = known == self.body || known == self.written;
        Ok(Some(if same { Known::Reply(row.text(1)?) } else { Known::Other }))
    }
}

/// What is told for a key that was used with another command.
pub(crate) fn other() -> Refusal {
    Refusal::new(Code::Conflict, "this key was used with another command")
}

/// Deletes keys whose time is over, a bounded number of them.
pub(crate) async fn prune(store: &Store, now_ms: u64) -> Result<u64, StoreError> {
    let mut tx = store.begin().await?;
    let sql = "DELETE FROM command_keys WHERE (org, user_id, idempotency_key) IN \
               (SELECT org, user_id, idempotency_key FROM command_keys WHERE at_ms <= $1 LIMIT $2)";
    let over = now_ms.saturating_sub(KEY_MS);
    let pruned = tx.run(sql, args![over, PRUNE_MOST]).await?;
    tx.commit().await?;
    Ok(pruned)
}
