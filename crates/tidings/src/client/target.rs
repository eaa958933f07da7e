//! Where a server is, and the token to show there.

use anyhow::{Context as _, Result, bail};
use hyper::Uri;
use tidings_server::signin::{Grant, Signer};

use crate::config::{self, LocateFlags};
use crate::token::signer;

/// A server's address, from a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Host as it stands in the URL, IPv6 in brackets.
    pub(crate) host: String,
    /// Port; 80 if the URL names none.
    pub(crate) port: u16,
    /// Path before ours, without a slash at the end.
    pub(crate) prefix: String,
}

impl Target {
    /// Reads an `http://` or `ws://` URL.
    ///
    /// # Errors
    /// Another scheme (TLS is not spoken), no host, or a user and password in it.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("`{url}` is not a URL"))?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => {
                bail!("this version speaks no TLS; name the server itself, as http://127.0.0.1:3000")
            }
            _ => bail!("`{url}` is not a URL such as http://127.0.0.1:3000"),
        }
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.with_context(|| format!("`{url}` names no host"))?;
        if authority.as_str().contains('@') {
            bail!("a URL takes no user and password; use --token or TIDINGS_TOKEN");
        }
        Ok(Self {
            host: authority.host().into(),
            port: authority.port_u16().unwrap_or(80),
            prefix: uri.path().trim_end_matches('/').into(),
        })
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether it is this machine by its name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Where a command's token comes from.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// Given by the caller.
    Given(String),
    /// Made with the secret of a server on this machine, anew for every connection.
    Minted {
        /// What it says.
        grant: Box<Grant>,
        /// Signs in that server's name.
        signer: Signer,
    },
    /// None.
    Anonymous,
}

impl Credential {
    /// The token given, else one made with the local secret; that only for a server on this machine.
    ///
    /// # Errors
    /// The configuration or the secret is refused.
    pub(crate) fn find(
        given: Option<String>,
        locate: LocateFlags,
        target: &Target,
        grant: Grant,
    ) -> Result<Self> {
        let from_env = || std::env::var("TIDINGS_TOKEN").ok().filter(|token| !token.is_empty());
        if let Some(token) = given.or_else(from_env) {
            return Ok(Self::Given(token));
        }
        // Another machine's server has another secret; ours must not be tried there.
        if !target.is_loopback() {
            return Ok(Self::Anonymous);
        }
        let resolved = config::resolve(&locate.inputs())?;
        if !config::has_secret(&resolved) {
            return Ok(Self::Anonymous);
        }
        let secret = config::resolve_secret(&resolved)?.text;
        Ok(Self::Minted { grant: Box::new(grant), signer: signer(&resolved.config, &secret) })
    }

    /// The token to show now.
    ///
    /// # Errors
    /// It cannot be signed.
    pub(crate) fn token(&self) -> Result<Option<String>> {
        match self {
            Self::Given(token) => Ok(Some(token.clone())),
            Self::Minted { grant, signer } => signer.sign(grant).map(Some).map_err(anyhow::Error::msg),
            Self::Anonymous => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_target_has_host_port_and_prefix() {
        let target = Target::parse("http://127.0.0.1:3000").unwrap();
        assert_eq!((target.authority().as_str(), target.prefix.as_str()), ("127.0.0.1:3000", ""));
        let target = Target::parse("ws://[::1]:4001/live/").unwrap();
        assert_eq!((target.authority().as_str(), target.prefix.as_str()), ("[::1]:4001", "/live"));
        assert_eq!(Target::parse("http://example").unwrap().port, 80);
        for bad in ["https://a", "127.0.0.1:3000", "http://u:p@a/", "ftp://a", ""] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |url| Target::parse(url).unwrap().is_loopback();
        assert!(
            loopback("http://localhost:1") && loopback("http://127.0.0.9:1") && loopback("http://[::1]:1")
        );
        assert!(!loopback("http://192.0.2.1:1") && !loopback("http://localhost.example:1"));
    }
}
