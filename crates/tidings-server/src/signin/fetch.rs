//! One question to an issuer: what may be asked, and how long the answer may be kept.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;
use tokio_rustls::TlsConnector;

use super::source::KEY_BYTES;
use crate::outbound::{
    Answer, Guard, Outbound, Question, Reach, Resolve, SystemResolver, Target, connector, reach,
};

/// Where something is fetched; known from the configuration or from a provider's own word about itself, never
/// from a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    target: Target,
    /// It may lie in the own network, since the operator named it.
    private: bool,
}

impl Address {
    /// Reads an address that the operator has configured.
    ///
    /// # Errors
    /// A sentence if it is not https, and not http on loopback either.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let target = Target::parse(text)?;
        if !target.https && !is_loopback(&target.host) {
            return Err(format!("`{text}`: keys are fetched by https, by http only on loopback"));
        }
        Ok(Self { target, private: true })
    }

    /// The same as it was named by somebody who answered from `by`: nobody in the public internet leads into the
    /// own network.
    pub(crate) fn named_by(self, by: &Fetched) -> Self {
        Self { private: by.is_private, ..self }
    }

    /// Whether it is asked by https.
    pub(crate) fn is_tls(&self) -> bool {
        self.target.https
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
    /// Whoever answered is in the own network.
    is_private: bool,
}

/// Fetches within `most`.
///
/// # Errors
/// A sentence for the log.
pub(crate) async fn get(address: &Address, most: Duration) -> Result<Fetched, String> {
    let question = Question { method: Method::GET, headers: &[], body: Bytes::new(), most: KEY_BYTES };
    asking()?.ask(address, &question, most).await
}

/// Posts a form within `most`, with an `Authorization` header or without, and answers status and body.
///
/// # Errors
/// A sentence for the log, without what was posted: there was no answer.
pub(crate) async fn post_form(
    address: &Address,
    form: String,
    authorization: Option<String>,
    most: Duration,
) -> Result<(StatusCode, Vec<u8>), String> {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
    headers.extend(authorization.map(|value| ("authorization", value)));
    let question = Question { method: Method::POST, headers: &headers, body: form.into(), most: KEY_BYTES };
    let answer = asking()?.answer(address, &question, most).await?;
    Ok((answer.status, answer.body.to_vec()))
}

/// Who asks: one for what the operator named, one for what others did.
struct Asking {
    anywhere: Outbound,
    public: Outbound,
}

/// The one of this process. It trusts the system's certificate authorities (`SSL_CERT_FILE` names others), which
/// are read once.
fn asking() -> Result<&'static Asking, String> {
    static ASKING: OnceLock<Result<Asking, String>> = OnceLock::new();
    let new = || Ok(Asking::new(&(Arc::new(SystemResolver) as Arc<dyn Resolve>), &connector("")?));
    ASKING.get_or_init(new).as_ref().map_err(String::clone)
}

impl Asking {
    fn new(resolver: &Arc<dyn Resolve>, tls: &TlsConnector) -> Self {
        let outbound =
            |private| Outbound::new(Guard::new(Vec::new(), private), resolver.clone(), tls.clone());
        Self { anywhere: outbound(true).without_idle(), public: outbound(false).without_idle() }
    }

    async fn ask(
        &self,
        address: &Address,
        question: &Question<'_>,
        most: Duration,
    ) -> Result<Fetched, String> {
        fetched(self.answer(address, question, most).await?)
    }

    async fn answer(
        &self,
        address: &Address,
        question: &Question<'_>,
        most: Duration,
    ) -> Result<Answer, String> {
        let outbound = if address.private { &self.anywhere } else { &self.public };
        let answer = tokio::time::timeout(most, outbound.ask(&address.target, question)).await;
        let answer = answer.map_err(|_| format!("no answer within {most:?}"))?;
        answer.map_err(|error| error.to_string())
    }
}

fn fetched(answer: Answer) -> Result<Fetched, String> {
    if answer.status != StatusCode::OK {
        return Err(format!("the answer is {}", answer.status));
    }
    let is_private = reach(answer.peer) != Reach::Public;
    Ok(Fetched { good_for: max_age(&answer.headers), body: answer.body.to_vec(), is_private })
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::CACHE_CONTROL)?.to_str().ok()?;
    let age = text.split(',').find_map(|part| part.trim().strip_prefix("max-age="))?;
    age.trim_matches('"').parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::SocketAddr;

    use super::*;
    use crate::outbound::Found;

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        for good in [
            "https://a.example/jwks.json",
            "https://a.example:8443/x?y=1",
            "https://10.0.0.1/jwks.json",
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
            "https://2130706433/",
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
            headers.insert(header::CACHE_CONTROL, text.parse().unwrap());
            max_age(&headers)
        };
        assert_eq!(age("public, max-age=19845, must-revalidate"), Some(Duration::from_secs(19_845)));
        assert_eq!((age("no-store"), age("max-age=soon")), (None, None));
    }

    /// Every name leads to one address.
    struct To(IpAddr);

    impl Resolve for To {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Found<'a> {
            let found = vec![SocketAddr::new(self.0, port)];
            Box::pin(async { Ok(found) })
        }
    }

    /// Why a name that leads to `address` is not asked, if it was named by somebody there.
    async fn refused(address: &str, private: bool) -> bool {
        let resolver: Arc<dyn Resolve> = Arc::new(To(address.parse().unwrap()));
        let asking = Asking::new(&resolver, &connector("").unwrap());
        let by = Fetched { body: Vec::new(), good_for: None, is_private: private };
        let named = Address::parse("https://keys.example:9/token").unwrap().named_by(&by);
        let question = Question { method: Method::GET, headers: &[], body: Bytes::new(), most: 9 };
        let said = asking.ask(&named, &question, Duration::from_millis(200)).await.unwrap_err();
        said.contains("must not be reached")
    }

    #[tokio::test]
    async fn nobody_in_the_public_internet_leads_into_the_own_network() {
        for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"] {
            assert!(refused(address, false).await, "{address}");
        }
        // Whom the operator named may be there, and name others there.
        for address in ["127.0.0.1", "::1"] {
            assert!(!refused(address, true).await, "{address}");
        }
        for address in ["0.0.0.0", "224.0.0.1"] {
            assert!(refused(address, true).await && refused(address, false).await, "{address}");
        }
    }
}
