//! A new password: with the old one, or by a link to who forgot it.

use std::time::Instant;

use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::links::UsedLink;
use tidings_store::users::Status;
use tidings_store::{StoreError, Tx};

use super::register::{LinkKind, link_digest, no_link};
use super::session::SignedIn;
use super::{Accounts, attempts, evened, input, stored};
use crate::live::CallBack;
use crate::shared::wall_ms;
use crate::signin::revoked::Why;

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
        let user = self.with_password(&user.email, old, &who.org).await?;
        let hash = self.passwords.hash(new.to_owned()).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = self.still(&mut tx, &who.org, &user).await?;
        let called_back = self.set_password(&mut tx, &who.org, &user.id, &hash).await?;
        let has_factor = tx.has_second_factor(&who.org, &user.id).await.map_err(stored)?;
        let signed_in = self.begin_session(&mut tx, &who.org, &user, !has_factor).await?;
        self.commit(tx, [called_back]).await?;
        // Else a new password would buy more guesses at a code.
        if !has_factor {
            self.failures.forget(&attempts::key(&who.org, &user.email));
        }
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
            let sent = async {
                self.send_link(&mut tx, org, &user.id, &user.email, LinkKind::Reset).await?;
                tx.commit().await.map_err(stored)
            };
            match sent.await {
                Ok(()) => self.outbox.wake(),
                // Told to the operator alone: it happens to those who have an account.
                Err(refusal) => tracing::error!(%refusal, "a link for a new password was not sent"),
            }
        }
        evened(begun).await;
        Ok(())
    }

    /// Sets a password by a link, which proves the address as well; every sign-in ends. Answers whose it is.
    ///
    /// # Errors
    /// `not_found` if the link is unknown, used or expired; `bad_request` for the password.
    pub(crate) async fn reset_password(&self, token: &str, new: &str) -> Result<UsedLink, Refusal> {
        let digest = link_digest(token)?;
        input::new_password(new, self.rules.password_least, "")?;
        let hash = self.passwords.hash(new.to_owned()).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let link = tx.use_link(LinkKind::Reset.as_str(), &digest, wall_ms()).await.map_err(stored)?;
        let link = link.ok_or_else(no_link)?;
        let user = tx.hold_user(&link.org, &link.user).await.map_err(stored)?.ok_or_else(no_link)?;
        // Whose address it is was not known before the link was; refused, the link works still.
        input::new_password(new, self.rules.password_least, &user.email)?;
        let called_back = self.set_password(&mut tx, &link.org, &link.user, &hash).await?;
        tx.verify_email(&link.org, &link.user).await.map_err(stored)?;
        let has_factor = tx.has_second_factor(&link.org, &link.user).await.map_err(stored)?;
        self.commit(tx, [called_back]).await?;
        if !has_factor {
            self.failures.forget(&attempts::key(&link.org, &user.email));
        }
        Ok(link)
    }

    /// Sets the password of a user whom the transaction holds, and ends every sign-in, their access tokens and the
    /// links that would set another.
    pub(super) async fn set_password<'a>(
        &self,
        tx: &mut Tx,
        org: &'a Org,
        user: &str,
        hash: &str,
    ) -> Result<CallBack<'a>, Refusal> {
        let (now, reason) = (wall_ms(), "the password was changed");
        tx.set_password(org, user, hash, now).await.map_err(stored)?;
        tx.revoke_families(org, user, reason, now).await.map_err(stored)?;
        drop_password_links(tx, org, user).await.map_err(stored)?;
        self.call_back(tx, org, user, Why::Revoked, reason).await
    }
}

/// Ends the links that would set another password than the one that was just chosen.
///
/// # Errors
/// What the store says.
pub async fn drop_password_links(tx: &mut Tx, org: &Org, user: &str) -> Result<(), StoreError> {
    for kind in [LinkKind::Reset, LinkKind::Invite] {
        tx.drop_links(org, user, kind.as_str()).await?;
    }
    Ok(())
}
