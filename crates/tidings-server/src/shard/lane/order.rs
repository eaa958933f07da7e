//! Answers in the order in which commands were said, whichever of them is done first.

use std::collections::VecDeque;

/// What one connection's lane has begun and not answered in full: its batches, the oldest first.
///
/// A batch whose publishes are being stored is still open when the next begins. What is answered of a batch
/// goes on at once if all before it are closed, and else waits here.
pub(super) struct Order<T> {
    /// The number of the oldest open batch; the others are numbered from there.
    first: u64,
    open: VecDeque<Open<T>>,
    /// The commands of all open batches.
    commands: usize,
}

struct Open<T> {
    commands: usize,
    /// Answers that may not overtake those of the batches before it.
    held: Vec<T>,
    is_closed: bool,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { first: 0, open: VecDeque::new(), commands: 0 }
    }
}

impl<T> Order<T> {
    /// How many commands have begun and are not known to be answered.
    pub(super) fn commands(&self) -> usize {
        self.commands
    }

    /// Whether everything that has begun is answered.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens a batch of so many commands behind those that are open; its number.
    pub(super) fn open(&mut self, commands: usize) -> u64 {
        self.commands += commands;
        self.open.push_back(Open { commands, held: Vec::new(), is_closed: false });
        self.first + self.open.len() as u64 - 1
    }

    /// Takes answers of a batch, its last ones if it `closes`, and gives those whose turn has come.
    ///
    /// A batch that was closed before has none.
    pub(super) fn answered(&mut self, number: u64, answers: Vec<T>, closes: bool) -> Vec<T> {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let Some(batch) = at.and_then(|at| self.open.get_mut(at)) else { return Vec::new() };
        batch.is_closed |= closes;
        if at != Some(0) {
            batch.held.extend(answers);
            return Vec::new();
        }
        let mut ready = answers;
        while let Some(closed) = self.open.pop_front_if(|batch| batch.is_closed) {
            self.first += 1;
            self.commands -= closed.commands;
            if let Some(next) = self.open.front_mut() {
                ready.append(&mut next.held);
            }
        }
        ready
    }

    /// The answers that wait for their turn, where there is nobody left to give them to.
    pub(super) fn into_held(self) -> impl Iterator<Item = T> {
        self.open.into_iter().flat_map(|batch| batch.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_that_nobody_knows_any_more_has_no_answers() {
        let mut order = Order::default();
        let number = order.open(1);
        assert_eq!(order.answered(number, vec!["a"], true), ["a"]);
        assert_eq!(order.answered(number, vec!["b"], true), [""; 0]);
        assert_eq!(order.answered(number + 1, vec!["c"], false), [""; 0]);
        assert!(order.is_empty());
    }

    proptest! {
        /// Steps: a batch is opened (0), or one of those that are open gets an answer (even) or its last (odd).
        #[test]
        fn answers_keep_the_order_of_their_batches_and_each_comes_once(
            steps in proptest::collection::vec((0_usize..6, any::<proptest::sample::Index>()), 0..200),
        ) {
            let (mut order, mut open, mut said, mut heard) = (Order::default(), Vec::new(), Vec::new(), Vec::new());
            for (at, (step, which)) in steps.into_iter().enumerate() {
                if step == 0 || open.is_empty() {
                    open.push(order.open(1));
                    continue;
                }
                let which = which.index(open.len());
                let number = open[which];
                said.push((number, at));
                heard.extend(order.answered(number, vec![(number, at)], step % 2 == 1));
                if step % 2 == 1 {
                    open.remove(which);
                }
                // What belongs to the oldest open batch and to those before it has been given, all else is held.
                let oldest = open.first().copied().unwrap_or(u64::MAX);
                let due = said.iter().filter(|(number, _)| *number <= oldest).count();
                prop_assert_eq!(heard.len(), due);
            }
            prop_assert!(heard.is_sorted());
            prop_assert_eq!(order.is_empty(), open.is_empty());
            prop_assert!(order.commands() >= open.len());
            heard.extend(order.into_held());
            heard.sort_unstable();
            said.sort_unstable();
            prop_assert_eq!(heard, said);
        }
    }
}
