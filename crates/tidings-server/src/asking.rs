//! What the rules leave open, asked: the one road from a command to the team's backend.

use std::net::IpAddr;

use tidings_app::registry::Snapshot;
use tidings_core::{
    Action, Answer, Answered, Asker, Code, Denied, Epoch, Identity, Keep, Publish, Published, Refusal, Room,
};

use crate::durable::{Said, Stored};
use crate::hooks::{Caller, Draft, Entrance, Purpose, Verdict};
use crate::shared::{Shared, wall_ms};

impl Caller<'_> {
    /// The same for the core, with what was answered for this command.
    pub(crate) fn asker<'a>(&'a self, answered: &'a [Answered], now_ms: u64) -> Asker<'a> {
        Asker { who: self.who, connection: self.connection, answered, now_ms: Some(now_ms) }
    }
}

/// What a command waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The backend's answer about an action.
    Answer(Action),
    /// The room's history, from the log.
    History,
    /// How the room stands, from its app.
    Snapshot,
    /// The events of the room in this epoch, behind this offset, from the log.
    Page(Epoch, u64),
    /// That the session is stored with this room in it.
    StoredWith,
    /// The same, with the room as one of which not everything is there yet.
    StoredBehind,
    /// That it is stored without it.
    StoredWithout,
    /// That the subscription is kept for its user.
    Keep,
}

/// A command that waits for the backend or for the log: what is asked, and what was answered for it before.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) room: Room,
    pub(crate) need: Need,
    /// Name and data of what is to be published.
    pub(crate) event: String,
    pub(crate) data: String,
    pub(crate) answered: Vec<Answered>,
    /// How the room stands, once its app has said.
    pub(crate) snapshot: Option<Box<Snapshot>>,
}

/// How often a command is tried whose room has to be asked about or read: each round leaves one action less to ask
/// about, or a room that is read. What is open after so many has no end.
pub(crate) const ROUNDS: usize = 8;

/// What is told of a command that is still open after [`ROUNDS`].
pub(crate) fn unsettled() -> Refusal {
    let refusal = Refusal::new(Code::Unavailable, "this cannot be decided now");
    Refusal { retry_after_ms: Some(1_000), ..refusal }
}

/// A publish that is done, or waits for the log.
pub(crate) enum Publishing {
    Done(Published),
    Waits(Stored),
}

impl Publishing {
    /// Waits for the log where that has to be.
    ///
    /// # Errors
    /// What the publisher is told.
    pub(crate) async fn done(self) -> Result<Published, Refusal> {
        match self {
            Self::Done(published) => Ok(published),
            Self::Waits(stored) => stored.done().await,
        }
    }
}

impl Shared {
    /// Does what `attempt` does, asking the backend whenever the rules leave it open.
    ///
    /// # Errors
    /// What `attempt` refuses; no answer is `unavailable`.
    pub(crate) async fn settle<T>(
        &self,
        caller: &Caller<'_>,
        room: &Room,
        draft: Draft<'_>,
        attempt: impl Fn(Asker<'_>) -> Result<T, Denied>,
    ) -> Result<T, Refusal> {
        let mut answered = Vec::new();
        for round in 0..ROUNDS {
            // Connections are closed by whatever calls their tokens back; a request has none.
            if round > 0 && caller.entrance == Entrance::Http {
                self.still_good(caller.who)?;
            }
            match attempt(caller.asker(&answered, self.uptime_ms())) {
                Ok(done) => return Ok(done),
                Err(Denied::No(refusal)) => return Err(refusal),
                Err(Denied::Ask(action)) => answered.push(self.ask(caller, room, action, draft).await?),
                Err(Denied::Load) => self.load_for(Some(caller), room).await?,
                Err(denied @ Denied::Log) => return Err(denied.into()),
            }
        }
        Err(unsettled())
    }

    /// Publishes, asking the backend where the rules leave it open; what a durable room is told is in line then.
    ///
    /// # Errors
    /// The room's rules, and what [`tidings_core::Node::publish_as`] refuses.
    pub(crate) async fn begin_publish(
        &self,
        caller: &Caller<'_>,
        draft: Draft<'_>,
        what: &Publish<'_>,
    ) -> Result<Publishing, Refusal> {
        let attempt = |asker: Asker<'_>| match self.node.publish_as(asker, what.clone(), None, wall_ms()) {
            Err(Denied::Log) => Ok(None),
            done => done.map(Some),
        };
        if !what.volatile {
            self.may_make(caller.who, &what.room, caller.address)?;
        }
        Ok(match self.settle(caller, &what.room, draft, attempt).await? {
            Some(published) => Publishing::Done(published),
            None => Publishing::Waits(self.log(Said::of(what))?),
        })
    }

    /// Takes one new room of somebody who enters or speaks in one that memory keeps and does not have; one that the
    /// log keeps is taken as it is read.
    ///
    /// # Errors
    /// [`Code::RateLimited`] with the time to wait.
    pub(crate) fn may_make(&self, who: &Identity, room: &Room, address: IpAddr) -> Result<(), Refusal> {
        let keeps =
            || self.node.kinds().spec(room).is_ok_and(|spec| matches!(spec.keep, Keep::Recent { .. }));
        if self.gate.bounds().is_none() || !keeps() || self.node.hub().find(room).is_some() {
            return Ok(());
        }
        self.gate.make_room(who, address)
    }

    /// Asks the backend about one action, and keeps the answer as long as it allows.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if there is no answer.
    pub(crate) async fn ask(
        &self,
        caller: &Caller<'_>,
        room: &Room,
        action: Action,
        draft: Draft<'_>,
    ) -> Result<Answered, Refusal> {
        if self.app_decides(room, action) {
            let answer = self.ask_app(caller, room, action).await?;
            return Ok(Answered { room: room.clone(), action, answer });
        }
        let Some(hooks) = &self.hooks else { return Err(Denied::Ask(action).into()) };
        let rights = self.node.rights_changes();
        let draft = if action == Action::Publish { draft } else { Draft::default() };
        let purpose = Purpose::Room(action);
        let verdict = Box::pin(hooks.ask(purpose, caller, None, Some(room), draft, rights)).await?;
        let Verdict { answer, cache_seconds } = verdict;
        let answered = Answered { room: room.clone(), action, answer };
        if cache_seconds > 0 {
            let until_ms = self.uptime_ms() + cache_seconds * 1_000;
            let asker = caller.asker(&[], 0);
            self.node.keep_answer(&asker, draft.event, answered.clone(), until_ms, rights);
        }
        Ok(answered)
    }

    /// Asks the backend whether a client may come in; `Ok` if nobody has to be asked.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) async fn ask_connect(&self, caller: &Caller<'_>, namespace: &str) -> Result<(), Refusal> {
        let Some(hooks) = self.hooks.as_ref().filter(|hooks| hooks.asks(Purpose::Connect)) else {
            return Ok(());
        };
        let rights = self.node.rights_changes();
        let verdict =
            Box::pin(hooks.ask(Purpose::Connect, caller, Some(namespace), None, Draft::default(), rights))
                .await?;
        match verdict.answer {
            Answer::Allow => Ok(()),
            Answer::Deny(told) => {
                Err(told.unwrap_or_else(|| Refusal::new(Code::Forbidden, "this client may not connect")))
            }
        }
    }

    /// Whether a client has to wait for the backend before it is in.
    pub(crate) fn asks_connect(&self) -> bool {
        self.hooks.as_ref().is_some_and(|hooks| hooks.asks(Purpose::Connect))
    }
}
