//! Whether the database answers: one breaker before everything that durable rooms want of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tidings_core::breaker::Permit;
use tidings_core::{Breaker, BreakerPolicy, BreakerState, Code, Refusal, lock};
use tidings_store::StoreError;
use tokio::sync::watch;

/// One failure shows that it is away, and the writer asks again within a second.
const BREAKER: BreakerPolicy = BreakerPolicy {
    failures: 1,
    window_ms: 10_000,
    least_open_ms: 250,
    most_open_ms: 1_000,
    probe_ms: 5_000,
};

/// Who is refused since the database is away is told to come back after so long.
const RETRY_MS: u32 = 1_000;

/// How long anything may take of a database elsewhere: who waits is told before they give up. One in a file
/// is not away, and its slow disk has the store's own patience.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the database from what was tried.
pub(crate) struct Health {
    breaker: Mutex<Breaker>,
    started: Instant,
    /// Whether the breaker is closed.
    there: watch::Sender<bool>,
    /// An older copy has taken the database's place.
    moved_back: AtomicBool,
}

impl Health {
    pub(super) fn new() -> Self {
        let breaker = Mutex::new(Breaker::new(BREAKER));
        Self {
            breaker,
            started: Instant::now(),
            there: watch::Sender::new(true),
            moved_back: AtomicBool::new(false),
        }
    }

    /// What the breaker is now.
    pub(crate) fn state(&self) -> BreakerState {
        if self.has_moved_back() {
            return BreakerState::Open;
        }
        lock(&self.breaker).state(self.now_ms())
    }

    /// Refuses at once while the database is away.
    ///
    /// # Errors
    /// [`Code::Unavailable`], to be tried again.
    pub(super) fn refuse_while_away(&self) -> Result<(), Refusal> {
        if *self.there.borrow() { Ok(()) } else { Err(away()) }
    }

    /// Leave to try; `None` while nothing is to be tried.
    pub(super) fn permit(&self) -> Option<Permit> {
        if self.has_moved_back() {
            return None;
        }
        lock(&self.breaker).permit(self.now_ms()).ok()
    }

    /// Gives the database up until the next start: what it says of rooms is not what their members have heard.
    pub(super) fn move_back(&self) {
        if !self.moved_back.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the database has moved back while the server ran; publishes to durable rooms are refused: restart the server"
            );
        }
        self.there.send_replace(false);
    }

    /// Whether an older copy has taken the database's place.
    pub(crate) fn has_moved_back(&self) -> bool {
        self.moved_back.load(Ordering::Relaxed)
    }

    /// Takes in how a try went. Only a database that does not answer, or not us, is away: one that is full or damaged
    /// answers.
    pub(super) fn report<T>(&self, permit: Permit, done: &Result<T, StoreError>) {
        if self.has_moved_back() {
            return;
        }
        let mut breaker = lock(&self.breaker);
        if let Err(why) = done
            && why.is_away()
        {
            let chance = self.started.elapsed().subsec_nanos().into();
            if breaker.failed(permit, self.now_ms(), chance).is_some() && self.there.send_replace(false) {
                tracing::warn!(%why, "publishes to durable rooms are refused");
            }
        } else if breaker.succeeded(permit) && !self.there.send_replace(true) {
            tracing::info!("the database answers again");
        }
    }

    /// Waits until the database answers again, if it is away.
    pub(super) async fn wait(&self) {
        // The sender lives as long as this value.
        let _ = self.there.subscribe().wait_for(|there| *there).await;
    }

    /// Whether the database is away.
    pub(crate) fn is_away(&self) -> bool {
        !*self.there.borrow()
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// What is refused while the database is away.
pub(super) fn away() -> Refusal {
    let refusal = Refusal::new(Code::Unavailable, "it cannot be stored or read now");
    Refusal { retry_after_ms: Some(RETRY_MS), ..refusal }
}

/// The same as an error of the store.
pub(super) fn is_away() -> StoreError {
    StoreError::Unavailable("it did not answer when it was asked last".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(health: &Health) -> Option<()> {
        let permit = health.permit()?;
        health.report::<()>(permit, &Err(is_away()));
        Some(())
    }

    #[test]
    fn one_that_refuses_us_is_as_good_as_away() {
        let health = Health::new();
        let permit = health.permit().unwrap();
        health.report::<()>(permit, &Err(StoreError::Unusable("the password is another one".into())));
        assert!(health.is_away() && health.refuse_while_away().is_err());
    }

    #[test]
    fn a_database_that_does_not_answer_is_left_alone_and_nobody_waits_for_it() {
        let health = Health::new();
        assert!(health.refuse_while_away().is_ok() && !health.is_away());
        fails(&health).unwrap();
        let refusal = health.refuse_while_away().unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_ms), (Code::Unavailable, Some(RETRY_MS)));
        assert_eq!((health.state(), health.permit()), (BreakerState::Open, None));
    }

    #[test]
    fn one_that_is_full_or_damaged_is_not_away() {
        let health = Health::new();
        for error in [StoreError::Full, StoreError::Corrupt("a page".into()), StoreError::Invalid("a key")] {
            let permit = health.permit().unwrap();
            health.report::<()>(permit, &Err(error));
        }
        assert!(!health.is_away());
    }

    #[tokio::test]
    async fn who_waits_goes_on_once_it_answers() {
        let health = Health::new();
        fails(&health).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let permit = loop {
            assert!(Instant::now() < deadline, "it is never asked again");
            if let Some(permit) = health.permit() {
                break permit;
            }
            tokio::task::yield_now().await;
        };
        assert!(health.is_away(), "it has not answered yet");
        let answers = async { health.report(permit, &Ok(())) };
        tokio::join!(health.wait(), answers);
        assert!(health.refuse_while_away().is_ok());
    }
}
