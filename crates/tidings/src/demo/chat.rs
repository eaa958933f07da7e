//! The talk of `lobby:welcome`: people come, type, say something and leave.

mod lines;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use tidings_app::Dice;

use super::Act;
use lines::THREADS;

/// The demo people: user id and name.
const PEOPLE: [(&str, &str); 4] =
    [("alice", "Alice"), ("bob", "Bob"), ("charlie", "Charlie"), ("diana", "Diana")];

/// The talk so far and what was planned next.
#[derive(Debug)]
pub(crate) struct Chat {
    /// Whether each of [`PEOPLE`] is in the room.
    present: [bool; PEOPLE.len()],
    /// Threads that have not been told in this round, the next one last.
    untold: Vec<usize>,
    /// What happens next, in order.
    agenda: VecDeque<Act>,
}

impl Chat {
    /// An empty room with everything still to be said.
    pub(crate) fn new() -> Self {
        Self { present: [false; PEOPLE.len()], untold: Vec::new(), agenda: VecDeque::new() }
    }

    /// What happens next; there always is something.
    pub(crate) fn next(&mut self, dice: &mut Dice) -> Act {
        loop {
            if let Some(act) = self.agenda.pop_front() {
                return act;
            }
            self.plan(dice);
        }
    }

    /// Plans one thread: who takes which part comes in first, and sometimes somebody leaves after.
    fn plan(&mut self, dice: &mut Dice) {
        if self.untold.is_empty() {
            self.untold = (0..THREADS.len()).collect();
            dice.shuffle(&mut self.untold);
        }
        let thread = self.untold.pop().map_or(THREADS[0], |at| THREADS[at]);
        let mut parts: Vec<usize> = (0..PEOPLE.len()).collect();
        dice.shuffle(&mut parts);
        let opening = self.present == [false; PEOPLE.len()];
        for (part, text) in thread {
            let person = parts[*part];
            self.arrive(person, dice, opening);
            self.say(person, text, dice);
        }
        if dice.between(0, 2) == 0 {
            self.depart(parts[dice.between(0, PEOPLE.len() as u64 - 1) as usize], dice);
        }
        if let Some(first) = self.agenda.front_mut().filter(|_| !opening) {
            first.pause += Duration::from_millis(dice.between(1_000, 4_000));
        }
    }

    fn arrive(&mut self, person: usize, dice: &mut Dice, opening: bool) {
        if self.present[person] {
            return;
        }
        self.present[person] = true;
        // A page that was just opened should not have to wait for the first sign of life.
        let pause = if opening { dice.between(100, 300) } else { dice.between(600, 1_500) };
        self.then(pause, "joined", who(person));
    }

    fn say(&mut self, person: usize, text: &str, dice: &mut Dice) {
        let mut typing = who(person);
        typing["typing"] = Value::Bool(true);
        self.then(dice.between(200, 1_400), "typing", typing);
        let mut message = who(person);
        message["text"] = Value::from(text);
        // About 25 characters a second, as a quick typist has it.
        let typing_time = (text.len() as u64 * 40).clamp(400, 2_600);
        self.then(typing_time + dice.between(0, 300), "message", message);
    }

    fn depart(&mut self, person: usize, dice: &mut Dice) {
        let is_last = self.present.iter().filter(|p| **p).count() < 2;
        if self.present[person] && !is_last {
            self.present[person] = false;
            self.then(dice.between(800, 2_500), "left", who(person));
        }
    }

    fn then(&mut self, pause: u64, event: &'static str, data: Value) {
        self.agenda.push_back(Act { pause: Duration::from_millis(pause), event, data });
    }
}

fn who(person: usize) -> Value {
    let (id, name) = PEOPLE[person];
    json!({ "userId": id, "name": name })
}
