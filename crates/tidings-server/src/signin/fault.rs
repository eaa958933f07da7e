//! What can be wrong with a token, for the log and the metrics; clients are told less.

use std::sync::atomic::{AtomicU64, Ordering};

use tidings_core::{Code, Refusal};

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It is longer than [`super::TOKEN_BYTES`].
    TooLong,
    /// It is not three parts of base64url, or its header or claims are not strict JSON.
    Malformed,
    /// Its header carries something that is never followed: a key, an address, a critical extension.
    Header,
    /// Its algorithm is none we take, or not the one of the key it names.
    Algorithm,
    /// Nobody we trust has a key of that name.
    UnknownKey,
    /// The signature is not one of the key's.
    Signature,
    /// It is over.
    Expired,
    /// It has not begun, or was made in the future.
    NotYet,
    /// A claim is missing or of the wrong type.
    Claims,
    /// It names no user, or one that cannot be.
    User,
    /// The issuer is not the one that is demanded.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// Its issuer may not speak for that organisation.
    Organisation,
    /// It was made for another purpose than access.
    Purpose,
    /// It was called back.
    Revoked,
    /// Too many tokens wait for keys at once.
    Busy,
}

impl Fault {
    /// Every fault, for metrics and tests.
    pub const ALL: [Self; 16] = [
        Self::TooLong,
        Self::Malformed,
        Self::Header,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NotYet,
        Self::Claims,
        Self::User,
        Self::Issuer,
        Self::Audience,
        Self::Organisation,
        Self::Purpose,
        Self::Revoked,
        Self::Busy,
    ];

    /// A short word for metrics and the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Claims => "claims",
            Self::User => "user",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Organisation => "organisation",
            Self::Purpose => "purpose",
            Self::Revoked => "revoked",
            Self::Busy => "busy",
        }
    }

    /// Whether somebody may be trying what passes. A token that was good, will be, or waits for its issuer's
    /// keys is shown by an honest client: its address is not kept out for that.
    pub(crate) const fn may_be_a_guess(self) -> bool {
        !matches!(self, Self::Expired | Self::NotYet | Self::Revoked | Self::UnknownKey | Self::Busy)
    }

    /// What the client is told: no more than it needs to know what to do next.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Expired => Refusal::new(Code::TokenExpired, "the token has expired"),
            Self::TooLong => Refusal::new(Code::Unauthorized, "the token is too long"),
            Self::User => Refusal::new(Code::Unauthorized, "the token names no user"),
            Self::Busy => Refusal::new(Code::Unavailable, "too many tokens wait for their keys"),
            _ => Refusal::new(Code::Unauthorized, "the token is not valid"),
        }
    }
}

/// How often each fault was found.
#[derive(Debug, Default)]
pub(super) struct Faults([AtomicU64; Fault::ALL.len()]);

impl Faults {
    /// Counts a fault and turns it into what the client is told.
    pub(super) fn count(&self, fault: Fault) -> Refusal {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
        tracing::debug!(fault = fault.label(), "a token was refused");
        fault.refusal()
    }

    /// Every fault with its count.
    pub(super) fn read(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().map(|fault| (fault, self.0[fault as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_counts_in_its_own_place() {
        for (at, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, at, "{}", fault.label());
        }
    }
}
