//! One question to an issuer: no redirects, no cookies, no proxy, everything bounded.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::source::KEY_BYTES;

/// Bytes and headers of the answer's head.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;

/// Where a key set is fetched; known from the configuration alone, never from a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    tls: bool,
    host: String,
    port: u16,
    /// What stands in the `Host` header.
    authority: String,
    path: String,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence if it is not https, and not http on loopback either.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| format!("`{text}` is not an address"))?;
        let authority = uri.authority().ok_or_else(|| format!("`{text}` names no host"))?;
        if authority.as_str().contains('@') {
            return Err("an address with a user or password in it is not taken".into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(&host) => false,
            _ => return Err(format!("`{text}`: keys are fetched by https, by http only on loopback")),
        };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { tls, host, port, authority: authority.to_string(), path })
    }
}

impl Address {
    /// Whether it is asked by https.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }
}

fn is_loopback(host: &str) -> bool {
    host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) body: Vec<u8>,
    /// How long it may be kept (`Cache-Control: max-age`, RFC 9111 section 5.2.2.1).
    pub(crate) good_for: Option<Duration>,
}

/// Fetches within `most`.
///
/// # Errors
/// A sentence for the log.
pub(crate) async fn get(address: &Address, most: Duration) -> Result<Fetched, String> {
    let request = Request::get(&address.path)
        .header(HOST, &address.authority)
        .header(ACCEPT, "application/json")
        .body(Full::default())
        .map_err(said)?;
    asked(address, request, most).await
}

/// Posts a form within `most`, with an `Authorization` header or without, and answers the body.
///
/// # Errors
/// A sentence for the log, without what was posted.
pub(crate) async fn post_form(
    address: &Address,
    form: String,
    authorization: Option<String>,
    most: Duration,
) -> Result<Vec<u8>, String> {
    let mut request = Request::post(&address.path)
        .header(HOST, &address.authority)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Full::from(form)).map_err(said)?;
    asked(address, request, most).await.map(|fetched| fetched.body)
}

async fn asked(address: &Address, request: Request<Full<Bytes>>, most: Duration) -> Result<Fetched, String> {
    let fetched = tokio::time::timeout(most, fetch(address, request)).await;
    fetched.unwrap_or_else(|_| Err(format!("no answer within {most:?}")))
}

async fn fetch(address: &Address, request: Request<Full<Bytes>>) -> Result<Fetched, String> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(said)?;
    if !address.tls {
        return ask(request, stream).await;
    }
    let name = ServerName::try_from(address.host.clone()).map_err(said)?;
    let stream = TlsConnector::from(trust()?).connect(name, stream).await.map_err(said)?;
    ask(request, stream).await
}

async fn ask(
    request: Request<Full<Bytes>>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Fetched, String> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(said)?;
    // Both are dropped together, when the answer is there or the time is over.
    let answer = async {
        let answer = sender.send_request(request).await.map_err(said)?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let good_for = max_age(answer.headers());
        let body = Limited::new(answer.into_body(), KEY_BYTES).collect().await.map_err(said)?;
        Ok(Fetched { body: body.to_bytes().to_vec(), good_for })
    };
    tokio::pin!(answer);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answer => answer,
        // A server that closes behind its answer ends the connection first.
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(said(error)),
        },
    }
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let age = text.split(',').find_map(|part| part.trim().strip_prefix("max-age="))?;
    age.trim_matches('"').parse().ok().map(Duration::from_secs)
}

/// Whom we believe to be who they say: the system's certificate authorities (`SSL_CERT_FILE` names others).
fn trust() -> Result<Arc<ClientConfig>, String> {
    static TRUST: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    TRUST.get_or_init(load_trust).clone()
}

fn load_trust() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if taken == 0 {
        return Err("this system has no certificate authorities; name them with SSL_CERT_FILE".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(Arc::new(config.map_err(said)?.with_root_certificates(roots).with_no_client_auth()))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        for good in [
            "https://a.example/jwks.json",
            "https://a.example:8443/x?y=1",
            "http://127.0.0.1:9/k",
            "http://[::1]:9/k",
        ] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/jwks.json",
            "http://127.0.0.1.a.example/",
            "http://localhost.a.example/",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "https://user:pass@a.example/",
            "https://",
            "/jwks.json",
            "",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_age_is_read_from_among_other_directives() {
        let age = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().unwrap());
            max_age(&headers)
        };
        assert_eq!(age("public, max-age=19845, must-revalidate"), Some(Duration::from_secs(19_845)));
        assert_eq!((age("no-store"), age("max-age=soon")), (None, None));
    }
}
