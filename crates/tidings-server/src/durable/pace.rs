//! When a transaction begins: with what is there, or once more has come.
//!
//! Publishers who wait for an answer before they say more come back within a moment of each other. Where a
//! transaction costs more than that moment, mostly for the flush at its end, it is worth to have all of them in one. Where it
//! costs less, two halves take turns: one is with the database while the other is delivered, answered and comes back.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep;

/// How long a batch waits for publishers who were answered a moment ago and may have more to say.
const GATHER: Duration = Duration::from_millis(1);

/// What it takes to answer a publisher and to have the next event of it in line, roughly: transactions that take less
/// for each of their events are not worth waiting for.
const ROUND: Duration = Duration::from_micros(30);

/// Of how many transactions the time of an event is the mean.
const LATELY: u32 = 8;

/// How the last transactions went.
pub(super) struct Pace {
    /// Events of the last one, and those that came meanwhile: so many are likely to be under way.
    under_way: usize,
    /// When it was stored.
    at: Instant,
    /// What an event took lately.
    each: Duration,
}

impl Pace {
    /// Nothing was stored yet.
    pub(super) fn new() -> Self {
        Self { under_way: 0, at: Instant::now(), each: 2 * ROUND }
    }

    /// Takes in that so many events were stored while others came; whether the next begin at once.
    pub(super) fn stored(&mut self, events: usize, waiting: usize, took: Duration) -> bool {
        let each = took / u32::try_from(events.max(1)).unwrap_or(u32::MAX);
        self.each = (self.each * (LATELY - 1) + each) / LATELY;
        (self.under_way, self.at) = (events + waiting, Instant::now());
        waiting > 0 && waiting >= self.wanted()
    }

    /// Waits until as many events are there as are worth waiting for, or [`GATHER`] is over.
    ///
    /// Whoever publishes alone, or after a rest, waits for nobody.
    pub(super) async fn gather<T>(&self, line: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, most: usize) {
        let wanted = if self.at.elapsed() < GATHER { self.wanted().min(most) } else { 0 };
        if batch.len() >= wanted {
            return;
        }
        let over = sleep(GATHER);
        tokio::pin!(over);
        while batch.len() < wanted {
            let room = most - batch.len();
            tokio::select! {
                came = line.recv_many(batch, room) => if came == 0 { return },
                () = &mut over => return,
            }
        }
    }

    fn wanted(&self) -> usize {
        if self.each < ROUND { self.under_way.div_ceil(2) } else { self.under_way }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace after so many transactions of 64 events that took so long each.
    fn after(transactions: u32, took: Duration, waiting: usize) -> (Pace, bool) {
        let mut pace = Pace::new();
        let begins = (0..transactions).map(|_| pace.stored(64, waiting, took)).last();
        (pace, begins.unwrap())
    }

    #[test]
    fn where_transactions_are_quick_two_halves_take_turns() {
        let quick = 64 * ROUND / 2;
        assert_eq!(after(50, quick, 0).0.wanted(), 32);
        assert!(!after(50, quick, 63).1, "the half of all that is under way is not there yet");
        assert!(after(50, quick, 64).1);
    }

    #[test]
    fn where_the_flush_costs_more_than_a_round_all_meet_in_one() {
        let slow = 64 * ROUND * 2;
        assert_eq!(after(50, slow, 10).0.wanted(), 74);
        assert!(!after(50, slow, 64).1);
        // One that was slow for once changes nothing.
        let mut pace = after(50, 64 * ROUND / 2, 64).0;
        pace.stored(64, 0, 64 * ROUND * 3);
        assert_eq!(pace.wanted(), 32);
    }

    #[test]
    fn nothing_begins_at_once_while_nothing_waits() {
        assert!(!Pace::new().stored(0, 0, Duration::ZERO));
    }

    #[tokio::test]
    async fn a_batch_waits_for_those_who_are_likely_to_come_and_no_longer_than_it_must() {
        let (sends, mut line) = mpsc::channel(8);
        let mut pace = Pace::new();
        let mut batch = vec![1];
        pace.gather(&mut line, &mut batch, 8).await;
        assert_eq!(batch, [1], "nobody was answered, so nobody is waited for");
        pace.stored(3, 0, Duration::from_secs(1));
        let come = async {
            sends.send(2).await.unwrap();
            sends.send(3).await.unwrap();
        };
        tokio::join!(pace.gather(&mut line, &mut batch, 8), come);
        // Unless this thread was held up for longer than a batch waits.
        assert!(batch == [1, 2, 3] || pace.at.elapsed() >= GATHER, "{batch:?}");
        pace.stored(3, 0, Duration::from_secs(1));
        batch = vec![1];
        pace.gather(&mut line, &mut batch, 8).await;
        assert!(pace.at.elapsed() >= GATHER, "the others do not come");
    }
}
