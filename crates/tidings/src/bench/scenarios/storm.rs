//! Everybody is cut off and comes back at once.

use anyhow::Result;

use super::broadcast::{Ears, Press};
use super::{CONNECT_LIMIT, seconds};
use crate::bench::clock::nanoseconds;
use crate::bench::line::{Line, Listener, Stage};
use crate::bench::tally::{Latencies, add_to_timeline, latencies};
use crate::bench::{Bench, bar};

/// How often a line may try before it is given up.
const TRIES: u32 = 5;

/// Notes when each is back.
struct Returning {
    since: u64,
    latencies: Latencies,
    timeline: Vec<u64>,
    last_at: u64,
}

impl Listener for Returning {
    fn live(&mut self, _line: &mut Line, _index: usize, now: u64) {
        self.latencies.saturating_record((now.saturating_sub(self.since) / 1_000).max(1));
        add_to_timeline(&mut self.timeline, now.saturating_sub(self.since));
        self.last_at = now;
    }
}

/// Connects, resets every connection, and reports how all come back; then one event per room shows
/// that they are really there.
///
/// # Errors
/// Not everybody gets through the first time.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut ears = Ears::new(&bench.plan)?;
    bench.connect(&mut ears)?;
    let mark = bench.mark();
    bench.crowd.kill_all();
    let start = bench.crowd.now();
    let mut returning =
        Returning { since: start, latencies: latencies()?, timeline: Vec::new(), last_at: start };
    let retries = come_back(bench, &mut returning)?;

    let back = bench.crowd.fate.live;
    bench.report.figure("time until all were back", seconds(returning.last_at - start), "s");
    bench.report.figure("back", back as f64, "connections");
    bench.report.figure("tries that failed", f64::from(retries), "");
    if let Some(cpu) = bench.server_seconds(&mark) {
        bench.report.figure("CPU time of one return", cpu * 1e6 / back as f64, "µs");
    }
    let missing = bench.crowd.lines.len() - back;
    bench.report.problem(missing > 0, || format!("{missing} connections did not come back"));
    bench.report_shares(&mark);
    bench.report.latencies("return", &returning.latencies);
    bench.report.timeline("returns", returning.timeline);
    prove(bench, &mut ears)?;
    bench.report_fate(&ears.refusals);
    Ok(())
}

/// All at once: every handshake is in flight.
fn come_back(bench: &mut Bench, returning: &mut Returning) -> Result<u32> {
    let lines = bench.crowd.lines.len();
    let shown = bar("coming back", lines as u64);
    bench.crowd.concurrency = lines;
    (0..lines).for_each(|index| bench.crowd.enlist(index));
    let end = bench.crowd.now() + nanoseconds(CONNECT_LIMIT);
    let mut retries = 0;
    for _ in 0..TRIES {
        while !bench.crowd.is_settled() && bench.crowd.now() < end {
            bench.crowd.turn(Some(end), returning)?;
            shown.set_position(bench.crowd.fate.live as u64);
        }
        let absent = (0..lines)
            .filter(|index| bench.crowd.lines.get(*index).is_some_and(|line| line.stage() == Stage::Idle));
        let absent: Vec<usize> = absent.collect();
        if absent.is_empty() || bench.crowd.now() >= end {
            break;
        }
        retries += u32::try_from(absent.len()).unwrap_or(u32::MAX);
        absent.into_iter().for_each(|index| bench.crowd.enlist(index));
    }
    shown.finish_and_clear();
    Ok(retries)
}

fn prove(bench: &mut Bench, ears: &mut Ears) -> Result<()> {
    let mut press = Press::new(bench);
    ears.tally.begin(bench.crowd.now());
    for _ in 0..bench.plan.rooms {
        let now = bench.crowd.now();
        press.publish(bench, ears, now);
    }
    press.flush(bench);
    press.drain(bench, ears)?;
    let lost = ears.tally.lost();
    bench.report.figure("lost afterwards", lost as f64, "");
    bench.report.problem(lost > 0, || format!("{lost} of those who came back did not get an event"));
    Ok(())
}
