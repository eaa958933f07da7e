//! Who waits for a room. What is asked of it while a transaction of it is under way goes into the next one together, and
//! each is answered for itself (decision 0094).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_app::{Refusal, Stage};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::acts::No;
use crate::rooms::{Key, Rooms};
use crate::together::{Asked, Done, together};

/// What may wait for one room at most; more is refused as `unavailable`, to be tried again.
const WAITING_MOST: usize = 1_024;
/// How far apart transactions of a room begin that more than one waits for. Who asks alone waits for nobody.
const GATHER: Duration = Duration::from_millis(5);

/// What one asks, and who waits for what became of it.
#[derive(Debug)]
struct Wish {
    asked: Asked,
    reply: oneshot::Sender<Result<Done, No>>,
}

/// The lines of all rooms that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<Key, VecDeque<Wish>>>);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, VecDeque<Wish>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a wish in line; whether nobody works that line off yet.
    fn join(&self, key: &Key, wish: Wish) -> Result<bool, Refusal> {
        let mut lines = self.lock();
        let Some(line) = lines.get_mut(key) else {
            lines.insert(key.clone(), VecDeque::from([wish]));
            return Ok(true);
        };
        if line.len() >= WAITING_MOST {
            let busy = Refusal::unavailable("too many wait for this room");
            return Err(Refusal { retry_after_ms: Some(1_000), ..busy });
        }
        line.push_back(wish);
        Ok(false)
    }

    /// All that wait; if there is nobody, the line is over.
    fn next(&self, key: &Key) -> VecDeque<Wish> {
        let mut lines = self.lock();
        let waiting = lines.get_mut(key).map(std::mem::take).unwrap_or_default();
        if waiting.is_empty() {
            lines.remove(key);
        }
        waiting
    }

    /// Those who did not fit go first the next time.
    fn back(&self, key: &Key, wishes: Vec<Wish>) {
        if let Some(line) = self.lock().get_mut(key) {
            wishes.into_iter().rev().for_each(|wish| line.push_front(wish));
        }
    }
}

/// Asks something of a room, and waits until it is stored and told.
///
/// # Errors
/// What the room refuses; `unavailable` if too many wait, or it cannot be stored now.
pub(crate) async fn ask(rooms: &Arc<Rooms>, stage: &Stage, key: &Key, asked: Asked) -> Result<Done, No> {
    rooms.warm(stage, key).await?;
    let (reply, done) = oneshot::channel();
    if rooms.lines.join(key, Wish { asked, reply })? {
        // A task of its own: whoever came first may go away, the others wait.
        let turn = Turn { rooms: rooms.clone(), key: key.clone(), is_over: false };
        tokio::spawn(turn.work_off(stage.clone()));
    }
    let unknown = |_| Err(Refusal::unavailable("it is not known what became of it").into());
    done.await.unwrap_or_else(unknown)
}

/// The turn to work off a line. If it ends in the middle, so does the line: nobody waits for ever.
struct Turn {
    rooms: Arc<Rooms>,
    key: Key,
    is_over: bool,
}

impl Turn {
    /// Does what waits, transaction upon transaction, until nobody waits any more.
    async fn work_off(mut self, stage: Stage) {
        loop {
            let begun = Instant::now();
            let waiting = self.rooms.lines.next(&self.key);
            if waiting.is_empty() {
                self.is_over = true;
                return;
            }
            let many = waiting.len() > 1;
            self.once(&stage, waiting).await;
            if many {
                sleep_until(begun + GATHER).await;
            }
        }
    }

    async fn once(&self, stage: &Stage, waiting: VecDeque<Wish>) {
        let (asked, replies): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|Wish { asked, reply }| (asked, reply)).unzip();
        let (rooms, key) = (self.rooms.clone(), self.key.clone());
        let doing = stage.commit(move |tx| Box::pin(async move { together(&rooms, tx, &key, asked).await }));
        let stored = doing.await;
        let mut replies = replies.into_iter();
        match stored {
            Ok((answers, left)) => {
                for (answer, reply) in answers.into_iter().zip(&mut replies) {
                    // Whoever asked may be gone, here and below.
                    let _ = reply.send(answer);
                }
                let left = left.into_iter().zip(replies).map(|(asked, reply)| Wish { asked, reply });
                self.rooms.lines.back(&self.key, left.collect());
            }
            Err(refusal) => replies.for_each(|reply| drop(reply.send(Err(refusal.clone().into())))),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.rooms.lines.lock().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_app::{Code, Org};

    use crate::journal::Input;

    use super::*;

    type Waits = oneshot::Receiver<Result<Done, No>>;

    fn wish(inputs: usize) -> (Wish, Waits) {
        let (reply, waits) = oneshot::channel();
        let asked = Asked::now(vec![Input::End; inputs], None);
        (Wish { asked, reply }, waits)
    }

    fn key() -> Key {
        (Org::default(), "r1".to_owned())
    }

    fn sizes(waiting: &VecDeque<Wish>) -> Vec<usize> {
        waiting.iter().map(|wish| wish.asked.inputs.len()).collect()
    }

    #[test]
    fn a_line_is_begun_once_and_is_over_when_nobody_waits() {
        let lines = Lines::default();
        assert!(lines.join(&key(), wish(1).0).unwrap(), "nobody works it off yet");
        assert!(!lines.join(&key(), wish(2).0).unwrap());
        assert_eq!(sizes(&lines.next(&key())), [1, 2]);
        assert!(!lines.join(&key(), wish(3).0).unwrap(), "it is still worked off");
        lines.back(&key(), vec![wish(4).0, wish(5).0]);
        assert_eq!(sizes(&lines.next(&key())), [4, 5, 3], "who did not fit goes first");
        assert!(lines.next(&key()).is_empty());
        assert!(lines.join(&key(), wish(1).0).unwrap(), "it was over");
    }

    #[test]
    fn beyond_the_bound_one_is_told_to_try_again() {
        let lines = Lines::default();
        for _ in 0..WAITING_MOST {
            lines.join(&key(), wish(1).0).unwrap();
        }
        let busy = lines.join(&key(), wish(1).0).unwrap_err();
        assert_eq!((busy.code, busy.retry_after_ms), (Code::Unavailable, Some(1_000)));
        assert_eq!(lines.next(&key()).len(), WAITING_MOST);
    }

    #[test]
    fn a_turn_that_ends_in_the_middle_leaves_nobody_waiting() {
        let rooms = Arc::new(Rooms::default());
        let (wish, mut waits) = wish(1);
        rooms.lines.join(&key(), wish).unwrap();
        drop(Turn { rooms: rooms.clone(), key: key(), is_over: false });
        assert!(matches!(waits.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    }
}
