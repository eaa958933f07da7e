//! Signing in with a password.

use tidings_core::{Code, Org, Refusal};
use tidings_store::Tx;
use tidings_store::users::{Status, User};

use super::session::SignedIn;
use super::{Accounts, FAILURES, FAILURES_TIME, attempts, input, stored};
use crate::shared::wall_ms;

/// What everybody is told whose password is not right: whether there is an account is not said.
fn wrong() -> Refusal {
    Refusal::new(Code::Unauthorized, "the e-mail address or the password is wrong")
}

impl Accounts {
    /// Signs in with address and password, and the code of the second factor where there is one.
    ///
    /// # Errors
    /// `unauthorized` if they do not fit; `rate_limited` after five that did not; `forbidden` if the
    /// address has to be verified first; `second_factor` if the code is missing or wrong, and nothing else is;
    /// `unavailable` if too many sign in at once.
    pub(crate) async fn login(
        &self,
        email: &str,
        password: &str,
        code: Option<&str>,
        org: &Org,
    ) -> Result<SignedIn, Refusal> {
        let email = input::email(email)?;
        input::any_password(password)?;
        let user = self.with_password(email, password, org).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = self.still(&mut tx, org, &user).await?;
        if self.rules.verified_only && !user.email_verified {
            return Err(Refusal::new(Code::Forbidden, "the e-mail address is not verified yet"));
        }
        let mut passed = self.second_step(tx, org, &user, code).await?;
        let signed_in = self.begin_session(&mut passed.tx, org, &user, true).await?;
        self.go_on(passed, org, &user).await?;
        Ok(signed_in)
    }

    /// Somebody whose password was right, as they are now, and held until the transaction ends: an administrator may
    /// have said no while it was looked at, or its owner set another one.
    ///
    /// # Errors
    /// `unauthorized`, as if the password were wrong.
    pub(super) async fn still(&self, tx: &mut Tx, org: &Org, user: &User) -> Result<User, Refusal> {
        let now = self.held(tx, org, &user.id).await?;
        now.filter(|now| now.password_hash == user.password_hash).ok_or_else(wrong)
    }

    /// The user whose password this is. It takes as long for an address that nobody has. Wrong ones are not forgotten by
    /// it: a code may be asked for as well, and nobody gets five more guesses at that by the password.
    pub(super) async fn with_password(
        &self,
        email: &str,
        password: &str,
        org: &Org,
    ) -> Result<User, Refusal> {
        let key = attempts::key(org, email);
        self.failures.admit(&key)?;
        let mut records = self.store.read().await.map_err(stored)?;
        let user = records.user_by_email(org, email).await.map_err(stored)?;
        // Nobody waits for a hash with a connection in hand.
        drop(records);
        let now = wall_ms();
        let usable = |user: &&User| user.status == Status::Active && user.locked_until_ms <= now;
        let hash = user.as_ref().filter(usable).and_then(|user| user.password_hash.clone());
        let right = self.passwords.is_right(password.to_owned(), hash).await?;
        // Of many guesses at once only the first few are answered: who came to wait is refused now.
        self.failures.admit(&key)?;
        match user {
            Some(user) if right => Ok(user),
            user => {
                self.failures.count(key);
                if let Some(user) = user {
                    self.note_failure(org.clone(), user.id);
                }
                Err(wrong())
            }
        }
    }

    /// Counts a wrong password for all nodes, after the answer: it would tell by its time that there is an account.
    fn note_failure(&self, org: Org, user: String) {
        let store = self.store.clone();
        // As many at once as passwords are looked at, for each comes from one.
        tokio::spawn(async move {
            let now = wall_ms();
            let lock_until = now + FAILURES_TIME.as_millis() as u64;
            let counted = async {
                let mut tx = store.begin().await?;
                tx.count_failed_login(&org, &user, FAILURES, now, lock_until).await?;
                tx.commit().await
            };
            if let Err(error) = counted.await {
                tracing::warn!(%error, "a wrong password was counted on this node alone");
            }
        });
    }
}
