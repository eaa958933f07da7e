//! The configuration, worked out into what the engine asks for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tidings_app::RoomKind;
use tidings_core::frame::Namespaces;
use tidings_core::limits::{OWN_RATES, OwnRate, Rate};
use tidings_core::pace::{Pacing, Per};
use tidings_core::room::{Keep, RoomSpec};
use tidings_core::{Action, Kinds, Lane, QueueLimits, Roll, Rule, presence};
use tidings_wire::session::{HeartbeatTimes, SocketIoTimes};
use tidings_wire::websocket::DeflateConfig;
use tidings_wire::{Limits, json};

use crate::admin::ui;
use crate::config::{
    AdminUiMode, Anonymous, Config, HooksConfig, NamespaceAuth, ReceiptsConfig, RecoveryMode, RoomKindConfig,
};

/// The configuration, worked out.
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) times: SocketIoTimes,
    pub(crate) plain_auth_ms: u64,
    pub(crate) lag_ms: u64,
    pub(crate) queue: QueueLimits,
    pub(crate) namespaces: Arc<Namespaces>,
    namespace_auth: Vec<NamespaceAuth>,
    recovery: RecoveryMode,
    pub(crate) window_ms: u64,
    /// Sessions in durable rooms outlive the process.
    pub(crate) stores_sessions: bool,
    /// Bytes that the rooms of one organisation may take in the log.
    pub(crate) log_bytes: u64,
    pub(crate) sessions_per_shard: usize,
    /// Rare moments of connections that a shard remembers.
    pub(crate) recorded_per_shard: usize,
    pub(crate) rooms_per_connection: usize,
    pub(crate) takes_anonymous: bool,
    /// Apps are lively by themselves.
    pub(crate) demo: bool,
    pub(crate) query_token: bool,
    /// How long a connection outlives its token.
    pub(crate) expiry_grace_ms: u64,
    /// How long a revocation holds.
    pub(crate) revocation_seconds: u64,
    /// How long sessions are kept in the store.
    pub(crate) session_ms: u64,
    /// No listener faces a network.
    pub(crate) loopback: bool,
    pub(crate) deflate: Option<DeflateConfig>,
    pub(crate) receipts: ReceiptsConfig,
    /// The namespace of the stock Admin UI, if it may connect.
    pub(crate) admin_ui: Option<u8>,
    /// Administrators have a listener of their own.
    pub(crate) admin_apart: bool,
    /// A handler is mounted that may ask for what was said at the handshake.
    pub(crate) keeps_hello: bool,
}

impl Settings {
    /// Works a configuration out for so many shards; `loopback`: no listener faces a network.
    pub(crate) fn new(config: &Config, shards: usize, loopback: bool, handler: bool) -> Self {
        let limits = &config.limits;
        // A count: what a room takes of memory is bounded by its kind, and who may enter it by its rule.
        let rooms = if config.no_limits { u32::MAX } else { limits.rooms };
        let namespaces = Namespaces::new(config.namespaces.keys().map(String::as_str));
        let admin_ui = (config.admin_ui.mode != AdminUiMode::Off)
            .then(|| namespaces.iter().position(|name| name == ui::NAMESPACE))
            .flatten()
            .and_then(|index| u8::try_from(index).ok());
        let auth = |name: &str| config.namespaces.get(name).map_or(NamespaceAuth::Required, |ns| ns.auth);
        Self {
            limits: Limits {
                message_bytes: limits.message_bytes,
                frame_bytes: limits.message_bytes,
                fragments: limits.fragments,
                attachments: limits.attachments,
                json_depth: limits.json_depth,
                namespaces: limits.namespaces,
                rooms,
                outstanding_acks: limits.outstanding_acks,
                ..Limits::default()
            },
            times: SocketIoTimes {
                heartbeat: HeartbeatTimes {
                    interval_ms: config.heartbeat.interval_ms,
                    timeout_ms: config.heartbeat.timeout_ms,
                },
                connect_ms: limits.connect_ms,
                attachments_ms: ATTACHMENTS_MS,
            },
            plain_auth_ms: limits.plain_auth_ms,
            lag_ms: limits.lag_ms,
            queue: QueueLimits { bytes: limits.queue_bytes, messages: limits.queue_messages },
            namespace_auth: namespaces.iter().map(auth).collect(),
            namespaces: Arc::new(namespaces),
            recovery: config.recovery.mode,
            window_ms: config.recovery.window_seconds * 1_000,
            stores_sessions: config.recovery.stored,
            log_bytes: limits.log_bytes_per_org,
            sessions_per_shard: (config.recovery.sessions / shards).max(1),
            recorded_per_shard: (config.recorder.events / 2 / shards).max(1),
            rooms_per_connection: rooms as usize,
            takes_anonymous: match config.auth.anonymous {
                Anonymous::Always => true,
                Anonymous::Never => false,
                Anonymous::Loopback => loopback,
            },
            demo: config.demo,
            query_token: config.auth.query_token,
            revocation_seconds: config.auth.revocation_days.clamp(1, REVOCATION_DAYS_MOST) * 24 * 3_600,
            session_ms: config.database.session_days.saturating_mul(24 * 3_600_000),
            loopback,
            expiry_grace_ms: config.auth.expiry_grace_seconds.min(EXPIRY_GRACE_MOST) * 1_000,
            deflate: config.websocket.compression.then(DeflateConfig::default),
            receipts: config.receipts.clone(),
            admin_ui,
            admin_apart: !config.admin_listen.is_empty(),
            keeps_hello: handler,
        }
    }

    /// Whether a namespace needs a token.
    pub(crate) fn namespace_auth(&self, namespace: u8) -> NamespaceAuth {
        self.namespace_auth.get(usize::from(namespace)).copied().unwrap_or(NamespaceAuth::Required)
    }

    /// Whether a client gets the trailing offset of recovery.
    pub(crate) fn gives_offsets(&self, python: bool, asked: Option<bool>) -> bool {
        match self.recovery {
            RecoveryMode::Always => true,
            RecoveryMode::Never => false,
            RecoveryMode::Auto => asked.unwrap_or(true) && !python,
        }
    }
}

/// The promise is that nothing is delivered longer than this after a token's end, in seconds.
pub(crate) const EXPIRY_GRACE_MOST: u64 = 30;

/// Days that a revocation can hold.
pub(crate) const REVOCATION_DAYS_MOST: u64 = 3_650;

/// From a binary packet to its last attachment.
const ATTACHMENTS_MS: u64 = 10_000;

/// What the shipped kinds of rooms depend on.
#[derive(Debug, Clone, Copy)]
pub struct Footing {
    /// Every listener is on loopback.
    pub loopback: bool,
    /// There is a database.
    pub stored: bool,
}

/// The shipped kinds of rooms, those of apps, and the configured ones.
///
/// # Errors
/// A sentence that names the kind and the key.
pub fn kinds(config: &Config, footing: Footing, apps: &[RoomKind]) -> Result<Kinds, String> {
    let (mut kinds, bytes) = (Kinds::default(), config.limits.room_bytes);
    let Footing { loopback, stored } = footing;
    let day = Duration::from_secs(24 * 3_600);
    let (size, ttl, log_bytes) = (1_000, day, u64::MAX);
    let lobby = if stored {
        Keep::Durable { size, ttl, bytes, log_bytes }
    } else {
        Keep::Recent { size, ttl, bytes }
    };
    let mut shipped = vec![
        ("lobby", spec(Rule::SignedIn, Rule::SignedIn, lobby)),
        ("user", spec(Rule::Owner, Rule::Server, Keep::Recent { size: 100, ttl: day, bytes })),
        (
            "metrics",
            spec(
                if loopback { Rule::Anyone } else { Rule::SignedIn },
                Rule::Server,
                Keep::Recent { size: 600, ttl: Duration::from_secs(900), bytes },
            ),
        ),
    ];
    let told = Keep::Recent { size: 200, ttl: 7 * day, bytes };
    for (kind, role) in [("admin", "admin"), ("operator", "operator")] {
        shipped.push((kind, spec(Rule::Role(role.into()), Rule::Nobody, told)));
    }
    // The figures of the whole server are told in a room of this kind of the default organisation.
    shipped.push(("server", spec(Rule::Server, Rule::Nobody, Keep::Nothing)));
    if config.no_limits {
        shipped.push(("bench", spec(Rule::SignedIn, Rule::SignedIn, Keep::Nothing)));
    }
    for (kind, spec) in shipped {
        kinds.declare(kind, spec);
    }
    for kind in apps {
        kinds.declare(kind.name(), kind.spec(bytes));
    }
    let mut own_rates = 0;
    for (kind, wanted) in &config.rooms {
        let base = kinds.iter().find(|(known, _)| known == kind).map(|(_, spec)| spec.clone());
        let base = base.unwrap_or_else(|| spec(Rule::Nobody, Rule::Nobody, Keep::Nothing));
        let mut spec =
            configured(base, wanted, bytes).map_err(|problem| format!("[rooms.{kind}] {problem}"))?;
        spec.publish_rate = wanted.publish_per_minute.map(|events| {
            own_rates += 1;
            OwnRate { at: own_rates - 1, rate: Rate::per_minute(events) }
        });
        kinds.declare(kind, spec);
    }
    if own_rates > OWN_RATES {
        return Err(format!("more than {OWN_RATES} kinds of rooms have a publish_per_minute of their own"));
    }
    refuse_unanswered(&kinds, &config.hooks)?;
    Ok(kinds)
}

/// A rule that asks needs somebody to ask, and a key to ask with.
fn refuse_unanswered(kinds: &Kinds, hooks: &HooksConfig) -> Result<(), String> {
    for (kind, spec) in kinds.iter() {
        for action in [Action::Subscribe, Action::Publish, Action::History, Action::Presence] {
            let (url, key) = match action {
                Action::Publish => (&hooks.publish, "publish"),
                _ => (&hooks.subscribe, "subscribe"),
            };
            if *spec.rule(action) == Rule::Ask && url.is_empty() {
                let action = action.as_str();
                return Err(format!(
                    "[rooms.{kind}] {action}: the rule `ask` needs hooks.{key}, the URL to ask"
                ));
            }
        }
    }
    Ok(())
}

/// A shipped kind: who hears a room may read its history and see who is there.
fn spec(subscribe: Rule, publish: Rule, keep: Keep) -> RoomSpec {
    let (history, presence) = (subscribe.clone(), subscribe.clone());
    let (lane, members, message_bytes, publish_rate) = (Lane::Normal, None, None, None);
    let roll = Roll::Off;
    RoomSpec {
        subscribe,
        publish,
        history,
        presence,
        roll,
        keep,
        lane,
        members,
        message_bytes,
        publish_rate,
        pacing: None,
        diff: None,
    }
}

fn configured(mut spec: RoomSpec, wanted: &RoomKindConfig, bytes: usize) -> Result<RoomSpec, String> {
    let rule = |name: &str, text: &Option<String>, rule: &mut Rule| -> Result<(), String> {
        if let Some(text) = text {
            *rule = Rule::parse(text).map_err(|problem| format!("{name}: {problem}"))?;
        }
        Ok(())
    };
    rule("subscribe", &wanted.subscribe, &mut spec.subscribe)?;
    rule("publish", &wanted.publish, &mut spec.publish)?;
    rule("history", &wanted.history, &mut spec.history)?;
    rule("presence", &wanted.presence, &mut spec.presence)?;
    if let Some(lane) = &wanted.lane {
        spec.lane = Lane::parse(lane).ok_or("lane: one of critical, high, normal, low")?;
    }
    spec.roll = roll(spec.roll, wanted)?;
    spec.keep = keep(spec.keep, wanted, bytes)?;
    spec.pacing = pacing(wanted)?.or(spec.pacing);
    if matches!(spec.pacing, Some(Pacing::Throttle { .. })) && spec.keep.is_durable() {
        return Err(
            "pace_ms: what a durable kind acknowledges is stored, so nothing may take its place".into()
        );
    }
    spec.diff = wanted.diff.or(spec.diff);
    if spec.diff.is_some() && spec.keep.is_durable() {
        return Err("diff: what a durable kind acknowledges is stored as it is, and read as it is".into());
    }
    spec.members = wanted.members.or(spec.members);
    spec.message_bytes = wanted.message_bytes.or(spec.message_bytes);
    Ok(spec)
}

/// What members are shown of each other; no shipped kind shows anything.
fn roll(base: Roll, wanted: &RoomKindConfig) -> Result<Roll, String> {
    let bounds = wanted.roster_full.or(wanted.roster_deltas);
    match wanted.roster.as_deref() {
        Some("members") => {
            let full = wanted.roster_full.unwrap_or(ROSTER_FULL);
            let deltas = wanted.roster_deltas.unwrap_or(ROSTER_DELTAS).max(1);
            Ok(Roll::Members { full: full.min(presence::PAGE), deltas })
        }
        _ if bounds.is_some() => {
            Err("roster: roster_full and roster_deltas need roster = \"members\"".into())
        }
        Some("counts") => Ok(Roll::Counts),
        None => Ok(base),
        Some("off") => Ok(Roll::Off),
        Some(_) => Err("roster: one of off, counts, members".into()),
    }
}

/// Up to so many users a newcomer gets the whole list of members with the answer to `subscribe`.
const ROSTER_FULL: usize = 100;

/// Up to so many users each is told who comes and goes.
const ROSTER_DELTAS: usize = 1_000;

/// How the events of a kind are paced; `None`: nothing is said about it.
fn pacing(wanted: &RoomKindConfig) -> Result<Option<Pacing>, String> {
    let RoomKindConfig { pace_ms, pace_per, batch_ms, batch_events, .. } = wanted;
    let per = pace_per.as_deref().map(|per| Per::parse(per).ok_or("pace_per: one of room, event, slot"));
    let per = per.transpose()?;
    match (pace_ms, batch_ms) {
        (Some(_), Some(_)) => Err("pace_ms and batch_ms: one of the two".into()),
        (None, _) if per.is_some() => Err("pace_per needs pace_ms".into()),
        (_, None) if batch_events.is_some() => Err("batch_events needs batch_ms".into()),
        (Some(interval_ms), None) => {
            Ok(Some(Pacing::Throttle { interval_ms: *interval_ms, per: per.unwrap_or(Per::Event) }))
        }
        (None, Some(wait_ms)) => {
            Ok(Some(Pacing::Batch { wait_ms: *wait_ms, most: batch_events.unwrap_or(BATCH_EVENTS) }))
        }
        (None, None) => Ok(None),
    }
}

/// Events that leave together where the configuration names no number.
const BATCH_EVENTS: usize = 50;

fn keep(base: Keep, wanted: &RoomKindConfig, bytes: usize) -> Result<Keep, String> {
    // In memory a tenth of what the log keeps.
    let size = if wanted.keep.as_deref() == Some("durable") { 10_000 } else { 1_000 };
    let (size, ttl, _) = base.bounds().unwrap_or((size, Duration::from_secs(24 * 3_600), bytes));
    let (size, ttl) = (wanted.size.unwrap_or(size), wanted.ttl_seconds.map_or(ttl, Duration::from_secs));
    let log_bytes = wanted.bytes.unwrap_or(u64::MAX);
    let (recent, durable) =
        (Keep::Recent { size, ttl, bytes }, Keep::Durable { size, ttl, bytes, log_bytes });
    let durable_wanted = wanted.keep.as_deref().map_or(base.is_durable(), |keep| keep == "durable");
    if wanted.bytes.is_some() && !durable_wanted {
        return Err("bytes: needs keep = \"durable\"".into());
    }
    match wanted.keep.as_deref() {
        Some("nothing") => Ok(Keep::Nothing),
        Some("recent") => Ok(recent),
        Some("durable") => Ok(durable),
        Some(_) => Err("keep: one of nothing, recent, durable".into()),
        None if base == Keep::Nothing && (wanted.size.is_some() || wanted.ttl_seconds.is_some()) => {
            Err("keep: size and ttl_seconds need keep = \"recent\" or \"durable\"".into())
        }
        None if base == Keep::Nothing => Ok(Keep::Nothing),
        None if base.is_durable() => Ok(durable),
        None => Ok(recent),
    }
}

/// What the engine reads of a client's auth payload.
#[derive(Debug, Default)]
pub(crate) struct AuthFields<'a> {
    pub(crate) token: Option<Cow<'a, str>>,
    /// Why its token is none that can be judged.
    pub(crate) wrong: Option<&'static str>,
    pub(crate) pid: Option<Cow<'a, str>>,
    pub(crate) offset: Option<Cow<'a, str>>,
    pub(crate) recovery: Option<bool>,
    pub(crate) gaps: bool,
    pub(crate) positions: bool,
    pub(crate) persistent: bool,
}

impl<'a> AuthFields<'a> {
    /// Reads a payload; what is missing or of another type is not there, but for the token: of that only `null` is
    /// none, which stock clients write for one that they do not have.
    pub(crate) fn parse(auth: Option<&'a str>) -> Self {
        let (mut fields, mut tokens) = (Self::default(), 0);
        for (name, value) in auth.into_iter().flat_map(json::members) {
            match json::string(name).as_deref() {
                Some("token") => {
                    tokens += 1;
                    fields.token = json::string(value);
                    if fields.token.is_none() && value != "null" {
                        fields.wrong = Some("token must be a string");
                    }
                    if tokens > 1 {
                        fields.wrong = Some("token is given twice");
                    }
                }
                Some("pid") => fields.pid = json::string(value),
                Some("offset") => fields.offset = json::string(value),
                Some("recovery") => fields.recovery = Some(value != "false"),
                Some("gaps") => fields.gaps = value == "true",
                Some("positions") => fields.positions = value == "true",
                Some("persistent") => fields.persistent = value == "true",
                _ => {}
            }
        }
        fields
    }
}
