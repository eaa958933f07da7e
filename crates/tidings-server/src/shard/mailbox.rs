//! Letters for one thread, and the word whether it has to be woken for them.

use std::sync::PoisonError;
#[cfg(not(test))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

// Under test a scheduler looks for an order of steps in which a letter is missed.
#[cfg(test)]
use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// Letters that others leave for the thread it belongs to.
pub(crate) struct Mailbox<T> {
    letters: Mutex<Vec<T>>,
    /// Letters were refused since it was last emptied; changed under the lock of the letters.
    refused: AtomicBool,
    /// Whose it is will look into it before it sleeps.
    awake: AtomicBool,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Left {
    /// It is there, and whose it is will look.
    Seen,
    /// It is there, and whoever left it has to wake whose it is: nobody else does.
    Asleep,
    /// There was no room.
    Refused,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        let (refused, awake) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { letters: Mutex::new(Vec::new()), refused, awake }
    }
}

impl<T> Mailbox<T> {
    /// Leaves a letter, unless `most` wait.
    pub(crate) fn leave(&self, letter: T, most: usize) -> Left {
        {
            let mut letters = self.letters();
            if letters.len() >= most {
                self.refused.store(true, Ordering::Relaxed);
                return Left::Refused;
            }
            letters.push(letter);
        }
        // Who sees the thread awake has put its letter in before the thread looks again: most letters need no more.
        if self.awake.load(Ordering::SeqCst) || self.awake.swap(true, Ordering::SeqCst) {
            return Left::Seen;
        }
        Left::Asleep
    }

    /// Takes everything; whether letters were refused behind it.
    #[must_use]
    pub(crate) fn take(&self, into: &mut Vec<T>) -> bool {
        let mut letters = self.letters();
        std::mem::swap(&mut *letters, into);
        self.refused.swap(false, Ordering::Relaxed)
    }

    /// Announces that the thread is about to sleep; `false` if there are letters after all.
    #[must_use]
    pub(crate) fn sleep(&self) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        self.letters().is_empty()
    }

    /// Says that the thread is awake and will look before it sleeps.
    pub(crate) fn wakes(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    fn letters(&self) -> MutexGuard<'_, Vec<T>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::panic::catch_unwind;

    use shuttle::sync::{Arc, Condvar};
    use shuttle::thread;

    use super::*;

    /// Orders of steps that are tried, by chance but the same each time.
    const ORDERS: usize = 1_000;
    /// Threads that leave letters, and how many each leaves.
    const WRITERS: usize = 2;
    const LETTERS: usize = 2;

    /// What wakes the thread, as a poll is woken: at any time, and once for all that happened.
    #[derive(Default)]
    struct Bell {
        rung: Mutex<bool>,
        rings: Condvar,
    }

    impl Bell {
        fn ring(&self) {
            *self.rung.lock().unwrap() = true;
            self.rings.notify_one();
        }

        fn wait(&self) {
            let rung = self.rings.wait_while(self.rung.lock().unwrap(), |rung| !*rung);
            *rung.unwrap() = false;
        }
    }

    /// Has letters left while their thread takes them, up to `most` at once, and sleeps where `may_sleep` says so of
    /// what the mailbox said; how many were refused. It hangs if a letter is missed.
    fn exchange(most: usize, may_sleep: fn(bool) -> bool) {
        let (mailbox, bell) = (Arc::new(Mailbox::default()), Arc::new(Bell::default()));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (mailbox, bell) = (mailbox.clone(), bell.clone());
                thread::spawn(move || {
                    let left = (0..LETTERS).map(|at| {
                        let left = mailbox.leave((writer, at), most);
                        if left == Left::Asleep {
                            bell.ring();
                        }
                        left
                    });
                    left.filter(|left| *left == Left::Refused).count()
                })
            })
            .collect();
        let (mut taken, mut mail) = (Vec::new(), Vec::new());
        let (mut was_refused, goal) = (false, if most == usize::MAX { WRITERS * LETTERS } else { most });
        while taken.len() < goal {
            if may_sleep(mailbox.sleep()) {
                bell.wait();
            }
            mailbox.wakes();
            was_refused |= mailbox.take(&mut mail);
            taken.append(&mut mail);
        }
        let refused: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        was_refused |= mailbox.take(&mut mail);
        taken.append(&mut mail);
        assert_eq!(taken.len() + refused, WRITERS * LETTERS, "each letter is taken once, or was refused");
        assert_eq!(was_refused, refused > 0, "whose it is knows that letters were refused");
        for writer in 0..WRITERS {
            assert!(taken.iter().filter(|(of, _)| *of == writer).is_sorted(), "in the order they were left");
        }
    }

    #[test]
    fn no_letter_is_missed_in_whatever_order_threads_take_their_steps() {
        shuttle::check_pct(|| exchange(usize::MAX, |empty| empty), ORDERS, 3);
        shuttle::check_random(|| exchange(usize::MAX, |empty| empty), ORDERS);
    }

    #[test]
    fn who_is_refused_is_known_in_whatever_order_threads_take_their_steps() {
        shuttle::check_random(|| exchange(1, |empty| empty), ORDERS);
    }

    /// The control: a thread that sleeps without looking once more misses a letter, and that is found.
    #[test]
    fn a_thread_that_does_not_look_before_it_sleeps_is_caught() {
        let careless = || shuttle::check_random(|| exchange(usize::MAX, |_| true), ORDERS);
        assert!(catch_unwind(careless).is_err());
    }
}
