//! How a question is signed, so that the backend knows who asks (Standard Webhooks 1.0).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The fewest bytes of a key: as long as the output of HMAC-SHA-256.
pub(super) const KEY_BYTES: usize = 32;

/// Whether the secret of the hooks, however it is written, is this key.
pub(crate) fn is_key_of_hooks(secret: &str, key: &[u8]) -> bool {
    bytes_of(secret).is_ok_and(|bytes| bytes == key)
}

/// `whsec_` and base64, or else the raw bytes.
fn bytes_of(secret: &str) -> Result<Vec<u8>, String> {
    match secret.strip_prefix("whsec_") {
        Some(text) => {
            STANDARD.decode(text).map_err(|_| "hooks.secret: `whsec_` needs base64 behind it".into())
        }
        None => Ok(secret.as_bytes().to_vec()),
    }
}

/// The key that signs.
pub(super) struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Reads a secret: `whsec_` and base64, or else its raw bytes.
    ///
    /// # Errors
    /// A sentence if it is shorter than [`KEY_BYTES`] or no base64.
    pub(super) fn new(secret: &str) -> Result<Self, String> {
        let bytes = bytes_of(secret)?;
        if bytes.len() < KEY_BYTES {
            return Err(format!("hooks.secret must have at least {KEY_BYTES} bytes"));
        }
        Self::of(&bytes)
    }

    fn of(bytes: &[u8]) -> Result<Self, String> {
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| "hooks.secret is no key".into())
    }

    /// The value of `webhook-signature` for a body sent as `id` at `seconds` since 1970.
    pub(super) fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The example of the specification, whose key is shorter than ours may be.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = SigningKey::of(&key).unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_raw_or_base64_and_never_short() {
        let raw = "x".repeat(32);
        let encoded = format!("whsec_{}", STANDARD.encode(&raw));
        let sign = |secret: &str| SigningKey::new(secret).unwrap().sign("id", 1, b"{}");
        assert_eq!(sign(&raw), sign(&encoded));
        assert!(is_key_of_hooks(&raw, raw.as_bytes()) && is_key_of_hooks(&encoded, raw.as_bytes()));
        assert!(!is_key_of_hooks(&encoded, encoded.as_bytes()), "it is not the key, but how it is written");
        assert!(SigningKey::new(&"x".repeat(31)).is_err());
        assert!(SigningKey::new(&format!("whsec_{}", STANDARD.encode("x".repeat(31)))).is_err());
        assert!(SigningKey::new("whsec_not base64, but long enough for one").is_err());
    }
}
