//! A good token with anything changed is not a good token.

use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::json;
use tidings_server::SignIn;

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
