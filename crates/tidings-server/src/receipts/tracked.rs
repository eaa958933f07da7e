//! One message whose recipients are asked to acknowledge it: plain data, time from outside.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;
use tidings_core::{ConnKey, MessageId, Payload, Publication, Room};
use tokio::sync::Notify;

use super::Asked;
use super::terms::Terms;
use crate::client::Teller;

/// A client: its shard, its connection there, and the namespace through which it hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) shard: usize,
    pub(crate) key: ConnKey,
    pub(crate) namespace: u8,
}

/// How far a message has come with one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits to be written to the connection.
    Accepted,
    /// It was handed to the connection.
    Sent,
    /// The client has said that it has it.
    Acknowledged,
    /// The client has said nothing, however often it was sent.
    TimedOut,
    /// The connection ended, or left the room, before it said anything.
    Gone,
    /// The connection owes too many acknowledgements; it was sent the message and is not waited for.
    Busy,
}

impl State {
    /// The word on the wire.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Acknowledged => "acknowledged",
            Self::TimedOut => "timedOut",
            Self::Gone => "gone",
            Self::Busy => "busy",
        }
    }

    fn waits(self) -> bool {
        matches!(self, Self::Accepted | Self::Sent)
    }
}

/// A client that was sent a message.
#[derive(Debug)]
pub(crate) struct Recipient {
    pub(crate) user: Option<CompactString>,
    pub(crate) state: State,
    /// It was handed to the connection at some time.
    pub(crate) sent: bool,
    /// From the publish to the acknowledgement.
    pub(crate) latency_ms: Option<u64>,
    /// The first argument of its callback, as JSON.
    pub(crate) answer: Option<Box<str>>,
}

impl Recipient {
    pub(crate) fn new(user: Option<CompactString>, busy: bool) -> Self {
        let state = if busy { State::Busy } else { State::Accepted };
        Self { user, state, sent: false, latency_ms: None, answer: None }
    }
}

/// How many recipients came how far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) recipients: u64,
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) timed_out: u64,
    pub(crate) gone: u64,
    pub(crate) busy: u64,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everybody has acknowledged it; of a user's connections, one has.
    Acknowledged,
    /// Some have.
    Partly,
    /// Nobody has.
    TimedOut,
    /// There was nobody.
    Nobody,
}

impl Outcome {
    /// The word on the wire.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Partly => "partly",
            Self::TimedOut => "timed_out",
            Self::Nobody => "nobody",
        }
    }
}

/// A message whose recipients are asked to acknowledge it.
pub(crate) struct Tracked {
    pub(crate) room: Room,
    /// The user it is for, if it is for one alone.
    pub(crate) user: Option<CompactString>,
    pub(crate) terms: Terms,
    /// Whom the outcome is told.
    pub(crate) teller: Option<Teller>,
    /// Who is told may know the users.
    pub(crate) tells_users: bool,
    /// The idempotency key it was published with.
    pub(crate) key: Option<CompactString>,
    /// It was a dead letter and is sent again.
    pub(crate) redriven: bool,
    /// When it was published, in milliseconds since 1970.
    pub(crate) begun_ms: u64,
    /// The message, once it is published.
    pub(crate) message: Option<Arc<Publication>>,
    pub(crate) recipients: HashMap<Spot, Recipient>,
    /// Shards that have not said yet whom they have.
    pub(crate) unreported: usize,
    /// Bytes of its data, as long as it may have to be sent again.
    pub(crate) bytes: usize,
    /// How often it was sent.
    pub(crate) tries: u32,
    /// What went wrong the first and the last time.
    pub(crate) errors: Option<(&'static str, &'static str)>,
    /// It became a dead letter, and was stored.
    pub(crate) dead: bool,
    pub(crate) outcome: Option<Outcome>,
    /// Whoever waits for the outcome is woken when nothing is open any more.
    pub(crate) settled: Arc<Notify>,
}

impl Tracked {
    /// A message that is about to be published, while so many shards may have recipients.
    pub(crate) fn new(asked: Asked<'_>, shards: usize, now_ms: u64) -> Self {
        let Asked { room, key, bytes, terms, teller, tells_users, redriven } = asked;
        Self {
            user: (room.kind() == "user").then(|| room.id().into()),
            room: room.clone(),
            terms,
            teller,
            tells_users,
            key: key.map(Into::into),
            redriven,
            begun_ms: now_ms,
            message: None,
            recipients: HashMap::new(),
            unreported: shards,
            bytes,
            tries: 0,
            errors: None,
            dead: false,
            outcome: None,
            settled: Arc::default(),
        }
    }

    /// The message's id; none before it is published.
    pub(crate) fn id(&self) -> Option<MessageId> {
        self.message.as_ref().map(|message| message.id)
    }

    /// Whether nothing is open any more.
    ///
    /// A user who has no connection may come back: that is open until the last try is over.
    pub(crate) fn is_settled(&self) -> bool {
        let mut all = self.recipients.values();
        if self.user.is_some() {
            return all.any(|recipient| recipient.state == State::Acknowledged);
        }
        self.unreported == 0 && !all.any(|recipient| recipient.state.waits())
    }

    /// Notes that one recipient acknowledged, unless it is known to have done so; after how long.
    pub(crate) fn acknowledge(&mut self, spot: Spot, now_ms: u64, answer: Option<&str>) -> Option<u64> {
        let latency = now_ms.saturating_sub(self.begun_ms);
        let recipient = self.recipients.get_mut(&spot).filter(|recipient| recipient.state.waits())?;
        recipient.state = State::Acknowledged;
        recipient.sent = true;
        recipient.latency_ms = Some(latency);
        recipient.answer = answer.filter(|answer| answer.len() <= ANSWER_BYTES).map(Into::into);
        Some(latency)
    }

    /// Notes how far others have come; what is over stays as it is.
    pub(crate) fn advance(&mut self, spot: Spot, state: State) {
        if let Some(recipient) = self.recipients.get_mut(&spot).filter(|recipient| recipient.state.waits()) {
            recipient.state = state;
            recipient.sent |= state == State::Sent;
        }
    }

    /// A try is over without an answer: what went wrong.
    pub(crate) fn failed_once(&mut self) {
        let connected = self.recipients.values().any(|recipient| recipient.state.waits());
        let error = if connected { "not acknowledged" } else { "not connected" };
        self.errors = Some((self.errors.map_or(error, |(first, _)| first), error));
    }

    /// The last try is over: whoever has not answered will not be waited for.
    pub(crate) fn close(&mut self) -> Outcome {
        for recipient in self.recipients.values_mut().filter(|recipient| recipient.state.waits()) {
            recipient.state = State::TimedOut;
        }
        let counts = self.counts();
        let outcome = match counts {
            Counts { recipients: 0, .. } => Outcome::Nobody,
            Counts { acknowledged: 0, .. } => Outcome::TimedOut,
            _ if self.user.is_some() || counts.acknowledged == counts.recipients => Outcome::Acknowledged,
            _ => Outcome::Partly,
        };
        self.outcome = Some(outcome);
        outcome
    }

    /// Lets go of the data of a message that is over: it can still be asked about, and is sent no more.
    pub(crate) fn lighten(&mut self) {
        let light = |message: &Arc<Publication>| {
            Arc::new(Publication { payload: Payload::json("null"), ..Publication::clone(message) })
        };
        self.message = self.message.as_ref().map(light);
    }

    /// How many recipients came how far.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts { recipients: self.recipients.len() as u64, ..Counts::default() };
        for recipient in self.recipients.values() {
            counts.sent += u64::from(recipient.sent);
            match recipient.state {
                State::Acknowledged => counts.acknowledged += 1,
                State::TimedOut => counts.timed_out += 1,
                State::Gone => counts.gone += 1,
                State::Busy => counts.busy += 1,
                State::Accepted | State::Sent => {}
            }
        }
        counts
    }
}

/// Bytes of an answer that are kept; a longer one is not.
const ANSWER_BYTES: usize = 1_024;
