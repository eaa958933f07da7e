//! A second factor: codes of a device ([`totp`]), and recovery codes for whoever lost it.
//!
//! It is asked for where a password is: on signing in, before exports, and before it is turned off. Wrong codes are
//! counted with wrong passwords.

use serde::Serialize;
use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::second_factors::SecondFactor;
use tidings_store::users::User;
use tidings_store::{Digest, Tx};

use super::totp::{self, base32};
use super::{Accounts, FAILURES, FAILURES_TIME, attempts, stored, unavailable};
use crate::audit::{Action, Actor, Entry};
use crate::shared::wall_ms;

/// Recovery codes that somebody has at first.
const CODES: usize = 10;
/// Bytes of one: nobody finds 80 random bits by their digest, so it needs no slow hash.
const CODE: usize = 10;
/// Characters of a code in base32, and between which there is a line.
const CODE_TEXT: usize = 16;
const CODE_PART: usize = 4;
/// Bytes of what is typed as a code at most.
const TYPED: usize = 64;

/// Who the codes of an app are said to be for.
const ISSUER: &str = "Tidings";

/// A secret that is shown once.
#[derive(Debug, Serialize)]
pub(crate) struct Begun {
    /// In base32, to be typed.
    secret: String,
    /// The same for an app, as a QR code has it.
    uri: String,
}

/// Somebody who may go on, in the transaction in which that was found.
pub(super) struct Passed {
    pub(super) tx: Tx,
    /// A second factor was asked for.
    pub(super) has_factor: bool,
    /// It was a recovery code, and so many are left.
    recovery_left: Option<u64>,
}

fn needed() -> Refusal {
    Refusal::new(Code::SecondFactor, "the code of the second factor is needed")
}

fn wrong() -> Refusal {
    Refusal::new(Code::SecondFactor, "the code is wrong, or was used already")
}

fn none() -> Refusal {
    Refusal::new(Code::NotFound, "there is no second factor")
}

/// Whom something is sealed for.
fn whose(org: &Org, user: &str) -> String {
    format!("{}\0{user}", org.as_str())
}

/// What is kept of a recovery code.
fn digest_of(org: &Org, user: &str, code: &str) -> Digest {
    Digest::of(format!("recovery code\0{}\0{code}", whose(org, user)).as_bytes())
}

/// A code without what people put between its characters.
fn plain(typed: &str) -> Result<String, Refusal> {
    if typed.len() > TYPED {
        return Err(Refusal::new(Code::BadRequest, "code: is longer than 64 bytes"));
    }
    let between = |c: &char| !c.is_whitespace() && *c != '-';
    Ok(typed.chars().filter(between).collect::<String>().to_ascii_uppercase())
}

impl Accounts {
    /// Makes a secret for an account, and shows it; it is asked for once a code has proved that somebody has it.
    ///
    /// # Errors
    /// As [`Accounts::by_password`]; `forbidden` if the address is not verified, for whoever proves it later has to get in;
    /// `conflict` if there is a second factor.
    pub(crate) async fn begin_second_factor(&self, who: &Identity, password: &str) -> Result<Begun, Refusal> {
        let user = self.by_password(who, password).await?;
        let mut secret = [0; totp::SECRET];
        getrandom::fill(&mut secret).map_err(unavailable)?;
        let sealed = self.sign_in.seals().seal(&secret, &whose(&who.org, &user.id)).map_err(unavailable)?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = self.still(&mut tx, &who.org, &user).await?;
        if !user.email_verified {
            return Err(Refusal::new(Code::Forbidden, "the e-mail address is not verified yet"));
        }
        tx.begin_second_factor(&who.org, &user.id, &sealed).await.map_err(stored)?;
        tx.forget_failed_logins(&who.org, &user.id).await.map_err(stored)?;
        tx.commit().await.map_err(stored)?;
        self.failures.forget(&attempts::key(&who.org, &user.email));
        let secret = base32(&secret);
        let account = super::oidc::encoded(&user.email);
        let uri = format!("otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}");
        Ok(Begun { secret, uri })
    }

    /// Turns a second factor on whose secret was shown, by a code of it; answers the recovery codes, which are shown once.
    ///
    /// # Errors
    /// `second_factor` for a wrong code, `rate_limited` after too many; `not_found` if none was begun, `conflict` if it is
    /// on.
    pub(crate) async fn turn_on_second_factor(
        &self,
        who: &Identity,
        code: &str,
    ) -> Result<Vec<String>, Refusal> {
        let (org, user, code) = (&who.org, self.owner(who).await?, plain(code)?);
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = self.held(&mut tx, org, &user.id).await?.ok_or_else(none)?;
        let factor = tx.second_factor(org, &user.id).await.map_err(stored)?.ok_or_else(none)?;
        if factor.on_ms.is_some() {
            return Err(Refusal::new(Code::Conflict, "a second factor is on already"));
        }
        self.may_try(org, &user)?;
        if !self.is_code(&mut tx, org, &user, &factor, &code).await? {
            return Err(self.wrong_code(tx, org, &user).await);
        }
        tx.turn_on_second_factor(org, &user.id, wall_ms()).await.map_err(stored)?;
        let codes = fresh_codes(&mut tx, org, &user.id).await?;
        // In the store as well: it would lock somebody out for what was forgiven.
        tx.forget_failed_logins(org, &user.id).await.map_err(stored)?;
        tx.commit().await.map_err(stored)?;
        self.failures.forget(&attempts::key(org, &user.email));
        Ok(codes)
    }

    /// Turns the second factor off; the recovery codes go with it.
    ///
    /// # Errors
    /// As [`Accounts::by_all`].
    pub(crate) async fn turn_off_second_factor(
        &self,
        who: &Identity,
        password: &str,
        code: Option<&str>,
    ) -> Result<(), Refusal> {
        let (mut passed, user) = self.by_all(who, password, code).await?;
        if !passed.tx.remove_second_factor(&who.org, &user.id).await.map_err(stored)? {
            return Err(none());
        }
        self.go_on(passed, &who.org, &user).await
    }

    /// Makes recovery codes anew; those from before are good no more.
    ///
    /// # Errors
    /// As [`Accounts::by_all`].
    pub(crate) async fn new_recovery_codes(
        &self,
        who: &Identity,
        password: &str,
        code: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let (mut passed, user) = self.by_all(who, password, code).await?;
        if !passed.has_factor {
            return Err(none());
        }
        let codes = fresh_codes(&mut passed.tx, &who.org, &user.id).await?;
        self.go_on(passed, &who.org, &user).await?;
        Ok(codes)
    }

    /// The account of whoever asks, once their password was right; they may be asked for more.
    ///
    /// # Errors
    /// `not_found` without an account; `forbidden` if the password is wrong or there is none, so that nobody takes it for
    /// a sign-in that has ended; `rate_limited`, `unavailable`.
    pub(super) async fn by_password(&self, who: &Identity, password: &str) -> Result<User, Refusal> {
        super::input::any_password(password)?;
        let user = self.owner(who).await?;
        if user.password_hash.is_none() {
            return Err(Refusal::new(Code::Forbidden, "this account has no password; sign in again"));
        }
        self.with_password(&user.email, password, &who.org).await.map_err(|refusal| match refusal.code {
            Code::Unauthorized => Refusal::new(Code::Forbidden, "the password is wrong"),
            _ => refusal,
        })
    }

    /// The same with the code of the second factor, if there is one.
    ///
    /// # Errors
    /// As [`Accounts::by_password`] and [`Accounts::second_step`].
    pub(super) async fn by_all(
        &self,
        who: &Identity,
        password: &str,
        code: Option<&str>,
    ) -> Result<(Passed, User), Refusal> {
        let user = self.by_password(who, password).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = self.still(&mut tx, &who.org, &user).await?;
        Ok((self.second_step(tx, &who.org, &user, code).await?, user))
    }

    /// Asks a user whom the transaction holds, and whose password was right, for the code of the second factor, if there
    /// is one. A code is used up by it, as soon as the transaction is committed: [`Accounts::go_on`].
    ///
    /// # Errors
    /// `second_factor` without a code or with a wrong one; `rate_limited` after too many of these.
    pub(super) async fn second_step(
        &self,
        mut tx: Tx,
        org: &Org,
        user: &User,
        code: Option<&str>,
    ) -> Result<Passed, Refusal> {
        let factor = tx.second_factor(org, &user.id).await.map_err(stored)?;
        let Some(factor) = factor.filter(|factor| factor.on_ms.is_some()) else {
            return Ok(Passed { tx, has_factor: false, recovery_left: None });
        };
        let code = plain(code.ok_or_else(needed)?)?;
        self.may_try(org, user)?;
        let is_recovery = code.len() == CODE_TEXT;
        let is_good = match is_recovery {
            true => {
                let digest = digest_of(org, &user.id, &code);
                tx.use_recovery_code(org, &user.id, &digest).await.map_err(stored)?
            }
            false => self.is_code(&mut tx, org, user, &factor, &code).await?,
        };
        if !is_good {
            return Err(self.wrong_code(tx, org, user).await);
        }
        let recovery_left = match is_recovery {
            true => Some(tx.recovery_codes_left(org, &user.id).await.map_err(stored)?),
            false => None,
        };
        Ok(Passed { tx, has_factor: true, recovery_left })
    }

    /// Commits what somebody may do, forgets how often they were wrong, and notes the use of a recovery code.
    ///
    /// # Errors
    /// What the store says; then nothing is done, and no code used up.
    pub(super) async fn go_on(&self, passed: Passed, org: &Org, user: &User) -> Result<(), Refusal> {
        let Passed { mut tx, recovery_left, .. } = passed;
        tx.forget_failed_logins(org, &user.id).await.map_err(stored)?;
        tx.commit().await.map_err(stored)?;
        self.failures.forget(&attempts::key(org, &user.email));
        if let Some(left) = recovery_left {
            let whose = Actor::User(user.id.as_str().into());
            self.audit.note(Entry::ok(Action::RecoveryUsed).by(whose).of(org).with(format!("{left} left")));
        }
        Ok(())
    }

    /// The account of whoever asks.
    async fn owner(&self, who: &Identity) -> Result<User, Refusal> {
        let none = || Refusal::new(Code::NotFound, "there is no account for this token");
        let id = who.user.as_deref().ok_or_else(none)?;
        let user = self.store.read().await.map_err(stored)?.user(&who.org, id).await.map_err(stored)?;
        user.ok_or_else(none)
    }

    /// Whether a code of somebody whom the transaction holds is looked at: those who guess come one after the other, and
    /// each is counted before the next is let in.
    fn may_try(&self, org: &Org, user: &User) -> Result<(), Refusal> {
        self.failures.admit(&attempts::key(org, &user.email))?;
        if user.locked_until_ms > wall_ms() {
            return Err(Refusal::new(Code::RateLimited, "too many attempts; wait before the next"));
        }
        Ok(())
    }

    /// Whether it is a code of the device, which is used up then.
    async fn is_code(
        &self,
        tx: &mut Tx,
        org: &Org,
        user: &User,
        factor: &SecondFactor,
        code: &str,
    ) -> Result<bool, Refusal> {
        let whose = whose(org, &user.id);
        let Some(opened) = self.sign_in.seals().open(&factor.sealed, &whose) else {
            tracing::error!(
                org = org.as_str(),
                user = user.id,
                "a second factor was sealed with another signing secret"
            );
            return Ok(false);
        };
        let Some(step) = totp::step_of(&opened.plain, code, wall_ms(), factor.last_step) else {
            return Ok(false);
        };
        if !opened.is_current {
            let sealed = self.sign_in.seals().seal(&opened.plain, &whose).map_err(unavailable)?;
            tx.reseal_second_factor(org, &user.id, &sealed).await.map_err(stored)?;
        }
        tx.take_step(org, &user.id, step).await.map_err(stored)
    }

    /// Counts a wrong code as a wrong password is counted, here and in the store, before anybody else is let in.
    async fn wrong_code(&self, mut tx: Tx, org: &Org, user: &User) -> Refusal {
        self.failures.count(attempts::key(org, &user.email));
        let now = wall_ms();
        let until = now + FAILURES_TIME.as_millis() as u64;
        let counted = async {
            tx.count_failed_login(org, &user.id, FAILURES, now, until).await?;
            tx.commit().await
        };
        counted.await.map_or_else(stored, |()| wrong())
    }
}

/// Gives a user recovery codes that are new, and answers them as they are shown.
async fn fresh_codes(tx: &mut Tx, org: &Org, user: &str) -> Result<Vec<String>, Refusal> {
    let mut bytes = [0; CODE * CODES];
    getrandom::fill(&mut bytes).map_err(unavailable)?;
    let codes: Vec<String> = bytes.chunks(CODE).map(base32).collect();
    let digests: Vec<Digest> = codes.iter().map(|code| digest_of(org, user, code)).collect();
    tx.set_recovery_codes(org, user, &digests).await.map_err(stored)?;
    Ok(codes.iter().map(|code| in_parts(code)).collect())
}

fn in_parts(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    let parts: Vec<String> = letters.chunks(CODE_PART).map(|part| part.iter().collect()).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_recovery_code_is_read_however_it_is_typed() {
        let code = base32(&[0x5a; CODE]);
        assert_eq!(code.len(), CODE_TEXT);
        let shown = in_parts(&code);
        assert_eq!(shown.len(), CODE_TEXT + 3);
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " "), format!(" {code}\t")] {
            assert_eq!(plain(&typed).unwrap(), code);
        }
        assert_eq!(plain("123 456").unwrap(), "123456");
        assert_eq!(plain(&"1".repeat(65)).unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn the_same_recovery_code_of_another_is_kept_as_another() {
        let (org, other) = (Org::default(), Org::new("other"));
        assert_ne!(digest_of(&org, "ada", "A"), digest_of(&org, "bob", "A"));
        assert_ne!(digest_of(&org, "ada", "A"), digest_of(&other, "ada", "A"));
    }
}
