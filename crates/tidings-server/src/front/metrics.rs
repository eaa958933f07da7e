//! `/metrics` in the Prometheus text format, read when it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tidings_core::shard::{Counters, Step};
use tidings_core::{Code, Lane, Refusal};

use super::origin::Origins;
use super::{refuse, respond, signed_in};
use crate::shared::Shared;
use crate::signin::IssuerHealth;

/// `/metrics`; with `guarded`, for an operator's token only: the figures are those of all organisations. Without,
/// it listens on loopback, and is for who asks this machine by its own name.
pub(super) fn routes(shared: Arc<Shared>, guarded: bool, origins: Origins) -> Router {
    let mut registry = Registry::with_prefix("tidings");
    registry.register_collector(Box::new(Engine(shared.clone())));
    let state = Arc::new(Metrics { shared, registry, guarded, origins });
    Router::new().route("/metrics", get(metrics)).with_state(state)
}

struct Metrics {
    shared: Arc<Shared>,
    registry: Registry,
    guarded: bool,
    origins: Origins,
}

async fn metrics(State(state): State<Arc<Metrics>>, headers: HeaderMap) -> Response<Body> {
    if state.guarded {
        match signed_in(&state.shared, &headers).await {
            Ok(who) if who.is_operator() => {}
            Ok(_) => return refuse(&Refusal::new(Code::Forbidden, "an operator's token is needed")),
            Err(refusal) => return refuse(&refusal),
        }
    } else if !state.origins.is_sent_here(&headers) {
        return refuse(&Refusal::new(Code::Forbidden, "this machine has no such name"));
    }
    let mut out = String::new();
    match text::encode(&mut out, &state.registry) {
        Ok(()) => respond(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", out),
        Err(_) => {
            respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "the metrics could not be written")
        }
    }
}

/// Reads the shards' own counters; nothing is counted twice, and nothing per delivery.
struct Engine(Arc<Shared>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

type Encoded = Result<(), std::fmt::Error>;

impl Collector for Engine {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        let shared = &self.0;
        let connections: Vec<_> =
            shared.counts.iter().map(|counts| counts.connections.load(Ordering::Relaxed)).collect();
        per_shard(&mut encoder, "connections", "Connections that are open.", &connections)?;
        let known = shared.counts.iter().map(|counts| counts.sessions.load(Ordering::Relaxed));
        let about =
            "Sessions that have left their first connection: kept for their client, or taken up by it.";
        gauge(&mut encoder, "sessions_kept", about, known.sum::<usize>() as i64)?;
        let counters: Vec<Counters> = shared.counts.iter().map(|counts| counts.counters()).collect();
        total(&mut encoder, "deliveries", "Messages handed to sockets.", &counters, |c| c.delivered)?;
        total(&mut encoder, "writes", "Writes to sockets.", &counters, |c| c.writes)?;
        total(&mut encoder, "sent_bytes", "Bytes handed to sockets.", &counters, |c| c.bytes)?;
        total(&mut encoder, "dropped", "Volatile messages dropped for slow clients.", &counters, |c| {
            c.dropped
        })?;
        ladder(&mut encoder, &counters)?;
        self.pace(&mut encoder)?;
        total(&mut encoder, "publications", "Publications taken by shards.", &counters, |c| c.taken)?;
        let refused = shared.node.hub().refused.load(Ordering::Relaxed);
        counter(&mut encoder, "publications_refused", "Publications a full mailbox refused.", refused)?;
        gauge(&mut encoder, "rooms", "Rooms with members or history.", shared.node.hub().rooms() as i64)?;
        self.presence(&mut encoder)?;
        if let Some(comebacks) = &shared.comebacks {
            let counts = &comebacks.counts;
            let all = [
                ("sessions_stored", "Sessions written to the database for another process", &counts.written),
                ("sessions_not_stored", "Sessions of which the database has an older state", &counts.lost),
                ("sessions_sought", "Sessions that were looked for in the database", &counts.sought),
                ("sessions_found", "Sessions of another process that were found there", &counts.found),
            ];
            for (name, about, count) in all {
                counter(&mut encoder, name, about, count.load(Ordering::Relaxed))?;
            }
        }
        if let Some(log) = &shared.log {
            let about = "Events of durable rooms that were stored";
            counter(&mut encoder, "log_events_stored", about, log.stored.load(Ordering::Relaxed))?;
            let about = "Transactions that stored events or commands of apps";
            counter(&mut encoder, "log_transactions", about, log.transactions.load(Ordering::Relaxed))?;
            let about = "Events of durable rooms that could not be stored; their publishers were refused";
            counter(&mut encoder, "log_events_failed", about, log.failed.load(Ordering::Relaxed))?;
            let about = "Events that were deleted because the log of their organisation was full";
            counter(&mut encoder, "log_events_crowded_out", about, log.trimmed.load(Ordering::Relaxed))?;
            let about = "Pages read from the log";
            counter(&mut encoder, "log_pages_read", about, log.pages.load(Ordering::Relaxed))?;
            let about = "Events of the log that were found damaged; who reads their rooms is told of a gap";
            counter(&mut encoder, "log_events_damaged", about, log.damaged.load(Ordering::Relaxed))?;
        }
        if let Some(state) = shared.store_breaker() {
            let about = "Whether durable rooms use the database: 0 yes, 1 one try as a probe, 2 no.";
            gauge(&mut encoder, "store_breaker", about, state)?;
        }
        let about = "1 while something this server leans on is away and it goes on without.";
        gauge(&mut encoder, "degraded", about, i64::from(shared.is_degraded()))?;
        self.deaths(&mut encoder)?;
        if let Some(ledger) = &shared.ledger {
            let about = "Notes of sessions that were not written down.";
            counter(&mut encoder, "session_notes_lost", about, ledger.lost())?;
        }
        if let Some(accounts) = &shared.accounts {
            let about = "Passwords that were hashed to be compared, right or wrong, of somebody or nobody.";
            counter(&mut encoder, "passwords_looked_at", about, accounts.passwords_looked_at())?;
        }
        self.receipts(&mut encoder)?;
        self.closes(&mut encoder)?;
        self.sign_in(&mut encoder)?;
        self.audit(&mut encoder)?;
        self.hooks(&mut encoder)?;
        self.limits(&mut encoder)
    }
}

impl Engine {
    /// The tasks that run until the server stops, and what of them is gone before.
    fn deaths(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let about = "Tasks that have died; the server has to be restarted.";
        let mut family = encoder.encode_descriptor("task_deaths", about, None, MetricType::Counter)?;
        for (task, count) in self.0.deaths.counts() {
            labelled(&mut family, &[("task", Label::word(task))], ConstCounter::new(count))?;
        }
        Ok(())
    }

    /// Who is there, and what it costs to tell.
    fn presence(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let (presence, told) = (self.0.node.presence(), &self.0.presence_told);
        let (rooms, connections) = presence.figures();
        gauge(encoder, "presence_rooms", "Rooms that keep a roster now.", rooms as i64)?;
        let about = "Connections in rooms that keep a roster, each once for every such room.";
        gauge(encoder, "presence_connections", about, connections as i64)?;
        let (to_rooms, to_everybody) = told.counts();
        counter(encoder, "presence_events", "Events that told a room who came and went.", to_rooms)?;
        let about = "Events that told everybody whose first connection came or last one went.";
        counter(encoder, "presence_announcements", about, to_everybody)?;
        let lost = told.unseen.load(Ordering::Relaxed) + presence.seen_lost.load(Ordering::Relaxed);
        counter(encoder, "presence_seen_lost", "Times users were last there that were not stored.", lost)
    }

    /// What became of events that had to wait for the pace of their room.
    fn pace(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let counts = self.0.node.pace_counts();
        let help = "Events that met the pace of their room, by what became of them.";
        let mut family = encoder.encode_descriptor("paced", help, None, MetricType::Counter)?;
        let outcomes = [
            ("held", counts.held),
            ("replaced", counts.replaced),
            ("refused", counts.refused),
            ("lost", counts.lost),
        ];
        for (outcome, count) in outcomes {
            labelled(&mut family, &[("outcome", Label::word(outcome))], ConstCounter::new(count))?;
        }
        Ok(())
    }

    fn limits(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let (refused, there) = ("What a limit of rate or count has refused.", "What is counted by limits.");
        let mut family = encoder.encode_descriptor("limit_refusals", refused, None, MetricType::Counter)?;
        for (limit, count) in self.0.gate.refusals() {
            labelled(&mut family, &[("limit", Label::word(limit.label()))], ConstCounter::new(count))?;
        }
        let mut family = encoder.encode_descriptor("limit_occupancy", there, None, MetricType::Gauge)?;
        for (of, count) in self.0.gate.occupancy() {
            labelled(&mut family, &[("of", Label::word(of))], ConstGauge::new(count as i64))?;
        }
        Ok(())
    }

    /// What became of questions to the team's backend, and whether it is left alone.
    fn hooks(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let Some(hooks) = &self.0.hooks else { return Ok(()) };
        let help = "Questions to the backend, by what became of them.";
        let mut family = encoder.encode_descriptor("hook_questions", help, None, MetricType::Counter)?;
        for (hook, counts, _) in hooks.figures() {
            for (outcome, count) in counts.outcomes() {
                let labels = [("hook", Label::word(hook)), ("outcome", Label::word(outcome))];
                labelled(&mut family, &labels, ConstCounter::new(count))?;
            }
        }
        let help = "Whether the backend is asked: 0 yes, 1 one question as a probe, 2 no.";
        let mut family = encoder.encode_descriptor("hook_breaker", help, None, MetricType::Gauge)?;
        for (hook, _, state) in hooks.figures() {
            labelled(&mut family, &[("hook", Label::word(hook))], ConstGauge::new(state))?;
        }
        let kept = self.0.node.answers_kept() as i64;
        gauge(encoder, "hook_answers", "Answers of the backend that are kept.", kept)
    }

    /// Whether what happens is remembered; `audit_failing` is the alarm.
    fn audit(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let (counts, read) = (self.0.audit.counts(), |count: &AtomicU64| count.load(Ordering::Relaxed));
        let about = "Entries of the audit log, by what became of them.";
        let mut family = encoder.encode_descriptor("audit_entries", about, None, MetricType::Counter)?;
        let outcomes = [("written", &counts.written), ("lost", &counts.lost), ("sampled", &counts.sampled)];
        for (outcome, count) in outcomes {
            labelled(&mut family, &[("outcome", Label::word(outcome))], ConstCounter::new(read(count)))?;
        }
        let about = "How often each kind of threat has reached each level.";
        let mut family = encoder.encode_descriptor("threats", about, None, MetricType::Counter)?;
        for (kind, level, count) in counts.threats() {
            let labels = [("kind", kind.as_str()), ("level", level.as_str())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let waiting = self.0.audit.waiting() as i64;
        gauge(encoder, "audit_waiting", "Entries of the audit log that wait to be written.", waiting)?;
        let failing = i64::from(counts.failing.load(Ordering::Relaxed));
        gauge(encoder, "audit_failing", "1 while the audit log cannot be written or loses entries.", failing)
    }
}

impl Engine {
    /// What became of tracked messages and their recipients.
    fn receipts(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let (receipts, read) = (&self.0.receipts, |count: &AtomicU64| count.load(Ordering::Relaxed));
        let counts = &receipts.counts;
        let about = "Tracked messages and their recipients, by what became of them.";
        let mut family = encoder.encode_descriptor("receipts", about, None, MetricType::Counter)?;
        for (outcome, count) in [
            ("tracked", &counts.tracked),
            ("refused", &counts.refused),
            ("retried", &counts.retried),
            ("acknowledged", &counts.acknowledged),
            ("timed_out", &counts.timed_out),
            ("gone", &counts.gone),
        ] {
            labelled(&mut family, &[("outcome", Label::word(outcome))], ConstCounter::new(read(count)))?;
        }
        let about = "Dead letters, by what became of them.";
        let mut family = encoder.encode_descriptor("dead_letters", about, None, MetricType::Counter)?;
        for (outcome, count) in
            [("stored", &counts.dead), ("overflowed", &counts.overflowed), ("lost", &counts.lost)]
        {
            labelled(&mut family, &[("outcome", Label::word(outcome))], ConstCounter::new(read(count)))?;
        }
        let about = "Places of persistent subscriptions that were not written down.";
        counter(encoder, "subscription_places_lost", about, self.0.subscriptions.lost())?;
        let about = "Messages whose acknowledgements are waited for.";
        gauge(encoder, "receipts_waiting", about, receipts.waiting() as i64)
    }
}

impl Engine {
    fn closes(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let mut family = encoder.encode_descriptor(
            "closes",
            "Connections closed by the server.",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in self.0.closes() {
            labelled(&mut family, &[("reason", Label::word(reason.label()))], ConstCounter::new(count))?;
        }
        Ok(())
    }
}

impl Engine {
    /// Refused tokens, and how fresh the keys of each configured issuer are.
    fn sign_in(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let sign_in = &self.0.sign_in;
        let about = "Tokens that were refused.";
        let mut family = encoder.encode_descriptor("tokens_refused", about, None, MetricType::Counter)?;
        for (fault, count) in sign_in.faults() {
            labelled(&mut family, &[("fault", Label::word(fault.label()))], ConstCounter::new(count))?;
        }
        let about = "Readings of an issuer's keys.";
        let mut family = encoder.encode_descriptor("issuer_readings", about, None, MetricType::Counter)?;
        let health = sign_in.health();
        for issuer in &health {
            for (outcome, count) in [("good", issuer.good), ("failed", issuer.failed)] {
                let labels = [("issuer", Label::issuer(issuer)), ("outcome", Label::word(outcome))];
                labelled(&mut family, &labels, ConstCounter::new(count))?;
            }
        }
        let about = "Keys held of an issuer.";
        let mut family = encoder.encode_descriptor("issuer_keys", about, None, MetricType::Gauge)?;
        for issuer in &health {
            let keys = ConstGauge::new(issuer.keys as i64);
            labelled(&mut family, &[("issuer", Label::issuer(issuer))], keys)?;
        }
        let about = "Seconds since an issuer's keys were read.";
        let mut family = encoder.encode_descriptor("issuer_age_seconds", about, None, MetricType::Gauge)?;
        for issuer in &health {
            let Some(age) = issuer.age_seconds else { continue };
            let age = ConstGauge::new(age as i64);
            labelled(&mut family, &[("issuer", Label::issuer(issuer))], age)?;
        }
        gauge(encoder, "revocations", "Revocations in force.", sign_in.revoked().len() as i64)
    }
}

/// What tells the members of a family of figures apart.
///
/// It is made of what the program or the configuration names, never of what a client says: so
/// neither can its number grow without bound, nor can it hold a user, a room or an organisation. A
/// figure of one organisation would need a way to make a label of an `&Org`; there is none.
struct Label(String);

impl Label {
    fn word(word: &'static str) -> Self {
        Self(word.to_owned())
    }

    fn shard(index: usize) -> Self {
        Self(index.to_string())
    }

    fn issuer(health: &IssuerHealth) -> Self {
        Self(health.issuer.clone())
    }
}

/// Writes one member of a family.
fn labelled(
    family: &mut MetricEncoder<'_>,
    labels: &[(&'static str, Label)],
    value: impl EncodeMetric,
) -> Encoded {
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, label)| (*name, label.0.as_str())).collect();
    value.encode(family.encode_family(&labels)?)
}

fn total(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counters: &[Counters],
    read: impl Fn(&Counters) -> u64,
) -> Encoded {
    counter(encoder, name, help, counters.iter().map(read).sum())
}

/// What was done about slow clients, and what that cost each lane.
fn ladder(encoder: &mut DescriptorEncoder<'_>, counters: &[Counters]) -> Encoded {
    let help = "How often each step was taken against slow clients.";
    let mut family = encoder.encode_descriptor("slow_client_steps", help, None, MetricType::Counter)?;
    for (at, step) in Step::ALL.iter().enumerate() {
        let count = counters.iter().map(|counters| counters.steps[at]).sum::<u64>();
        labelled(&mut family, &[("step", Label::word(step.label()))], ConstCounter::new(count))?;
    }
    let help = "Volatile messages dropped for slow clients, by lane.";
    let mut family = encoder.encode_descriptor("dropped_by_lane", help, None, MetricType::Counter)?;
    for (at, lane) in Lane::ALL.iter().enumerate() {
        let count = counters.iter().map(|counters| counters.dropped_by_lane[at]).sum::<u64>();
        labelled(&mut family, &[("lane", Label::word(lane.as_str()))], ConstCounter::new(count))?;
    }
    Ok(())
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Encoded {
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> Encoded {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn per_shard(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, values: &[usize]) -> Encoded {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (shard, value) in values.iter().enumerate() {
        let value = ConstGauge::new(*value as i64);
        labelled(&mut family, &[("shard", Label::shard(shard))], value)?;
    }
    Ok(())
}
