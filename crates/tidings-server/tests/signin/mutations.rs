//! A good token with anything changed is not a good token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::json;
use tidings_core::Org;
use tidings_server::SignIn;
use tidings_server::signin::{Fault, Revocation, now_seconds};

use crate::common::*;

const A: &str = "https://a.example/";

#[derive(Debug, Clone)]
enum Change {
    Replace(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Swap(usize, usize),
    Cut(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len().max(1);
        match *self {
            _ if bytes.is_empty() => {}
            Self::Replace(at, byte) => bytes[at % length] = byte,
            Self::Insert(at, byte) => bytes.insert(at % length, byte),
            Self::Remove(at) => drop(bytes.remove(at % length)),
            Self::Swap(a, b) => bytes.swap(a % length, b % length),
            Self::Cut(at) => bytes.truncate(at % length),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let letter = prop::sample::select(b"ABCXYZabcxyz0189-_.=+/ {}\"".to_vec());
    prop_oneof![
        (any::<usize>(), letter.clone()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<usize>(), letter).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<usize>().prop_map(Change::Remove),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Swap(a, b)),
        any::<usize>().prop_map(Change::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_a_good_token_is_good(changes in prop::collection::vec(change(), 1..4)) {
        let keys = TempFile::new(&set(&[jwk("es", key!("p256.pub")), jwk("ed", key!("ed25519.pub"))]));
        let mut a = issuer(A);
        a.jwks_file = keys.text();
        let sign_in = SignIn::configured(&auth(vec![a])).unwrap();
        let claims = claims(json!({"iss": A, "org": "acme", "roles": ["editor"]}));
        let tokens = [
            Signs::shared().token(&crate::common::claims(json!({}))),
            Signs::p256().token_with(json!({"kid": "es"}), &claims),
            Signs::pem(Algorithm::EdDSA, key!("ed25519")).token_with(json!({"kid": "ed"}), &claims),
        ];
        for token in tokens {
            prop_assert!(sign_in.verify(&token).is_ok());
            let mut bytes = token.clone().into_bytes();
            changes.iter().for_each(|change| change.apply(&mut bytes));
            let changed = String::from_utf8(bytes).unwrap();
            prop_assume!(changed != token);
            prop_assert!(sign_in.verify(&changed).is_err(), "{changed}");
        }
    }
}

/// The order of P-256 (FIPS 186-4, D.1.2.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The token with the other signature that fits: `s` is as good as the order without `s`.
fn mirrored(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrowed = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let left = i16::from(order) - i16::from(*byte) - borrowed;
        (*byte, borrowed) = (left.rem_euclid(256) as u8, i16::from(left < 0));
    }
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_token_and_its_mirror_are_one_token_wherever_it_matters() {
    let keys = TempFile::new(&set(&[jwk("es", key!("p256.pub"))]));
    let mut a = issuer(A);
    a.jwks_file = keys.text();
    let sign_in = SignIn::configured(&auth(vec![a])).unwrap();
    let claims = claims(json!({"iss": A, "org": "acme", "jti": "one"}));
    let token = Signs::p256().token_with(json!({"kid": "es"}), &claims);
    let mirror = mirrored(&token);
    assert_ne!(token, mirror);
    assert_eq!(mirrored(&mirror), token);
    // Half of all honest issuers' tokens are the one, half the other.
    assert_eq!(sign_in.verified(&mirror).unwrap(), sign_in.verified(&token).unwrap());
    // Called back is what a token says, not how it is signed.
    let (org, now) = (Org::new("acme"), now_seconds());
    sign_in.revoked().add(Revocation::Token { org, id: "one".into() }, now + 60, now).unwrap();
    for text in [&token, &mirror] {
        assert_eq!(sign_in.verified(text), Err(Fault::Revoked));
    }
}
