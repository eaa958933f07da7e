//! The server pings, the client answers.

/// When to ping and how long to wait; milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTimes {
    /// From one answer to the next ping.
    pub interval_ms: u64,
    /// For the answer.
    pub timeout_ms: u64,
}

/// A ping that goes out no later than this is timed as if it had been in time.
const LATE_MS: u64 = 50;

/// One connection's heartbeat.
///
/// The next ping is timed from the last answer. Something else heard while the answer is due
/// extends the wait once, as engine.io 6.6.11 does: the link is alive, only its queue is long.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    due_ms: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting,
    Waiting,
    Extended,
}

/// What a heartbeat wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing yet.
    Rest,
    /// Send a ping.
    Ping,
    /// The peer is gone.
    Dead,
}

impl Heartbeat {
    /// A heartbeat that begins at `now_ms`.
    pub fn new(now_ms: u64, times: &HeartbeatTimes) -> Self {
        Self { due_ms: now_ms + times.interval_ms, state: State::Resting }
    }

    /// When [`Heartbeat::handle_timeout`] has something to say.
    pub fn poll_timeout(&self) -> u64 {
        self.due_ms
    }

    /// Notes the answer to a ping; one that was not asked for is accepted.
    pub fn answered(&mut self, now_ms: u64, times: &HeartbeatTimes) {
        *self = Self::new(now_ms, times);
    }

    /// Notes that something else was heard.
    pub fn heard(&mut self, now_ms: u64, times: &HeartbeatTimes) {
        if self.state == State::Waiting {
            self.state = State::Extended;
            self.due_ms = now_ms + times.timeout_ms;
        }
    }

    /// Says what is due.
    pub fn handle_timeout(&mut self, now_ms: u64, times: &HeartbeatTimes) -> Beat {
        if now_ms < self.due_ms {
            return Beat::Rest;
        }
        if self.state != State::Resting {
            return Beat::Dead;
        }
        self.state = State::Waiting;
        // Timed from when the ping was due, unless it went out late because the process stood still.
        let pinged_ms = if now_ms - self.due_ms <= LATE_MS { self.due_ms } else { now_ms };
        self.due_ms = pinged_ms + times.timeout_ms;
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: HeartbeatTimes = HeartbeatTimes { interval_ms: 300, timeout_ms: 200 };

    #[test]
    fn a_silent_client_is_dead_after_the_ping_timeout() {
        let mut beat = Heartbeat::new(0, &TIMES);
        assert_eq!(beat.handle_timeout(299, &TIMES), Beat::Rest);
        assert_eq!(beat.handle_timeout(300, &TIMES), Beat::Ping);
        assert_eq!(beat.handle_timeout(499, &TIMES), Beat::Rest);
        assert_eq!(beat.handle_timeout(500, &TIMES), Beat::Dead);
    }

    #[test]
    fn a_ping_that_was_held_up_gives_the_client_its_whole_time() {
        let mut beat = Heartbeat::new(0, &TIMES);
        assert_eq!(beat.handle_timeout(320, &TIMES), Beat::Ping);
        assert_eq!(beat.poll_timeout(), 500);
        let mut beat = Heartbeat::new(0, &TIMES);
        assert_eq!(beat.handle_timeout(30_000, &TIMES), Beat::Ping);
        assert_eq!(beat.poll_timeout(), 30_200);
    }

    #[test]
    fn the_next_ping_is_timed_from_the_answer() {
        let mut beat = Heartbeat::new(0, &TIMES);
        assert_eq!(beat.handle_timeout(300, &TIMES), Beat::Ping);
        beat.answered(400, &TIMES);
        assert_eq!(beat.poll_timeout(), 700);
    }

    #[test]
    fn something_else_heard_extends_the_wait_once() {
        let mut beat = Heartbeat::new(0, &TIMES);
        assert_eq!(beat.handle_timeout(300, &TIMES), Beat::Ping);
        beat.heard(450, &TIMES);
        beat.heard(640, &TIMES);
        assert_eq!(beat.handle_timeout(649, &TIMES), Beat::Rest);
        assert_eq!(beat.handle_timeout(650, &TIMES), Beat::Dead);
    }
}
