//! Signing in elsewhere: OpenID Connect's code flow with PKCE, state and nonce.
//!
//! What was begun is remembered in memory, so a sign-in ends on the node on which it began: with several
//! nodes the proxy has to keep a browser on one for these paths.

mod pending;
mod provider;

use std::time::{Duration, Instant};

use serde::Serialize;
use subtle::ConstantTimeEq as _;
use tidings_core::{Code, Org, Refusal};
use tidings_store::identities::ExternalIdentity;
use tidings_store::users::{NewUser, Status, User};
use tidings_store::{Digest, Tx};

use super::session::SignedIn;
use super::{Accounts, ensure_org, input, secret, stored};
use crate::audit::Actor;
use crate::config::Config;
use crate::live::CallBack;
use crate::shared::wall_ms;
use crate::signin::id_token::Claimed;
use pending::Pending;
use provider::Provider;
pub(crate) use provider::{encoded, with_parameters};

/// Providers that can be configured.
const PROVIDERS: usize = 16;

/// A sign-in may take so long at the provider, and as many may be under way.
pub(crate) const FLOW_TIME: Duration = Duration::from_secs(600);
const FLOWS: usize = 50_000;

/// A page may take so long to exchange its code, and as many may wait.
const CODE_TIME: Duration = Duration::from_secs(60);
const CODES: usize = 10_000;

/// So long a code may be put back whose second factor is asked for; its cookie lives until the last one is over.
const PUT_BACK: Duration = Duration::from_secs(120);
pub(crate) const COOKIE_TIME: Duration = Duration::from_secs(180);

/// Bytes of a page's address.
const RETURN_BYTES: usize = 2_000;

/// Where people may sign in elsewhere.
pub(crate) struct Oidc {
    providers: Vec<Provider>,
    flows: Pending<Flow>,
    codes: Pending<Finished>,
    /// Origins that a browser may be sent back to.
    origins: Vec<String>,
}

/// A sign-in under way.
struct Flow {
    provider: String,
    nonce: String,
    verifier: String,
    /// Of the cookie that says that it is the same browser.
    browser: Digest,
    return_to: Option<String>,
}

/// A sign-in whose page has not exchanged its code yet.
struct Finished {
    org: Org,
    user: String,
    /// Of the cookie of its browser, for a page of this server: whoever is sent to such a page with somebody else's code
    /// would be signed in as that one. Pages of other origins send no cookies.
    browser: Option<Digest>,
    since: Instant,
}

/// Where to send a browser, and what it has to bring back.
pub(crate) struct Begun {
    pub(crate) location: String,
    pub(crate) cookie_name: String,
    pub(crate) cookie: String,
}

/// Somebody who says who people are, as pages show them.
#[derive(Serialize)]
pub(crate) struct Listed<'a> {
    /// In our paths.
    name: &'a str,
    /// For people.
    label: &'a str,
}

/// How a sign-in ended.
pub(crate) enum Ended {
    /// With tokens.
    SignedIn(Box<SignedIn>),
    /// With a page's address that has a code in it; pages of this server get tokens for that with this cookie alone.
    Return { page: String, cookie: Option<(String, String)> },
}

/// A sign-in that failed, and the page that wants to know.
pub(crate) struct Failed {
    pub(crate) refusal: Refusal,
    pub(crate) return_to: Option<String>,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, return_to: None }
    }
}

impl Oidc {
    /// Reads what is configured; nobody is asked yet.
    ///
    /// # Errors
    /// A sentence that names the provider.
    pub(crate) fn new(config: &Config, base: &str) -> Result<Self, String> {
        let base = match config.accounts.public_url.trim_end_matches('/') {
            "" => base,
            public => public,
        };
        let configured = &config.auth.providers;
        if configured.len() > PROVIDERS {
            return Err(format!("more than {PROVIDERS} [[auth.providers]]"));
        }
        let providers: Result<Vec<_>, _> =
            configured.iter().map(|provider| Provider::new(provider, base)).collect();
        let providers = providers?;
        for (at, provider) in providers.iter().enumerate() {
            if providers.iter().take(at).any(|other| other.name == provider.name) {
                return Err(format!("[[auth.providers]] {:?} is there twice", provider.name));
            }
        }
        // A star lets every page connect, but none get a code for somebody else's account.
        let origins = config.allow_origin.iter().filter(|origin| *origin != "*");
        let origins = origins.map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect();
        let (flows, codes) = (Pending::new(FLOWS, FLOW_TIME), Pending::new(CODES, CODE_TIME));
        Ok(Self { providers, flows, codes, origins })
    }

    /// Everybody at whom people may sign in, as configured.
    pub(crate) fn listed(&self) -> Vec<Listed<'_>> {
        self.providers.iter().map(|Provider { name, label, .. }| Listed { name, label }).collect()
    }

    fn provider(&self, name: &str) -> Result<&Provider, Refusal> {
        let found = self.providers.iter().find(|provider| provider.name == name);
        found.ok_or_else(no_provider)
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// `not_found` for the provider, `bad_request` for a page that is not ours, `unavailable`.
    pub(crate) async fn begin(&self, name: &str, return_to: Option<String>) -> Result<Begun, Failed> {
        let provider = self.provider(name)?;
        if return_to.as_ref().is_some_and(|page| !self.may_return_to(page)) {
            return Err(Refusal::new(Code::BadRequest, "returnTo: is on no origin that is allowed").into());
        }
        let begun = self.begin_at(provider, return_to.clone()).await;
        begun.map_err(|refusal| Failed { refusal, return_to })
    }

    async fn begin_at(&self, provider: &Provider, return_to: Option<String>) -> Result<Begun, Refusal> {
        let (state, nonce, verifier, cookie) =
            (secret::make()?, secret::make()?, secret::make()?, secret::make()?);
        let location = provider.authorize_url(&state, &nonce, &verifier).await?;
        let flow = Flow {
            provider: provider.name.clone(),
            nonce,
            verifier,
            browser: Digest::of(cookie.as_bytes()),
            return_to,
        };
        self.flows.put(Digest::of(state.as_bytes()), flow)?;
        Ok(Begun { location, cookie_name: cookie_name(&state), cookie })
    }

    /// A path of this server, or a page of an origin that may connect.
    fn may_return_to(&self, page: &str) -> bool {
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\' || !c.is_ascii();
        if page.len() > RETURN_BYTES || page.contains(odd) {
            return false;
        }
        if page.starts_with('/') {
            return !page.starts_with("//");
        }
        let Some((scheme, rest)) = page.split_once("://") else { return false };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let origin = format!("{scheme}://{host}").to_ascii_lowercase();
        ["http", "https"].contains(&scheme) && self.origins.contains(&origin)
    }

    /// What the provider says of whoever comes back; each state works once.
    async fn come_back(
        &self,
        name: &str,
        state: &str,
        code: Result<&str, &str>,
        cookie: Option<&str>,
    ) -> Result<(&Provider, Claimed, Option<String>), Failed> {
        let unknown = || Refusal::new(Code::BadRequest, "this sign-in was not begun here, or is over");
        let provider = self.provider(name)?;
        let flow = self.flows.take(&Digest::of(state.as_bytes())).ok_or_else(unknown)?;
        if flow.provider != name || !is_of(cookie, &flow.browser) {
            return Err(unknown().into());
        }
        let said = async {
            let code = code.map_err(|_| Refusal::new(Code::Forbidden, "the provider did not let you in"))?;
            provider.claimed(code, &flow.verifier, &flow.nonce).await
        };
        match said.await {
            Ok(claimed) => Ok((provider, claimed, flow.return_to)),
            Err(refusal) => Err(Failed { refusal, return_to: flow.return_to }),
        }
    }
}

pub(crate) fn no_provider() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such provider")
}

/// Whether a cookie is the one with this digest.
fn is_of(cookie: Option<&str>, browser: &Digest) -> bool {
    let brought = Digest::of(cookie.unwrap_or_default().as_bytes());
    brought.as_bytes().ct_eq(browser.as_bytes()).into()
}

/// Whether a provider's word is all that somebody can show; who has a password is asked for that before exports.
fn is_all(user: &User) -> bool {
    user.password_hash.is_none()
}

/// The cookie of one sign-in by its state, and of its code, so that two windows do not disturb each other.
pub(crate) fn cookie_name(secret: &str) -> String {
    let short: String = secret.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("tidings_oidc_{short}")
}

impl Accounts {
    /// Ends a sign-in that began here.
    ///
    /// # Errors
    /// `bad_request` for a state that is unknown, used, another browser's or over; `unauthorized` for what the
    /// provider says wrongly; `forbidden` for whom it does not vouch for or who may not.
    pub(crate) async fn finish(
        &self,
        name: &str,
        state: &str,
        code: Result<&str, &str>,
        cookie: Option<&str>,
    ) -> Result<Ended, Failed> {
        let (provider, claimed, return_to) = self.oidc.come_back(name, state, code, cookie).await?;
        let ended = self.take_over(provider, &claimed, return_to.as_deref()).await;
        ended.map_err(|refusal| Failed { refusal, return_to })
    }

    async fn take_over(
        &self,
        provider: &Provider,
        claimed: &Claimed,
        return_to: Option<&str>,
    ) -> Result<Ended, Refusal> {
        // Made before a connection is taken: it may be wanted, and it takes its time.
        let nobodys = self.passwords.hash(secret::make()?).await?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let (user, called_back) = self.user_of(&mut tx, provider, claimed, &nobodys).await?;
        if user.status != Status::Active {
            return Err(Refusal::new(Code::Forbidden, "the account may not sign in"));
        }
        let Some(page) = return_to else {
            // Nobody is there to be asked for a code.
            let mut tx = self.second_step(tx, &provider.org, &user, None).await?.tx;
            let signed_in = self.begin_session(&mut tx, &provider.org, &user, is_all(&user)).await?;
            self.commit(tx, called_back).await?;
            return Ok(Ended::SignedIn(Box::new(signed_in)));
        };
        self.commit(tx, called_back).await?;
        let code = secret::make()?;
        let cookie = if page.starts_with('/') { Some((cookie_name(&code), secret::make()?)) } else { None };
        let browser = cookie.as_ref().map(|(_, value)| Digest::of(value.as_bytes()));
        let finished = Finished { org: provider.org.clone(), user: user.id, browser, since: Instant::now() };
        self.oidc.codes.put(Digest::of(code.as_bytes()), finished)?;
        Ok(Ended::Return { page: with_parameters(page, &[("code", &code)]), cookie })
    }

    /// The user somebody is: known from before, known by a proved address, or new; held by the transaction, with the
    /// tokens of whoever had their address before.
    async fn user_of<'a>(
        &self,
        tx: &mut Tx,
        provider: &'a Provider,
        claimed: &Claimed,
        nobodys: &str,
    ) -> Result<(User, Option<CallBack<'a>>), Refusal> {
        let (org, now) = (&provider.org, wall_ms());
        let identity = ExternalIdentity { issuer: provider.issuer.clone(), subject: claimed.subject.clone() };
        let gone = || Refusal::new(Code::NotFound, "there is no such user");
        if let Some(id) = tx.user_of_identity(org, &identity).await.map_err(stored)? {
            return Ok((tx.hold_user(org, &id).await.map_err(stored)?.ok_or_else(gone)?, None));
        }
        let email = provider.proved_email(claimed)?;
        let mut called_back = None;
        let id = match tx.user_by_email(org, email).await.map_err(stored)? {
            Some(user) => {
                let held = tx.hold_user(org, &user.id).await.map_err(stored)?.ok_or_else(gone)?;
                if !held.email_verified {
                    called_back = Some(self.evict(tx, org, &user.id, nobodys).await?);
                }
                user.id
            }
            None => self.make_user(tx, provider, email, claimed.name.as_deref()).await?,
        };
        tx.link_identity(org, &identity, &id, now).await.map_err(stored)?;
        Ok((tx.hold_user(org, &id).await.map_err(stored)?.ok_or_else(gone)?, called_back))
    }

    /// Somebody had registered an address that they never proved: what they know lets nobody in any more.
    async fn evict<'a>(
        &self,
        tx: &mut Tx,
        org: &'a Org,
        user: &str,
        nobodys: &str,
    ) -> Result<CallBack<'a>, Refusal> {
        let called_back = self.set_password(tx, org, user, nobodys).await?;
        for kind in ["verify", "invite"] {
            tx.drop_links(org, user, kind).await.map_err(stored)?;
        }
        tx.verify_email(org, user).await.map_err(stored)?;
        Ok(called_back)
    }

    async fn make_user(
        &self,
        tx: &mut Tx,
        provider: &Provider,
        email: &str,
        name: Option<&str>,
    ) -> Result<String, Refusal> {
        if !provider.creates {
            return Err(Refusal::new(Code::Forbidden, "there is no account for this address"));
        }
        let (id, now) = (secret::id()?, wall_ms());
        // What cannot be a name here is none.
        let name = input::name(name, email).or_else(|_| input::name(None, email))?;
        ensure_org(tx, &provider.org, Actor::User(id.as_str().into())).await.map_err(stored)?;
        let user = NewUser { id: &id, email, name, password_hash: None, email_verified: true };
        tx.create_user(&provider.org, &user, now).await.map_err(stored)?;
        Ok(id)
    }

    /// Exchanges the code that a page was sent; it works once, for a minute, and for a page of this server in the browser
    /// that was sent it. Where there is a second factor its code is asked for, with two minutes more.
    ///
    /// # Errors
    /// `unauthorized`; as [`Accounts::second_step`].
    pub(crate) async fn exchange(
        &self,
        code: &str,
        cookie: Option<&str>,
        second: Option<&str>,
    ) -> Result<SignedIn, Refusal> {
        let wrong = || Refusal::new(Code::Unauthorized, "the code is not valid");
        let key = Digest::of(code.as_bytes());
        let finished = self.oidc.codes.take(&key).ok_or_else(wrong)?;
        if finished.browser.as_ref().is_some_and(|browser| !is_of(cookie, browser)) {
            return Err(wrong());
        }
        let (org, id) = (finished.org.clone(), finished.user.clone());
        let mut tx = self.store.begin().await.map_err(stored)?;
        let user = self.held(&mut tx, &org, &id).await?.ok_or_else(wrong)?;
        let mut passed = match self.second_step(tx, &org, &user, second).await {
            Err(refusal) => {
                if refusal.code == Code::SecondFactor && finished.since.elapsed() < PUT_BACK {
                    self.oidc.codes.put(key, finished)?;
                }
                return Err(refusal);
            }
            Ok(passed) => passed,
        };
        let signed_in = self.begin_session(&mut passed.tx, &org, &user, is_all(&user)).await?;
        match passed.has_factor {
            true => self.go_on(passed, &org, &user).await?,
            false => passed.tx.commit().await.map_err(stored)?,
        }
        Ok(signed_in)
    }

    /// Everybody at whom people may sign in.
    pub(crate) fn providers(&self) -> Vec<Listed<'_>> {
        self.oidc.listed()
    }

    /// Begins a sign-in at a provider.
    ///
    /// # Errors
    /// As [`Oidc::begin`].
    pub(crate) async fn begin_elsewhere(
        &self,
        name: &str,
        return_to: Option<String>,
    ) -> Result<Begun, Failed> {
        self.oidc.begin(name, return_to).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_browser_is_sent_back_to_allowed_origins_alone() {
        let config =
            Config { allow_origin: vec!["https://app.example".into(), "*".into()], ..Config::default() };
        let oidc = Oidc::new(&config, "http://127.0.0.1:1").unwrap();
        for good in ["/", "/a?b=c#d", "https://app.example", "https://APP.example/x", "https://app.example?x"]
        {
            assert!(oidc.may_return_to(good), "{good}");
        }
        for bad in [
            "",
            "//evil.test",
            "/\\evil.test",
            "/a\r\nSet-Cookie: b",
            "https://evil.test",
            "https://app.example.evil.test",
            "https://app.example@evil.test",
            "https://app.example:444/",
            "http://app.example/",
            "javascript://app.example/%0aalert(1)",
            "app.example",
            "https:/app.example",
        ] {
            assert!(!oidc.may_return_to(bad), "{bad}");
        }
    }
}
