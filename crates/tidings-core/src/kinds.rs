//! The declared kinds of rooms: a room whose kind is not declared does not exist.

use std::sync::Arc;

use compact_str::CompactString;
use hashbrown::HashMap;

use crate::access::{Code, Identity, Refusal, Rule, Verdict};
use crate::answers::{Answer, Answered};
use crate::room::{Keep, Room, RoomSpec};
use crate::shard::ConnKey;

/// The declared kinds of rooms, by the word before the first colon.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    specs: HashMap<CompactString, Arc<RoomSpec>>,
    /// What rooms of each kind keep, or kept while it was declared.
    keeps: HashMap<CompactString, Keep>,
}

/// What other kinds in the place of those in force change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Kinds that were to keep something else, and go on keeping what they kept.
    pub keeping: Vec<CompactString>,
    /// Kinds of whose rooms others may hear now, or nobody: who is in one has to be judged again.
    pub heard_by_others: Vec<CompactString>,
}

impl Kinds {
    /// Declares a kind, or replaces its policy.
    pub fn declare(&mut self, kind: &str, spec: RoomSpec) {
        self.keeps.insert(kind.into(), spec.keep);
        self.specs.insert(kind.into(), Arc::new(spec));
    }

    /// These kinds, to take the place of `before` while rooms exist, and what that changes.
    ///
    /// Rooms go on keeping what they kept, since a history cannot change its shape.
    pub fn in_place_of(mut self, before: &Self) -> (Self, Replaced) {
        let mut replaced = Replaced::default();
        for (kind, spec) in &mut self.specs {
            if let Some(keep) = before.keeps.get(kind).copied().filter(|keep| *keep != spec.keep) {
                Arc::make_mut(spec).keep = keep;
                replaced.keeping.push(kind.clone());
            }
        }
        let rule =
            |kinds: &Self, kind: &CompactString| kinds.specs.get(kind).map(|spec| spec.subscribe.clone());
        // Who may see the others has to be judged again, too, where members are told of each other.
        let seen_by = |kinds: &Self, kind: &CompactString| {
            kinds.specs.get(kind).filter(|spec| spec.roll.is_on()).map(|spec| spec.presence.clone())
        };
        let known = before.specs.keys();
        replaced.heard_by_others = known
            .filter(|kind| {
                rule(before, kind) != rule(&self, kind) || seen_by(before, kind) != seen_by(&self, kind)
            })
            .cloned()
            .collect();
        self.keeps.extend(before.keeps.iter().map(|(kind, keep)| (kind.clone(), *keep)));
        replaced.keeping.sort();
        (self, replaced)
    }

    /// The policy of a room's kind.
    ///
    /// # Errors
    /// [`Refusal::no_such_room`] if the kind is not declared.
    pub fn spec(&self, room: &Room) -> Result<&Arc<RoomSpec>, Refusal> {
        self.specs.get(room.kind()).ok_or_else(Refusal::no_such_room)
    }

    /// The policy of a kind, by its name.
    pub fn of(&self, kind: &str) -> Option<&RoomSpec> {
        self.specs.get(kind).map(Arc::as_ref)
    }

    /// Every kind with its policy, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RoomSpec)> {
        self.specs.iter().map(|(kind, spec)| (kind.as_str(), spec.as_ref()))
    }
}

/// What one may do with a room; see [`decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Hear its events.
    Subscribe,
    /// Say something in it.
    Publish,
    /// Read what was said.
    History,
    /// See who is there.
    Presence,
}

impl Action {
    /// Its name in questions and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::History => "history",
            Self::Presence => "presence",
        }
    }
}

impl RoomSpec {
    /// The rule for one action.
    pub fn rule(&self, action: Action) -> &Rule {
        match action {
            Action::Subscribe => &self.subscribe,
            Action::Publish => &self.publish,
            Action::History => &self.history,
            Action::Presence => &self.presence,
        }
    }
}

/// Who wants something, from where, and what the backend has said about it already.
///
/// An [`Identity`] alone is one, too: nothing was asked for it and nothing is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Who.
    pub who: &'a Identity,
    /// Its connection, if it has one: clients without a token are told apart by it.
    pub connection: Option<(usize, ConnKey)>,
    /// Answers that were fetched for this very command.
    pub answered: &'a [Answered],
    /// The time in milliseconds by which kept answers are judged; `None`: they are not looked up.
    pub now_ms: Option<u64>,
}

impl<'a> From<&'a Identity> for Asker<'a> {
    fn from(who: &'a Identity) -> Self {
        Self { who, connection: None, answered: &[], now_ms: None }
    }
}

impl<'a> From<&'a Arc<Identity>> for Asker<'a> {
    fn from(who: &'a Arc<Identity>) -> Self {
        Self::from(who.as_ref())
    }
}

/// Why something is not done: it is refused, or nobody knows yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The rules refuse it, or something else does.
    No(Refusal),
    /// The backend has to be asked about this action first.
    Ask(Action),
    /// The room's history has to be read from the log first ([`crate::Node::install`]).
    Load,
    /// It is allowed, and is for the log: nothing is delivered before it is stored
    /// ([`crate::Node::deliver_logged`]).
    Log,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::No(refusal)
    }
}

impl From<Denied> for Refusal {
    /// What is told where nobody can be asked: an open question is never a yes.
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::No(refusal) => refusal,
            Denied::Ask(_) | Denied::Load | Denied::Log => {
                Self::new(Code::Unavailable, "this cannot be decided here")
            }
        }
    }
}

/// Decides whether `who` may do `action` in `room`, without asking anybody.
///
/// # Errors
/// As [`decide`]; what has to be asked is unavailable.
pub fn admit(spec: &RoomSpec, who: &Identity, room: &Room, action: Action) -> Result<(), Refusal> {
    Ok(decide(spec, who, room, action, |_| None)?)
}

/// Decides whether `who` may do `action` in `room`; `answer` knows what the backend has said.
///
/// # Errors
/// A room one may not see is absent ([`Refusal::no_such_room`]); one that may be seen (subscribed
/// to) but not acted on is forbidden, or what the backend wants the client told. Nobody is asked
/// only to word a refusal: a room that might be seen is absent.
pub fn decide(
    spec: &RoomSpec,
    who: &Identity,
    room: &Room,
    action: Action,
    answer: impl Fn(Action) -> Option<Answer>,
) -> Result<(), Denied> {
    let told = match spec.rule(action).judge(who, room) {
        Verdict::Yes => return Ok(()),
        Verdict::No => None,
        Verdict::Ask => match answer(action) {
            Some(Answer::Allow) => return Ok(()),
            Some(Answer::Deny(told)) => told,
            None => return Err(Denied::Ask(action)),
        },
    };
    let seen = action != Action::Subscribe
        && match spec.subscribe.judge(who, room) {
            Verdict::Yes => true,
            Verdict::No => false,
            Verdict::Ask => answer(Action::Subscribe) == Some(Answer::Allow),
        };
    if !seen {
        return Err(Refusal::no_such_room().into());
    }
    Err(told.unwrap_or_else(|| Refusal::new(Code::Forbidden, "not allowed in this room")).into())
}
