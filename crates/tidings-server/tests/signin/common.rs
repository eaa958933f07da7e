//! Tokens to order, and an HTTP server that counts who asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use tidings_server::config::{AuthConfig, IssuerConfig};
use tidings_server::signin::now_seconds;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub(crate) const SECRET: &str = "the shared secret of the sign-in tests, long enough";

/// One of the keys beside the tests.
macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../keys/", $name, ".pem"))
    };
}
pub(crate) use key;

/// What signs a token.
pub(crate) struct Signs {
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
}

impl Signs {
    pub(crate) fn secret(secret: &[u8], algorithm: Algorithm) -> Self {
        Self { algorithm, key: EncodingKey::from_secret(secret) }
    }

    pub(crate) fn shared() -> Self {
        Self::secret(SECRET.as_bytes(), Algorithm::HS256)
    }

    pub(crate) fn pem(algorithm: Algorithm, pem: &str) -> Self {
        let (_, der) = spki::der::pem::decode_vec(pem.as_bytes()).unwrap();
        let key = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::PS256 => EncodingKey::from_rsa_der(&der),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
            _ => EncodingKey::from_ec_der(&der),
        };
        Self { algorithm, key }
    }

    pub(crate) fn rsa() -> Self {
        Self::pem(Algorithm::RS256, key!("rsa"))
    }

    pub(crate) fn p256() -> Self {
        Self::pem(Algorithm::ES256, key!("p256"))
    }

    /// Signs exactly these texts.
    pub(crate) fn texts(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// Signs claims under the header that fits, with more members in it.
    pub(crate) fn token_with(&self, more: Value, claims: &Value) -> String {
        let mut header = json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT"});
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        self.texts(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(json!({}), claims)
    }
}

/// Good claims, with others put over them; `null` takes one away.
pub(crate) fn claims(more: Value) -> Value {
    let mut claims = json!({"sub": "ada", "exp": now_seconds() + 600, "iat": now_seconds()});
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// A file that is removed with the test.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidings-signin-{}-{count}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn text(&self) -> String {
        self.0.to_str().unwrap().into()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn auth(issuers: Vec<IssuerConfig>) -> AuthConfig {
    AuthConfig { jwt_secret: SECRET.into(), issuers, ..AuthConfig::default() }
}

pub(crate) fn issuer(name: &str) -> IssuerConfig {
    IssuerConfig { issuer: name.into(), ..IssuerConfig::default() }
}

/// A public key as a member of a set.
pub(crate) fn jwk(kid: &str, pem: &str) -> Value {
    use spki::der::{Decode as _, Reader as _, asn1::UintRef};
    let (_, der) = spki::der::pem::decode_vec(pem.as_bytes()).unwrap();
    let info = spki::SubjectPublicKeyInfoRef::from_der(&der).unwrap();
    let bits = info.subject_public_key.as_bytes().unwrap();
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match bits.len() {
        32 => json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(bits)}),
        65 => {
            json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": text(&bits[1..33]), "y": text(&bits[33..])})
        }
        97 => {
            json!({"kty": "EC", "crv": "P-384", "kid": kid, "x": text(&bits[1..49]), "y": text(&bits[49..])})
        }
        _ => {
            let mut reader = spki::der::SliceReader::new(bits).unwrap();
            let (n, e) =
                reader.sequence(|inner| Ok((UintRef::decode(inner)?, UintRef::decode(inner)?))).unwrap();
            json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid,
                   "n": text(n.as_bytes()), "e": text(e.as_bytes())})
        }
    }
}

pub(crate) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// How a counting server answers.
pub(crate) enum Answers {
    /// With this, whole.
    With(String),
    /// Never.
    Never,
}

/// An HTTP server that counts its connections.
pub(crate) struct Counter {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
    answers: Arc<std::sync::Mutex<Answers>>,
}

impl Counter {
    pub(crate) async fn new(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let answers = Arc::new(std::sync::Mutex::new(answers));
        let this = Self { url, asked: asked.clone(), answers: answers.clone() };
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = match &*answers.lock().unwrap() {
                    Answers::With(text) => Some(text.clone()),
                    Answers::Never => None,
                };
                tokio::spawn(async move {
                    let mut request = [0; 4_096];
                    let _ = stream.read(&mut request).await;
                    match answer {
                        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                        // Held open until the other side has had enough.
                        None => drop(stream.read(&mut request).await),
                    }
                });
            }
        });
        this
    }

    pub(crate) async fn of_keys(keys: &[Value]) -> Self {
        Self::new(Answers::With(ok(&set(keys), ""))).await
    }

    pub(crate) fn answer(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A 200 with a body.
pub(crate) fn ok(body: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until something holds, by looking; fails after ten seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}: not within ten seconds");
        tokio::task::yield_now().await;
    }
}
