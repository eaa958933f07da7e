//! Asking for the password again: whoever finds a screen that is signed in takes nothing away as a whole, and lets
//! nobody in who stays when the screen is locked.

use tidings_core::{Code, Identity, Refusal};
use tidings_store::Reader;
use tidings_store::second_factors::Signed;

use super::{Accounts, secret, stored};
use crate::shared::wall_ms;

/// An access token lives no longer, whatever is or was configured, and clocks may differ by a minute.
const TOKENS_MS: u64 = 3_660_000;
/// Tokens of one user that are looked through; of somebody who has made more in an hour none is exempt.
const SIGNED: u32 = 1_000;

fn again() -> Refusal {
    Refusal::new(Code::PasswordAgain, "the password is asked for again before this")
}

impl Accounts {
    /// Proves again who has signed in; answers for how many seconds it counts.
    ///
    /// # Errors
    /// As [`Accounts::by_all`]; `forbidden` for a token that is of no sign-in here.
    pub(crate) async fn confirm(
        &self,
        who: &Identity,
        password: &str,
        code: Option<&str>,
    ) -> Result<u64, Refusal> {
        let (mut passed, user) = self.by_all(who, password, code).await?;
        let of_none = || Refusal::new(Code::Forbidden, "this token is of no sign-in; sign in again");
        let signed = sign_in_of(&mut passed.tx, who).await?.ok_or_else(of_none)?;
        if !passed.tx.prove_family(&who.org, &signed.family, wall_ms()).await.map_err(stored)? {
            return Err(of_none());
        }
        self.go_on(passed, &who.org, &user).await?;
        Ok(self.rules.confirm_ms / 1_000)
    }

    /// Whether whoever asks has proved lately who they are. Keys, and tokens that others have made or the command line,
    /// come from no sign-in, and have no password to ask for.
    ///
    /// # Errors
    /// `password_again`
    pub(crate) async fn proved_lately(&self, who: &Identity) -> Result<(), Refusal> {
        let mut records = self.store.read().await.map_err(stored)?;
        match sign_in_of(&mut records, who).await? {
            Some(signed) if wall_ms().saturating_sub(signed.proved_ms) >= self.rules.confirm_ms => {
                Err(again())
            }
            _ => Ok(()),
        }
    }
}

/// The sign-in of an access token, if it is of one.
async fn sign_in_of(records: &mut Reader, who: &Identity) -> Result<Option<Signed>, Refusal> {
    let (Some(user), Some(token), false) = (who.user.as_deref(), who.token_id.as_deref(), who.is_key) else {
        return Ok(None);
    };
    let since = wall_ms().saturating_sub(TOKENS_MS);
    let signed = records.signed_since(&who.org, user, since, SIGNED).await.map_err(stored)?;
    let are_all = signed.len() < SIGNED as usize;
    let found = signed.into_iter().find(|one| secret::token_id(&one.digest) == token);
    if found.is_none() && !are_all { Err(again()) } else { Ok(found) }
}
