//! One revocation, in memory and in the store.

use tidings_core::Org;
use tidings_store::revocations::{NewRevocation, Revocation as Stored, Revoked as What};
use tidings_store::{StoreError, Tx};

use super::Target;
use crate::signin::now_seconds;
use crate::signin::revoked::{Full, Revocation, Revoked, Why};

/// Tokens that are called back. Times are in seconds since 1970.
#[derive(Debug)]
pub(crate) struct CallBack<'a> {
    pub(crate) org: &'a Org,
    pub(crate) target: Target,
    /// Tokens made in this second are good; a token's id calls it back whenever it was made.
    pub(crate) before: u64,
    /// The last of them has ended by itself.
    pub(crate) until: u64,
    pub(crate) why: Why,
    /// In words, for the store.
    pub(crate) reason: &'a str,
}

impl<'a> CallBack<'a> {
    /// What the store has told of: a revocation, a change of rights, or the one and then the other.
    pub(super) fn of(stored: &'a Stored) -> impl Iterator<Item = Self> {
        let (refused, issued) = (stored.refused_before_ms, stored.issued_before_ms);
        let revoked = (refused > 0 || issued == 0).then_some((refused, Why::Revoked));
        let rights = (issued > refused).then_some((issued, Why::Rights));
        revoked.into_iter().chain(rights).map(|(before_ms, why)| {
            let target = match &stored.what {
                What::Token(id) => Target::Token(id.into()),
                What::User(user) => Target::User(user.into()),
                What::Org => Target::Org,
            };
            let (before, until) = (before_ms.div_ceil(1_000), stored.expires_ms / 1_000);
            Self { org: &stored.org, target, before, until, why, reason: &stored.reason }
        })
    }

    fn revocation(&self) -> Revocation {
        let org = self.org.clone();
        match &self.target {
            Target::Token(id) => Revocation::Token { org, id: id.clone() },
            Target::User(user) => Revocation::User { org, user: user.clone(), before: self.before },
            Target::Org => Revocation::Org { org, before: self.before },
        }
    }

    /// Whether there is a place for it on this node.
    ///
    /// # Errors
    /// [`Full`]: there is none, or the organisation has its share.
    pub(crate) fn admit(&self, revoked: &Revoked) -> Result<(), Full> {
        revoked.admit(&self.revocation(), now_seconds())
    }

    /// Puts it in force on this node, where every door asks; whether it called anything back that was not.
    ///
    /// # Errors
    /// [`Full`]: it is not in force.
    pub(crate) fn enforce(&self, revoked: &Revoked) -> Result<bool, Full> {
        revoked.add_because(self.revocation(), self.why, self.until, now_seconds())
    }

    /// Writes it down in a transaction that the caller commits; other nodes learn of it from there.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let what = match &self.target {
            Target::Token(id) => What::Token(id.to_string()),
            Target::User(user) => What::User(user.to_string()),
            Target::Org => What::Org,
        };
        let new = NewRevocation {
            what: &what,
            issued_before_ms: self.before.saturating_mul(1_000),
            expires_ms: self.until.saturating_mul(1_000),
            rights_alone: self.why == Why::Rights,
            reason: self.reason,
        };
        tx.revoke(self.org, &new).await.map(drop)
    }
}
