//! Sign-ins: an access token and a refresh token that replaces itself.

use serde::Serialize;
use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::refresh::{Family, NewFamily, Rotation};
use tidings_store::users::User;
use tidings_store::{Digest, Tx};

use super::{Accounts, secret, stored, unavailable};
use crate::audit::{Action, Actor, Entry};
use crate::live::CallBack;
use crate::shared::wall_ms;
use crate::signin::Grant;
use crate::signin::revoked::Why;

/// Access tokens of one sign-in that signing out ends, the newest; a client has one or two that are good.
const ENDED_TOKENS: u32 = 16;

/// What somebody gets who has signed in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedIn {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// Seconds.
    pub(crate) expires_in: u64,
    pub(crate) user: Person,
}

/// Somebody, as they see themselves.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) org: String,
    pub(crate) roles: Vec<String>,
}

impl Person {
    pub(super) fn new(org: &Org, user: &User, roles: Vec<String>) -> Self {
        Self {
            id: user.id.clone(),
            email: user.email.clone(),
            name: user.name.clone(),
            org: org.as_str().into(),
            roles,
        }
    }
}

/// What `me` answers: the person, and what is not part of signing in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    #[serde(flatten)]
    pub(crate) person: Person,
    pub(crate) email_verified: bool,
    pub(crate) created_at: String,
    /// A second factor is asked for, and so many recovery codes are left.
    pub(crate) second_factor: bool,
    pub(crate) recovery_codes: u64,
}

pub(super) fn ended() -> Refusal {
    Refusal::new(Code::Unauthorized, "the refresh token is not valid")
}

/// Two windows of one client, it seems. Whoever has the newer token goes on with that; whoever has not comes back
/// with the old one when it counts as used twice, and so a copy is found out all the same.
fn raced(left_ms: u64) -> Refusal {
    let sentence = "the refresh token was replaced just now; go on with the one that came of it";
    Refusal {
        retry_after_ms: Some(left_ms.try_into().unwrap_or(u32::MAX)),
        ..Refusal::new(Code::Conflict, sentence)
    }
}

impl Accounts {
    /// Begins a sign-in of a user whom the transaction holds ([`Accounts::held`]); the caller commits. `is_proof`: they
    /// have shown all there is to show, and are not asked again for a while.
    pub(super) async fn begin_session(
        &self,
        tx: &mut Tx,
        org: &Org,
        user: &User,
        is_proof: bool,
    ) -> Result<SignedIn, Refusal> {
        let now = wall_ms();
        let (refresh_token, digest) = secret::make_refresh()?;
        let id = secret::id()?;
        let family = NewFamily {
            id: &id,
            user: &user.id,
            digest: &digest,
            expires_ms: now.saturating_add(self.rules.refresh_ms),
        };
        tx.create_family(org, &family, now).await.map_err(stored)?;
        if is_proof {
            tx.prove_family(org, &id, now).await.map_err(stored)?;
        }
        self.signed_in(tx, org, user, refresh_token, &digest).await
    }

    /// Makes the answer; roles and the state of the address are what they are while the transaction holds the user.
    async fn signed_in(
        &self,
        tx: &mut Tx,
        org: &Org,
        user: &User,
        refresh_token: String,
        digest: &Digest,
    ) -> Result<SignedIn, Refusal> {
        let roles = tx.roles(org, &user.id).await.map_err(stored)?;
        let good_from = tx.good_from(org, &user.id).await.map_err(stored)?.div_ceil(1_000);
        let grant = Grant {
            user: user.id.clone(),
            org: org.as_str().into(),
            name: Some(user.name.clone()),
            roles: roles.clone(),
            email_verified: user.email_verified,
            scopes: Vec::new(),
            token_id: Some(secret::token_id(digest)),
            lifetime_seconds: self.rules.access_seconds,
        };
        let access_token = self.sign_in.issue_from(&grant, good_from).map_err(unavailable)?;
        let user = Person::new(org, user, roles);
        Ok(SignedIn { access_token, refresh_token, expires_in: self.rules.access_seconds, user })
    }

    /// Replaces a refresh token; one that comes a second time ends the sign-in it belongs to.
    ///
    /// It is one transaction: whoever gets no answer since something failed comes again with the token they have.
    ///
    /// # Errors
    /// `conflict` with a time to try again at if it was replaced only just; else `unauthorized`, whatever is wrong
    /// with it.
    pub(crate) async fn refresh(&self, token: &str) -> Result<SignedIn, Refusal> {
        let old = secret::refresh_digest(token).ok_or_else(ended)?;
        let (refresh_token, new) = secret::make_refresh()?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let family = tx.family_of_token(&old).await.map_err(stored)?.ok_or_else(ended)?;
        // Held first, as by everybody who ends families, so that none waits for the other.
        let user = self.held(&mut tx, &family.org, &family.user).await?.ok_or_else(ended)?;
        let rotated = tx.rotate(&old, &new, self.rules.refresh_grace_ms, wall_ms()).await;
        match rotated.map_err(stored)? {
            Rotation::Rotated(family) => {
                let signed_in = self.signed_in(&mut tx, &family.org, &user, refresh_token, &new).await?;
                tx.commit().await.map_err(stored)?;
                Ok(signed_in)
            }
            Rotation::Raced { left_ms } => Err(raced(left_ms)),
            Rotation::Reused { family, first: true } => {
                let called_back = self.was_copied(&mut tx, &family).await?;
                self.commit(tx, [called_back]).await?;
                Err(ended())
            }
            // What is dropped here changed nothing: the family had ended.
            Rotation::Reused { first: false, .. }
            | Rotation::Revoked(_)
            | Rotation::Expired(_)
            | Rotation::Unknown => Err(ended()),
        }
    }

    /// A refresh token was copied: nobody can say who holds the access tokens, so all end. The user's other sign-ins
    /// live, and get newer ones.
    async fn was_copied<'a>(&self, tx: &mut Tx, family: &'a Family) -> Result<CallBack<'a>, Refusal> {
        let whose = Actor::User(family.user.as_str().into());
        self.audit.note(Entry::refused(Action::RefreshReuse).by(whose).of(&family.org).because("used twice"));
        let reason = "a refresh token was used twice";
        self.call_back(tx, &family.org, &family.user, Why::Rights, reason).await
    }

    /// Ends a sign-in with its access tokens, whichever of its refresh tokens is shown, and answers whose it was;
    /// one that is unknown has ended already.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn sign_out(&self, token: &str) -> Result<Option<Family>, Refusal> {
        let Some(digest) = secret::refresh_digest(token) else { return Ok(None) };
        let mut tx = self.store.begin().await.map_err(stored)?;
        let Some(family) = tx.family_of_token(&digest).await.map_err(stored)? else { return Ok(None) };
        let now = wall_ms();
        tx.revoke_family(&family.org, &family.id, "signed out", now).await.map_err(stored)?;
        let since = now.saturating_sub((self.rules.access_seconds + 60) * 1_000);
        let tokens = tx.family_tokens(&family.org, &family.id, since, ENDED_TOKENS).await.map_err(stored)?;
        let mut called_back = Vec::with_capacity(tokens.len());
        for token in &tokens {
            let id = secret::token_id(token);
            called_back.push(self.call_back_one(&mut tx, &family.org, &id, self.tokens_end()).await?);
        }
        self.commit(tx, called_back).await?;
        Ok(Some(family))
    }

    /// Ends one access token, as on signing out with it alone; whoever made it, it is not good again.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn end_token(&self, who: &Identity) -> Result<(), Refusal> {
        let Some(id) = &who.token_id else { return Ok(()) };
        // A token that another backend has made may live for longer than ours do.
        let until = self.tokens_end().max(who.expires_at.unwrap_or(0).saturating_add(60));
        let mut tx = self.store.begin().await.map_err(stored)?;
        let called_back = self.call_back_one(&mut tx, &who.org, id, until).await?;
        self.commit(tx, [called_back]).await
    }

    /// Who somebody is, as the store knows them.
    ///
    /// # Errors
    /// `not_found` for a token that is good but whose user has no account here.
    pub(crate) async fn me(&self, who: &Identity) -> Result<Me, Refusal> {
        let none = || Refusal::new(Code::NotFound, "there is no account for this token");
        let id = who.user.as_deref().ok_or_else(none)?;
        let mut records = self.store.read().await.map_err(stored)?;
        let user = records.user(&who.org, id).await.map_err(stored)?.ok_or_else(none)?;
        let roles = records.roles(&who.org, id).await.map_err(stored)?;
        Ok(Me {
            second_factor: records.has_second_factor(&who.org, id).await.map_err(stored)?,
            recovery_codes: records.recovery_codes_left(&who.org, id).await.map_err(stored)?,
            person: Person::new(&who.org, &user, roles),
            email_verified: user.email_verified,
            created_at: crate::time::iso8601(user.created_ms),
        })
    }
}
