//! The scenarios, and what they have in common.

mod ack;
mod broadcast;
mod idle;
mod storm;
mod stuck;
mod unread;

use std::time::Duration;

use anyhow::Result;

use super::clock::nanoseconds;
use super::gauge::{Gauge, Reading, machine};
use super::line::{Listener, refusal};
use super::plan::Scenario;
use super::{Bench, bar};

/// How long all connections together may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);
/// Rest between connecting and measuring.
const SETTLE: Duration = Duration::from_secs(1);
/// How long is waited for what is still on its way.
const DRAIN: Duration = Duration::from_secs(5);

/// Share of the time, in percent, above which the load generator is what limits the rate.
const BUSY: f64 = 90.0;

/// Share of a core, in percent, that other processes may take before a run is doubtful.
const OTHERS: f64 = 12.0;

/// Runs the plan's scenario into the report.
///
/// # Errors
/// Not everybody gets through, or the system fails us.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    match bench.plan.scenario {
        Scenario::Idle => idle::run(bench),
        Scenario::Fanout | Scenario::Rooms => broadcast::run(bench),
        Scenario::Ack => ack::run(bench),
        Scenario::Storm => storm::run(bench),
        Scenario::Stuck => stuck::run(bench),
    }
}

/// Refusals without an ack, as they come from rates or rights.
#[derive(Debug, Default)]
struct Refusals {
    count: u64,
    first: Option<String>,
}

impl Refusals {
    fn add(&mut self, message: &[u8]) {
        self.count += 1;
        self.first.get_or_insert_with(|| refusal(message));
    }
}

/// Where everything stood at a moment.
struct Mark {
    at: u64,
    asleep: u64,
    server: Option<Reading>,
    own: u64,
    machine: u64,
}

/// Hears nothing.
struct Deaf;

impl Listener for Deaf {}

impl Bench {
    fn read(&self) -> Option<Reading> {
        self.gauge.as_ref().map(Gauge::read)
    }

    /// Connects everybody, rests, and reports what a connection costs.
    fn connect(&mut self, listener: &mut impl Listener) -> Result<()> {
        let (before, start) = (self.read(), self.crowd.now());
        let shown = bar("connecting", self.crowd.lines.len() as u64);
        self.crowd.connect_all(CONNECT_LIMIT, listener, |live| shown.set_position(live as u64))?;
        shown.finish_and_clear();
        let seconds = seconds(self.crowd.now() - start);
        let lines = self.crowd.lines.len() as f64;
        self.pass("settling", SETTLE, listener)?;
        self.report.figure("connections", lines, "");
        self.report.figure("connections a second", lines / seconds, "/s");
        if let (Some(before), Some(after)) = (before, self.read()) {
            let cpu = after.cpu.saturating_sub(before.cpu) as f64;
            let memory = after.memory.saturating_sub(before.memory) as f64;
            self.report.figure("CPU time to connect one", cpu / lines / 1_000.0, "µs");
            // A server that was there before may have the memory of earlier connections to give.
            if memory > 0.0 {
                self.report.figure("memory of one connection", memory / lines, "bytes");
            }
        }
        Ok(())
    }

    /// Lets time pass while everybody listens.
    fn pass(&mut self, words: &'static str, time: Duration, listener: &mut impl Listener) -> Result<()> {
        let end = self.crowd.now() + nanoseconds(time);
        let shown = bar(words, time.as_secs());
        while self.crowd.now() < end {
            self.crowd.turn(Some(end), listener)?;
            shown.set_position(
                time.as_secs().saturating_sub(end.saturating_sub(self.crowd.now()) / 1_000_000_000),
            );
        }
        shown.finish_and_clear();
        Ok(())
    }

    /// Notes where everything stands now.
    fn mark(&self) -> Mark {
        Mark {
            at: self.crowd.now(),
            asleep: self.crowd.asleep,
            server: self.read(),
            own: Gauge::of(std::process::id()).map(|gauge| gauge.read().cpu).unwrap_or_default(),
            machine: machine(),
        }
    }

    /// CPU seconds of the server since `mark`.
    fn server_seconds(&self, mark: &Mark) -> Option<f64> {
        let (before, after) = (mark.server?, self.read()?);
        Some(seconds(after.cpu.saturating_sub(before.cpu)))
    }

    /// Reports everybody's share of the time since `mark`.
    fn report_shares(&mut self, mark: &Mark) {
        let now = self.mark();
        let wall = (now.at - mark.at) as f64;
        let share = |nanoseconds: u64| nanoseconds as f64 * 100.0 / wall;
        let busy = (100.0 - share(now.asleep - mark.asleep)).max(0.0);
        if let (Some(before), Some(after)) = (mark.server, now.server) {
            let server = after.cpu.saturating_sub(before.cpu);
            let ours = server + now.own.saturating_sub(mark.own);
            let others = share(now.machine.saturating_sub(mark.machine).saturating_sub(ours));
            self.report.figure("server CPU", share(server), "% of a core");
            self.report.figure("server memory", after.memory as f64 / 1e6, "MB");
            self.report.figure("CPU of other processes", others, "% of a core");
            if others > OTHERS {
                self.report.remarks.push(format!(
                    "other processes took {others:.0} % of a core: repeat the run on a quiet machine"
                ));
            }
        }
        self.report.figure("load generator busy", busy, "%");
        if busy > BUSY {
            self.report.remarks.push(format!(
                "the load generator was busy {busy:.0} % of the time: rates and latencies are its own"
            ));
        }
    }

    /// Reports what must not happen.
    fn report_fate(&mut self, refusals: &Refusals) {
        let fate = &self.crowd.fate;
        let reason = fate.reason.clone().unwrap_or_default();
        let closed = fate.closed;
        self.report.problem(closed > 0, || format!("{closed} connections were closed; the first: {reason}"));
        self.report.problem(refusals.count > 0, || {
            let first = refusals.first.clone().unwrap_or_default();
            format!("{} commands were refused; the first: {first}", refusals.count)
        });
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
