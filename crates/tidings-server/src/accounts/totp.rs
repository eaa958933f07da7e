//! Codes that follow from a secret and the time (RFC 6238): HMAC-SHA-1, six digits, a step of 30 seconds, which is what
//! every authenticator app understands.

use ring::hmac;
use subtle::ConstantTimeEq as _;

/// Bytes of a secret: as many as SHA-1 answers (RFC 4226 section 4, R6).
pub(super) const SECRET: usize = 20;
/// Digits of a code.
pub(super) const DIGITS: usize = 6;
/// How long a code is the current one, in milliseconds.
const STEP_MS: u64 = 30_000;
/// Steps by which the clock of a device may differ, either way.
const APART: u64 = 1;

/// The letters of base32 (RFC 4648 section 6).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A secret or a recovery code as people type it.
pub(super) fn base32(bytes: &[u8]) -> String {
    let letter = |five: usize| {
        let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
        let value = (0..5).fold(0, |value, at| value << 1 | bit(five * 5 + at));
        char::from(LETTERS[usize::from(value)])
    };
    (0..(bytes.len() * 8).div_ceil(5)).map(letter).collect()
}

/// The step of a moment.
fn step_at(now_ms: u64) -> u64 {
    now_ms / STEP_MS
}

/// The code of a step, as a number with leading zeros (RFC 4226 section 5.3).
fn code_of(key: &hmac::Key, step: u64) -> u32 {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes[bytes.len() - 1] & 15);
    let four = [bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]];
    (u32::from_be_bytes(four) & 0x7fff_ffff) % 10_u32.pow(DIGITS as u32)
}

/// The step whose code this is, if it is one of now, or one step to either side, and later than `last`: no code is good
/// twice, nor one from before the newest that was taken.
pub(super) fn step_of(secret: &[u8], code: &str, now_ms: u64, last: u64) -> Option<u64> {
    if code.len() != DIGITS || !code.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (code, now): (u32, _) = (code.parse().ok()?, step_at(now_ms));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let steps = now.saturating_sub(APART)..=now + APART;
    // All of them are compared, whichever fits.
    let is_of = |step: &u64| bool::from(code_of(&key, *step).ct_eq(&code));
    steps.filter(is_of).fold(None, |_, step| Some(step)).filter(|step| *step > last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The secret of RFC 6238, appendix B, for SHA-1.
    const OF_RFC: &[u8; SECRET] = b"12345678901234567890";

    /// Its seconds, and its codes: their last six of eight digits.
    const VECTORS: [(u64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in VECTORS {
            assert_eq!(step_of(OF_RFC, code, seconds * 1_000, 0), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_one_step_late_and_no_further() {
        let (code, step) = ("050471", 1_111_111_111_u64 / 30);
        for (apart, good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let (first, last) = (step.checked_add_signed(apart).unwrap() * 30_000, 29_999);
            for now_ms in [first, first + last] {
                assert_eq!(step_of(OF_RFC, code, now_ms, 0), good.then_some(step), "{apart}");
            }
        }
    }

    #[test]
    fn no_code_is_good_twice_nor_one_from_before_the_newest() {
        let (code, now_ms) = ("050471", 1_111_111_111_000);
        let step = now_ms / 30_000;
        assert_eq!(step_of(OF_RFC, code, now_ms, step - 1), Some(step));
        assert_eq!(step_of(OF_RFC, code, now_ms, step), None);
        assert_eq!(step_of(OF_RFC, code, now_ms, step + 1), None);
    }

    #[test]
    fn what_is_no_six_digits_is_no_code() {
        for code in ["", "50471", "0050471", "05047a", "+50471", " 50471", "٠٥٠٤٧١"] {
            assert_eq!(step_of(OF_RFC, code, 1_111_111_111_000, 0), None, "{code}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(base32(OF_RFC), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
