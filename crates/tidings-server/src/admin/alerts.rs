//! What is wrong with the server now, in levels; what has begun and what is over.

use serde_json::{Value, json};

use super::delivery::DEAD_MS;
use super::trend::Slope;
use crate::config::AlertsConfig;
use crate::time::iso8601;

const MIB: f64 = 1_048_576.0;

/// Looks in a row (one a second) that have to find something before it is an alert.
const RISE: u32 = 3;

/// Looks in a row that have to find nothing before it is over.
const FALL: u32 = 10;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From publish to flush it takes long.
    Latency,
    /// The memory is close to what the process may take.
    Memory,
    /// The memory grows steadily.
    Growth,
    /// Much waits for slow connections.
    Buffered,
    /// A shard does not deliver.
    Delivery,
    /// The database is away.
    Store,
    /// The team's backend is away.
    Hooks,
    /// The audit log cannot be written.
    Audit,
    /// A task has died.
    Tasks,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Latency,
        Self::Memory,
        Self::Growth,
        Self::Buffered,
        Self::Delivery,
        Self::Store,
        Self::Hooks,
        Self::Audit,
        Self::Tasks,
    ];

    /// The word for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::Growth => "growth",
            Self::Buffered => "buffered",
            Self::Delivery => "delivery",
            Self::Store => "store",
            Self::Hooks => "hooks",
            Self::Audit => "audit",
            Self::Tasks => "tasks",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Latency => "publications take long to the sockets (p99, milliseconds)",
            Self::Memory => "the process has taken much of the memory it may have (percent)",
            Self::Growth => "the memory grows steadily, as with a leak (MiB an hour)",
            Self::Buffered => "much waits for connections that do not read (MiB)",
            Self::Delivery => "a shard takes nothing: its clients hear nothing (seconds)",
            Self::Store => "the database does not answer: durable rooms and sign-ins are refused",
            Self::Hooks => "the team's backend does not answer: what it decides is refused",
            Self::Audit => "the audit log cannot be written, or loses entries",
            Self::Tasks => "a task has died, which the log names: the server has to be restarted",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Somebody should look.
    Warning,
    /// Something is refused, or will be.
    Critical,
}

impl Level {
    /// The word for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What alerts are judged by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The 99th percentile of the last ten seconds, if anything was measured.
    pub(crate) p99_ms: Option<f64>,
    pub(crate) resident: u64,
    /// What the process may take; `None`: no bound is known.
    pub(crate) cap: Option<u64>,
    pub(crate) slope: Option<Slope>,
    pub(crate) buffered: u64,
    /// How long the most silent shard has not answered.
    pub(crate) silent_ms: u64,
    pub(crate) store_away: bool,
    pub(crate) hooks_away: bool,
    pub(crate) audit_failing: bool,
    pub(crate) task_died: bool,
}

/// Something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Finding {
    level: Level,
    value: f64,
    threshold: f64,
}

/// An alert: what is wrong, and since when.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    kind: Kind,
    finding: Finding,
    since_ms: u64,
}

impl Alert {
    /// As it is shown.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "level": self.finding.level.as_str(),
            "value": (self.finding.value * 100.0).round() / 100.0,
            "threshold": self.finding.threshold,
            "since": iso8601(self.since_ms),
            "message": self.kind.sentence(),
        })
    }

    /// As it is told when it begins, changes or ends.
    pub(crate) fn told(&self, over: bool) -> Value {
        let mut told = self.shown();
        told["over"] = json!(over);
        told
    }

    /// Writes it to the log.
    pub(crate) fn log(&self, over: bool) {
        let (kind, value) = (self.kind.as_str(), self.finding.value);
        match (over, self.finding.level) {
            (true, _) => tracing::info!(kind, "an alert is over"),
            (false, Level::Warning) => tracing::warn!(kind, value, "an alert: {}", self.kind.sentence()),
            (false, Level::Critical) => {
                tracing::error!(kind, value, "a critical alert: {}", self.kind.sentence());
            }
        }
    }
}

/// What is wrong now. It has to be seen a few times before it counts, and not to be seen for longer before it is
/// over, so that what swings around a threshold is one alert.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    standing: Vec<Alert>,
    /// Looks in a row that found something of each kind, and that found nothing.
    seen: [u32; Kind::ALL.len()],
    unseen: [u32; Kind::ALL.len()],
}

impl Alerts {
    /// Those there are.
    pub(crate) fn standing(&self) -> &[Alert] {
        &self.standing
    }

    /// Looks at the facts; what has begun or changed its level, and what is over (`true`).
    pub(crate) fn look(&mut self, config: &AlertsConfig, facts: &Facts, at_ms: u64) -> Vec<(Alert, bool)> {
        let mut news = Vec::new();
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            match find(kind, config, facts) {
                Some(finding) => {
                    (self.seen[at], self.unseen[at]) = (self.seen[at].saturating_add(1), 0);
                    if self.seen[at] >= RISE {
                        news.extend(self.note(kind, finding, at_ms).map(|alert| (alert, false)));
                    }
                }
                None => {
                    (self.seen[at], self.unseen[at]) = (0, self.unseen[at].saturating_add(1));
                    if self.unseen[at] >= FALL {
                        news.extend(self.end(kind).map(|alert| (alert, true)));
                    }
                }
            }
        }
        news
    }

    /// Notes a finding; the alert if it is new or has another level.
    fn note(&mut self, kind: Kind, finding: Finding, at_ms: u64) -> Option<Alert> {
        let Some(known) = self.standing.iter_mut().find(|alert| alert.kind == kind) else {
            let alert = Alert { kind, finding, since_ms: at_ms };
            self.standing.push(alert.clone());
            return Some(alert);
        };
        let changed = known.finding.level != finding.level;
        known.finding = finding;
        changed.then(|| known.clone())
    }

    fn end(&mut self, kind: Kind) -> Option<Alert> {
        let at = self.standing.iter().position(|alert| alert.kind == kind)?;
        Some(self.standing.remove(at))
    }
}

/// What is wrong of a kind.
fn find(kind: Kind, config: &AlertsConfig, facts: &Facts) -> Option<Finding> {
    let over = |value: f64, warning: u64, critical: u64| {
        let reached = |threshold: u64, level| {
            let threshold = threshold as f64;
            (threshold > 0.0 && value >= threshold).then_some(Finding { level, value, threshold })
        };
        reached(critical, Level::Critical).or_else(|| reached(warning, Level::Warning))
    };
    let away = |is_away: bool, level| is_away.then_some(Finding { level, value: 1.0, threshold: 1.0 });
    match kind {
        Kind::Latency => over(facts.p99_ms?, config.latency_warning_ms, config.latency_critical_ms),
        Kind::Memory => {
            let percent = facts.resident as f64 * 100.0 / facts.cap? as f64;
            over(percent, config.memory_warning_percent, config.memory_critical_percent)
        }
        Kind::Growth => {
            let growth = facts.slope?.growth() / MIB;
            over(growth, config.growth_warning_mb, config.growth_critical_mb)
        }
        Kind::Buffered => {
            let waiting = facts.buffered as f64 / MIB;
            over(waiting, config.buffered_warning_mb, config.buffered_critical_mb)
        }
        Kind::Delivery => {
            let (value, threshold) = (facts.silent_ms as f64 / 1_000.0, DEAD_MS as f64 / 1_000.0);
            (value >= threshold).then_some(Finding { level: Level::Critical, value, threshold })
        }
        Kind::Store => away(facts.store_away, Level::Critical),
        Kind::Hooks => away(facts.hooks_away, Level::Warning),
        Kind::Audit => away(facts.audit_failing, Level::Critical),
        Kind::Tasks => away(facts.task_died, Level::Critical),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(p99_ms: f64) -> Facts {
        Facts { p99_ms: Some(p99_ms), ..Facts::default() }
    }

    fn words(news: &[(Alert, bool)]) -> Vec<(&'static str, &'static str, bool)> {
        news.iter().map(|(alert, over)| (alert.kind.as_str(), alert.finding.level.as_str(), *over)).collect()
    }

    #[test]
    fn an_alert_rises_changes_its_level_and_ends_each_told_once() {
        let (config, mut alerts) = (AlertsConfig::default(), Alerts::default());
        let mut told = Vec::new();
        let course = [(10.0, 2), (60.0, 5), (250.0, 5), (60.0, 3), (1.0, 9), (70.0, 1), (1.0, 20)];
        let looks = course.into_iter().flat_map(|(p99, looks)| std::iter::repeat_n(p99, looks));
        for (second, p99) in looks.enumerate() {
            told.extend(words(&alerts.look(&config, &slow(p99), second as u64 * 1_000)));
        }
        let expected = [
            ("latency", "warning", false),
            ("latency", "critical", false),
            ("latency", "warning", false),
            ("latency", "warning", true),
        ];
        assert_eq!(told, expected);
        assert!(alerts.standing().is_empty());
    }

    #[test]
    fn one_look_alone_is_no_alert() {
        let (config, mut alerts) = (AlertsConfig::default(), Alerts::default());
        for second in 0..100u64 {
            let p99 = if second % 3 == 0 { 1.0 } else { 1_000.0 };
            assert!(alerts.look(&config, &slow(p99), second).is_empty(), "twice in a row is not enough");
        }
    }

    #[test]
    fn each_kind_has_its_threshold_and_zero_switches_it_off() {
        let facts = Facts {
            p99_ms: Some(300.0),
            resident: 95,
            cap: Some(100),
            slope: Some(Slope { bytes_per_hour: 600.0 * MIB, fit: 0.9, minutes: 30.0, rising: true }),
            buffered: 300 << 20,
            silent_ms: 6_000,
            store_away: true,
            hooks_away: true,
            audit_failing: true,
            task_died: true,
        };
        let config = AlertsConfig::default();
        let found = |config: &AlertsConfig, facts: &Facts| -> Vec<&'static str> {
            let found = Kind::ALL.into_iter().filter_map(|kind| find(kind, config, facts));
            found.map(|finding| finding.level.as_str()).collect()
        };
        let mut all = ["critical"; 9];
        all[6] = "warning";
        assert_eq!(found(&config, &facts), all);
        assert_eq!(found(&config, &Facts::default()), [""; 0]);
        let off = AlertsConfig {
            latency_warning_ms: 0,
            latency_critical_ms: 0,
            memory_warning_percent: 0,
            memory_critical_percent: 0,
            growth_warning_mb: 0,
            growth_critical_mb: 0,
            buffered_warning_mb: 0,
            buffered_critical_mb: 0,
        };
        assert_eq!(found(&off, &facts).len(), 5, "what is away is away");
    }
}
