//! A new password: with the old one, or by a link to who forgot it.

use std::time::Instant;

use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::Tx;
use tidings_store::users::Status;

use super::register::{LinkKind, link_digest, no_link};
use super::session::SignedIn;
use super::{Accounts, attempts, evened, input, stored};
use crate::live::Target;
use crate::shared::wall_ms;

impl Accounts {
    /// Changes a password; every other sign-in ends, and the caller gets a new one.
    ///
    /// # Errors
    /// `unauthorized` if the old password is wrong; as [`Accounts::login`] and [`Accounts::register`].
    pub(crate) async fn change_password(
        &self,
        who: &Identity,
        old: &str,
        new: &str,
    ) -> Result<SignedIn, Refusal> {
        let none = || Refusal::new(Code::NotFound, "there is no account for this token");
        let id = who.user.as_deref().ok_or_else(none)?;
        input::any_password(old)?;
        let user = self.store.read().await.map_err(stored)?.user(&who.org, id).await.map_err(stored)?;
        let user = user.ok_or_else(none)?;
        input::new_password(new, self.rules.password_least, &user.email)?;
        let mut user = self.with_password(&user.email, old, &who.org).await?;
        let hash = self.passwords.hash(new.to_owned()).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        self.set_password(&mut tx, &who.org, &user.id, &hash).await?;
        user.password_hash = Some(hash);
        let signed_in = self.begin_session(&mut tx, &who.org, &user).await?;
        tx.commit().await.map_err(stored)?;
        Ok(signed_in)
    }

    /// Sends a link to whoever forgot their password; says nothing of whether there is an account.
    ///
    /// # Errors
    /// `bad_request` if the address cannot be one; `unavailable`.
    pub(crate) async fn forgot_password(&self, email: &str, org: &Org) -> Result<(), Refusal> {
        let begun = Instant::now();
        let email = input::email(email)?;
        let key = attempts::key(org, email);
        if self.mails.admit(&key).is_err() {
            return Ok(());
        }
        self.mails.count(key);
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = tx.user_by_email(org, email).await.map_err(stored)?;
        if let Some(user) = user.filter(|user| user.status == Status::Active) {
            self.send_link(&mut tx, org, &user.id, &user.email, LinkKind::Reset).await?;
            tx.commit().await.map_err(stored)?;
            self.outbox.wake();
        }
        evened(begun).await;
        Ok(())
    }

    /// Sets a password by a link, which proves the address as well; every sign-in ends.
    ///
    /// # Errors
    /// `not_found` if the link is unknown, used or expired; `bad_request` for the password.
    pub(crate) async fn reset_password(&self, token: &str, new: &str) -> Result<(), Refusal> {
        let digest = link_digest(token)?;
        input::new_password(new, self.rules.password_least, "")?;
        let hash = self.passwords.hash(new.to_owned()).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let link = tx.use_link(LinkKind::Reset.as_str(), &digest, wall_ms()).await.map_err(stored)?;
        let link = link.ok_or_else(no_link)?;
        self.set_password(&mut tx, &link.org, &link.user, &hash).await?;
        tx.verify_email(&link.org, &link.user).await.map_err(stored)?;
        let email = tx.user(&link.org, &link.user).await.map_err(stored)?.map(|user| user.email);
        tx.commit().await.map_err(stored)?;
        if let Some(email) = email {
            self.failures.forget(&attempts::key(&link.org, &email));
        }
        Ok(())
    }

    /// Sets a password and ends every sign-in, their access tokens and the links that would set another.
    pub(super) async fn set_password(
        &self,
        tx: &mut Tx,
        org: &Org,
        user: &str,
        hash: &str,
    ) -> Result<(), Refusal> {
        let now = wall_ms();
        tx.set_password(org, user, hash, now).await.map_err(stored)?;
        tx.revoke_families(org, user, "the password was changed", now).await.map_err(stored)?;
        tx.drop_links(org, user, LinkKind::Reset.as_str()).await.map_err(stored)?;
        let whose = Target::User(user.into());
        self.call_back(tx, org, whose, now / 1_000, "the password was changed").await.map_err(stored)
    }
}
