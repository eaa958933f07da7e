//! `tidings bench`: how much a server on this machine can carry.
//!
//! One thread drives all connections and counts events by a marker in their data, without parsing
//! them, so that the client is not what is measured; its share of the time is in every report.

mod child;
mod clock;
mod crowd;
mod dialect;
mod frames;
mod gauge;
mod line;
mod marker;
mod plan;
mod plot;
mod report;
mod scenarios;
mod tally;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Resource, Rlimit};
use tidings_server::config::Config;

use self::child::OwnServer;
use self::clock::Clock;
use self::crowd::Crowd;
use self::gauge::Gauge;
use self::line::Place;
pub(crate) use self::plan::BenchLine;
use self::plan::{Plan, Rate, Scenario};
use self::report::Report;
use crate::client::target::{Credential, Target};
use crate::output;
use crate::token;

/// Tokens outlive the longest run.
const TTL: Duration = Duration::from_secs(4 * 3_600);
/// A round is shorter than the time a client may be behind.
const STUCK_FLAGS: &[&str] = &["--limits-lag-ms", "1000"];
/// Descriptors besides the connections.
const OTHER_DESCRIPTORS: u64 = 64;

/// Runs a scenario and writes its report.
///
/// # Errors
/// A figure is out of bounds, the server is not on this machine, or not everybody gets through.
pub(crate) fn run(line: BenchLine) -> Result<()> {
    let plan = Plan::of(&line)?;
    allow_descriptors(plan.lines() as u64 + u64::from(plan.stuck))?;
    let flags = if plan.scenario == Scenario::Stuck { STUCK_FLAGS } else { &[] };
    let own = if line.url.is_none() { Some(OwnServer::start(flags)?) } else { None };
    let place = place(&line, &plan, own.as_ref())?;
    let settings = settings(&line, &plan, &place);
    let gauge = gauge(&line, own.as_ref())?;
    let mut crowd = Crowd::new(place, plan.conns as usize, plan.pubs as usize)?;
    crowd.concurrency = line.conc;

    let mut bench = Bench { crowd, plan, gauge, report: Report::default() };
    scenarios::run(&mut bench).map_err(|error| explained(error, own.is_none()))?;
    drop(own);

    let mut report = bench.report;
    report.scenario = line.scenario.name().into();
    report.at = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    report.settings = settings;
    let directory = line.out.unwrap_or_else(|| default_directory(line.scenario));
    report.write(&directory)?;
    output::line(report.text().trim_end())?;
    output::line(&format!("  written to {}", directory.display()))
}

/// What a server that was not started for measuring says, with the way out.
fn explained(error: anyhow::Error, is_given: bool) -> anyhow::Error {
    if is_given && error.to_string().contains("no such room") {
        return error.context("only a server started with --no-limits has rooms to measure in");
    }
    error
}

/// A run under way.
pub(crate) struct Bench {
    crowd: Crowd,
    plan: Plan,
    gauge: Option<Gauge>,
    report: Report,
}

fn place(line: &BenchLine, plan: &Plan, own: Option<&OwnServer>) -> Result<Place> {
    let url = own.map_or_else(|| line.url.clone().unwrap_or_default(), |own| own.url.clone());
    let target = Target::parse(&url)?;
    let address = loopback(&target)?;
    let grant = token::service("bench", TTL);
    let credential = match own {
        Some(own) => {
            // A child server has the configuration's defaults.
            let signer = token::signer(&Config::default(), &own.secret);
            Credential::Minted { grant: Box::new(grant), signer }
        }
        None => Credential::find(line.token.clone(), line.locate.clone(), &target, grant)?,
    };
    Ok(Place {
        proto: line.proto,
        address,
        prefix: target.prefix,
        credential,
        sources: line.src,
        rooms: plan.rooms,
        kind: plan.kind.clone(),
        segment: None,
        clock: Clock::new(),
    })
}

/// A load generator that reaches other machines is a weapon.
fn loopback(target: &Target) -> Result<SocketAddr> {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    let ip = if host == "localhost" { Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { host.parse::<IpAddr>() };
    match ip {
        Ok(ip) if ip.is_loopback() => Ok(SocketAddr::new(ip, target.port)),
        _ => bail!("{host} is not this machine; bench measures servers on 127.0.0.1 and ::1 only"),
    }
}

fn gauge(line: &BenchLine, own: Option<&OwnServer>) -> Result<Option<Gauge>> {
    let Some(pid) = line.pid.or(own.map(OwnServer::pid)) else { return Ok(None) };
    Gauge::of(pid).map(Some).with_context(|| format!("there is no process {pid}"))
}

fn allow_descriptors(lines: u64) -> Result<()> {
    let needed = lines + OTHER_DESCRIPTORS;
    let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < needed) {
        bail!(
            "{lines} connections need {needed} file descriptors, more than this session may open (ulimit -Hn)"
        );
    }
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?;
    Ok(())
}

fn settings(line: &BenchLine, plan: &Plan, place: &Place) -> Vec<(String, String)> {
    let server = if line.url.is_none() { "started for the run, without limits" } else { "given" };
    let rate = match plan.rate {
        Rate::Max => format!("max, {} in flight", plan.window),
        Rate::PerSecond(rate) => format!("{rate} a second"),
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let mut rows = vec![
        ("server", format!("{} ({server})", place.address)),
        ("protocol", format!("{:?}", place.proto).to_lowercase()),
        ("connections", plan.conns.to_string()),
        ("seconds", plan.secs.as_secs().to_string()),
        ("client addresses", place.sources.to_string()),
        ("cores the load generator may use", cores.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    match plan.scenario {
        Scenario::Fanout | Scenario::Rooms => {
            rows.push(("rooms", plan.rooms.to_string()));
            rows.push(("publishers", plan.pubs.to_string()));
            rows.push(("rate", rate));
            rows.push(("filler bytes", plan.pad.to_string()));
        }
        Scenario::Ack => {
            rows.push(("requests in flight per connection", plan.outstanding.to_string()));
            rows.push(("filler bytes", plan.pad.to_string()));
        }
        Scenario::Stuck => {
            rows.push(("never read", plan.stuck.to_string()));
            rows.push(("rounds without and with them", format!("{0} and {0}", plan.rounds)));
            rows.push(("rate", rate));
            rows.push(("filler bytes", plan.pad.to_string()));
        }
        Scenario::Idle | Scenario::Storm => {}
    }
    rows.push(("kind of the rooms", plan.kind.clone()));
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn default_directory(scenario: Scenario) -> PathBuf {
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
    PathBuf::from("bench-results").join(format!("{}-{time}", scenario.name()))
}

/// A bar on the terminal; nothing where standard error is none.
pub(crate) fn bar(words: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<12} {bar:40} {pos}/{len}");
    ProgressBar::new(length)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(words)
}
