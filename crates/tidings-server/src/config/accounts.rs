//! People who sign in here, and where else they may.

use serde::{Deserialize, Serialize};

/// An OpenID Connect provider at which people sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name in our paths: lower-case letters, digits and hyphens.
    pub name: String,
    /// What people know it by, for the buttons of pages; empty: its name.
    pub label: String,
    /// Its issuer, as its tokens say it; https, or http on loopback.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// A file that holds the secret it gave this server; empty: it gave none (PKCE alone).
    pub client_secret_file: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The organisation its people belong to; empty: `default`.
    pub org: String,
    /// Whether somebody who has no account gets one.
    pub create: bool,
    /// The domains of the e-mail addresses that are taken; empty: all.
    pub domains: Vec<String>,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            label: String::new(),
            issuer: String::new(),
            client_id: String::new(),
            client_secret_file: String::new(),
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            org: String::new(),
            create: true,
            domains: Vec::new(),
        }
    }
}

/// People who sign in here with a password or by a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountsConfig {
    /// Whether there are accounts at all; API keys are kept either way.
    pub enabled: bool,
    /// Who may make one.
    pub register: Register,
    /// Whether signing in with a password needs a verified e-mail address.
    pub verified_only: bool,
    /// Characters of a new password at least; fewer than 12 only with `demo`.
    pub password_least: usize,
    /// Seconds an access token is good.
    pub access_seconds: u64,
    /// Seconds a sign-in lasts, however often it is refreshed.
    pub refresh_seconds: u64,
    /// Seconds in which the refresh token that was replaced last is refused without ending its sign-in; 60 at most.
    pub refresh_grace_seconds: u64,
    /// Seconds in which an export does not ask for the password again.
    pub confirm_seconds: u64,
    /// The address under which browsers reach this server; empty: the one it listens on.
    pub public_url: String,
    /// The page that links in mails lead to; empty: `/account` of this server.
    pub link_url: String,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            register: Register::Loopback,
            verified_only: true,
            password_least: 12,
            access_seconds: 900,
            refresh_seconds: 30 * 86_400,
            refresh_grace_seconds: 10,
            confirm_seconds: 300,
            public_url: String::new(),
            link_url: String::new(),
        }
    }
}

/// Who may make an account; always in the organisation `default`, without roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    /// Everybody while every listener is on loopback and no proxy is said to be in front, else as `invited`.
    Loopback,
    /// Everybody who reaches the server.
    Open,
    /// Whom an administrator has invited, into the administrator's organisation.
    Invited,
    /// Nobody; operators make accounts on the command line.
    Closed,
}
