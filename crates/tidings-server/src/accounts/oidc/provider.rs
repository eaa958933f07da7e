//! One provider: what it says of itself, and what is asked of it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tidings_core::{Code, Org, Refusal};
use tokio::sync::{Mutex, Semaphore};

use crate::accounts::input;
use crate::config::ProviderConfig;
use crate::signin::fetch::{self, Address, Fetched};
use crate::signin::id_token::{Claimed, IdTokens};
use crate::signin::kept::Kept;
use crate::signin::{read_secret_file, refused};

/// What a provider says of itself is good for so long.
const DISCOVERED_GOOD: Duration = Duration::from_secs(3_600);
/// One question to a provider may take so long, and as many may be open.
const PATIENCE: Duration = Duration::from_secs(10);
const QUESTIONS: usize = 64;
/// Bytes of a code; providers send a few hundred at most.
const CODE_BYTES: usize = 4_096;

/// Letters of what people know it by.
const LABEL: usize = 60;

/// Somebody who says who people are.
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) issuer: String,
    pub(super) org: Org,
    pub(super) creates: bool,
    domains: Vec<String>,
    client: String,
    secret: Option<String>,
    scope: String,
    /// Where it sends people back.
    callback: String,
    about: Address,
    tokens: IdTokens,
    discovered: Mutex<Kept<Discovered>>,
    questions: Semaphore,
}

/// What it says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

struct Discovered {
    authorize: String,
    token: Address,
    keys: Address,
    /// The secret goes into the form, not into a header.
    secret_in_form: bool,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

fn unavailable(why: &str) -> Refusal {
    tracing::warn!(why, "a provider");
    Refusal::new(Code::Unavailable, "the provider cannot be asked now")
}

impl Provider {
    /// Reads what is configured.
    ///
    /// # Errors
    /// A sentence that names the provider and what is wrong.
    pub(super) fn new(config: &ProviderConfig, base: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("[[auth.providers]] {:?}: {why}", config.name);
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if config.name.is_empty() || config.name.len() > 40 || !config.name.chars().all(fits) {
            return Err(wrong("`name` is 1 to 40 lower-case letters, digits and hyphens"));
        }
        if config.label.chars().count() > LABEL || config.label.contains(char::is_control) {
            return Err(wrong("`label` is a line of 60 letters at most"));
        }
        if config.client_id.is_empty() {
            return Err(wrong("`client_id` is empty"));
        }
        if !config.scopes.iter().any(|scope| scope == "openid") {
            return Err(wrong("`scopes` has no openid"));
        }
        let about = format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
        let secret = match config.client_secret_file.as_str() {
            "" => None,
            path => Some(read_secret_file(path).map_err(|why| wrong(&format!("{path}: {why}")))?),
        };
        Ok(Self {
            name: config.name.clone(),
            label: if config.label.is_empty() { &config.name } else { &config.label }.clone(),
            issuer: config.issuer.clone(),
            org: input::org(Some(&config.org).filter(|org| !org.is_empty()).map(String::as_str))
                .map_err(|why| wrong(&why.message))?,
            creates: config.create,
            domains: config.domains.iter().map(|domain| domain.to_lowercase()).collect(),
            client: config.client_id.clone(),
            secret,
            scope: config.scopes.join(" "),
            callback: format!("{base}/api/auth/oidc/{}/callback", config.name),
            about: Address::parse(&about).map_err(|why| wrong(&why))?,
            tokens: IdTokens::new(&config.issuer, &config.client_id),
            discovered: Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
        })
    }

    /// Where a browser goes to sign in.
    ///
    /// # Errors
    /// `unavailable` if the provider does not say where.
    pub(super) async fn authorize_url(
        &self,
        state: &str,
        nonce: &str,
        verifier: &str,
    ) -> Result<String, Refusal> {
        let _place = self.place()?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.client),
            ("redirect_uri", &self.callback),
            ("scope", &self.scope),
            ("state", state),
            ("nonce", nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        Ok(with_parameters(&self.discover().await?.authorize, &parameters))
    }

    /// Exchanges a code and answers what its ID token says.
    ///
    /// # Errors
    /// `unauthorized` if the code or the token is not good; `unavailable`.
    pub(super) async fn claimed(&self, code: &str, verifier: &str, nonce: &str) -> Result<Claimed, Refusal> {
        let wrong = || Refusal::new(Code::Unauthorized, "the provider's answer is not valid");
        if code.is_empty() || code.len() > CODE_BYTES {
            return Err(wrong());
        }
        let _place = self.place()?;
        let about = self.discover().await?;
        let mut form = form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.callback),
            ("client_id", &self.client),
            ("code_verifier", verifier),
        ]);
        let mut basic = None;
        match &self.secret {
            Some(secret) if about.secret_in_form => form += &format!("&client_secret={}", encoded(secret)),
            Some(secret) => {
                // RFC 6749 section 2.3.1: both are encoded as in a form before they are joined.
                let pair = format!("{}:{}", encoded(&self.client), encoded(secret));
                basic = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            None => {}
        }
        let asked = fetch::post_form(&about.token, form, basic, PATIENCE).await;
        let (status, answer) = asked.map_err(|why| unavailable(&why))?;
        match status {
            StatusCode::OK => {}
            // A code that is good for nothing (RFC 6749 section 5.2); all else is no word about it.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                tracing::info!(provider = %self.name, %status, "a code was not exchanged");
                return Err(wrong());
            }
            _ => return Err(unavailable(&format!("the answer is {status}"))),
        }
        let tokens: Tokens = serde_json::from_slice(&answer).map_err(|_| wrong())?;
        let claimed = self.tokens.verify(&about.keys, &tokens.id_token, nonce).await;
        claimed.map_err(|fault| refused(fault, &self.name))
    }

    /// The address the provider vouches for.
    ///
    /// # Errors
    /// `forbidden` if it does not, or the domain is none of those that are taken.
    pub(super) fn proved_email<'a>(&self, claimed: &'a Claimed) -> Result<&'a str, Refusal> {
        let no = |why| Refusal::new(Code::Forbidden, why);
        let email = claimed.email.as_deref().filter(|_| claimed.email_verified);
        let email = email.ok_or_else(|| no("the provider has not verified an e-mail address"))?;
        let email = input::email(email)?;
        let domain = email.rsplit('@').next().unwrap_or_default().to_lowercase();
        if !self.domains.is_empty() && !self.domains.contains(&domain) {
            return Err(no("addresses of this domain are not taken"));
        }
        Ok(email)
    }

    fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Refusal> {
        self.questions.try_acquire().map_err(|_| unavailable("too many ask at once"))
    }

    /// What the provider says of itself; one asks, the others wait for that.
    async fn discover(&self) -> Result<Arc<Discovered>, Refusal> {
        let read = async {
            let fetched = fetch::get(&self.about, PATIENCE).await?;
            let document = serde_json::from_slice(&fetched.body).map_err(|why| why.to_string())?;
            self.checked(document, &fetched)
        };
        let read = self.discovered.lock().await.get_or_ask(DISCOVERED_GOOD, read).await;
        read.map_err(|why| unavailable(&why))
    }

    fn checked(&self, document: Document, from: &Fetched) -> Result<Discovered, String> {
        if document.issuer != self.issuer {
            return Err(format!("{} calls itself {:?}", self.issuer, document.issuer));
        }
        let address = |text: &str| {
            let address = Address::parse(text)?;
            // Who speaks TLS must not lead us to something that only this machine can reach.
            if self.about.is_tls() && !address.is_tls() {
                return Err(format!("{text} is not https"));
            }
            Ok(address.named_by(from))
        };
        address(&document.authorization_endpoint)?;
        let methods = document.token_endpoint_auth_methods_supported;
        let has = |method: &str| methods.iter().any(|known| known == method);
        Ok(Discovered {
            authorize: document.authorization_endpoint,
            token: address(&document.token_endpoint)?,
            keys: address(&document.jwks_uri)?,
            secret_in_form: has("client_secret_post") && !has("client_secret_basic"),
        })
    }
}

/// Adds parameters to an address, before what stands behind `#`.
pub(crate) fn with_parameters(address: &str, parameters: &[(&str, &str)]) -> String {
    let (start, fragment) = match address.split_once('#') {
        Some((start, fragment)) => (start, format!("#{fragment}")),
        None => (address, String::new()),
    };
    let joint = if start.contains('?') { '&' } else { '?' };
    format!("{start}{joint}{}{fragment}", form(parameters))
}

fn form(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

/// All but unreserved characters by their bytes (RFC 3986 section 2.3).
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_before_the_fragment_and_are_encoded() {
        assert_eq!(with_parameters("/a", &[("b", "c d&e")]), "/a?b=c%20d%26e");
        assert_eq!(with_parameters("/a?x=1#y", &[("b", "ä"), ("c", "~")]), "/a?x=1&b=%C3%A4&c=~#y");
    }
}
