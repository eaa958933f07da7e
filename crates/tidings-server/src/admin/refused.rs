//! How often each code was told: commands refused on sockets, requests refused by HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

use tidings_core::Code;

/// Every code, in the order in which counts are kept.
pub(crate) const CODES: [Code; 12] = [
    Code::BadRequest,
    Code::Unauthorized,
    Code::TokenExpired,
    Code::Forbidden,
    Code::SecondFactor,
    Code::PasswordAgain,
    Code::NotFound,
    Code::Conflict,
    Code::TooLarge,
    Code::RateLimited,
    Code::Unavailable,
    Code::StorageFull,
];

/// A count for each of [`CODES`].
pub(crate) type ByCode = [u64; CODES.len()];

/// How often each code was told since the start.
#[derive(Debug, Default)]
pub(crate) struct Refused([AtomicU64; CODES.len()]);

impl Refused {
    /// Counts one.
    pub(crate) fn count(&self, code: Code) {
        if let Some(at) = CODES.iter().position(|known| *known == code) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All of them.
    pub(crate) fn counts(&self) -> ByCode {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_count_of_its_own() {
        let refused = Refused::default();
        for (times, code) in CODES.into_iter().enumerate() {
            (0..=times).for_each(|_| refused.count(code));
        }
        assert_eq!(refused.counts(), std::array::from_fn::<u64, { CODES.len() }, _>(|at| at as u64 + 1));
    }
}
