//! What is told of something that may have more events than one transaction holds.

use std::collections::VecDeque;

use tidings_core::{Lane, Refusal, Room};

use crate::command::Event;
use crate::commit::Emitted;

/// Events of any kinds, each for a room, in the order in which they are told by
/// [`Changes::tell`](crate::Changes::tell).
#[derive(Debug, Clone, Default)]
pub struct Tells(VecDeque<Emitted>);

impl Tells {
    /// Adds an event for a room.
    ///
    /// # Errors
    /// As [`Emitted::new`].
    pub fn say<E: Event>(&mut self, room: &Room, event: &E) -> Result<(), Refusal> {
        self.say_in(room, event, None)
    }

    /// The same in a lane of its own; `None`: the kind's.
    ///
    /// # Errors
    /// As [`Emitted::new`].
    pub fn say_in<E: Event>(&mut self, room: &Room, event: &E, lane: Option<Lane>) -> Result<(), Refusal> {
        self.0.push_back(Emitted { lane, ..Emitted::new(room, event)? });
        Ok(())
    }

    /// Adds others behind them.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn first(&self) -> Option<&Emitted> {
        self.0.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Emitted> {
        self.0.pop_front()
    }
}
