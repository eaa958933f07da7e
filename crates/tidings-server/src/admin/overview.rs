//! The figures as they are answered and told.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};
use tidings_core::{Org, Refusal};

use super::pulse::Now;
use super::{Admin, ask};
use crate::config::AlertsConfig;
use crate::server::node_name;
use crate::shard::census::Census;
use crate::shared::{Shared, wall_ms};
use crate::time::iso8601;

/// Connections that were counted so lately are not counted again for one who asks.
const FRESH_MS: u64 = 1_000;

/// The overview of the whole server, with its past.
///
/// # Errors
/// `unavailable` if too many lists are being made.
pub(crate) async fn of_server(shared: &Shared, admin: &Admin) -> Result<Value, Refusal> {
    let _leave = admin.may_walk()?;
    admin.pulse.count(shared, FRESH_MS).await;
    Ok(json!({
        "ok": true,
        "scope": "server",
        "org": Org::DEFAULT,
        "overview": server(shared, &admin.pulse.now()),
        "history": admin.pulse.history(),
        "thresholds": thresholds(&admin.pulse.thresholds),
    }))
}

/// What an administrator of one organisation is shown: nothing that counts what others do.
///
/// # Errors
/// `unavailable` if too many lists are being made, or a shard has too much to do.
pub(crate) async fn of_organisation(shared: &Shared, admin: &Admin, org: &Org) -> Result<Value, Refusal> {
    let _leave = admin.may_walk()?;
    let mut all = Census::default();
    ask::census(shared, Some(org)).await?.iter().for_each(|census| all.add(census));
    let mut connections = counted(shared, &all);
    connections.remove("strangers");
    Ok(json!({
        "ok": true,
        "scope": "organisation",
        "org": org.as_str(),
        "overview": {
            "at": iso8601(wall_ms()),
            "connections": connections,
            "rooms": shared.node.hub().rooms_of(org),
            "memory": { "bufferedBytes": all.buffered },
        },
        "history": { "everyMs": 1_000, "fields": [], "points": [] },
        "thresholds": null,
    }))
}

/// The figures of the whole server now.
pub(crate) fn server(shared: &Shared, now: &Now) -> Value {
    let mut all = Census::default();
    now.census.iter().for_each(|census| all.add(census));
    let mut connections = counted(shared, &all);
    let open: usize = shared.counts.iter().map(|counts| counts.connections.load(Ordering::Relaxed)).sum();
    connections.insert("total".into(), json!(open));
    let dropped: u64 = shared.counts.iter().map(|counts| counts.counters().dropped).sum();
    let rates = &now.rates;
    json!({
        "at": iso8601(wall_ms()),
        "node": node(shared),
        "connections": connections,
        "throughput": {
            "published": tenth(rates.published),
            "delivered": tenth(rates.delivered),
            "bytes": rates.bytes.round(),
            "writes": tenth(rates.writes),
        },
        "latency": {
            "p50Ms": now.measured.per_mille(500),
            "p95Ms": now.measured.per_mille(950),
            "p99Ms": now.measured.per_mille(990),
            "samples": now.measured.samples(),
            "seconds": now.seconds,
        },
        "memory": memory(shared, now, all.buffered),
        "rooms": shared.node.hub().rooms(),
        "refused": { "publications": shared.node.hub().refused.load(Ordering::Relaxed), "dropped": dropped },
        "shards": shards(shared, now),
        "health": health(shared),
        "alerts": now.alerts,
    })
}

fn node(shared: &Shared) -> Value {
    let uptime_ms = shared.uptime_ms();
    json!({
        "id": format!("{:016x}", shared.node.id()),
        "name": node_name(),
        "version": env!("CARGO_PKG_VERSION"),
        "startedAt": iso8601(wall_ms().saturating_sub(uptime_ms)),
        "uptimeMs": uptime_ms,
    })
}

fn counted(shared: &Shared, census: &Census) -> Map<String, Value> {
    let named = |(index, count): (usize, &usize)| {
        let name = shared.settings.namespaces.name(u8::try_from(index).ok()?);
        (*count > 0).then(|| (name.to_owned(), json!(count)))
    };
    let by_namespace: Map<String, Value> = census.namespaces.iter().enumerate().filter_map(named).collect();
    let mut counted = Map::new();
    counted.insert("total".into(), json!(census.connections()));
    counted.insert("websocket".into(), json!(census.websocket));
    counted.insert("polling".into(), json!(census.polling));
    counted.insert("plain".into(), json!(census.plain));
    counted.insert("strangers".into(), json!(census.strangers));
    counted.insert("byNamespace".into(), Value::Object(by_namespace));
    counted
}

fn memory(shared: &Shared, now: &Now, buffered: u64) -> Value {
    let cap = memory_cap(shared);
    let trend = now.slope.map(|slope| {
        let growth = slope.growth();
        let left = cap.map(|cap| cap.saturating_sub(now.resident) as f64);
        let full_in = left.filter(|_| growth > 0.0).map(|left| tenth(left / growth));
        json!({
            "bytesPerHour": slope.bytes_per_hour.round(),
            "fit": (slope.fit * 100.0).round() / 100.0,
            "minutes": tenth(slope.minutes),
            "rising": slope.rising,
            "fullInHours": full_in,
        })
    });
    json!({ "residentBytes": now.resident, "capBytes": cap, "bufferedBytes": buffered, "trend": trend })
}

fn shards(shared: &Shared, now: &Now) -> Vec<Value> {
    let shown = |(index, counts): (usize, &crate::shared::Counts)| {
        let (delivered, taken, cpu) = now.rates.shards.get(index).copied().unwrap_or_default();
        json!({
            "index": index,
            "connections": counts.connections.load(Ordering::Relaxed),
            "delivered": tenth(delivered),
            "taken": tenth(taken),
            "bufferedBytes": now.census.get(index).map_or(0, |census| census.buffered),
            "cpuPercent": cpu.map(tenth),
        })
    };
    shared.counts.iter().enumerate().map(shown).collect()
}

fn health(shared: &Shared) -> Value {
    let word = |state: Option<i64>| match state {
        None => "off",
        Some(0) => "ok",
        Some(1) => "probing",
        Some(_) => "away",
    };
    let audit = match (&shared.records, shared.audit.counts().failing.load(Ordering::Relaxed)) {
        (None, _) => "off",
        (Some(_), false) => "ok",
        (Some(_), true) => "away",
    };
    let status = match (shared.draining.load(Ordering::Relaxed), shared.is_degraded()) {
        (true, _) => "draining",
        (false, true) => "degraded",
        (false, false) => "ok",
    };
    json!({
        "status": status,
        "parts": [
            { "name": "delivery", "status": shared.delivery().as_str() },
            { "name": "store", "status": word(shared.store_breaker()) },
            { "name": "hooks", "status": word(hooks_state(shared)) },
            { "name": "audit", "status": audit },
            { "name": "tasks", "status": if shared.deaths.any() { "away" } else { "ok" } },
        ],
    })
}

/// The worst state of the breakers before the team's backend; `None` if nobody is asked.
pub(crate) fn hooks_state(shared: &Shared) -> Option<i64> {
    shared.hooks.iter().flat_map(|hooks| hooks.figures()).map(|(_, _, state)| state).max()
}

/// The memory that the process may take; `None` if no bound is known.
pub(crate) fn memory_cap(shared: &Shared) -> Option<u64> {
    shared.gate.bounds().map(|bounds| bounds.memory).filter(|cap| *cap != u64::MAX)
}

fn thresholds(config: &AlertsConfig) -> Value {
    json!({
        "latencyWarningMs": config.latency_warning_ms,
        "latencyCriticalMs": config.latency_critical_ms,
        "memoryWarningPercent": config.memory_warning_percent,
        "memoryCriticalPercent": config.memory_critical_percent,
        "growthWarningMb": config.growth_warning_mb,
        "growthCriticalMb": config.growth_critical_mb,
        "bufferedWarningMb": config.buffered_warning_mb,
        "bufferedCriticalMb": config.buffered_critical_mb,
    })
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
