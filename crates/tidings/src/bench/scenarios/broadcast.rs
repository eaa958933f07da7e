//! Publications to rooms: one with everybody in it, or many small ones.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;

use super::{DRAIN, Mark, Refusals, seconds};
use crate::bench::clock::nanoseconds;
use crate::bench::frames::text_frame;
use crate::bench::line::Listener;
use crate::bench::marker::{Marker, blank_in};
use crate::bench::plan::{Plan, Rate};
use crate::bench::tally::Tally;
use crate::bench::{Bench, bar};

/// Silence after which publications in flight are given up.
const STALL: Duration = Duration::from_secs(2);
/// The marker's sequence has eight digits.
const MOST_PUBLICATIONS: u32 = 99_999_999;

/// Counts what arrives.
pub(super) struct Ears {
    pub(super) tally: Tally,
    pub(super) refusals: Refusals,
}

impl Listener for Ears {
    fn event(&mut self, index: usize, message: &[u8], now: u64) {
        self.tally.receive(index, message, now);
    }

    fn refused(&mut self, message: &[u8]) {
        self.refusals.add(message);
    }
}

impl Ears {
    /// For a plan's subscribers.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        Ok(Self { tally: Tally::new(plan.conns as usize)?, refusals: Refusals::default() })
    }
}

/// Publishes for the planned time and reports deliveries.
///
/// # Errors
/// Not everybody gets through.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut ears = Ears::new(&bench.plan)?;
    bench.connect(&mut ears)?;
    let mut press = Press::new(bench);
    press.run(bench, &mut ears, "warming up", bench.plan.warm)?;
    press.drain(bench, &mut ears)?;

    let mark = bench.mark();
    press.stalls = 0;
    ears.tally.begin(mark.at);
    press.run(bench, &mut ears, "publishing", bench.plan.secs)?;
    press.drain(bench, &mut ears)?;
    report(bench, &ears, press.stalls, &mark);
    Ok(())
}

fn report(bench: &mut Bench, ears: &Ears, stalls: u32, mark: &Mark) {
    let (tally, counts) = (&ears.tally, ears.tally.counts.clone());
    let time = seconds(counts.last_at.saturating_sub(mark.at));
    bench.report.figure("deliveries a second", counts.delivered as f64 / time, "/s");
    bench.report.figure("publications a second", counts.published as f64 / time, "/s");
    bench.report.figure("deliveries", counts.delivered as f64, "");
    if let Some(cpu) = bench.server_seconds(mark) {
        bench.report.figure("CPU of 1,000,000 deliveries", cpu / counts.delivered as f64 * 1e6, "s");
    }
    let sums = [
        ("lost", tally.lost()),
        ("duplicates", counts.duplicates),
        ("out of order", counts.out_of_order),
        ("unmarked", counts.unmarked),
        ("stalls", stalls.into()),
    ];
    for (name, count) in sums {
        bench.report.figure(name, count as f64, "");
        bench.report.problem(count > 0 && name != "unmarked", || format!("{count} {name}"));
    }
    bench.report.latencies("delivery", &tally.latencies);
    bench.report.timeline("deliveries", tally.timeline.clone());
    bench.report_shares(mark);
    bench.report_fate(&ears.refusals);
}

/// What publishes: one finished frame per room, of which only the marker changes.
pub(super) struct Press {
    frames: Vec<(Vec<u8>, usize)>,
    next_room: u32,
    stalls: u32,
}

impl Press {
    /// Makes the frames of all rooms.
    pub(super) fn new(bench: &Bench) -> Self {
        let (place, plan) = (&bench.crowd.place, &bench.plan);
        let frames = (0..plan.rooms).map(|room| {
            let frame = text_frame(&place.proto.publish(&place.room(room), plan.pad));
            let offset = blank_in(&frame).unwrap_or_default();
            (frame, offset)
        });
        Self { frames: frames.collect(), next_room: 0, stalls: 0 }
    }

    /// Publishes for a time, by rate or by window.
    pub(super) fn run(
        &mut self,
        bench: &mut Bench,
        ears: &mut Ears,
        words: &'static str,
        time: Duration,
    ) -> Result<()> {
        let shown = bar(words, time.as_secs());
        let start = bench.crowd.now();
        let end = start + nanoseconds(time);
        let mut show = |now: u64| shown.set_position((now - start) / 1_000_000_000);
        match bench.plan.rate {
            Rate::Max => self.by_window(bench, ears, end, &mut show),
            Rate::PerSecond(rate) => self.by_rate(bench, ears, rate, start..end, &mut show),
        }?;
        shown.finish_and_clear();
        Ok(())
    }

    fn by_window(
        &mut self,
        bench: &mut Bench,
        ears: &mut Ears,
        end: u64,
        shown: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let (mut progress, mut progress_at) = (0, bench.crowd.now());
        loop {
            let now = bench.crowd.now();
            if now >= end {
                return Ok(());
            }
            while ears.tally.in_flight() < bench.plan.window && self.publish(bench, ears, now) {}
            self.flush(bench);
            bench.crowd.turn(Some(end), ears)?;
            let delivered = ears.tally.received();
            if delivered != progress {
                (progress, progress_at) = (delivered, now);
            } else if now.saturating_sub(progress_at) > nanoseconds(STALL) {
                self.stalls += 1;
                ears.tally.forget_in_flight();
                progress_at = now;
            }
            shown(now);
        }
    }

    /// An open loop: what is due is sent however far the server is behind, and its latency counts
    /// from when it was due.
    fn by_rate(
        &mut self,
        bench: &mut Bench,
        ears: &mut Ears,
        rate: f64,
        time: Range<u64>,
        shown: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let Range { start, end } = time;
        let mut sent = 0_u32;
        loop {
            let now = bench.crowd.now();
            let due = |number: u32| start + (f64::from(number) / rate * 1e9) as u64;
            while due(sent) <= now.min(end) && self.publish(bench, ears, due(sent)) {
                sent += 1;
            }
            self.flush(bench);
            if now >= end {
                return Ok(());
            }
            bench.crowd.turn(Some(due(sent).min(end)), ears)?;
            shown(now);
        }
    }

    /// Queues the next publication; false if there can be no more.
    pub(super) fn publish(&mut self, bench: &mut Bench, ears: &mut Ears, at: u64) -> bool {
        let room = self.next_room;
        let Some((frame, offset)) = self.frames.get_mut(room as usize) else { return false };
        let sequence = ears.tally.publish(bench.plan.members(room));
        if sequence > MOST_PUBLICATIONS {
            return false;
        }
        Marker { at, sequence }.write(frame, *offset);
        // A room has one publisher, so that its order is defined.
        let publisher = (bench.plan.conns + room % bench.plan.pubs.max(1)) as usize;
        if let Some(line) = bench.crowd.lines.get_mut(publisher) {
            line.queue(frame);
        }
        self.next_room = (room + 1) % bench.plan.rooms;
        true
    }

    /// Sends what is queued.
    pub(super) fn flush(&self, bench: &mut Bench) {
        (bench.plan.conns as usize..bench.plan.lines()).for_each(|publisher| bench.crowd.flush(publisher));
    }

    /// Waits for what is still on its way.
    pub(super) fn drain(&self, bench: &mut Bench, ears: &mut Ears) -> Result<()> {
        let end = bench.crowd.now() + nanoseconds(DRAIN);
        while ears.tally.in_flight() > 0 && bench.crowd.now() < end {
            bench.crowd.turn(Some(end), ears)?;
        }
        Ok(())
    }
}
