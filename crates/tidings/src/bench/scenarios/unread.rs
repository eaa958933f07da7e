//! Those who never read: they subscribe, nobody reads for them while a round lasts, and afterwards
//! they tell how it ended.

use std::time::Duration;

use anyhow::Result;

use super::CONNECT_LIMIT;
use crate::bench::Bench;
use crate::bench::clock::nanoseconds;
use crate::bench::crowd::Crowd;
use crate::bench::dialect::Position;
use crate::bench::line::{Listener, Place, Stage};
use crate::bench::marker::Marker;
use crate::bench::report::Report;
use crate::bench::tally::Tally;

/// Segments as on Ethernet. With those of the loopback interface the kernel buffers megabytes for each
/// before the server notices anything.
const SEGMENT: u32 = 1_448;
/// Silence after which no more is expected.
const QUIET: Duration = Duration::from_secs(1);
/// How long is read, or waited for what was missed, at most.
const LIMIT: Duration = Duration::from_secs(10);
/// The close code of a client that is too slow: it may come back and resume.
const TOO_SLOW: u16 = 4008;

/// The connections of a round, and what came through them.
pub(super) struct Unread {
    crowd: Crowd,
    ledger: Ledger,
    /// The number of the first publication of the round.
    first: u32,
}

/// How those of all rounds ended.
#[derive(Debug, Default)]
pub(super) struct Ends {
    count: u32,
    too_slow: u32,
    otherwise: u32,
    open: u32,
    /// The first other way it ended.
    reason: Option<String>,
    /// Events that were not there for them when they read at last.
    missed: u64,
    /// How many came back with a position.
    back: u32,
    /// How many of these have every event of their round, once and in order.
    whole: u32,
}

/// What each of them heard.
struct Ledger {
    readers: Vec<Reader>,
}

#[derive(Debug, Clone)]
struct Reader {
    /// Where it was when it subscribed, if the room keeps events.
    position: Option<Position>,
    /// Events since then.
    heard: u32,
    /// The number the next event should have.
    next: u32,
    /// Whether an event had another.
    is_torn: bool,
}

impl Unread {
    /// Subscribes as many as are planned, before the publication the tally gives a number next.
    ///
    /// # Errors
    /// One does not get through.
    pub(super) fn subscribe(bench: &Bench, tally: &Tally) -> Result<Self> {
        let (count, first) = (bench.plan.stuck as usize, tally.next_number());
        let reader = Reader { position: None, heard: 0, next: first, is_torn: false };
        let mut ledger = Ledger { readers: vec![reader; count] };
        let mut crowd = Crowd::new(place(bench), count, 0)?;
        crowd.connect_all(CONNECT_LIMIT, &mut ledger, |_| {})?;
        Ok(Self { crowd, ledger, first })
    }

    /// Reads what is there for them and books how they ended.
    ///
    /// # Errors
    /// The system fails us.
    pub(super) fn read(&mut self, ends: &mut Ends) -> Result<()> {
        let end = self.crowd.now() + nanoseconds(LIMIT);
        let (mut received, mut quiet_at) = (0, self.crowd.now() + nanoseconds(QUIET));
        while self.crowd.fate.live > 0 && self.crowd.now() < end.min(quiet_at) {
            self.crowd.turn(Some(end.min(quiet_at)), &mut self.ledger)?;
            if self.crowd.received() > received {
                received = self.crowd.received();
                quiet_at = self.crowd.now() + nanoseconds(QUIET);
            }
        }
        for line in &self.crowd.lines {
            ends.count += 1;
            match (line.stage(), line.code) {
                (Stage::Live, _) => ends.open += 1,
                (_, Some(TOO_SLOW)) => ends.too_slow += 1,
                _ => {
                    ends.otherwise += 1;
                    ends.reason = ends.reason.take().or_else(|| line.reason.clone());
                }
            }
        }
        Ok(())
    }

    /// Lets those who were closed come back with their position, if they have one, and books who has
    /// everything then.
    ///
    /// # Errors
    /// One does not get through.
    pub(super) fn come_back(mut self, bench: &Bench, tally: &Tally, ends: &mut Ends) -> Result<()> {
        let after = tally.next_number();
        let all = u64::from(after - self.first);
        let missed = self.ledger.readers.iter().map(|reader| all.saturating_sub(reader.heard.into()));
        ends.missed += missed.sum::<u64>();
        let gone = self.crowd.lines.iter().map(|line| line.stage() != Stage::Live);
        let mut gone = gone.collect::<Vec<bool>>().into_iter();
        self.ledger.readers.retain(|reader| gone.next() == Some(true) && reader.position.is_some());
        let Self { crowd, mut ledger, .. } = self;
        drop(crowd);

        let mut crowd = Crowd::new(place(bench), ledger.readers.len(), 0)?;
        for (line, reader) in crowd.lines.iter_mut().zip(&ledger.readers) {
            line.since = reader.resumes_at();
        }
        crowd.connect_all(CONNECT_LIMIT, &mut ledger, |_| {})?;
        let end = crowd.now() + nanoseconds(LIMIT);
        while ledger.readers.iter().any(|reader| reader.next < after) && crowd.now() < end {
            crowd.turn(Some(end), &mut ledger)?;
        }
        ends.back += number(ledger.readers.len());
        ends.whole += number(ledger.readers.iter().filter(|reader| reader.is_whole(after)).count());
        Ok(())
    }
}

fn place(bench: &Bench) -> Place {
    Place { segment: Some(SEGMENT), ..bench.crowd.place.clone() }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Reader {
    fn hear(&mut self, number: u32) {
        self.heard += 1;
        self.is_torn |= number != self.next;
        self.next = number.saturating_add(1);
    }

    /// Every event moved it on by one: offsets are without holes.
    fn resumes_at(&self) -> Option<Position> {
        let mut position = self.position.clone()?;
        position.offset += u64::from(self.heard);
        Some(position)
    }

    fn is_whole(&self, after: u32) -> bool {
        !self.is_torn && self.next == after
    }
}

impl Listener for Ledger {
    fn subscribed(&mut self, index: usize, answer: &[u8]) {
        if let Some(reader) = self.readers.get_mut(index)
            && reader.position.is_none()
        {
            reader.position = Position::find(answer);
        }
    }

    fn event(&mut self, index: usize, message: &[u8], _now: u64) {
        if let (Some(reader), Some(marker)) = (self.readers.get_mut(index), Marker::find(message)) {
            reader.hear(marker.sequence);
        }
    }
}

impl Ends {
    /// Reports them; an end that is not the promised one is a problem.
    pub(super) fn report(&self, report: &mut Report) {
        report.figure("never read", f64::from(self.count), "connections");
        report.figure("closed as too slow, 4008", f64::from(self.too_slow), "");
        report.figure("ended otherwise", f64::from(self.otherwise), "");
        report.figure("still open", f64::from(self.open), "");
        report.figure("events they missed", self.missed as f64, "");
        if self.back > 0 {
            report.figure("came back with a position", f64::from(self.back), "");
            report.figure("and have every event", f64::from(self.whole), "");
        }
        report.problem(self.open > 0, || format!("{} who never read were not closed", self.open));
        report.problem(self.otherwise > 0, || {
            let reason = self.reason.clone().unwrap_or_default();
            format!("{} who never read ended otherwise; the first: {reason}", self.otherwise)
        });
        let torn = self.back - self.whole;
        report.problem(torn > 0, || {
            format!("{torn} who came back lack events: does the room keep as many as a round has?")
        });
    }
}
