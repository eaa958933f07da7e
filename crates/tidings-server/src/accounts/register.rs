//! Making an account, and proving its address.

use std::time::Instant;

use tidings_core::{Code, Org, Refusal};
use tidings_store::links::{NewLink, UsedLink};
use tidings_store::users::{NewUser, Status, User};
use tidings_store::{Digest, Tx};

use super::mail::{self, About};
use super::{Accounts, INVITE_MS, RESET_MS, VERIFY_MS, attempts, ensure_org, evened, input, secret, stored};
use crate::audit::Actor;
use crate::config::Register;
use crate::shared::wall_ms;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// It proves an address.
    Verify,
    /// It sets a password.
    Reset,
    /// It makes an account somebody's.
    Invite,
}

impl LinkKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Invite => "invite",
        }
    }

    fn lasts_ms(self) -> u64 {
        match self {
            Self::Verify => VERIFY_MS,
            Self::Reset => RESET_MS,
            Self::Invite => INVITE_MS,
        }
    }
}

/// Who wants an account.
#[derive(Debug)]
pub(crate) struct NewAccount<'a> {
    pub(crate) email: &'a str,
    pub(crate) password: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) org: Option<&'a str>,
}

pub(super) fn no_link() -> Refusal {
    Refusal::new(Code::NotFound, "the link is unknown, used or expired")
}

pub(super) fn link_digest(token: &str) -> Result<Digest, Refusal> {
    secret::digest(token).ok_or_else(no_link)
}

impl Accounts {
    /// Makes an account that has to be verified; says nothing of whether there was one.
    ///
    /// # Errors
    /// `forbidden` where strangers may not, `bad_request` for what cannot be taken, `unavailable`.
    pub(crate) async fn register(&self, new: &NewAccount<'_>) -> Result<(), Refusal> {
        if self.rules.register != Register::Open {
            return Err(Refusal::new(Code::Forbidden, "accounts are made by invitation here"));
        }
        let org = input::org(new.org)?;
        if org != Org::default() {
            return Err(Refusal::new(Code::Forbidden, "only invitations lead into this organisation"));
        }
        let email = input::email(new.email)?;
        let name = input::name(new.name, email)?;
        input::new_password(new.password, self.rules.password_least, email)?;
        let begun = Instant::now();
        let hash = self.passwords.hash(new.password.to_owned()).await?;
        let key = attempts::key(&org, email);
        if self.mails.admit(&key).is_err() {
            tracing::info!("an address is registered too often; nothing is sent to it");
            return Ok(());
        }
        self.mails.count(key);
        // Of two who register one address at once the second finds that it is there, as if it had come later.
        if !self.take_in(&org, email, name, &hash).await? {
            self.take_in(&org, email, name, &hash).await?;
        }
        self.outbox.wake();
        evened(begun).await;
        Ok(())
    }

    /// Whether the address could be taken in: `false` if somebody else took it at this very moment.
    async fn take_in(&self, org: &Org, email: &str, name: &str, hash: &str) -> Result<bool, Refusal> {
        let mut tx = self.store.begin().await.map_err(stored)?;
        match self.register_in(&mut tx, org, email, name, hash).await {
            Err(refusal) if refusal.code == Code::Conflict => Ok(false),
            Err(refusal) => Err(refusal),
            Ok(()) => tx.commit().await.map(|()| true).map_err(stored),
        }
    }

    /// A fresh address gets an account and a link; one that nobody has proved yet a new link and the newest
    /// password, unless its account may be in use; one that is somebody's, a mail that says so.
    async fn register_in(
        &self,
        tx: &mut Tx,
        org: &Org,
        email: &str,
        name: &str,
        hash: &str,
    ) -> Result<(), Refusal> {
        let now = wall_ms();
        match tx.user_by_email(org, email).await.map_err(stored)? {
            None => {
                let id = secret::id()?;
                let user = NewUser { id: &id, email, name, password_hash: Some(hash), email_verified: false };
                ensure_org(tx, org, Actor::Anonymous).await.map_err(stored)?;
                tx.create_user(org, &user, now).await.map_err(stored)?;
                self.send_link(tx, org, &id, email, LinkKind::Verify).await
            }
            // Who may sign in unproved may have done so: then only a link to the address sets another password.
            Some(User {
                id, email_verified: false, status: Status::Active, password_hash: Some(_), ..
            }) if self.rules.verified_only => {
                tx.set_password(org, &id, hash, now).await.map_err(stored)?;
                tx.rename_user(org, &id, name).await.map_err(stored)?;
                tx.revoke_families(org, &id, "registered again", now).await.map_err(stored)?;
                self.send_link(tx, org, &id, email, LinkKind::Verify).await
            }
            Some(user) => mail::post(tx, org, &user.email, About::Taken, &self.rules.link_url).await,
        }
    }

    /// Makes a link and puts it into the outbox.
    pub(super) async fn send_link(
        &self,
        tx: &mut Tx,
        org: &Org,
        user: &str,
        email: &str,
        kind: LinkKind,
    ) -> Result<(), Refusal> {
        let now = wall_ms();
        let token = secret::make()?;
        let digest = link_digest(&token)?;
        let link = NewLink { kind: kind.as_str(), user, digest: &digest, expires_ms: now + kind.lasts_ms() };
        tx.create_link(org, &link, now).await.map_err(stored)?;
        let about = match kind {
            LinkKind::Verify => About::Verify(&token),
            LinkKind::Reset => About::Reset(&token),
            LinkKind::Invite => About::Invite(&token),
        };
        mail::post(tx, org, email, about, &self.rules.link_url).await
    }

    /// Proves an address by the link that was sent to it; answers whose it is.
    ///
    /// # Errors
    /// `not_found` if the link is unknown, used or expired.
    pub(crate) async fn verify(&self, token: &str) -> Result<UsedLink, Refusal> {
        let digest = link_digest(token)?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let link = tx.use_link(LinkKind::Verify.as_str(), &digest, wall_ms()).await.map_err(stored)?;
        let link = link.ok_or_else(no_link)?;
        tx.verify_email(&link.org, &link.user).await.map_err(stored)?;
        tx.commit().await.map_err(stored)?;
        Ok(link)
    }

    /// Makes an account that an administrator has prepared the reader's; answers which.
    ///
    /// # Errors
    /// As [`Accounts::verify`]; `bad_request` for the password or the name; `forbidden` where nobody may.
    pub(crate) async fn accept(
        &self,
        token: &str,
        password: &str,
        name: Option<&str>,
    ) -> Result<UsedLink, Refusal> {
        if self.rules.register == Register::Closed {
            return Err(Refusal::new(Code::Forbidden, "nobody registers here"));
        }
        let digest = link_digest(token)?;
        input::new_password(password, self.rules.password_least, "")?;
        let name = name.map(|name| input::name(Some(name), "")).transpose()?;
        let hash = self.passwords.hash(password.to_owned()).await?;
        let now = wall_ms();
        let mut tx = self.store.begin().await.map_err(stored)?;
        let link = tx.use_link(LinkKind::Invite.as_str(), &digest, now).await.map_err(stored)?;
        let link = link.ok_or_else(no_link)?;
        let user = tx.hold_user(&link.org, &link.user).await.map_err(stored)?.ok_or_else(no_link)?;
        input::new_password(password, self.rules.password_least, &user.email)?;
        tx.set_password(&link.org, &link.user, &hash, now).await.map_err(stored)?;
        tx.verify_email(&link.org, &link.user).await.map_err(stored)?;
        if let Some(name) = name {
            tx.rename_user(&link.org, &link.user, name).await.map_err(stored)?;
        }
        tx.commit().await.map_err(stored)?;
        Ok(link)
    }
}
