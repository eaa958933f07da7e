//! What members have is summed up now and then, so that whoever follows finds out that something is missing.

use std::collections::BTreeSet;

use super::{Executed, Room, Told};

/// After so many things told of an account its digest is: counted from the journal, so that a replay, another server and
/// an auditor say the same at the same place.
pub const DIGEST_EVERY: u64 = 16;

impl Told {
    /// Whose account it is about.
    fn whose(&self) -> Option<&str> {
        match self {
            Self::Executed(Executed { user, .. })
            | Self::Placed { user, .. }
            | Self::Cancelled { user, .. }
            | Self::Failed { user, .. }
            | Self::Position { user, .. }
            | Self::Closed { user, .. }
            | Self::Portfolio { user, .. } => Some(user),
            Self::State { .. }
            | Self::Joined { .. }
            | Self::Left { .. }
            | Self::Marked { .. }
            | Self::Digest { .. } => None,
        }
    }
}

impl Room {
    /// Counts what is told of accounts, and tells the digests that are due behind it, by user.
    pub(super) fn sum_up(&mut self, told: &mut Vec<Told>) {
        let mut due = BTreeSet::new();
        for user in told.iter().filter_map(Told::whose) {
            let Some(account) = self.accounts.get_mut(user) else { continue };
            account.told += 1;
            if account.told.is_multiple_of(DIGEST_EVERY) {
                due.insert(user.to_owned());
            }
        }
        // Who has left hears nothing more.
        told.extend(due.into_iter().filter_map(|user| {
            let digest = self.account_digest(&user).ok()?;
            Some(Told::Digest { user, digest })
        }));
    }
}
