//! The team's own backend, asked who may connect, and who may do what in rooms whose rule is `ask`.
//!
//! A question is one signed POST. Only a complete and valid answer decides; everything else is a
//! failure: the client is told `unavailable` and may try again, and nothing is kept of it. Equal
//! questions that are under way share one request; how many are is bounded, how many wait for
//! their turn, too, and a backend that keeps failing is left alone for a while.

mod question;
mod signature;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tidings_core::{Action, Answer, Breaker, BreakerPolicy, Code, Permit, Refusal, Room, lock};
use tokio::sync::{OnceCell, Semaphore};

use crate::config::HooksConfig;
use crate::degraded::level;
use crate::outbound::{Guard, Outbound, SystemResolver, Target, connector};
pub(crate) use question::{Caller, Draft, Entrance, Purpose};
use signature::SigningKey;
pub(crate) use signature::is_key_of_hooks;
pub(crate) use verdict::Verdict;

/// Questions under way at once, to one URL: one that hangs takes nobody's turn at the others.
const IN_FLIGHT: usize = 256;

/// Questions that wait for their turn at one URL; beyond that they are refused.
const WAITING: usize = 1_024;

/// Bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// A client whose question found no place is told to come back after so many milliseconds.
const BUSY_MS: u32 = 1_000;

/// Ten failures within ten seconds are more than a hiccup.
const BREAKER: BreakerPolicy = BreakerPolicy {
    failures: 10,
    window_ms: 10_000,
    least_open_ms: 1_000,
    most_open_ms: 30_000,
    probe_ms: 6_000,
};

/// A question takes no longer than this, whatever is configured.
const TIMEOUT_MOST_MS: u64 = 5_000;

/// The backend, for each purpose that has a URL.
pub(crate) struct Hooks {
    /// By [`slot`].
    lines: [Option<Line>; 3],
    outbound: Outbound,
    key: SigningKey,
    timeout: Duration,
    send_data: bool,
    cache_most: u64,
    /// Questions under way, by purpose, rights and body.
    flights: Mutex<HashMap<Flight, UnderWay>>,
    started: Instant,
}

/// One URL and how it fares.
struct Line {
    target: Target,
    breaker: Mutex<Breaker>,
    counts: Counts,
    turns: Semaphore,
    waiting: AtomicUsize,
}

/// How often questions went which way.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) allowed: AtomicU64,
    pub(crate) denied: AtomicU64,
    /// No valid answer came.
    pub(crate) failed: AtomicU64,
    /// Nobody was asked: the breaker was open, or too many questions waited.
    pub(crate) refused: AtomicU64,
    /// Answered by a request that was under way already.
    pub(crate) shared: AtomicU64,
}

impl Counts {
    /// Each number with its name.
    pub(crate) fn outcomes(&self) -> [(&'static str, u64); 5] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("allowed", read(&self.allowed)),
            ("denied", read(&self.denied)),
            ("failed", read(&self.failed)),
            ("refused", read(&self.refused)),
            ("shared", read(&self.shared)),
        ]
    }
}

/// Which questions are equal: those asked to one URL, under unchanged rights, in the same words.
type Flight = (usize, u64, String);

type Outcome = Result<Verdict, Refusal>;

/// Which URL a purpose has: connect, publish, and one for everything else in a room.
fn slot(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Connect => 0,
        Purpose::Room(Action::Publish) => 2,
        Purpose::Room(_) => 1,
    }
}

/// The purposes by slot, for logs and metrics.
pub(crate) const SLOTS: [&str; 3] = ["connect", "subscribe", "publish"];

impl Hooks {
    /// The hooks of a configuration; `None` if it has none.
    ///
    /// # Errors
    /// A sentence that names the key that cannot be used.
    pub(crate) fn new(config: &HooksConfig) -> Result<Option<Self>, String> {
        if !config.any() {
            return Ok(None);
        }
        let guard = Guard::new(config.allow_hosts.clone(), config.allow_private);
        let line = |url: &str, name: &str| -> Result<Option<Line>, String> {
            if url.is_empty() {
                return Ok(None);
            }
            let named = |problem| format!("hooks.{name}: {problem}");
            let target = Target::parse(url).map_err(named)?;
            guard.judge(&target).map_err(named)?;
            let (breaker, turns) = (Mutex::new(Breaker::new(BREAKER)), Semaphore::new(IN_FLIGHT));
            let (counts, waiting) = (Counts::default(), AtomicUsize::new(0));
            Ok(Some(Line { target, breaker, counts, turns, waiting }))
        };
        let lines = [
            line(&config.connect, SLOTS[0])?,
            line(&config.subscribe, SLOTS[1])?,
            line(&config.publish, SLOTS[2])?,
        ];
        let tls = connector(&config.ca_file).map_err(|problem| format!("hooks.{problem}"))?;
        Ok(Some(Self {
            lines,
            outbound: Outbound::new(guard, Arc::new(SystemResolver), tls),
            key: SigningKey::new(&config.secret)?,
            timeout: Duration::from_millis(config.timeout_ms.min(TIMEOUT_MOST_MS)),
            send_data: config.send_data,
            cache_most: config.max_cache_seconds,
            flights: Mutex::default(),
            started: Instant::now(),
        }))
    }

    /// Whether there is a URL for a purpose.
    pub(crate) fn asks(&self, purpose: Purpose) -> bool {
        self.lines[slot(purpose)].is_some()
    }

    /// Asks the backend; `rights` is the count of changes of rights, before and after which equal
    /// questions are not the same.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if there is no valid answer.
    pub(crate) async fn ask(
        &self,
        purpose: Purpose,
        caller: &Caller<'_>,
        namespace: Option<&str>,
        room: Option<&Room>,
        draft: Draft<'_>,
        rights: u64,
    ) -> Result<Verdict, Refusal> {
        let slot = slot(purpose);
        let Some(line) = &self.lines[slot] else { return Err(unavailable("no backend is configured", None)) };
        let draft = if self.send_data { draft } else { Draft { data: "", ..draft } };
        let with_data = !draft.data.is_empty();
        let body = question::write(purpose, caller, namespace, room, draft)
            .map_err(|_| unavailable("the question could not be written", None))?;
        let mut verdict = self.share((slot, rights, body), line).await?;
        // What was decided by an event's data says nothing about the next event.
        verdict.cache_seconds = if with_data { 0 } else { verdict.cache_seconds.min(self.cache_most) };
        Ok(verdict)
    }

    /// Waits for an equal question that is under way, or sends this one.
    ///
    /// Should who sends it go away, the next who waits sends it.
    async fn share(&self, flight: Flight, line: &Line) -> Outcome {
        let seat = self.seat(&flight);
        let mut own = false;
        let outcome = seat.cell.get_or_init(|| {
            own = true;
            self.send(&flight, line)
        });
        let outcome = outcome.await.clone();
        if !own {
            line.counts.shared.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    fn seat<'a>(&'a self, flight: &'a Flight) -> Seat<'a> {
        let mut flights = lock(&self.flights);
        let shared = flights.entry(flight.clone()).or_default();
        shared.waiting += 1;
        Seat { hooks: self, flight, cell: shared.cell.clone() }
    }

    /// Sends a question when it is its turn, and judges how that went.
    async fn send(&self, (slot, _, body): &Flight, line: &Line) -> Outcome {
        let asked = Instant::now();
        let refused = |refusal| {
            line.counts.refused.fetch_add(1, Ordering::Relaxed);
            Err(refusal)
        };
        let Some(turn) = self.turn(line).await else {
            return refused(unavailable("too many questions are waiting for an answer", Some(BUSY_MS)));
        };
        let permit = match lock(&line.breaker).permit(self.now_ms()) {
            Ok(permit) => permit,
            Err(ms) => {
                let ms = ms.min(u64::from(u32::MAX)) as u32;
                return refused(unavailable("the decision cannot be made at the moment", Some(ms)));
            }
        };
        let attempt = Attempt { line, permit, reported: false };
        let left = self.timeout.saturating_sub(asked.elapsed());
        match self.fetch(&line.target, body, left).await {
            Ok(verdict) => {
                if attempt.answered() {
                    tracing::info!(hook = SLOTS[*slot], "the backend answers again");
                }
                let counts = &line.counts;
                let which = if verdict.answer == Answer::Allow { &counts.allowed } else { &counts.denied };
                which.fetch_add(1, Ordering::Relaxed);
                Ok(verdict)
            }
            Err(problem) => {
                line.counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(hook = SLOTS[*slot], %problem, "the backend did not answer");
                match problem {
                    // It works, but not for this question: others must not be kept from it by one client's.
                    Problem::Refused(_) => drop(attempt.answered()),
                    // It did not have the time that was promised to it, and is not to blame.
                    Problem::Late if turn.waited => {}
                    Problem::Late | Problem::Failed(_) => {
                        if let Some(open_ms) = attempt.failed(self.now_ms()) {
                            let hook = SLOTS[*slot];
                            tracing::warn!(hook, %problem, open_ms, "the backend fails and is left alone");
                        }
                    }
                }
                Err(unavailable("the decision could not be made", Some(BUSY_MS)))
            }
        }
    }

    /// Leave to be under way; `None` if too many wait or the wait was too long.
    async fn turn<'a>(&self, line: &'a Line) -> Option<Turn<'a>> {
        if let Ok(turn) = line.turns.try_acquire() {
            return Some(Turn { _place: turn, waited: false });
        }
        let waits = Waits(&line.waiting);
        if line.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            return None;
        }
        let turn = tokio::time::timeout(self.timeout, line.turns.acquire()).await;
        drop(waits);
        Some(Turn { _place: turn.ok()?.ok()?, waited: true })
    }

    async fn fetch(&self, target: &Target, body: &str, left: Duration) -> Result<Verdict, Problem> {
        let (id, seconds) = (message_id(), seconds());
        let headers = [
            ("webhook-id", id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", self.key.sign(&id, seconds, body.as_bytes())),
        ];
        let body = Bytes::copy_from_slice(body.as_bytes());
        let answer = self.outbound.post(target, &headers, body, ANSWER_BYTES);
        match tokio::time::timeout(left, answer).await {
            Err(_) => Err(Problem::Late),
            Ok(Err(error)) => Err(Problem::Failed(error.to_string())),
            Ok(Ok((StatusCode::OK, body))) => {
                verdict::read(&body).ok_or_else(|| Problem::Failed("an answer that is not as agreed".into()))
            }
            Ok(Ok((status, _))) if is_of_the_question(status) => Err(Problem::Refused(status)),
            Ok(Ok((status, _))) => Err(Problem::Failed(format!("status {}", status.as_u16()))),
        }
    }

    /// Each URL's numbers, and whether it is left alone: 0 no, 1 one probe, 2 yes.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (&'static str, &Counts, i64)> {
        let lines = SLOTS.iter().zip(&self.lines);
        lines.filter_map(|(name, line)| {
            let line = line.as_ref()?;
            let state = lock(&line.breaker).state(self.now_ms());
            Some((*name, &line.counts, level(state)))
        })
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum Problem {
    /// The backend works, and takes this question for a bad one.
    #[error("status {}", _0.as_u16())]
    Refused(StatusCode),
    /// No answer in time.
    #[error("no answer in time")]
    Late,
    /// There is no backend that works.
    #[error("{_0}")]
    Failed(String),
}

/// Whether a status says that the question is bad, and not that the backend is: 4xx, but for those that mean
/// "later" (RFC 9110 section 15.5.9, RFC 6585 section 4).
fn is_of_the_question(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Leave to be under way.
struct Turn<'a> {
    _place: tokio::sync::SemaphorePermit<'a>,
    /// It was not there at once.
    waited: bool,
}

/// A question that the breaker has let through; one that says nothing in the end, because its asker has left or
/// it came too late, gives its place back.
struct Attempt<'a> {
    line: &'a Line,
    permit: Permit,
    reported: bool,
}

impl Attempt<'_> {
    /// The backend answered; whether that closed the breaker.
    fn answered(mut self) -> bool {
        self.reported = true;
        lock(&self.line.breaker).succeeded(self.permit)
    }

    /// It did not; for how many milliseconds it is left alone because of this.
    fn failed(mut self, now_ms: u64) -> Option<u64> {
        self.reported = true;
        lock(&self.line.breaker).failed(self.permit, now_ms, chance())
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.reported {
            lock(&self.line.breaker).withdrawn(self.permit);
        }
    }
}

/// A question under way, and how many wait for its answer.
#[derive(Default)]
struct UnderWay {
    cell: Arc<OnceCell<Outcome>>,
    waiting: usize,
}

/// One who waits for the answer to a question under way.
struct Seat<'a> {
    hooks: &'a Hooks,
    flight: &'a Flight,
    cell: Arc<OnceCell<Outcome>>,
}

impl Drop for Seat<'_> {
    /// Once it is answered, or the last has gone, an equal question is a new one.
    fn drop(&mut self) {
        let mut flights = lock(&self.hooks.flights);
        let known = flights.get_mut(self.flight);
        let Some(known) = known.filter(|known| Arc::ptr_eq(&known.cell, &self.cell)) else { return };
        known.waiting -= 1;
        if self.cell.initialized() || known.waiting == 0 {
            flights.remove(self.flight);
        }
    }
}

/// One who waits for its turn.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn unavailable(message: &str, retry_after_ms: Option<u32>) -> Refusal {
    Refusal { retry_after_ms, ..Refusal::new(Code::Unavailable, message) }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// An id no other question has.
fn message_id() -> String {
    let mut bytes = [0; 18];
    if getrandom::fill(&mut bytes).is_err() {
        // The id is for the receiver's memory alone: a clock does instead of chance.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        bytes[..16].copy_from_slice(&now.to_be_bytes());
    }
    format!("msg_{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn chance() -> u64 {
    getrandom::u64().unwrap_or(0)
}
