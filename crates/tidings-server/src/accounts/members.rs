//! What administrators of an organisation may do with its people.

use serde::Serialize;
use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::users::{NewUser, Status, User};
use tidings_store::{Reader, Tx};

use super::register::LinkKind;
use super::{Accounts, ensure_org, input, secret, stored};
use crate::audit::Actor;
use crate::config::Register;
use crate::live::RIGHTS_CHANGED;
use crate::shared::wall_ms;
use crate::signin::revoked::Why;

/// Who administers an organisation.
pub(crate) const ADMIN: &str = "admin";
/// Who runs the server; given on the command line alone.
pub(crate) const OPERATOR: &str = "operator";

/// Members on one page at most, and where none are asked for.
pub(crate) const PAGE: u32 = 100;

/// Roles given at once.
const ROLES: usize = 32;

/// Somebody, as an administrator sees them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    id: String,
    email: String,
    name: String,
    roles: Vec<String>,
    email_verified: bool,
    status: &'static str,
    created_at: String,
    second_factor: bool,
}

pub(crate) fn no_user() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such user")
}

/// Refuses whoever does not administer their organisation.
///
/// # Errors
/// `forbidden`
pub(crate) fn admin(who: &Identity) -> Result<&Identity, Refusal> {
    if who.is_admin() {
        return Ok(who);
    }
    Err(Refusal::new(Code::Forbidden, "only administrators of the organisation may"))
}

async fn member(records: &mut Reader, org: &Org, user: User) -> Result<Member, Refusal> {
    let roles = records.roles(org, &user.id).await.map_err(stored)?;
    Ok(Member {
        roles,
        second_factor: records.has_second_factor(org, &user.id).await.map_err(stored)?,
        email_verified: user.email_verified,
        status: user.status.as_str(),
        created_at: crate::time::iso8601(user.created_ms),
        id: user.id,
        email: user.email,
        name: user.name,
    })
}

impl Accounts {
    /// The people of an organisation by id, after `after`, and whether there are more.
    ///
    /// # Errors
    /// `forbidden`
    pub(crate) async fn members(
        &self,
        who: &Identity,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<Member>, bool), Refusal> {
        let org = &admin(who)?.org;
        let limit = limit.clamp(1, PAGE);
        let mut records = self.store.read().await.map_err(stored)?;
        let mut users = records.users(org, after, limit + 1).await.map_err(stored)?;
        let more = users.len() > limit as usize;
        users.truncate(limit as usize);
        let mut members = Vec::with_capacity(users.len());
        for user in users {
            members.push(member(&mut records, org, user).await?);
        }
        Ok((members, more))
    }

    /// Makes an account without a password and sends a link with which its owner chooses one.
    ///
    /// # Errors
    /// `forbidden`; `password_again` ([`Accounts::proved_lately`]); `conflict` if the address has an account in this organisation; `bad_request`.
    pub(crate) async fn invite(
        &self,
        who: &Identity,
        email: &str,
        name: Option<&str>,
        roles: &[String],
    ) -> Result<Member, Refusal> {
        let org = &admin(who)?.org;
        if self.rules.register == Register::Closed {
            return Err(Refusal::new(Code::Forbidden, "accounts are made on the command line here"));
        }
        self.proved_lately(who).await?;
        let email = input::email(email)?;
        let name = input::name(name, email)?;
        check_roles(roles, &[])?;
        let (id, now) = (secret::id()?, wall_ms());
        let mut tx = self.store.begin().await.map_err(stored)?;
        ensure_org(&mut tx, org, Actor::of(who)).await.map_err(stored)?;
        let user = NewUser { id: &id, email, name, password_hash: None, email_verified: false };
        tx.create_user(org, &user, now).await.map_err(stored)?;
        for role in roles {
            tx.grant_role(org, &id, role).await.map_err(stored)?;
        }
        self.send_link(&mut tx, org, &id, email, LinkKind::Invite).await?;
        let user = held(&mut tx, org, &id).await?;
        let member = member(&mut tx, org, user).await?;
        tx.commit().await.map_err(stored)?;
        self.outbox.wake();
        Ok(member)
    }

    /// Gives somebody exactly these roles; their access tokens end, so that none says otherwise. `seen` are those that whoever
    /// wants it has seen: two who change them at once take nothing back from each other without knowing.
    ///
    /// # Errors
    /// `forbidden`; `password_again` ([`Accounts::proved_lately`]); `not_found` for whoever is not of the
    /// organisation; `conflict` if nobody would administer it any more, or the roles are not those that were seen.
    pub(crate) async fn set_roles(
        &self,
        who: &Identity,
        id: &str,
        roles: &[String],
        seen: Option<&[String]>,
    ) -> Result<Member, Refusal> {
        let org = &admin(who)?.org;
        self.proved_lately(who).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = held(&mut tx, org, id).await?;
        let had = tx.roles(org, id).await.map_err(stored)?;
        check_roles(roles, &had)?;
        if seen.is_some_and(|seen| !same(seen, &had)) {
            return Err(changed_meanwhile(&had));
        }
        if had.iter().any(|role| role == ADMIN) && !roles.iter().any(|role| role == ADMIN) {
            somebody_is_left(&mut tx, org, id).await?;
        }
        for role in had.iter().filter(|role| !roles.contains(role)) {
            tx.take_role(org, id, role).await.map_err(stored)?;
        }
        for role in roles.iter().filter(|role| !had.contains(role)) {
            tx.grant_role(org, id, role).await.map_err(stored)?;
        }
        let called_back = self.call_back(&mut tx, org, id, Why::Rights, RIGHTS_CHANGED).await?;
        let member = member(&mut tx, org, user).await?;
        self.commit(tx, [called_back]).await?;
        Ok(member)
    }

    /// Lets somebody sign in no longer, or again; on saying no, every sign-in and token ends.
    ///
    /// # Errors
    /// As [`Accounts::set_roles`]; keeping somebody out waits for no password.
    pub(crate) async fn set_status(
        &self,
        who: &Identity,
        id: &str,
        status: Status,
    ) -> Result<Member, Refusal> {
        let org = &admin(who)?.org;
        if status == Status::Active {
            self.proved_lately(who).await?;
        }
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = held(&mut tx, org, id).await?;
        let mut called_back = None;
        if status == Status::Disabled {
            refuse_operator(&mut tx, org, id).await?;
            if tx.roles(org, id).await.map_err(stored)?.iter().any(|role| role == ADMIN) {
                somebody_is_left(&mut tx, org, id).await?;
            }
        }
        tx.set_status(org, id, status).await.map_err(stored)?;
        if status == Status::Disabled {
            tx.revoke_families(org, id, "disabled", wall_ms()).await.map_err(stored)?;
            called_back = Some(self.call_back(&mut tx, org, id, Why::Revoked, "disabled").await?);
        }
        let member = member(&mut tx, org, User { status, ..user }).await?;
        self.commit(tx, called_back).await?;
        Ok(member)
    }

    /// Removes somebody's second factor, as when the device is lost; every sign-in and token ends. One's own is turned off
    /// with a code.
    ///
    /// # Errors
    /// As [`Accounts::set_roles`]; `not_found` as well if there is none.
    pub(crate) async fn remove_second_factor(&self, who: &Identity, id: &str) -> Result<Member, Refusal> {
        let org = &admin(who)?.org;
        if who.user.as_deref() == Some(id) {
            return Err(Refusal::new(Code::Forbidden, "your own is turned off with a code"));
        }
        self.proved_lately(who).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = held(&mut tx, org, id).await?;
        refuse_operator(&mut tx, org, id).await?;
        if !tx.remove_second_factor(org, id).await.map_err(stored)? {
            return Err(Refusal::new(Code::NotFound, "there is no second factor"));
        }
        let reason = "the second factor was removed";
        tx.revoke_families(org, id, reason, wall_ms()).await.map_err(stored)?;
        let called_back = self.call_back(&mut tx, org, id, Why::Revoked, reason).await?;
        let member = member(&mut tx, org, user).await?;
        self.commit(tx, [called_back]).await?;
        Ok(member)
    }
}

/// A user, held until the transaction ends; whoever signs in meanwhile waits.
async fn held(tx: &mut Tx, org: &Org, id: &str) -> Result<User, Refusal> {
    tx.hold_user(org, id).await.map_err(stored)?.ok_or_else(no_user)
}

/// Who runs the server answers to nobody in an organisation.
async fn refuse_operator(records: &mut Reader, org: &Org, id: &str) -> Result<(), Refusal> {
    let roles = records.roles(org, id).await.map_err(stored)?;
    if roles.iter().any(|role| role == OPERATOR) {
        return Err(Refusal::new(Code::Forbidden, "operators are managed on the command line"));
    }
    Ok(())
}

/// An organisation whose last administrator is gone could not be helped from within.
async fn somebody_is_left(records: &mut Tx, org: &Org, without: &str) -> Result<(), Refusal> {
    // Of two who are to be the last no more, the second has to see what became of the first.
    records.hold_org(org).await.map_err(stored)?;
    let admins = records.users_with_role(org, ADMIN, 1_000).await.map_err(stored)?;
    for id in admins.iter().filter(|id| *id != without) {
        let user = records.user(org, id).await.map_err(stored)?;
        if user.is_some_and(|user| user.status == Status::Active) {
            return Ok(());
        }
    }
    Err(Refusal::new(Code::Conflict, "the organisation needs another administrator first"))
}

/// Whether these are the same roles, in whichever order.
fn same(some: &[String], others: &[String]) -> bool {
    some.iter().all(|role| others.contains(role)) && others.iter().all(|role| some.contains(role))
}

fn changed_meanwhile(now: &[String]) -> Refusal {
    let now = if now.is_empty() { "none".to_owned() } else { now.join(", ") };
    Refusal::new(Code::Conflict, &format!("the roles were changed meanwhile, to: {now}"))
}

/// Roles that are new are words; `operator` is neither given nor taken here.
fn check_roles(roles: &[String], had: &[String]) -> Result<(), Refusal> {
    if roles.len() > ROLES {
        return Err(Refusal::new(Code::BadRequest, "roles: are more than 32"));
    }
    // What somebody has had since before that rule stays.
    let mut new = roles.iter().filter(|role| !had.contains(role));
    new.try_for_each(|role| input::role(role, "roles").map(drop))?;
    let has = |roles: &[String]| roles.iter().any(|role| role == OPERATOR);
    if has(roles) != has(had) {
        return Err(Refusal::new(Code::Forbidden, "operators are managed on the command line"));
    }
    Ok(())
}
