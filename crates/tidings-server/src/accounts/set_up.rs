//! The first administrator, by a link that the server prints when it starts for the first time.
//!
//! No password is ever printed, and none is there by default: whoever can read what the server prints, and sits at its
//! machine, chooses one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tidings_core::{Org, Refusal};
use tidings_store::Digest;
use tidings_store::users::NewUser;
use tokio::sync::Mutex;

use super::register::{NewAccount, link_digest, no_link};
use super::{Accounts, ensure_org, input, secret, stored};
use crate::audit::Actor;
use crate::shared::wall_ms;

/// A link is good for so long.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// Administers the organisation, and runs the server.
const ROLES: [&str; 2] = ["admin", "operator"];

/// A link that makes its reader the first administrator, once.
#[derive(Debug, Clone)]
pub struct SetUp {
    digest: Digest,
    until: Instant,
}

impl SetUp {
    /// A new one, and the secret that belongs behind `/account#setup=`.
    ///
    /// # Errors
    /// A sentence, if the system has no randomness to give.
    pub fn make() -> Result<(String, Self), String> {
        let token = secret::make().map_err(|refusal| refusal.message.to_string())?;
        let digest = Digest::of(token.as_bytes());
        Ok((token, Self { digest, until: Instant::now() + LASTS }))
    }

    fn opens(&self, digest: &Digest) -> bool {
        Instant::now() < self.until && self.digest == *digest
    }
}

/// The link as long as nobody has used it; held while somebody does, so that of two at once one is refused.
pub(super) type Pending = Mutex<Option<SetUp>>;

impl Accounts {
    /// Makes the account of the first administrator; answers its id.
    ///
    /// # Errors
    /// `not_found` for a link that is unknown, used or expired, and for everybody at another machine; `bad_request` for
    /// what cannot be taken, with which the link is not used up; `conflict` if the address has an account; `unavailable`.
    pub(crate) async fn set_up(
        &self,
        token: &str,
        new: &NewAccount<'_>,
        from: IpAddr,
    ) -> Result<String, Refusal> {
        let digest = link_digest(token)?;
        let mut pending = self.set_up.lock().await;
        let opens = pending.as_ref().is_some_and(|link| link.opens(&digest));
        if !opens || !from.to_canonical().is_loopback() {
            return Err(no_link());
        }
        let email = input::email(new.email)?;
        let name = input::name(new.name, email)?;
        input::new_password(new.password, self.rules.password_least, email)?;
        let hash = self.passwords.hash(new.password.to_owned()).await?;
        let id = self.first(email, name, &hash).await?;
        *pending = None;
        Ok(id)
    }

    async fn first(&self, email: &str, name: &str, hash: &str) -> Result<String, Refusal> {
        let (org, id, now) = (Org::default(), secret::id()?, wall_ms());
        let user = NewUser { id: &id, email, name, password_hash: Some(hash), email_verified: true };
        let mut tx = self.store.begin().await.map_err(stored)?;
        ensure_org(&mut tx, &org, Actor::User(id.as_str().into())).await.map_err(stored)?;
        tx.create_user(&org, &user, now).await.map_err(stored)?;
        for role in ROLES {
            tx.grant_role(&org, &id, role).await.map_err(stored)?;
        }
        tx.commit().await.map_err(stored)?;
        Ok(id)
    }
}
