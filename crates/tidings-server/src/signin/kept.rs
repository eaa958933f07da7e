//! What a provider was asked, kept for a while: its answer, and for a short while that there was none.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A provider that did not answer is left alone for so long: whoever asks meanwhile is told so at once, and does not
/// wait behind the others for the same silence.
const REST: Duration = Duration::from_secs(5);

/// One answer. Whoever holds it asks; the others wait for that.
pub(crate) struct Kept<T> {
    answer: Option<(Instant, Arc<T>)>,
    failed: Option<Instant>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { answer: None, failed: None }
    }
}

impl<T> Kept<T> {
    /// The answer if it is no older than `most`, else a newer one by `ask`.
    ///
    /// # Errors
    /// A sentence for the log: what went wrong, or that it did a moment ago.
    pub(crate) async fn get_or_ask(
        &mut self,
        most: Duration,
        ask: impl Future<Output = Result<T, String>>,
    ) -> Result<Arc<T>, String> {
        if let Some((at, answer)) = &self.answer
            && at.elapsed() < most
        {
            return Ok(answer.clone());
        }
        if self.failed.is_some_and(|at| at.elapsed() < REST) {
            return Err("it could not be asked a moment ago".into());
        }
        let asked = ask.await;
        // From the end of the question on: those who waited for it are told the same.
        self.failed = asked.is_err().then(Instant::now);
        let answer = Arc::new(asked?);
        self.answer = Some((Instant::now(), answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Mutex;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_silence_is_waited_for_once_by_all_who_ask() {
        let (kept, asked) = (Mutex::new(Kept::default()), AtomicUsize::new(0));
        let silent = async || {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err::<u8, _>("no answer".into())
        };
        let ask = async || kept.lock().await.get_or_ask(MINUTE, silent()).await.unwrap_err();
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        assert_eq!((first.as_str(), &second, asked.load(Ordering::Relaxed)), ("no answer", &third, 1));
        assert!(second.contains("a moment ago"), "{second}");
        let mut kept = kept.into_inner();
        kept.failed = Instant::now().checked_sub(REST);
        assert_eq!(*kept.get_or_ask(MINUTE, async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_its_time() {
        let mut kept = Kept::default();
        assert_eq!(*kept.get_or_ask(MINUTE, async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(*kept.get_or_ask(MINUTE, async { Ok(2) }).await.unwrap(), 1);
        assert_eq!(
            *kept.get_or_ask(Duration::ZERO, async { Ok(3) }).await.unwrap(),
            3,
            "it was too old for that"
        );
        assert!(kept.get_or_ask(Duration::ZERO, async { Err("no".into()) }).await.is_err());
        assert_eq!(*kept.get_or_ask(MINUTE, async { Ok(4) }).await.unwrap(), 3, "good for those who take it");
    }
}
