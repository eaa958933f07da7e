//! What can be set, with defaults that are safe on the first start.

mod accounts;
mod admin_ui;
mod alerts;
mod limits;
mod presence;
mod receipts;
mod recorder;
mod threats;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use accounts::{AccountsConfig, ProviderConfig, Register};
pub use admin_ui::{AdminUiConfig, AdminUiMode};
pub use alerts::AlertsConfig;
pub use limits::LimitsConfig;
pub use presence::PresenceConfig;
pub use receipts::ReceiptsConfig;
pub use recorder::RecorderConfig;
pub use threats::ThreatsConfig;

/// Everything a server can be told; every field has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the main listener: REST, Socket.IO, plain WebSocket, console, health.
    pub listen: String,
    /// A second address that serves the plain protocol at `/` as well; empty: none.
    pub ws_listen: String,
    /// A listener of its own for the page, the administration and `/metrics`; empty: on the main listener.
    pub admin_listen: String,
    /// Where secrets and data are kept.
    pub data_dir: PathBuf,
    /// Browser origins besides the server's own that may connect; `*` allows all.
    pub allow_origin: Vec<String>,
    /// Says that a proxy terminates TLS, which allows an address that is not loopback.
    pub behind_proxy: bool,
    /// Proxies whose word about a client's address is taken: addresses and ranges.
    pub trusted_proxies: Vec<String>,
    /// The header in which those proxies name the client.
    pub proxy_header: ProxyHeader,
    /// Fills the server with lifelike traffic.
    pub demo: bool,
    /// Lifts rates, counts and admission caps for measuring; loopback listeners only.
    pub no_limits: bool,
    /// Shard threads; 0: one per core.
    pub shards: usize,
    /// Threads of the HTTP front; 0: one per core.
    pub front_threads: usize,
    /// Heartbeats.
    pub heartbeat: HeartbeatConfig,
    /// Sizes and structure of what clients send, rates and counts.
    pub limits: LimitsConfig,
    /// Sign-in.
    pub auth: AuthConfig,
    /// People who sign in here with a password or by a provider.
    pub accounts: AccountsConfig,
    /// Where accounts, keys and the audit log are kept.
    pub database: DatabaseConfig,
    /// The team's own backend, asked who may connect and what `ask` rules leave to it.
    pub hooks: HooksConfig,
    /// What happened, and how long it is remembered.
    pub audit: AuditConfig,
    /// What is taken for an attack.
    pub threats: ThreatsConfig,
    /// The stock Admin UI of Socket.IO.
    pub admin_ui: AdminUiConfig,
    /// From when on figures of the server are an alert.
    pub alerts: AlertsConfig,
    /// Who is there, and what others are told of it.
    pub presence: PresenceConfig,
    /// What is remembered of the last minutes, so that it can be explained.
    pub recorder: RecorderConfig,
    /// Connection state recovery for Socket.IO clients.
    pub recovery: RecoveryConfig,
    /// Tracked messages, dead letters and persistent subscriptions.
    pub receipts: ReceiptsConfig,
    /// WebSocket options.
    pub websocket: WebSocketConfig,
    /// Leaving on SIGTERM.
    pub drain: DrainConfig,
    /// The host's own figures.
    pub host: HostConfig,
    /// Logging.
    pub log: LogConfig,
    /// Namespaces besides `/`, by name.
    pub namespaces: BTreeMap<String, NamespaceConfig>,
    /// The apps of this server, by name.
    pub apps: BTreeMap<String, AppConfig>,
    /// Room kinds by name: the shipped ones can be changed, others added.
    pub rooms: BTreeMap<String, RoomKindConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:3000".into(),
            ws_listen: String::new(),
            admin_listen: String::new(),
            data_dir: "./data".into(),
            allow_origin: Vec::new(),
            behind_proxy: false,
            trusted_proxies: Vec::new(),
            proxy_header: ProxyHeader::XForwardedFor,
            demo: false,
            no_limits: false,
            shards: 0,
            front_threads: 0,
            heartbeat: HeartbeatConfig::default(),
            limits: LimitsConfig::default(),
            auth: AuthConfig::default(),
            accounts: AccountsConfig::default(),
            database: DatabaseConfig::default(),
            hooks: HooksConfig::default(),
            audit: AuditConfig::default(),
            threats: ThreatsConfig::default(),
            admin_ui: AdminUiConfig::default(),
            alerts: AlertsConfig::default(),
            presence: PresenceConfig::default(),
            recorder: RecorderConfig::default(),
            recovery: RecoveryConfig::default(),
            receipts: ReceiptsConfig::default(),
            websocket: WebSocketConfig::default(),
            drain: DrainConfig::default(),
            host: HostConfig::default(),
            log: LogConfig::default(),
            namespaces: BTreeMap::new(),
            apps: BTreeMap::new(),
            rooms: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Whether a proxy stands in front, said or named: everybody comes from loopback then, and nobody is from this
    /// machine for it.
    pub fn has_proxy(&self) -> bool {
        self.behind_proxy || !self.trusted_proxies.is_empty()
    }
}

/// The header in which trusted proxies name the client; the other one is not looked at, since a
/// proxy that does not write it passes on what the client made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, as most proxies write it.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Heartbeats: the server pings, the client answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// Milliseconds between pings; longer is cheaper, and dead clients are found later.
    pub interval_ms: u64,
    /// Milliseconds a client may take to answer.
    pub timeout_ms: u64,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self { interval_ms: 25_000, timeout_ms: 20_000 }
    }
}

/// Sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// The raw bytes that sign tokens (HS256), at least 32; from file or environment only.
    /// Empty: a random one is written to the data directory.
    #[serde(skip_serializing)]
    pub jwt_secret: String,
    /// A file that holds the secret instead.
    pub jwt_secret_file: String,
    /// The secret before this one: tokens signed with it are still taken.
    #[serde(skip_serializing)]
    pub jwt_secret_previous: String,
    /// A file that holds the previous secret instead.
    pub jwt_secret_previous_file: String,
    /// The `iss` that tokens signed with the shared secret must have; empty: not looked at.
    pub issuer: String,
    /// The audiences of which such a token must name one; empty: not looked at.
    pub audience: Vec<String>,
    /// The `iss` and `aud` of the tokens this server issues.
    pub own_issuer: String,
    /// Others whose tokens are taken.
    pub issuers: Vec<IssuerConfig>,
    /// Whether anonymous clients are taken on the plain protocol.
    pub anonymous: Anonymous,
    /// Whether a token in the query string is read.
    pub query_token: bool,
    /// Seconds that a connection outlives its token, at most 30: clocks differ.
    pub expiry_grace_seconds: u64,
    /// Days that a revocation holds: longer than any token lives.
    pub revocation_days: u64,
    /// Where people may sign in elsewhere (OpenID Connect).
    pub providers: Vec<ProviderConfig>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            jwt_secret: String::new(),
            jwt_secret_file: String::new(),
            jwt_secret_previous: String::new(),
            jwt_secret_previous_file: String::new(),
            issuer: String::new(),
            audience: Vec::new(),
            own_issuer: "tidings".into(),
            issuers: Vec::new(),
            anonymous: Anonymous::Loopback,
            query_token: true,
            expiry_grace_seconds: 5,
            revocation_days: 30,
            providers: Vec::new(),
        }
    }
}

/// An issuer whose tokens are taken; exactly one source of keys is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerConfig {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// The audiences of which a token must name one; empty: not looked at.
    pub audience: Vec<String>,
    /// The organisation for which alone it speaks; empty: the token says which.
    pub org: String,
    /// A file with a shared secret of at least 32 bytes.
    pub secret_file: String,
    /// What is signed with the shared secret: `HS256`, `HS384` or `HS512`.
    pub algorithm: String,
    /// A PEM file with one or more public keys.
    pub public_key_file: String,
    /// A file with a JSON Web Key Set.
    pub jwks_file: String,
    /// Where its JSON Web Key Set is fetched; https, or http on loopback.
    pub jwks_url: String,
    /// The claim that names the user; empty: `sub`, else `userId`, else `id`.
    pub user_claim: String,
    /// The claim with the display name. Names of claims may be paths: `profile.name`.
    pub name_claim: String,
    /// The claim with the roles, a list of texts.
    pub roles_claim: String,
    /// The claim that says whether the e-mail address is verified.
    pub email_verified_claim: String,
    /// The claim that names the organisation.
    pub org_claim: String,
    /// The claim with the scopes: words of one text, or a list of texts.
    pub scope_claim: String,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: Vec::new(),
            org: String::new(),
            secret_file: String::new(),
            algorithm: "HS256".into(),
            public_key_file: String::new(),
            jwks_file: String::new(),
            jwks_url: String::new(),
            user_claim: String::new(),
            name_claim: "name".into(),
            roles_claim: "roles".into(),
            email_verified_claim: "email_verified".into(),
            org_claim: "org".into(),
            scope_claim: "scope".into(),
        }
    }
}

/// Where anonymous clients are taken on the plain protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// While the listener is on loopback.
    Loopback,
    /// Nowhere.
    Never,
    /// Everywhere.
    Always,
}

/// Where accounts, keys and the audit log are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://…`; from file or environment only, since it may hold a password.
    /// Empty: a SQLite file in the data directory.
    #[serde(skip_serializing)]
    pub url: String,
    /// A file that holds the URL instead.
    pub url_file: String,
    /// Days that it is kept who was connected, from where and until when; 0: that is not written down.
    pub session_days: u64,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: String::new(), url_file: String::new(), session_days: 30 }
    }
}

/// The team's own backend, asked who may connect and what `ask` rules leave to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HooksConfig {
    /// Asked whether a client may come in, after its token was verified; empty: nobody is asked.
    pub connect: String,
    /// Asked about subscribing, and about history and presence, where the rule is `ask`.
    pub subscribe: String,
    /// Asked about publishing where the rule is `ask`.
    pub publish: String,
    /// Signs questions (HMAC-SHA-256), at least 32 bytes, raw or `whsec_` and base64; from file or
    /// environment only, and never the secret of tokens.
    #[serde(skip_serializing)]
    pub secret: String,
    /// A file that holds the secret instead.
    pub secret_file: String,
    /// Milliseconds a question may take, its wait for a turn included.
    pub timeout_ms: u64,
    /// Hosts, as `host:port`, that may be private addresses and may be asked without TLS.
    pub allow_hosts: Vec<String>,
    /// Private addresses may be asked, without TLS too: for development.
    pub allow_private: bool,
    /// Questions about publishing carry the event's data.
    pub send_data: bool,
    /// Seconds an answer is kept at most, whatever it says.
    pub max_cache_seconds: u64,
    /// A PEM file with certificate authorities that are trusted besides the system's.
    pub ca_file: String,
}

impl Default for HooksConfig {
    fn default() -> Self {
        Self {
            connect: String::new(),
            subscribe: String::new(),
            publish: String::new(),
            secret: String::new(),
            secret_file: String::new(),
            timeout_ms: 2_000,
            allow_hosts: Vec::new(),
            allow_private: false,
            send_data: false,
            max_cache_seconds: 300,
            ca_file: String::new(),
        }
    }
}

impl HooksConfig {
    /// Whether anything is asked at all.
    pub fn any(&self) -> bool {
        [&self.connect, &self.subscribe, &self.publish].iter().any(|url| !url.is_empty())
    }
}

/// What happened, and how long it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Days an entry is kept; 0: for ever.
    pub retention_days: u64,
    /// Of what comes in floods every so-many-th is written.
    pub sample_every: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { retention_days: 90, sample_every: 100 }
    }
}

/// Connection state recovery for Socket.IO clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecoveryConfig {
    /// Who gets the trailing offset argument: `auto` spares clients that cannot take it.
    pub mode: RecoveryMode,
    /// Seconds a session is kept after its connection broke.
    pub window_seconds: u64,
    /// Sessions kept at most; the oldest go first.
    pub sessions: usize,
    /// Sessions in durable rooms are kept in the database as well, so that they outlive the process.
    pub stored: bool,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self { mode: RecoveryMode::Auto, window_seconds: 120, sessions: 100_000, stored: true }
    }
}

/// Who gets the trailing offset argument of recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecoveryMode {
    /// Every client but those that say `recovery:false` and python-engineio.
    Auto,
    /// Every client.
    Always,
    /// Nobody.
    Never,
}

/// WebSocket options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketConfig {
    /// Offers permessage-deflate; costs CPU per event and memory while inflating.
    pub compression: bool,
}

/// Leaving on SIGTERM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// Seconds over which connections are closed; shorter than the supervisor's grace.
    pub seconds: u64,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { seconds: 10 }
    }
}

/// The host's own figures, published to `metrics:host`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// Whether they are published.
    pub publish: bool,
    /// Milliseconds between two readings.
    pub interval_ms: u64,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { publish: true, interval_ms: 1_000 }
    }
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The filter: `info`, or by module such as `tidings_server=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A namespace besides `/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamespaceConfig {
    /// Whether a token is needed.
    pub auth: NamespaceAuth,
}

impl Default for NamespaceConfig {
    fn default() -> Self {
        Self { auth: NamespaceAuth::Required }
    }
}

/// An app that this server has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppConfig {
    /// Whether it is there: its commands, rooms and paths exist, and its tables are kept up.
    pub enabled: bool,
    /// What else is said of it, which the app itself reads; that it knows every name of it is checked there.
    #[serde(flatten)]
    pub own: BTreeMap<String, serde_json::Value>,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self { enabled: true, own: BTreeMap::new() }
    }
}

/// Whether a namespace needs a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceAuth {
    /// A valid token.
    Required,
    /// Anonymous clients are taken; a bad token is refused all the same.
    Optional,
}

/// A kind of rooms: the word before the first colon of their names.
///
/// What is left out keeps the shipped kind's value, or `nobody` and `nothing` for a new kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomKindConfig {
    /// Who may subscribe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<String>,
    /// Who may publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
    /// Who may read the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// Who may read presence and counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<String>,
    /// What members are shown of each other: `off`, `counts` or `members`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster: Option<String>,
    /// Up to so many users a newcomer gets the whole list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster_full: Option<usize>,
    /// Up to so many users each is told who comes and goes; beyond that only the counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster_deltas: Option<usize>,
    /// `nothing`, `recent` or `durable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
    /// Events kept, for `recent` and `durable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Seconds each is kept, for both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Bytes of one room's events in the log, for `durable`; what is in memory has `limits.room_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// `critical`, `high`, `normal` or `low`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Members of one room at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// Bytes of one event's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_bytes: Option<usize>,
    /// Milliseconds between two events of a scope; of those that come between, the newest follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace_ms: Option<u64>,
    /// What a scope is: `room`, `event` or `slot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace_per: Option<String>,
    /// Milliseconds that events gather before they leave together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_ms: Option<u64>,
    /// So many leave at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_events: Option<usize>,
    /// Of objects only what has changed is sent, and all of it every so-many-th time of one name and slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<u32>,
    /// Publishes of one user to rooms of this kind in a minute, beside `limits.publish_per_minute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_per_minute: Option<u64>,
}
