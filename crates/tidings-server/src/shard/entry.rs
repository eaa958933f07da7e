//! Who somebody is, where finding out takes the front.
//!
//! A shard judges secrets itself. A public key would hold up everybody on it, and a key that is not
//! known yet takes a request: such tokens go to the front, one task for each, and the verdict comes
//! back as mail. Until then the client is not in: Socket.IO refuses what it says in the namespace, and
//! what a plain client says is held, within [`HELD_MESSAGES`] and [`HELD_BYTES`].

use std::net::IpAddr;
use std::sync::Arc;

use tidings_core::{Code, ConnKey, Identity, Refusal};
use tidings_wire::CloseReason;

use super::ShardLoop;
use super::inbox::Mail;
use super::read::Flow;
use super::socketio::Request;
use crate::client::Emission;
use crate::front::hello::Hello;
use crate::shared::Shared;
use crate::signin::Verdict;

/// Messages, and bytes of them, that a plain client may send before its token is judged; more
/// closes it with 4429.
const HELD_MESSAGES: usize = 64;
const HELD_BYTES: usize = 64 * 1024;

/// Who somebody is, as far as the shard can say.
pub(super) enum Entry {
    /// It is known.
    Known(Arc<Identity>),
    /// The front has to judge this token.
    Front(String),
}

impl Entry {
    /// Judges a token as far as a shard may; a wrong one is counted for its address.
    pub(super) fn of(shared: &Shared, remote: IpAddr, token: &str) -> Result<Self, Refusal> {
        shared.gate.may_sign_in(remote)?;
        Ok(match shared.judge(token, remote)? {
            Verdict::Known(who) => Self::Known(Arc::new(who)),
            Verdict::Front => Self::Front(token.to_owned()),
        })
    }
}

/// The token that counts: from the query, else from what was said, else from the header.
///
/// # Errors
/// `unauthorized` for an API key: whoever shows one is not nobody, and none is taken here.
pub(super) fn token_of<'a>(
    hello: Option<&'a Hello>,
    said: Option<&'a str>,
) -> Result<Option<&'a str>, Refusal> {
    if hello.is_some_and(|hello| hello.shows_key) {
        return Err(Refusal::new(Code::Unauthorized, "an API key is for HTTP; here a token is needed"));
    }
    let query = hello.and_then(|hello| hello.query_token.as_deref());
    let header = hello.and_then(|hello| hello.header_token.as_deref());
    Ok(query.or(said).or(header))
}

/// What CONNECT_ERROR carries beside its message: the code, and when to try again if that is known.
pub(super) fn refusal_data(refusal: &Refusal) -> String {
    let retry = refusal.retry_after_ms.map(|ms| format!(",\"retryAfterMs\":{ms}")).unwrap_or_default();
    format!("{{\"code\":\"{}\"{retry}}}", refusal.code.as_str())
}

/// What a plain client said while its token is judged.
#[derive(Debug, Default)]
pub(super) struct Held {
    messages: Vec<String>,
    bytes: usize,
}

impl Held {
    /// Keeps a message; `false` if there is no place for it.
    fn keep(&mut self, text: &str) -> bool {
        self.bytes += text.len();
        let fits = self.messages.len() < HELD_MESSAGES && self.bytes <= HELD_BYTES;
        if fits {
            self.messages.push(text.to_owned());
        }
        fits
    }
}

impl ShardLoop {
    /// Lets the front judge the token of a Socket.IO client, and then the backend and the mounted
    /// handler, where there are such.
    pub(super) fn check_on_front(
        &mut self,
        key: ConnKey,
        request: Request,
        token: String,
        auth: Option<&str>,
    ) {
        let Some(from) = self.doorstep(key) else { return };
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        let auth = auth.map(str::to_owned);
        let namespace = request.namespace;
        let name = self.settings.namespaces.name(namespace).to_owned();
        let hello = self.links.get(key).and_then(|link| link.hello.clone()).unwrap_or_default();
        self.shared.front.spawn(async move {
            let emission = match shared.judge_on_front(&token, from.address).await {
                Ok(who) => {
                    let admission = request.admission(Arc::new(who));
                    super::mail::ask(&shared, from, admission, &name, &hello, auth).await
                }
                // After CONNECT_ERROR stock clients stay away; after a close they come back.
                Err(refusal) if refusal.code.retryable() => Emission::Close(CloseReason::Overloaded),
                Err(refusal) => {
                    let data = Some(refusal_data(&refusal));
                    Emission::Refuse { namespace, message: refusal.message.into(), data }
                }
            };
            inbox.push(Mail::Emit(key, emission));
        });
    }

    /// Lets the front judge the token of a plain client, and holds what it says meanwhile.
    pub(super) fn check_plain_on_front(&mut self, key: ConnKey, token: String) {
        let Some(link) = self.links.get(key) else { return };
        link.held = Some(Box::default());
        let remote = link.remote;
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        self.shared.front.spawn(async move {
            let who = shared.judge_on_front(&token, remote).await.map(Arc::new);
            inbox.push(Mail::Emit(key, Emission::Judged(who)));
        });
    }

    /// Keeps what a plain client says while its token is judged.
    pub(super) fn hold(&mut self, key: ConnKey, text: &str) -> Flow {
        let kept =
            self.links.get(key).and_then(|link| link.held.as_mut()).is_some_and(|held| held.keep(text));
        if kept {
            return Flow::On;
        }
        self.close(key, CloseReason::Flooding);
        Flow::Gone
    }

    /// The front has judged the token of a plain client: what it said since is handled now.
    pub(super) fn judged(&mut self, key: ConnKey, who: Result<Arc<Identity>, Refusal>) {
        let Some(link) = self.links.get(key) else { return };
        let Some(held) = link.held.take() else { return };
        // What was held was counted when it was said.
        self.over = None;
        self.plain_entered(key, who);
        for text in held.messages {
            if !matches!(self.plain_text(key, &text), Flow::On) {
                return;
            }
        }
        self.schedule(key);
    }
}
