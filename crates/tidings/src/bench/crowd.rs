//! Many connections on one thread.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use anyhow::{Result, bail};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::line::{Line, Listener, Place, Stage};

const ALARM: Token = Token(usize::MAX);
/// Bytes of the one read buffer.
const BUFFER: usize = 256 * 1024;
/// Longest sleep, so that progress is shown and deadlines are met.
const NAP: Duration = Duration::from_millis(50);

/// The connections, what they share, and how they fared.
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    /// Wakes to the microsecond; epoll's own timeout is whole milliseconds.
    alarm: OwnedFd,
    buffer: Vec<u8>,
    /// What the lines share.
    pub(crate) place: Place,
    /// The connections.
    pub(crate) lines: Vec<Line>,
    waiting: VecDeque<usize>,
    in_flight: usize,
    /// How many handshakes may be in flight.
    pub(crate) concurrency: usize,
    /// How the connections fared so far.
    pub(crate) fate: Fate,
    /// Nanoseconds spent waiting for something to do.
    pub(crate) asleep: u64,
}

/// How connections fared.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fate {
    /// Live now.
    pub(crate) live: usize,
    /// Ended before they were live.
    pub(crate) failed: usize,
    /// Ended while they were live, not by us.
    pub(crate) closed: usize,
    /// The first reason.
    pub(crate) reason: Option<String>,
}

impl Crowd {
    /// A crowd of `subscribers` (lines 0 and up) and `others` that only sign in, none connected.
    ///
    /// # Errors
    /// The system gives no epoll or timer.
    pub(crate) fn new(place: Place, subscribers: usize, others: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let alarm = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        poll.registry().register(&mut SourceFd(&alarm.as_raw_fd()), ALARM, Interest::READABLE)?;
        let lines = (0..subscribers + others).map(|index| Line::new(index < subscribers)).collect();
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            alarm,
            buffer: vec![0; BUFFER],
            place,
            lines,
            waiting: VecDeque::new(),
            in_flight: 0,
            concurrency: 256,
            fate: Fate::default(),
            asleep: 0,
        })
    }

    /// Nanoseconds on the bench's clock.
    pub(crate) fn now(&self) -> u64 {
        self.place.clock.now()
    }

    /// Lets a line connect as soon as there is room.
    pub(crate) fn enlist(&mut self, index: usize) {
        self.waiting.push_back(index);
    }

    /// Whether nothing is being connected any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }

    /// Connects every line.
    ///
    /// # Errors
    /// One fails, or not all are live by the deadline; with the first reason.
    pub(crate) fn connect_all(
        &mut self,
        limit: Duration,
        listener: &mut impl Listener,
        mut shown: impl FnMut(usize),
    ) -> Result<()> {
        let deadline = self.now() + super::clock::nanoseconds(limit);
        (0..self.lines.len()).for_each(|index| self.enlist(index));
        while self.fate.live < self.lines.len() {
            if let (1.., Some(reason)) = (self.fate.failed + self.fate.closed, &self.fate.reason) {
                bail!(
                    "connection {} of {} did not get through: {reason}",
                    self.fate.live + 1,
                    self.lines.len()
                );
            }
            if self.now() > deadline {
                bail!(
                    "{} of {} connections stood after {} s",
                    self.fate.live,
                    self.lines.len(),
                    limit.as_secs()
                );
            }
            self.turn(None, listener)?;
            shown(self.fate.live);
        }
        Ok(())
    }

    /// Waits for something, at most until `until`, and handles all that is there.
    ///
    /// # Errors
    /// The system's poll fails.
    pub(crate) fn turn(&mut self, until: Option<u64>, listener: &mut impl Listener) -> Result<()> {
        self.dial_waiting();
        let before = self.now();
        let nap = self.nap(before, until)?;
        match self.poll.poll(&mut self.events, Some(nap)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            polled => polled?,
        }
        self.asleep += self.now().saturating_sub(before);
        let mut ready = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &ready {
            if event.token() != ALARM {
                self.handle(event.token().0, event.is_writable(), listener);
            }
        }
        std::mem::swap(&mut self.events, &mut ready);
        Ok(())
    }

    fn nap(&self, now: u64, until: Option<u64>) -> Result<Duration> {
        let Some(until) = until else { return Ok(NAP) };
        let wait = Duration::from_nanos(until.saturating_sub(now));
        if wait.is_zero() || wait > NAP {
            return Ok(wait.min(NAP));
        }
        let after = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timer = Itimerspec { it_interval: never, it_value: after };
        rustix::time::timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &timer)?;
        Ok(NAP)
    }

    fn dial_waiting(&mut self) {
        while self.in_flight < self.concurrency {
            let Some(index) = self.waiting.pop_front() else { return };
            let Some(line) = self.lines.get_mut(index) else { continue };
            line.dial(&self.place, index);
            self.in_flight += 1;
            let both = Interest::READABLE | Interest::WRITABLE;
            let registered =
                line.stream().map(|stream| self.poll.registry().register(stream, Token(index), both));
            if let Some(Err(error)) = registered {
                line.close(format!("cannot watch the socket: {error}"));
            }
            self.account(index, Stage::Upgrade);
        }
    }

    fn handle(&mut self, index: usize, writable: bool, listener: &mut impl Listener) {
        let Some(line) = self.lines.get_mut(index) else { return };
        let before = line.stage();
        if before == Stage::Idle {
            return;
        }
        if writable {
            line.flush();
        }
        line.read(&self.place, index, &mut self.buffer, listener);
        self.account(index, before);
    }

    /// Sends what a line has queued outside a turn.
    pub(crate) fn flush(&mut self, index: usize) {
        if let Some(line) = self.lines.get_mut(index) {
            let before = line.stage();
            line.flush();
            self.account(index, before);
        }
    }

    /// Resets every connection.
    pub(crate) fn kill_all(&mut self) {
        self.lines.iter_mut().for_each(Line::kill);
        self.fate.live = 0;
    }

    /// Books what became of a line since it stood at `before`.
    fn account(&mut self, index: usize, before: Stage) {
        let Some(line) = self.lines.get(index) else { return };
        match (before, line.stage()) {
            (Stage::Live, Stage::Idle) => {
                self.fate.live -= 1;
                self.fate.closed += 1;
            }
            (Stage::Upgrade | Stage::SignIn | Stage::Subscribe, Stage::Idle) => {
                self.in_flight -= 1;
                self.fate.failed += 1;
            }
            (Stage::Upgrade | Stage::SignIn | Stage::Subscribe, Stage::Live) => {
                self.in_flight -= 1;
                self.fate.live += 1;
                return;
            }
            _ => return,
        }
        if self.fate.reason.is_none() {
            self.fate.reason.clone_from(&line.reason);
        }
    }

    /// Bytes received over all lines.
    pub(crate) fn received(&self) -> u64 {
        self.lines.iter().map(|line| line.received).sum()
    }
}
