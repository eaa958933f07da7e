//! Users and their roles.

use tidings_core::Org;

use crate::args;
use crate::error::{Result, StoreError};
use crate::options::{SHORT_BYTES, page};
use crate::orgs::one;
use crate::sql::{Reader, Row, Tx, bounded};

/// Roles of one user at most.
pub const ROLES_MOST: usize = 64;

/// What a user is made from.
#[derive(Debug, Clone, Copy)]
pub struct NewUser<'a> {
    /// Unique within the organisation; made by the caller.
    pub id: &'a str,
    /// As it was written.
    pub email: &'a str,
    /// The name others see.
    pub name: &'a str,
    /// A slow hash in PHC form; none for those who sign in elsewhere.
    pub password_hash: Option<&'a str>,
    /// Whether the address was proved already, as by an issuer that says so.
    pub email_verified: bool,
}

/// A user of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Unique within the organisation.
    pub id: String,
    /// The address as it was written.
    pub email: String,
    /// The name others see.
    pub name: String,
    /// A slow hash in PHC form; none for those who sign in elsewhere.
    pub password_hash: Option<String>,
    /// Whether the address was proved.
    pub email_verified: bool,
    /// Whether they may sign in.
    pub status: Status,
    /// When the account was made.
    pub created_ms: u64,
    /// When the password was set last; tokens from before may be refused.
    pub password_changed_ms: u64,
    /// Wrong passwords since the last right one.
    pub failed_logins: u64,
    /// Until when no password is looked at; 0: it is.
    pub locked_until_ms: u64,
}

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// They may.
    Active,
    /// An administrator has said no.
    Disabled,
}

impl Status {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// The form in which addresses are compared: without space around it, in lower case.
///
/// Mail providers treat capitals alike; dots and tags are theirs to interpret, so they stay.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// The columns of a user, before the rest of a statement.
macro_rules! users {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, name, password_hash, email_verified, status, created_ms, password_changed_ms, ",
            "failed_logins, locked_until_ms FROM users ",
            $rest
        )
    };
}

impl Tx {
    /// Makes an active user without roles.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the id or the address is taken in this organisation;
    /// [`StoreError::NotFound`] without the organisation.
    pub async fn create_user(&mut self, org: &Org, user: &NewUser<'_>, now_ms: u64) -> Result<()> {
        bounded(user.id, SHORT_BYTES, "a user's id is 1 to 1024 bytes")?;
        bounded(user.email.trim(), SHORT_BYTES, "an e-mail address is 1 to 1024 bytes")?;
        bounded(user.name, SHORT_BYTES, "a user's name is 1 to 1024 bytes")?;
        let sql = "INSERT INTO users (org, id, email_key, email, name, password_hash, email_verified, status, \
                   created_ms, password_changed_ms, failed_logins, locked_until_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $8, 0, 0)";
        let key = email_key(user.email);
        let values =
            args![org, user.id, &key, user.email, user.name, user.password_hash, user.email_verified, now_ms];
        let done = self.run(sql, values).await;
        done.map(drop).map_err(|error| error.about("a user with this id or address", "organisation"))
    }

    /// Deletes a user with roles, links, refresh families and external identities.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]
    pub async fn delete_user(&mut self, org: &Org, id: &str) -> Result<()> {
        one(self.run("DELETE FROM users WHERE org = $1 AND id = $2", args![org, id]).await?, "user")
    }

    /// Changes the name others see.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]
    pub async fn rename_user(&mut self, org: &Org, id: &str, name: &str) -> Result<()> {
        bounded(name, SHORT_BYTES, "a user's name is 1 to 1024 bytes")?;
        let sql = "UPDATE users SET name = $3 WHERE org = $1 AND id = $2";
        one(self.run(sql, args![org, id, name]).await?, "user")
    }

    /// Sets the password's hash, and forgets wrong ones and the lock they led to; but where a second factor is asked for
    /// none, since wrong codes are counted with them: who may set a password could guess on at will.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]
    pub async fn set_password(&mut self, org: &Org, id: &str, hash: &str, now_ms: u64) -> Result<()> {
        bounded(hash, SHORT_BYTES, "a password's hash is 1 to 1024 bytes")?;
        let sql = "UPDATE users SET password_hash = $3, password_changed_ms = $4 WHERE org = $1 AND id = $2";
        one(self.run(sql, args![org, id, hash, now_ms]).await?, "user")?;
        let forget = "UPDATE users SET failed_logins = 0, locked_until_ms = 0 \
                      WHERE org = $1 AND id = $2 AND failed_logins > 0 AND NOT EXISTS \
                      (SELECT 1 FROM second_factors f WHERE f.org = $1 AND f.user_id = $2 AND f.on_ms IS NOT NULL)";
        self.run(forget, args![org, id]).await.map(drop)
    }

    /// Says that the address is proved.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]
    pub async fn verify_email(&mut self, org: &Org, id: &str) -> Result<()> {
        let sql = "UPDATE users SET email_verified = 1 WHERE org = $1 AND id = $2";
        one(self.run(sql, args![org, id]).await?, "user")
    }

    /// Lets a user sign in, or no longer.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]
    pub async fn set_status(&mut self, org: &Org, id: &str, status: Status) -> Result<()> {
        let sql = "UPDATE users SET status = $3 WHERE org = $1 AND id = $2";
        one(self.run(sql, args![org, id, status.as_str()]).await?, "user")
    }

    /// Finds a user and holds them until the transaction ends: others who would, or who change them, wait.
    ///
    /// So what is decided by their state, as a token with their roles, is decided before a change or after it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn hold_user(&mut self, org: &Org, id: &str) -> Result<Option<User>> {
        // On SQLite the transaction itself excludes every other.
        let sql = match self.is_postgres() {
            true => users!("WHERE org = $1 AND id = $2 FOR NO KEY UPDATE"),
            false => users!("WHERE org = $1 AND id = $2"),
        };
        self.row(sql, args![org, id]).await?.as_ref().map(user).transpose()
    }

    /// Counts a wrong password, and locks the account until `lock_until_ms` once there are `most` in a row.
    ///
    /// After a lock has ended it begins anew at one. Answers how many there are now; `None` while the account
    /// is locked, when nothing is counted, or if there is no such user.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count_failed_login(
        &mut self,
        org: &Org,
        id: &str,
        most: u32,
        now_ms: u64,
        lock_until_ms: u64,
    ) -> Result<Option<u64>> {
        // A lock that is over is no lock, and what led to it was paid for.
        let sql = "UPDATE users SET \
                   failed_logins = CASE WHEN locked_until_ms > 0 THEN 1 ELSE failed_logins + 1 END, \
                   locked_until_ms = CASE WHEN (CASE WHEN locked_until_ms > 0 THEN 1 ELSE failed_logins + 1 END) >= $3 \
                   THEN $5 ELSE 0 END \
                   WHERE org = $1 AND id = $2 AND locked_until_ms <= $4 RETURNING failed_logins";
        let row = self.row(sql, args![org, id, most, now_ms, lock_until_ms]).await?;
        row.map(|row| row.count(0)).transpose()
    }

    /// Forgets wrong passwords and the lock, after a right one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn forget_failed_logins(&mut self, org: &Org, id: &str) -> Result<()> {
        let sql = "UPDATE users SET failed_logins = 0, locked_until_ms = 0 \
                   WHERE org = $1 AND id = $2 AND failed_logins > 0";
        self.run(sql, args![org, id]).await.map(drop)
    }

    /// Gives a role; giving it twice is fine.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without the user; [`StoreError::Overflow`] beyond [`ROLES_MOST`].
    pub async fn grant_role(&mut self, org: &Org, id: &str, role: &str) -> Result<()> {
        bounded(role, SHORT_BYTES, "a role is 1 to 1024 bytes")?;
        if self.roles(org, id).await?.len() >= ROLES_MOST {
            return Err(StoreError::Overflow("roles of this user"));
        }
        let sql = "INSERT INTO roles (org, user_id, role) VALUES ($1, $2, $3) \
                   ON CONFLICT (org, user_id, role) DO NOTHING";
        let done = self.run(sql, args![org, id, role]).await;
        done.map(drop).map_err(|error| error.about("the role", "user"))
    }

    /// Takes a role away.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if they did not have it.
    pub async fn take_role(&mut self, org: &Org, id: &str, role: &str) -> Result<()> {
        let sql = "DELETE FROM roles WHERE org = $1 AND user_id = $2 AND role = $3";
        one(self.run(sql, args![org, id, role]).await?, "such role of this user")
    }
}

impl Reader {
    /// Finds a user by id.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn user(&mut self, org: &Org, id: &str) -> Result<Option<User>> {
        let sql = users!("WHERE org = $1 AND id = $2");
        self.row(sql, args![org, id]).await?.as_ref().map(user).transpose()
    }

    /// Finds a user by address, however it is written.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn user_by_email(&mut self, org: &Org, email: &str) -> Result<Option<User>> {
        let sql = users!("WHERE org = $1 AND email_key = $2");
        self.row(sql, args![org, &email_key(email)]).await?.as_ref().map(user).transpose()
    }

    /// Lists users by id, after `after`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn users(&mut self, org: &Org, after: &str, limit: u32) -> Result<Vec<User>> {
        let sql = users!("WHERE org = $1 AND id > $2 ORDER BY id LIMIT $3");
        self.rows(sql, args![org, after, page(limit)]).await?.iter().map(user).collect()
    }

    /// A user's roles, sorted.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn roles(&mut self, org: &Org, id: &str) -> Result<Vec<String>> {
        let sql = "SELECT role FROM roles WHERE org = $1 AND user_id = $2 ORDER BY role LIMIT $3";
        let rows = self.rows(sql, args![org, id, ROLES_MOST as u64]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }

    /// Ids of users with this role, as before taking the last administrator's.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn users_with_role(&mut self, org: &Org, role: &str, limit: u32) -> Result<Vec<String>> {
        let sql = "SELECT user_id FROM roles WHERE org = $1 AND role = $2 ORDER BY user_id LIMIT $3";
        let rows = self.rows(sql, args![org, role, page(limit)]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }
}

fn user(row: &Row) -> Result<User> {
    Ok(User {
        id: row.text(0)?,
        email: row.text(1)?,
        name: row.text(2)?,
        password_hash: row.text_or_none(3)?,
        email_verified: row.flag(4)?,
        status: match row.text(5)?.as_str() {
            "active" => Status::Active,
            "disabled" => Status::Disabled,
            _ => return Err(StoreError::Corrupt("a user's status is no status".into())),
        },
        created_ms: row.count(6)?,
        password_changed_ms: row.count(7)?,
        failed_logins: row.count(8)?,
        locked_until_ms: row.count(9)?,
    })
}
