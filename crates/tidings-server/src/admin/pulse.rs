//! The figures of the server, read once a second, kept for five minutes, and told to whoever watches.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tidings_core::{Lane, Org, Payload, Publish, Room, lock};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::alerts::{Alert, Alerts, Facts};
use super::latency::Buckets;
use super::point::{Point, Points};
use super::rates::{PerSecond, Rates, Totals};
use super::slots::{Counted, Usage};
use super::trend::{Slope, Trend};
use super::{ask, delivery, overview};
use crate::config::AlertsConfig;
use crate::gate;
use crate::shard::census::Census;
use crate::shared::{Shared, wall_ms};

/// Where who may see the figures hears them; of the default organisation.
const ROOM: &str = "server:overview";

/// The figures are read this often.
const SECOND: Duration = Duration::from_secs(1);

/// Connections are counted this often while nobody watches.
const COUNT_EVERY_MS: u64 = 5_000;

/// Seconds over which percentiles are told.
const LATENCY_SECONDS: usize = 10;

/// A count of connections that takes longer is left for the next time.
const COUNT_PATIENCE: Duration = Duration::from_millis(500);

/// The figures of the last minutes.
pub(crate) struct Pulse {
    pub(crate) thresholds: AlertsConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rates: Rates,
    points: Points,
    trend: Trend,
    alerts: Alerts,
    usage: Usage,
    /// What the shards had measured a second ago, and what in each of the last seconds.
    measured: Buckets,
    lately: VecDeque<Buckets>,
    resident: u64,
    /// Of each shard.
    census: Vec<Census>,
    /// When connections were counted, in milliseconds of the server; 0: never.
    counted_ms: u64,
}

/// What is known now, for an overview.
pub(crate) struct Now {
    pub(crate) rates: PerSecond,
    /// What was measured in the last seconds, and in how many.
    pub(crate) measured: Buckets,
    pub(crate) seconds: usize,
    pub(crate) resident: u64,
    pub(crate) slope: Option<Slope>,
    pub(crate) census: Vec<Census>,
    pub(crate) alerts: Vec<Value>,
}

impl Pulse {
    pub(super) fn new(thresholds: &AlertsConfig) -> Self {
        Self { thresholds: thresholds.clone(), state: Mutex::default() }
    }

    /// What is known now.
    pub(crate) fn now(&self) -> Now {
        let state = lock(&self.state);
        Now {
            rates: state.rates.lately(),
            measured: state.measured_lately(),
            seconds: state.lately.len(),
            resident: state.resident,
            slope: state.trend.slope(),
            census: state.census.clone(),
            alerts: state.alerts.standing().iter().map(Alert::shown).collect(),
        }
    }

    /// The last minutes.
    pub(crate) fn history(&self) -> Value {
        lock(&self.state).points.shown()
    }

    /// How much the server was used, by minute and by hour.
    pub(crate) fn usage(&self) -> Value {
        lock(&self.state).usage.shown()
    }

    /// The points of the last seconds, as many as are wanted.
    pub(crate) fn newest(&self, seconds: usize) -> Vec<Point> {
        lock(&self.state).points.newest(seconds)
    }

    /// Counts the connections, unless that was done a moment ago.
    pub(crate) async fn count(&self, shared: &Shared, at_most_ms: u64) {
        let (now_ms, counted_ms) = (shared.uptime_ms(), lock(&self.state).counted_ms);
        // A dead shard would never answer, and keep what it was asked.
        let is_dead = shared.delivery() == delivery::Delivery::Dead;
        if is_dead || counted_ms > 0 && now_ms < counted_ms + at_most_ms {
            return;
        }
        if let Ok(Ok(census)) = timeout(COUNT_PATIENCE, ask::census(shared, None)).await {
            let mut state = lock(&self.state);
            (state.census, state.counted_ms) = (census, now_ms.max(1));
        }
    }

    /// Reads the figures; what has begun to be wrong, and what is over.
    fn beat(&self, shared: &Shared) -> Vec<(Alert, bool)> {
        let (totals, resident, at_ms) = (Totals::read(shared), gate::taken(), wall_ms());
        let mut measured = Buckets::default();
        shared.counts.iter().for_each(|counts| measured.add(&counts.latency.counts()));
        let connections = shared.counts.iter().map(|counts| counts.connections.load(Ordering::Relaxed)).sum();
        let mut state = lock(&self.state);
        let state = &mut *state;
        state.resident = resident;
        state.usage.note(at_ms, connections, Counted::read(shared, &totals));
        state.rates.note(totals);
        state.trend.note(shared.uptime_ms(), resident);
        let second = measured.since(&state.measured);
        state.measured = measured;
        let last = state.rates.last();
        state.points.push(Point {
            at_ms,
            connections,
            published: last.published,
            delivered: last.delivered,
            bytes: last.bytes,
            p50_ms: second.per_mille(500),
            p95_ms: second.per_mille(950),
            p99_ms: second.per_mille(990),
            resident,
            buffered: state.buffered(),
        });
        if state.lately.len() >= LATENCY_SECONDS {
            state.lately.pop_front();
        }
        state.lately.push_back(second);
        let facts = state.facts(shared);
        state.alerts.look(&self.thresholds, &facts, at_ms)
    }
}

impl State {
    fn measured_lately(&self) -> Buckets {
        let mut all = Buckets::default();
        self.lately.iter().for_each(|second| all.add(second));
        all
    }

    fn buffered(&self) -> u64 {
        self.census.iter().map(|census| census.buffered).sum()
    }

    fn facts(&self, shared: &Shared) -> Facts {
        Facts {
            p99_ms: self.measured_lately().per_mille(990),
            resident: self.resident,
            cap: overview::memory_cap(shared),
            slope: self.trend.slope(),
            buffered: self.buffered(),
            store_away: shared.store_breaker().is_some_and(|state| state > 0),
            hooks_away: overview::hooks_state(shared).is_some_and(|state| state > 0),
            silent_ms: shared.silent_ms(),
            audit_failing: shared.audit.counts().failing.load(Ordering::Relaxed),
            task_died: shared.deaths.any(),
        }
    }
}

/// Reads the figures once a second and tells them in the room [`ROOM`], until the server stops.
pub(crate) async fn keep(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Ok(room) = Room::new(&Org::default(), ROOM, ROOM.len()) else { return };
    let mut every = interval(SECOND);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stop.changed() => return,
        }
        let pulse = &shared.admin.pulse;
        let is_watched = shared.node.hub().find(&room).is_some_and(|entry| entry.members() > 0);
        delivery::ask(&shared);
        // A little less than a second, or every other count would be left out.
        pulse.count(&shared, if is_watched { 900 } else { COUNT_EVERY_MS }).await;
        for (alert, over) in pulse.beat(&shared) {
            alert.log(over);
            tell(&shared, &room, "alert", &alert.told(over));
        }
        if is_watched {
            tell(&shared, &room, "overview", &overview::server(&shared, &pulse.now()));
        }
    }
}

/// Volatile: who was away asks for the overview again.
fn tell(shared: &Shared, room: &Room, event: &str, data: &Value) {
    let payload = Payload::json(data.to_string());
    let what =
        Publish { lane: Some(Lane::Low), volatile: true, ..Publish::new(room.clone(), event, payload) };
    if let Err(refusal) = shared.node.publish(what, None, wall_ms()) {
        tracing::debug!(%refusal, event, "the figures could not be told");
    }
}
