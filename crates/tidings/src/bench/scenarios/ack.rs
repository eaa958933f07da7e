//! Requests and their answers.

use std::collections::VecDeque;

use anyhow::Result;

use super::{DRAIN, Mark, Refusals, seconds};
use crate::bench::Bench;
use crate::bench::clock::nanoseconds;
use crate::bench::dialect::Proto;
use crate::bench::frames::text_frame;
use crate::bench::line::{Line, Listener};
use crate::bench::tally::{Latencies, add_to_timeline, latencies};

/// Every answer is followed by the next request until it is over.
struct Asking {
    proto: Proto,
    pad: String,
    /// Requests under way on each line, oldest first: id and when it was sent.
    sent: Vec<VecDeque<(u32, u64)>>,
    next: u32,
    /// Requests sent from then on count.
    counts_from: u64,
    over: bool,
    answered: u64,
    out_of_order: u64,
    unasked: u64,
    refusals: Refusals,
    latencies: Latencies,
    timeline: Vec<u64>,
    last_at: u64,
}

impl Asking {
    fn ask(&mut self, line: &mut Line, index: usize, now: u64) {
        let id = self.next;
        // Ids stay short and start at 1: 0 is the subscription's.
        self.next = if id >= 999_999_999 { 1 } else { id + 1 };
        line.queue(&text_frame(&self.proto.request(id, &self.pad)));
        if let Some(sent) = self.sent.get_mut(index) {
            sent.push_back((id, now));
        }
    }

    fn answered(&mut self, at: u64, now: u64) {
        if at < self.counts_from {
            return;
        }
        self.answered += 1;
        self.last_at = now;
        self.latencies.saturating_record((now.saturating_sub(at) / 1_000).max(1));
        add_to_timeline(&mut self.timeline, now.saturating_sub(self.counts_from));
    }

    fn under_way(&self) -> usize {
        self.sent.iter().map(VecDeque::len).sum()
    }
}

impl Listener for Asking {
    fn ack(&mut self, line: &mut Line, index: usize, id: u32, ok: bool, message: &[u8], now: u64) {
        let Some(sent) = self.sent.get_mut(index) else { return };
        let Some(place) = sent.iter().position(|(asked, _)| *asked == id) else {
            self.unasked += 1;
            return;
        };
        self.out_of_order += u64::from(place > 0);
        if let Some((_, at)) = sent.remove(place) {
            if ok { self.answered(at, now) } else { self.refusals.add(message) }
        }
        if !self.over {
            self.ask(line, index, now);
        }
    }

    fn refused(&mut self, message: &[u8]) {
        self.refusals.add(message);
    }
}

/// Keeps the planned number of requests in flight on every line and reports the answers.
///
/// # Errors
/// Not everybody gets through.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut asking = Asking {
        proto: bench.crowd.place.proto,
        pad: "x".repeat(bench.plan.pad),
        sent: vec![VecDeque::new(); bench.crowd.lines.len()],
        next: 1,
        counts_from: u64::MAX,
        over: false,
        answered: 0,
        out_of_order: 0,
        unasked: 0,
        refusals: Refusals::default(),
        latencies: latencies()?,
        timeline: Vec::new(),
        last_at: 0,
    };
    bench.connect(&mut asking)?;
    first_requests(bench, &mut asking);
    bench.pass("warming up", bench.plan.warm, &mut asking)?;

    let mark = bench.mark();
    asking.counts_from = mark.at;
    bench.pass("asking", bench.plan.secs, &mut asking)?;
    asking.over = true;
    let end = bench.crowd.now() + nanoseconds(DRAIN);
    while asking.under_way() > 0 && bench.crowd.now() < end {
        bench.crowd.turn(Some(end), &mut asking)?;
    }
    report(bench, &asking, &mark);
    Ok(())
}

fn report(bench: &mut Bench, asking: &Asking, mark: &Mark) {
    let time = seconds(asking.last_at.saturating_sub(mark.at));
    bench.report.figure("answers a second", asking.answered as f64 / time, "/s");
    bench.report.figure("answers", asking.answered as f64, "");
    if let Some(cpu) = bench.server_seconds(mark) {
        bench.report.figure("CPU of 1,000,000 answers", cpu / asking.answered as f64 * 1e6, "s");
    }
    for (name, count) in [
        ("unanswered", asking.under_way() as u64),
        ("out of order", asking.out_of_order),
        ("answers nobody asked for", asking.unasked),
    ] {
        bench.report.figure(name, count as f64, "");
        bench.report.problem(count > 0, || format!("{count} {name}"));
    }
    bench.report.latencies("answer", &asking.latencies);
    bench.report.timeline("answers", asking.timeline.clone());
    bench.report_shares(mark);
    bench.report_fate(&asking.refusals);
}

fn first_requests(bench: &mut Bench, asking: &mut Asking) {
    let now = bench.crowd.now();
    for index in 0..bench.crowd.lines.len() {
        if let Some(line) = bench.crowd.lines.get_mut(index) {
            (0..bench.plan.outstanding).for_each(|_| asking.ask(line, index, now));
        }
        bench.crowd.flush(index);
    }
}
