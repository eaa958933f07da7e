//! An OpenID Connect provider of Google's shape, on this machine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tidings_server::signin::now_seconds;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::signin::{Signs, jwk, key};

pub(crate) const CLIENT: &str = "tidings-tests";
pub(crate) const CLIENT_SECRET: &str = "what the provider & this server share";

type Change = Box<dyn Fn(&mut Value) + Send>;

/// What a test may make the provider do wrong.
pub(crate) struct Lies {
    /// Changes the claims of ID tokens.
    pub(crate) claims: Change,
    /// How they are signed.
    pub(crate) signs: Signing,
    /// How it fails whoever exchanges a code.
    pub(crate) fails: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Signing {
    /// As they should.
    Rs256,
    /// Not at all.
    None,
    /// With the client's secret.
    ClientSecret,
    /// With a key that is not in its set.
    OtherKey,
}

pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) lies: Arc<Mutex<Lies>>,
}

/// A code and what it was given for.
struct Given {
    nonce: String,
    challenge: String,
    callback: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let lies = Lies { claims: Box::new(|_| ()), signs: Signing::Rs256, fails: None };
        let lies = Arc::new(Mutex::new(lies));
        let (name, shared) = (issuer.clone(), lies.clone());
        let codes = Arc::new(Mutex::new(HashMap::new()));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, name.clone(), shared.clone(), codes.clone()));
            }
        });
        Self { issuer, lies }
    }

    pub(crate) fn claim(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.lies.lock().unwrap().claims = Box::new(change);
    }

    pub(crate) fn fail(&self, status: &'static str) {
        self.lies.lock().unwrap().fails = Some(status);
    }

    pub(crate) fn sign(&self, signs: Signing) {
        self.lies.lock().unwrap().signs = signs;
    }
}

/// The parameters of a query or a form.
pub(crate) fn parameters(text: &str) -> HashMap<String, String> {
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), decoded(v))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length:")
                    .map(|n| n.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut part = [0; 4_096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(&part[..count]),
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    issuer: String,
    lies: Arc<Mutex<Lies>>,
    codes: Arc<Mutex<HashMap<String, Given>>>,
) {
    let Some((head, body)) = request(&mut stream).await else { return };
    let path = head.split(' ').nth(1).unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (status, more, body) = match path {
        "/.well-known/openid-configuration" => ("200 OK", String::new(), about(&issuer)),
        "/jwks" => ("200 OK", String::new(), json!({"keys": [jwk("one", key!("rsa.pub"))]}).to_string()),
        "/authorize" => {
            let asked = parameters(query);
            assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", CLIENT));
            assert_eq!(asked["code_challenge_method"], "S256");
            assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
            let code = format!("code-{}/+", codes.lock().unwrap().len());
            let given = Given {
                nonce: asked["nonce"].clone(),
                challenge: asked["code_challenge"].clone(),
                callback: asked["redirect_uri"].clone(),
            };
            codes.lock().unwrap().insert(code.clone(), given);
            let state = &asked["state"];
            let location = format!(
                "{}?state={state}&code=code-{}%2F%2B",
                asked["redirect_uri"],
                &code[5..code.len() - 2]
            );
            ("302 Found", format!("Location: {location}\r\n"), String::new())
        }
        "/token" if lies.lock().unwrap().fails.is_some() => {
            let status = lies.lock().unwrap().fails.unwrap_or_default();
            (status, String::new(), String::new())
        }
        "/token" => match token(&issuer, &head, &body, &lies.lock().unwrap(), &codes) {
            Some(token) => (
                "200 OK",
                String::new(),
                json!({"access_token": "x", "token_type": "Bearer", "id_token": token}).to_string(),
            ),
            None => ("400 Bad Request", String::new(), json!({"error": "invalid_grant"}).to_string()),
        },
        _ => ("404 Not Found", String::new(), String::new()),
    };
    let text = format!(
        "HTTP/1.1 {status}\r\n{more}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.ok();
}

fn about(issuer: &str) -> String {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    })
    .to_string()
}

/// Exchanges a code once, for whoever has the secret and the verifier.
fn token(
    issuer: &str,
    head: &str,
    body: &str,
    lies: &Lies,
    codes: &Mutex<HashMap<String, Given>>,
) -> Option<String> {
    let asked = parameters(body);
    let given = codes.lock().unwrap().remove(&asked["code"])?;
    let secret = CLIENT_SECRET.replace(' ', "%20").replace('&', "%26");
    let basic = STANDARD.encode(format!("{CLIENT}:{secret}"));
    assert!(
        head.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: Basic {basic}"))),
        "{head}"
    );
    assert_eq!(
        (&asked["grant_type"], &asked["redirect_uri"]),
        (&"authorization_code".into(), &given.callback)
    );
    if URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"])) != given.challenge {
        return None;
    }
    let now = now_seconds();
    let mut claims = json!({
        "iss": issuer, "azp": CLIENT, "aud": CLIENT, "sub": "1098", "email": "ada@example.com",
        "email_verified": true, "name": "Ada L.", "nonce": given.nonce, "iat": now, "exp": now + 3_600,
    });
    (lies.claims)(&mut claims);
    let claims = claims.to_string();
    let header = |alg: &str| json!({"alg": alg, "kid": "one", "typ": "JWT"}).to_string();
    Some(match lies.signs {
        Signing::Rs256 => Signs::rsa().texts(&header("RS256"), &claims),
        Signing::OtherKey => Signs::pem(Algorithm::RS256, key!("rsa-other")).texts(&header("RS256"), &claims),
        Signing::ClientSecret => {
            Signs::secret(CLIENT_SECRET.as_bytes(), Algorithm::HS256).texts(&header("HS256"), &claims)
        }
        Signing::None => {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            format!("{}.{}.", part(&header("none")), part(&claims))
        }
    })
}
