//! What the team's own backend has answered, kept for as long as it allowed.
//!
//! A pure value: time comes from outside. Only answers are kept, never the lack of one, so a
//! backend that fails cannot leave anything behind that admits somebody.

use std::collections::VecDeque;

use compact_str::CompactString;
use hashbrown::HashMap;

use crate::access::{Identity, Refusal};
use crate::kinds::Action;
use crate::room::{Org, Room};
use crate::shard::ConnKey;

/// What the backend said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Allow,
    /// No; what the client is told, if the backend said.
    Deny(Option<Refusal>),
}

/// The answer to one question of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The room.
    pub room: Room,
    /// What it wanted to do there.
    pub action: Action,
    /// What the backend said.
    pub answer: Answer,
}

/// Whom an answer is about: a user, or the connection of a client without a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user of the organisation, whatever connection it asks from.
    User(CompactString),
    /// A connection of a shard.
    Connection(usize, ConnKey),
}

impl Subject {
    /// Whom an answer to `who` is about; `None` for one that cannot be told from others.
    pub fn of(who: &Identity, connection: Option<(usize, ConnKey)>) -> Option<Self> {
        match (&who.user, connection) {
            (Some(user), _) => Some(Self::User(user.clone())),
            (None, Some((shard, key))) => Some(Self::Connection(shard, key)),
            (None, None) => None,
        }
    }
}

/// A question as its answer is kept: who, where, what, and for a publish which event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    room: Room,
    action: Action,
    event: CompactString,
}

#[derive(Debug)]
struct Kept {
    answer: Answer,
    until_ms: u64,
    /// Which entry of the row it is, so that an older one of the same question is known as such.
    number: u64,
    /// What the token said: with another token it is another question.
    facts: Facts,
}

/// What of a token the backend was told, besides the user.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    name: Option<CompactString>,
    roles: Box<[CompactString]>,
    scopes: Box<[CompactString]>,
    claims: Box<[(CompactString, CompactString)]>,
    email_verified: bool,
}

impl Facts {
    fn of(who: &Identity) -> Self {
        Self {
            name: who.name.clone(),
            roles: who.roles.clone(),
            scopes: who.scopes.clone(),
            claims: who.claims.clone(),
            email_verified: who.email_verified,
        }
    }

    fn are_of(&self, who: &Identity) -> bool {
        self.name == who.name
            && self.roles == who.roles
            && self.scopes == who.scopes
            && self.claims == who.claims
            && self.email_verified == who.email_verified
    }
}

type Whose = (Org, Subject);

/// Answers of the backend: a bounded number of them, the oldest go first.
#[derive(Debug)]
pub struct Answers {
    kept: HashMap<Whose, HashMap<Question, Kept>>,
    row: VecDeque<(u64, Whose, Question)>,
    most: usize,
    numbers: u64,
    /// Counts the times something was forgotten because rights changed.
    changes: u64,
}

impl Answers {
    /// Keeps at most so many answers.
    pub fn new(most: usize) -> Self {
        Self { kept: HashMap::new(), row: VecDeque::new(), most, numbers: 0, changes: 0 }
    }

    /// The answer to a question, if it is still valid.
    pub fn get(
        &self,
        who: &Identity,
        subject: &Subject,
        (room, action, event): (&Room, Action, &str),
        now_ms: u64,
    ) -> Option<&Answer> {
        let whose = (who.org.clone(), subject.clone());
        let question = Question { room: room.clone(), action, event: event.into() };
        let kept = self.kept.get(&whose)?.get(&question)?;
        (now_ms < kept.until_ms && kept.facts.are_of(who)).then_some(&kept.answer)
    }

    /// Keeps an answer until `until_ms`; `asked_at` is what [`Answers::changes`] said when it was
    /// asked for: what was asked before rights changed is not kept.
    pub fn put(
        &mut self,
        who: &Identity,
        subject: Subject,
        event: &str,
        answered: Answered,
        until_ms: u64,
        asked_at: u64,
    ) {
        if asked_at != self.changes || self.most == 0 {
            return;
        }
        while self.row.len() >= self.most {
            self.drop_oldest();
        }
        self.numbers += 1;
        let number = self.numbers;
        let whose = (who.org.clone(), subject);
        let question = Question { room: answered.room, action: answered.action, event: event.into() };
        self.row.push_back((number, whose.clone(), question.clone()));
        let kept = Kept { answer: answered.answer, until_ms, number, facts: Facts::of(who) };
        self.kept.entry(whose).or_default().insert(question, kept);
    }

    /// Forgets every answer about a user: its rights have changed.
    pub fn forget(&mut self, org: &Org, user: &str) {
        self.changes += 1;
        self.kept.remove(&(org.clone(), Subject::User(user.into())));
    }

    /// How often something was forgotten; goes with a question that is under way.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many answers are kept, those that ended and were not yet replaced included.
    pub fn len(&self) -> usize {
        self.kept.values().map(HashMap::len).sum()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The same question may have been answered again since, and its user been forgotten.
    fn drop_oldest(&mut self) {
        let Some((number, whose, question)) = self.row.pop_front() else { return };
        let Some(of_subject) = self.kept.get_mut(&whose) else { return };
        if of_subject.get(&question).is_some_and(|kept| kept.number == number) {
            of_subject.remove(&question);
        }
        if of_subject.is_empty() {
            self.kept.remove(&whose);
        }
    }
}
