//! A token's three parts, read strictly and before any key is touched.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::CompactString;
use jsonwebtoken::Algorithm;
use tidings_wire::json;

use super::Fault;
use super::strict::members;

/// A token longer than this is refused before it is looked at.
pub const TOKEN_BYTES: usize = 8_192;

/// Bytes of a decoded header.
const HEADER_BYTES: usize = 1_024;

/// Bytes of a key's name.
pub(super) const KID_BYTES: usize = 64;

/// Header members that name a key, an address or a rule of their own; none is ever followed.
const NEVER: [&str; 6] = ["jku", "x5u", "jwk", "zip", "crit", "b64"];

/// A token whose form is right; nothing of it is believed yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What the header says the signature is.
    pub(super) algorithm: Algorithm,
    /// The name of the key.
    pub(super) kid: Option<CompactString>,
    /// What is signed: header and claims as they were sent.
    pub(super) message: &'a str,
    /// The signature, base64url.
    pub(super) signature: &'a str,
    /// The claims as they were sent, which [`super::claims::Claims::read`] reads strictly.
    pub(super) claims: String,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(super) fn read(token: &'a str) -> Result<Self, Fault> {
        if token.len() > TOKEN_BYTES {
            return Err(Fault::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Fault::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Fault::Malformed)?;
        let (algorithm, kid) = header_of(header)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| Fault::Malformed)?;
        let claims = String::from_utf8(claims).map_err(|_| Fault::Malformed)?;
        Ok(Self { algorithm, kid, message, signature, claims })
    }
}

thread_local! {
    /// The last header that was read here, as it was sent, and what it says: tokens of one issuer have the same.
    static LAST: RefCell<(String, Option<Header>)> = const { RefCell::new((String::new(), None)) };
}

/// What a header says.
type Header = (Algorithm, Option<CompactString>);

/// Reads a header as it was sent.
fn header_of(sent: &str) -> Result<Header, Fault> {
    LAST.with_borrow_mut(|(last, known)| {
        if let Some(known) = known.as_ref().filter(|_| last == sent) {
            return Ok(known.clone());
        }
        let mut buffer = [0; HEADER_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(sent, &mut buffer).map_err(|_| Fault::Malformed)?;
        let text = std::str::from_utf8(&buffer[..length]).map_err(|_| Fault::Malformed)?;
        let header = read_header(text)?;
        last.clear();
        last.push_str(sent);
        *known = Some(header.clone());
        Ok(header)
    })
}

fn read_header(header: &str) -> Result<Header, Fault> {
    let (mut algorithm, mut kid) = (None, None);
    for (name, value) in members(header)? {
        match name.as_ref() {
            "alg" => algorithm = Some(json::string(value).ok_or(Fault::Algorithm)?),
            "kid" => kid = Some(read_kid(value)?),
            "typ" => check_type(&json::string(value).ok_or(Fault::Header)?)?,
            name if NEVER.contains(&name) => return Err(Fault::Header),
            _ => {}
        }
    }
    let algorithm = algorithm.and_then(|name| known(&name)).ok_or(Fault::Algorithm)?;
    Ok((algorithm, kid))
}

/// The algorithms we take, by their exact names (RFC 7518 section 3.1, RFC 8037).
pub(super) fn known(name: &str) -> Option<Algorithm> {
    Some(match name {
        "HS256" => Algorithm::HS256,
        "HS384" => Algorithm::HS384,
        "HS512" => Algorithm::HS512,
        "RS256" => Algorithm::RS256,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}

fn read_kid(value: &str) -> Result<CompactString, Fault> {
    let kid = json::string(value).filter(|kid| is_kid(kid)).ok_or(Fault::Header)?;
    Ok(kid.into())
}

/// Whether a text can be the name of a key: it is only ever compared, but it also gets into logs.
pub(super) fn is_kid(kid: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=:@".contains(&byte);
    (1..=KID_BYTES).contains(&kid.len()) && kid.bytes().all(fits) && !kid.contains("..")
}

/// Access tokens call themselves a JWT, an access token (RFC 9068), or nothing.
fn check_type(name: &str) -> Result<(), Fault> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("application/").unwrap_or(&name);
    if matches!(name, "jwt" | "at+jwt" | "access") { Ok(()) } else { Err(Fault::Purpose) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_same_each_time_whatever_was_read_before_it() {
        let sent = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let good = [
            (sent(r#"{"alg":"HS256","kid":"a"}"#), Ok((Algorithm::HS256, Some("a".into())))),
            (sent(r#"{"alg":"HS512"}"#), Ok((Algorithm::HS512, None))),
            (sent(r#"{"alg":"none"}"#), Err(Fault::Algorithm)),
            (sent(r#"{"alg":"HS256","jku":"x"}"#), Err(Fault::Header)),
            ("?".to_owned(), Err(Fault::Malformed)),
            (String::new(), Err(Fault::Malformed)),
        ];
        for (first, _) in &good {
            for (second, says) in &good {
                let _ = header_of(first);
                assert_eq!([header_of(second), header_of(second)], [says.clone(), says.clone()]);
            }
        }
    }

    #[test]
    fn a_key_has_a_short_plain_name() {
        assert!(is_kid("a") && is_kid("2026-01/abc=") && is_kid(&"k".repeat(64)));
        for bad in ["", "../../dev/null", "' OR 1", "a\0", "a b", "ä", &"k".repeat(65)] {
            assert!(!is_kid(bad), "{bad}");
        }
    }
}
