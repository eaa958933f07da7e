//! One question to one target: resolve, judge, connect to what was judged, ask, read a bounded answer.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tidings_core::lock;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::target::{Guard, Target};

/// Idle connections kept for each target.
const IDLE: usize = 32;

/// A connection is used for so long: then the name is resolved and judged anew.
const LIFE: Duration = Duration::from_secs(60);

/// Bytes of an answer's head, and its headers.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The name leads to an address that must not be reached.
    #[error("{0} must not be reached")]
    Forbidden(IpAddr),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The socket failed: resolving, connecting, TLS.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The answer is no HTTP, or ended early.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// The request could not be written as one.
    #[error("the request cannot be made")]
    Request,
    /// The answer is larger than it may be.
    #[error("the answer is too large")]
    TooLarge,
}

/// Finds a name's addresses.
pub(crate) trait Resolve: Send + Sync {
    /// The addresses of `host`, with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Found<'a>;
}

/// Addresses on their way.
pub(crate) type Found<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The system's resolver.
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Found<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// A connection to a target.
struct Line {
    since: Instant,
    sender: Sender,
    peer: IpAddr,
}

impl Line {
    fn new(sender: Sender, peer: IpAddr) -> Self {
        Self { since: Instant::now(), sender, peer }
    }

    fn is_good(&self) -> bool {
        self.since.elapsed() < LIFE && !self.sender.is_closed()
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    /// Beside `Host`, `Accept` and `User-Agent`.
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) body: Bytes,
    /// Bytes that the answer may have.
    pub(crate) most: usize,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Who answered.
    pub(crate) peer: IpAddr,
}

/// Makes requests; connections are used again.
pub(crate) struct Outbound {
    guard: Guard,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
    idle: Mutex<HashMap<(bool, String), Vec<Line>>>,
    /// Connections kept for each target.
    keeps: usize,
}

impl Outbound {
    /// Makes requests as far as `guard` lets them; `tls` says whom it trusts.
    pub(crate) fn new(guard: Guard, resolver: Arc<dyn Resolve>, tls: TlsConnector) -> Self {
        Self { guard, resolver, tls, idle: Mutex::default(), keeps: IDLE }
    }

    /// The same for questions that are far between: each has a connection of its own, and is asked once.
    pub(crate) fn without_idle(self) -> Self {
        Self { keeps: 0, ..self }
    }

    /// Posts JSON and reads the answer, of at most so many bytes.
    ///
    /// # Errors
    /// As [`Outbound::ask`].
    pub(crate) async fn post(
        &self,
        target: &Target,
        headers: &[(&'static str, String)],
        body: Bytes,
        most: usize,
    ) -> Result<(StatusCode, Bytes), OutboundError> {
        let json = ("content-type", "application/json".to_owned());
        let headers = &[headers, &[json]].concat();
        let answer = self.ask(target, &Question { method: Method::POST, headers, body, most }).await?;
        Ok((answer.status, answer.body))
    }

    /// Asks and reads the answer; the caller bounds the time.
    ///
    /// A connection that was used before may have been closed by the other side meanwhile: then the
    /// request is made once more on a fresh one.
    ///
    /// # Errors
    /// [`OutboundError`] says how far it came.
    pub(crate) async fn ask(
        &self,
        target: &Target,
        question: &Question<'_>,
    ) -> Result<Answer, OutboundError> {
        let request = || request(target, question);
        if let Some(mut line) = self.take_idle(target) {
            match line.sender.send_request(request()?).await {
                Ok(response) => return self.read(target, line, response, question.most).await,
                Err(error) if error.is_parse() || error.is_user() => return Err(error.into()),
                Err(_) => {}
            }
        }
        let mut line = self.connect(target).await?;
        let response = line.sender.send_request(request()?).await?;
        self.read(target, line, response, question.most).await
    }

    async fn read(
        &self,
        target: &Target,
        line: Line,
        response: hyper::Response<hyper::body::Incoming>,
        most: usize,
    ) -> Result<Answer, OutboundError> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, most).collect().await.map_err(|error| {
            match error.downcast::<hyper::Error>() {
                Ok(error) => OutboundError::Http(*error),
                Err(error) if error.is::<LengthLimitError>() => OutboundError::TooLarge,
                Err(_) => OutboundError::Request,
            }
        })?;
        let peer = line.peer;
        self.keep_idle(target, line);
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), peer })
    }

    /// The addresses that may be connected to, as they are at this moment.
    pub(super) async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, OutboundError> {
        let found = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, target.port)],
            Err(_) => self.resolver.resolve(&target.host, target.port).await?,
        };
        if found.is_empty() {
            return Err(OutboundError::NoAddress);
        }
        self.guard.judge_found(target, &found).map_err(OutboundError::Forbidden)?;
        Ok(found)
    }

    async fn connect(&self, target: &Target) -> Result<Line, OutboundError> {
        let mut last = OutboundError::NoAddress;
        for address in self.addresses(target).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.handshake(target, stream, address.ip()).await,
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    async fn handshake(
        &self,
        target: &Target,
        stream: TcpStream,
        peer: IpAddr,
    ) -> Result<Line, OutboundError> {
        stream.set_nodelay(true)?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
        if !target.https {
            let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            return Ok(Line::new(sender, peer));
        }
        let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
        let stream = self.tls.connect(name, stream).await?;
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Line::new(sender, peer))
    }

    fn take_idle(&self, target: &Target) -> Option<Line> {
        let mut idle = lock(&self.idle);
        let row = idle.get_mut(&(target.https, target.authority()))?;
        row.retain(Line::is_good);
        let at = row.iter().rposition(|line| line.sender.is_ready())?;
        Some(row.swap_remove(at))
    }

    fn keep_idle(&self, target: &Target, line: Line) {
        let mut idle = lock(&self.idle);
        let row = idle.entry((target.https, target.authority())).or_default();
        row.retain(Line::is_good);
        if row.len() < self.keeps && line.is_good() {
            row.push(line);
        }
    }
}

fn request(target: &Target, question: &Question<'_>) -> Result<Request<Full<Bytes>>, OutboundError> {
    let mut request = Request::builder()
        .method(question.method.clone())
        .version(Version::HTTP_11)
        .uri(&target.path)
        .header(header::HOST, target.host_header())
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .header(header::USER_AGENT, HeaderValue::from_static("tidings"));
    for (name, value) in question.headers {
        request = request.header(*name, value);
    }
    request.body(Full::new(question.body.clone())).map_err(|_| OutboundError::Request)
}
