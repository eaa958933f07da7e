//! Secrets that are handed out once: refresh tokens, links, codes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidings_core::Refusal;
use tidings_store::Digest;

use super::unavailable;

/// Bytes of a secret: nobody guesses their way to 256 bits.
const BYTES: usize = 32;

/// Characters of a secret in base64url.
pub(crate) const TEXT: usize = 43;

/// How a refresh token begins, so that it is never taken for another secret.
const REFRESH: &str = "rt_";

/// A new secret as text.
///
/// # Errors
/// `unavailable` if the system has no randomness to give.
pub(crate) fn make() -> Result<String, Refusal> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(unavailable)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a secret, if the text can be one.
pub(crate) fn digest(text: &str) -> Option<Digest> {
    let fits = text.len() == TEXT && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    fits.then(|| Digest::of(text.as_bytes()))
}

/// A new refresh token and what is kept of it.
///
/// # Errors
/// As [`make`].
pub(crate) fn make_refresh() -> Result<(String, Digest), Refusal> {
    let text = format!("{REFRESH}{}", make()?);
    let digest = Digest::of(text.as_bytes());
    Ok((text, digest))
}

/// What is kept of a refresh token, if the text can be one.
pub(crate) fn refresh_digest(text: &str) -> Option<Digest> {
    text.strip_prefix(REFRESH).and_then(digest).map(|_| Digest::of(text.as_bytes()))
}

/// The id of the access token that goes with a refresh token, so that both can be ended together.
pub(crate) fn token_id(refresh: &Digest) -> String {
    let text = Digest::of(format!("access token of {refresh}").as_bytes()).to_string();
    text[..32].to_owned()
}

/// A random id of a record.
///
/// # Errors
/// As [`make`].
pub(crate) fn id() -> Result<String, Refusal> {
    crate::ids::random_hex().map_err(unavailable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_secret_is_read_by_its_form_and_its_kind() {
        let link = make().unwrap();
        let (refresh, kept) = make_refresh().unwrap();
        assert_eq!(refresh_digest(&refresh), Some(kept));
        assert!(digest(&link).is_some() && digest(&refresh).is_none() && refresh_digest(&link).is_none());
        for bad in ["", "rt_", &link[1..], &format!("{link}A"), &format!("{}!", &link[1..])] {
            assert!(digest(bad).is_none(), "{bad}");
        }
        assert_ne!(make().unwrap(), make().unwrap());
        assert_eq!(token_id(&kept).len(), 32);
    }
}
