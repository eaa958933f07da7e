//! Connections that only stay.

use anyhow::Result;

use super::{Deaf, Refusals, seconds};
use crate::bench::Bench;

/// Connects, waits, and reports memory, CPU time and traffic of doing nothing.
///
/// # Errors
/// Not everybody gets through.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    bench.connect(&mut Deaf)?;
    let mark = bench.mark();
    let received = bench.crowd.received();
    bench.pass("idle", bench.plan.secs, &mut Deaf)?;
    let time = seconds(bench.crowd.now() - mark.at);
    let lines = bench.crowd.lines.len() as f64;
    if let Some(cpu) = bench.server_seconds(&mark) {
        bench.report.figure("CPU of 100 idle connections", cpu / time * 100.0 / lines * 100.0, "% of a core");
    }
    let traffic = (bench.crowd.received() - received) as f64;
    bench.report.figure("received by one connection", traffic / lines / time, "bytes/s");
    bench.report.figure("still connected", bench.crowd.fate.live as f64 * 100.0 / lines, "%");
    bench.report_shares(&mark);
    bench.report_fate(&Refusals::default());
    Ok(())
}
