//! Secrets that this server has to know again, sealed for the database: whoever has a copy of that alone has none.
//!
//! The key follows from the signing secret, which is kept elsewhere. What was sealed with the previous one is read as
//! long as that is configured.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::issue::prf;

/// What the key is derived for; no key ever has two purposes.
const PURPOSE: &[u8] = b"tidings seal of second factors, version 1";

/// Bytes of a key's name, which stands before what it sealed.
const NAME: usize = 6;

/// Keys that seal and open, the current one first.
pub(crate) struct Seals(Vec<SealKey>);

struct SealKey {
    name: [u8; NAME],
    key: LessSafeKey,
}

/// What was sealed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) plain: Vec<u8>,
    /// It was sealed with the current key.
    pub(crate) is_current: bool,
}

impl Seals {
    /// Derives a key from each secret, the current one first.
    pub(super) fn derive(secrets: &[&[u8]]) -> Self {
        Self(secrets.iter().map(|secret| SealKey::derive(secret)).collect())
    }

    /// Seals a secret of `whose`; nobody else's opens.
    ///
    /// # Errors
    /// A sentence; the system has no randomness to give.
    pub(crate) fn seal(&self, plain: &[u8], whose: &str) -> Result<Vec<u8>, String> {
        let current = self.0.first().ok_or("there is no secret to seal with")?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
        let (mut sealed, aad) = (plain.to_vec(), Aad::from(whose.as_bytes()));
        let done =
            current.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        done.map_err(|_| "it is too long to be sealed")?;
        Ok([&current.name[..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for `whose`; `None` if it was not, or with a key that is not there any more.
    pub(crate) fn open(&self, sealed: &[u8], whose: &str) -> Option<Opened> {
        let (name, rest) = sealed.split_at_checked(NAME)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN)?;
        let at = self.0.iter().position(|key| key.name == name)?;
        let (nonce, mut plain) = (Nonce::try_assume_unique_for_key(nonce).ok()?, rest.to_vec());
        let opened = self.0[at].key.open_in_place(nonce, Aad::from(whose.as_bytes()), &mut plain).ok()?.len();
        plain.truncate(opened);
        Some(Opened { plain, is_current: at == 0 })
    }
}

impl SealKey {
    fn derive(secret: &[u8]) -> Self {
        let key = prf(secret, PURPOSE);
        let (mut name, long) = ([0; NAME], prf(&key, b"name"));
        name.copy_from_slice(&long[..NAME]);
        let Ok(key) = UnboundKey::new(&CHACHA20_POLY1305, &key) else { unreachable!("both have 32 bytes") };
        Self { name, key: LessSafeKey::new(key) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OLD: &[u8] = b"a signing secret of these tests, old";
    const NEW: &[u8] = b"a signing secret of these tests, new";

    #[test]
    fn what_is_sealed_is_opened_for_whom_it_was_sealed_alone() {
        let seals = Seals::derive(&[OLD]);
        let (sealed, other) =
            (seals.seal(b"a secret", "ada").unwrap(), seals.seal(b"a secret", "ada").unwrap());
        assert_ne!(sealed, other);
        assert!(!sealed.windows(8).any(|part| part == b"a secret"));
        assert_eq!(seals.open(&sealed, "ada").unwrap().plain, b"a secret");
        assert_eq!(seals.open(&sealed, "bob"), None);
        let mut broken = sealed.clone();
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(seals.open(&broken, "ada"), None);
        (0..sealed.len()).for_each(|end| assert_eq!(seals.open(&sealed[..end], "ada"), None));
    }

    #[test]
    fn after_another_signing_secret_the_previous_one_opens_until_it_is_gone() {
        let sealed = Seals::derive(&[OLD]).seal(b"a secret", "ada").unwrap();
        let both = Seals::derive(&[NEW, OLD]);
        let opened = both.open(&sealed, "ada").unwrap();
        assert_eq!((opened.plain.as_slice(), opened.is_current), (&b"a secret"[..], false));
        assert_eq!(Seals::derive(&[NEW]).open(&sealed, "ada"), None);
        let anew = both.seal(&opened.plain, "ada").unwrap();
        assert!(Seals::derive(&[NEW]).open(&anew, "ada").unwrap().is_current);
    }
}
