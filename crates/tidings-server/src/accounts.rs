//! Accounts: people with an e-mail address, how they sign in, and what administrators may do with them.
//!
//! Rules and records, without HTTP: the front asks, the store keeps, sign-in makes the tokens.
//!
//! | file | what it is |
//! |---|---|
//! | `input` | what an address, a name and a password may be |
//! | `password` | slow hashes, few at a time |
//! | `attempts` | how often somebody may fail |
//! | `secret` | refresh tokens and links: 256 random bits, of which a digest is kept |
//! | `set_up` | the first administrator |
//! | `register`, `login`, `session`, `change` | what people do |
//! | `second_factor`, `totp` | codes beside the password |
//! | `confirm` | asking for the password again |
//! | `oidc` | signing in elsewhere |
//! | `members`, `keys` | what administrators do; keys of programs |
//! | `mail` | the outbox and the seam to whoever sends |

pub(crate) mod attempts;
mod change;
mod confirm;
pub mod input;
pub mod keys;
mod login;
pub mod mail;
pub(crate) mod members;
pub(crate) mod oidc;
pub mod password;
pub(crate) mod register;
mod second_factor;
pub(crate) mod secret;
pub(crate) mod session;
pub mod set_up;
mod totp;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_core::{Code, Org, Refusal};
use tidings_store::users::{Status, User};
use tidings_store::{Store, StoreError, Tx};

use crate::audit::{Action, Actor, Audit, Entry, entry_of};
use crate::config::{Config, Register};
use crate::live::{CallBack, Target};
use crate::shared::wall_ms;
use crate::signin::revoked::Why;
use crate::signin::{SignIn, now_seconds};
use attempts::Attempts;
pub use change::drop_password_links;
use mail::Outbox;
use oidc::Oidc;
use password::Passwords;

/// Characters of a password at least, whatever is configured, and without `demo`.
const LEAST_ALWAYS: usize = 8;
pub(crate) const LEAST_SAFE: usize = 12;

/// A link to verify an address works so long, one to reset a password, one that invites.
const VERIFY_MS: u64 = 24 * 3_600_000;
const RESET_MS: u64 = 30 * 60_000;
const INVITE_MS: u64 = 7 * 24 * 3_600_000;

/// Seconds in which two windows may race with one refresh token, at most.
const GRACE_MOST: u64 = 60;

/// Wrong passwords of one address before it has to wait, and how long.
const FAILURES: u32 = 5;
const FAILURES_TIME: Duration = Duration::from_secs(15 * 60);

/// Mails to one address that anybody can cause, and in what time.
const MAILS: u32 = 5;
const MAILS_TIME: Duration = Duration::from_secs(3_600);

/// The accounts of a server.
pub(crate) struct Accounts {
    pub(crate) store: Store,
    sign_in: Arc<SignIn>,
    audit: Arc<Audit>,
    pub(crate) rules: Rules,
    /// Mails are sent; without anybody to do so they are written to the log.
    pub(crate) sends_mail: bool,
    passwords: Passwords,
    failures: Attempts,
    mails: Attempts,
    outbox: Arc<Outbox>,
    oidc: Oidc,
    set_up: set_up::Pending,
}

/// What is configured.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    register: Register,
    verified_only: bool,
    pub(crate) password_least: usize,
    pub(crate) access_seconds: u64,
    refresh_ms: u64,
    refresh_grace_ms: u64,
    /// How long a proof of who somebody is counts.
    confirm_ms: u64,
    link_url: String,
    /// Browsers reach this server by https, so cookies need it.
    pub(crate) secure: bool,
}

impl Rules {
    /// Reads them; `base` is where the server is reached if nothing is configured.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(crate) fn new(config: &Config, loopback: bool, base: &str) -> Result<Self, String> {
        let accounts = &config.accounts;
        let least = accounts.password_least;
        if least < LEAST_SAFE && !config.demo || least < LEAST_ALWAYS {
            return Err(format!(
                "`accounts.password_least` is {least}; fewer than {LEAST_SAFE} characters are for --demo alone, \
                 fewer than {LEAST_ALWAYS} for nobody"
            ));
        }
        let register = match accounts.register {
            Register::Loopback if loopback => Register::Open,
            Register::Loopback => Register::Invited,
            said => said,
        };
        let base = if accounts.public_url.is_empty() { base } else { accounts.public_url.as_str() };
        let page = format!("{}/account", base.trim_end_matches('/'));
        Ok(Self {
            register,
            verified_only: accounts.verified_only,
            password_least: if config.demo { LEAST_ALWAYS } else { least },
            access_seconds: accounts.access_seconds.clamp(60, 3_600),
            refresh_ms: accounts.refresh_seconds.saturating_mul(1_000),
            refresh_grace_ms: accounts.refresh_grace_seconds.min(GRACE_MOST) * 1_000,
            confirm_ms: accounts.confirm_seconds.saturating_mul(1_000),
            secure: config.behind_proxy || base.starts_with("https://"),
            link_url: if accounts.link_url.is_empty() { page } else { accounts.link_url.clone() },
        })
    }
}

impl Accounts {
    pub(crate) fn new(
        store: Store,
        sign_in: Arc<SignIn>,
        audit: Arc<Audit>,
        rules: Rules,
        outbox: Arc<Outbox>,
        oidc: Oidc,
    ) -> Self {
        Self {
            store,
            sign_in,
            audit,
            rules,
            sends_mail: false,
            passwords: Passwords::new(),
            failures: Attempts::new(FAILURES, FAILURES_TIME),
            mails: Attempts::new(MAILS, MAILS_TIME),
            outbox,
            oidc,
            set_up: set_up::Pending::default(),
        }
    }

    /// With a link that makes its reader the first administrator.
    pub(crate) fn with_set_up(mut self, link: Option<set_up::SetUp>) -> Self {
        self.set_up = set_up::Pending::new(link);
        self
    }

    /// Passwords that were hashed to be compared since the start.
    pub(crate) fn passwords_looked_at(&self) -> u64 {
        self.passwords.looked_at()
    }

    /// Somebody who may sign in, held until the transaction ends: whoever changes them comes before, and what they
    /// did is seen, or after, and calls back what is signed here.
    async fn held(&self, tx: &mut Tx, org: &Org, id: &str) -> Result<Option<User>, Refusal> {
        let user = tx.hold_user(org, id).await.map_err(stored)?;
        Ok(user.filter(|user| user.status == Status::Active))
    }

    /// Writes down that every access token a user has is called back. The transaction has to hold the user, and
    /// to end by [`Accounts::commit`].
    async fn call_back<'a>(
        &self,
        tx: &mut Tx,
        org: &'a Org,
        user: &str,
        why: Why,
        reason: &'a str,
    ) -> Result<CallBack<'a>, Refusal> {
        let before = tx.after_tokens(org, user, wall_ms()).await.map_err(stored)? / 1_000;
        let (target, until) = (Target::User(user.into()), self.tokens_end());
        self.write_down(tx, CallBack { org, target, before, until, why, reason }).await
    }

    /// The same for one token by its id, which would have ended at `until` in seconds since 1970.
    async fn call_back_one<'a>(
        &self,
        tx: &mut Tx,
        org: &'a Org,
        id: &str,
        until: u64,
    ) -> Result<CallBack<'a>, Refusal> {
        let (target, before) = (Target::Token(id.into()), now_seconds());
        let call_back = CallBack { org, target, before, until, why: Why::Revoked, reason: "signed out" };
        self.write_down(tx, call_back).await
    }

    /// When the last access token that was made until now has ended: clocks may differ by half a minute.
    fn tokens_end(&self) -> u64 {
        now_seconds() + self.rules.access_seconds + 60
    }

    async fn write_down<'a>(&self, tx: &mut Tx, call_back: CallBack<'a>) -> Result<CallBack<'a>, Refusal> {
        call_back.admit(self.sign_in.revoked()).map_err(|full| {
            tracing::error!(%full, "there is no place for a revocation, so nothing is changed");
            Refusal::from(&StoreError::Overflow("revocations"))
        })?;
        call_back.write(tx).await.map_err(stored)?;
        Ok(call_back)
    }

    /// Commits, and then puts in force here what was called back; other nodes learn of it from the store.
    ///
    /// Not before: a token signed meanwhile would be dated behind a revocation that it does not know of yet.
    /// Connections of the tokens' bearers are closed when the store is next followed ([`crate::live`]).
    async fn commit(
        &self,
        tx: Tx,
        called_back: impl IntoIterator<Item = CallBack<'_>>,
    ) -> Result<(), Refusal> {
        tx.commit().await.map_err(stored)?;
        for call_back in called_back {
            if let Err(full) = call_back.enforce(self.sign_in.revoked()) {
                tracing::error!(%full, "a revocation is written down, but not in force on this node");
            }
        }
        Ok(())
    }
}

/// Makes an organisation unless there is one, and writes that down in the same transaction.
///
/// # Errors
/// What the store says.
pub async fn ensure_org(tx: &mut Tx, org: &Org, by: Actor) -> Result<(), StoreError> {
    let now = wall_ms();
    if tx.ensure_org(org, now).await? {
        let made = Entry::ok(Action::OrgCreate).by(by).of(org).on(org.as_str().to_owned());
        tx.append_audit(&[entry_of(made)], now).await?;
    }
    Ok(())
}

/// Waits for the next tenth of a second since `begun`: how much was written must not show in the time.
async fn evened(begun: Instant) {
    const STEP_MS: u64 = 100;
    let passed = begun.elapsed().as_millis() as u64;
    let left = begun + Duration::from_millis((passed / STEP_MS + 1) * STEP_MS);
    tokio::time::sleep_until(left.into()).await;
}

/// What a client is told of a fault in the store; the operator is told all of it.
fn stored(error: StoreError) -> Refusal {
    if !matches!(error, StoreError::Conflict(_) | StoreError::NotFound(_) | StoreError::Invalid(_)) {
        tracing::error!(%error, "accounts: the store");
    }
    Refusal::from(&error)
}

/// The system has no randomness, or something else that is nobody's fault.
fn unavailable(error: impl std::fmt::Display) -> Refusal {
    tracing::error!(%error, "accounts");
    Refusal::new(Code::Unavailable, "it cannot be done now")
}
