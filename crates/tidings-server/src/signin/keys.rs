//! Keys, each pinned to its algorithm, and the texts they are read from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::CompactString;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::Value;
use spki::der::asn1::{ObjectIdentifier, UintRef};
use spki::der::{Decode, Reader, SliceReader, pem};

use super::token::{Token, is_kid, known};
use super::{Fault, SECRET_BYTES};

/// Keys of one issuer; a longer list is refused whole.
pub(super) const KEYS: usize = 32;

/// Keys of its algorithm that are tried for one token where names do not decide: more would let a forged token buy
/// more of our time. A set with more of one algorithm that have no name is refused as it is read.
const UNNAMED_TRIES: usize = 4;

/// Bits of an RSA modulus: less is weak (NIST SP 800-131A), more is slow to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Bytes of an RSA exponent; 65537 has three.
const EXPONENT_BYTES: usize = 4;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key and the one algorithm it is for.
#[derive(Debug, Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    /// A shared secret.
    ///
    /// # Errors
    /// A sentence if it is too short, or is a public key: signing with what everybody knows is the
    /// oldest attack there is.
    pub(super) fn secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES {
            return Err(format!("the signing secret must have at least {SECRET_BYTES} bytes"));
        }
        if secret.windows(10).any(|part| part == b"-----BEGIN") {
            return Err("the signing secret is a PEM file; name it as public_key_file".into());
        }
        Ok(Self { algorithm, key: DecodingKey::from_secret(secret) })
    }

    /// Whether this key made the token's signature.
    fn signed(&self, token: &Token<'_>) -> bool {
        let verified = crypto::verify(token.signature, token.message.as_bytes(), &self.key, self.algorithm);
        matches!(verified, Ok(true))
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, String> {
        let modulus = without_zeros(modulus);
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(format!("an RSA key of {bits} bits; {RSA_BITS:?} are taken"));
        }
        let exponent = without_zeros(exponent);
        let odd = exponent.last().is_some_and(|last| last % 2 == 1);
        if !odd || exponent == [1] || exponent.len() > EXPONENT_BYTES {
            return Err("an RSA key with an unusable exponent".into());
        }
        let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Ok(Self { algorithm: Algorithm::RS256, key })
    }

    /// A point or Ed25519 key; what does not lie on the curve is refused here and not at sign-in.
    fn curve(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, String> {
        let (key, fits) = match algorithm {
            Algorithm::EdDSA => (DecodingKey::from_ed_der(bytes), bytes.len() == 32),
            _ => (DecodingKey::from_ec_der(bytes), bytes.len() % 2 == 1),
        };
        // The backend reads the key before it looks at the signature, and fails only on a bad one.
        let reads = fits && crypto::verify("AA", b"", &key, algorithm).is_ok();
        if reads { Ok(Self { algorithm, key }) } else { Err("a key that is not on its curve".into()) }
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// The keys of one issuer, by name; the same name at another issuer is another key.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySet(Vec<(Option<CompactString>, Key)>);

impl KeySet {
    /// Keys without names.
    pub(super) fn unnamed(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(keys.into_iter().map(|key| (None, key)).collect())
    }

    /// Keys with names.
    pub(super) fn named(keys: impl IntoIterator<Item = (CompactString, Key)>) -> Self {
        Self(keys.into_iter().map(|(name, key)| (Some(name), key)).collect())
    }

    /// Whether a key has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known.as_deref() == Some(name))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks a signature with the key the token names; keys without a name stand for any.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), Fault> {
        let fits = |name: &Option<CompactString>| name.is_none() || token.kid.is_none() || *name == token.kid;
        let mut tried = 0;
        let mut fault = Fault::UnknownKey;
        for (_, key) in self.0.iter().filter(|(name, _)| fits(name)) {
            if key.algorithm != token.algorithm {
                fault = if tried == 0 { Fault::Algorithm } else { fault };
                continue;
            }
            if tried == UNNAMED_TRIES {
                break;
            }
            if key.signed(token) {
                return Ok(());
            }
            (tried, fault) = (tried + 1, Fault::Signature);
        }
        Err(fault)
    }

    /// Reads PEM: public keys one after the other, of any kind we take.
    ///
    /// # Errors
    /// A sentence that says what is wrong with which key.
    pub(super) fn from_pem(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(begin) = rest.find("-----BEGIN ") {
            let end = rest[begin..].find("-----END ").ok_or("a key without an end")? + begin;
            let line = rest[end..].find('\n').map_or(rest.len(), |length| end + length + 1);
            let key = pem_key(&rest[begin..line]).map_err(|why| format!("key {}: {why}", keys.len() + 1))?;
            keys.push(key);
            rest = &rest[line..];
        }
        match keys.len() {
            0 => Err("holds no public key in PEM".into()),
            1..=KEYS => Self::unnamed(keys).all_tried(),
            _ => Err(format!("holds more than {KEYS} keys")),
        }
    }

    /// Refuses a set with keys that no token would be tried with.
    fn all_tried(self) -> Result<Self, String> {
        let unnamed = |algorithm| {
            let like = |(name, key): &&(_, Key)| Option::is_none(name) && key.algorithm == algorithm;
            self.0.iter().filter(like).count()
        };
        if self.0.iter().any(|(_, key)| unnamed(key.algorithm) > UNNAMED_TRIES) {
            return Err(format!(
                "holds more than {UNNAMED_TRIES} keys of one algorithm without a name (`kid`)"
            ));
        }
        Ok(self)
    }

    /// Reads a JSON Web Key Set (RFC 7517); keys of a kind we do not take are left out.
    ///
    /// # Errors
    /// A sentence if it is no such set, is too long, or has no key for us.
    pub(super) fn from_jwks(text: &str) -> Result<Self, String> {
        let set: Value = serde_json::from_str(text).map_err(|_| "is not JSON")?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("holds no list of keys")?;
        if keys.len() > KEYS {
            return Err(format!("holds more than {KEYS} keys"));
        }
        let usable: Vec<_> = keys.iter().filter_map(jwk).collect();
        if usable.is_empty() { Err("holds no key that can be used".into()) } else { Self(usable).all_tried() }
    }
}

fn pem_key(block: &str) -> Result<Key, String> {
    let (label, der) = pem::decode_vec(block.trim().as_bytes()).map_err(|error| error.to_string())?;
    match label {
        "PUBLIC KEY" => spki_key(&der),
        "RSA PUBLIC KEY" => rsa_key(&der),
        _ => Err(format!("is a {label}, not a public key")),
    }
}

fn spki_key(der: &[u8]) -> Result<Key, String> {
    let info = spki::SubjectPublicKeyInfoRef::from_der(der).map_err(|error| error.to_string())?;
    let bits = info.subject_public_key.as_bytes().ok_or("is cut off")?;
    let curve = info.algorithm.parameters_oid().ok();
    match (info.algorithm.oid, curve) {
        (RSA, _) => rsa_key(bits),
        (EC, Some(P256)) => Key::curve(Algorithm::ES256, bits),
        (EC, Some(P384)) => Key::curve(Algorithm::ES384, bits),
        (ED25519, _) => Key::curve(Algorithm::EdDSA, bits),
        _ => Err("is of a kind that is not taken; RSA, P-256, P-384 and Ed25519 are".into()),
    }
}

/// RFC 8017 appendix A.1.1: modulus and exponent.
fn rsa_key(der: &[u8]) -> Result<Key, String> {
    let parts = SliceReader::new(der).and_then(|mut reader| {
        reader.sequence(|inner| Ok((UintRef::decode(inner)?, UintRef::decode(inner)?)))
    });
    let (modulus, exponent) = parts.map_err(|error| error.to_string())?;
    Key::rsa(modulus.as_bytes(), exponent.as_bytes())
}

/// One key of a set, if we take its kind and it is for signatures.
fn jwk(value: &Value) -> Option<(Option<CompactString>, Key)> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
    if !matches!(text("use"), None | Some("sig")) || !value.get("key_ops").is_none_or(verifies) {
        return None;
    }
    let name = match value.get("kid") {
        None => None,
        Some(name) => Some(name.as_str().filter(|name| is_kid(name))?.into()),
    };
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => Key::rsa(&bytes("n")?, &bytes("e")?),
        ("EC", Some("P-256")) => Key::curve(Algorithm::ES256, &point(&bytes("x")?, &bytes("y")?, 32)?),
        ("EC", Some("P-384")) => Key::curve(Algorithm::ES384, &point(&bytes("x")?, &bytes("y")?, 48)?),
        ("OKP", Some("Ed25519")) => Key::curve(Algorithm::EdDSA, &bytes("x")?),
        // A secret in a public document is none.
        _ => return None,
    };
    let key = key.ok()?;
    // A key that says what it is for is for nothing else.
    let fits = text("alg").is_none_or(|name| known(name) == Some(key.algorithm));
    fits.then_some((name, key))
}

fn point(x: &[u8], y: &[u8], size: usize) -> Option<Vec<u8>> {
    (x.len() == size && y.len() == size).then(|| [&[4], x, y].concat())
}
