//! A shard's mailbox: what other threads want of it.

use std::sync::Arc;

use bytes::Bytes;
use tidings_core::hub::Audience;
use tidings_core::limits::{Account, Place};
use tidings_core::shard::InLog;
use tidings_core::{Answered, ConnKey, Identity, Post, Publication, Refusal, Room};
use tidings_store::subscriptions::Subscription;
use tidings_store::{Digest, StoreError};
use tidings_wire::engineio::HandshakeError;
use tokio::sync::oneshot;

use super::command::AckTo;
use super::explained::{Inquiry, Told};
use super::kept::Asking;
use super::lane::{Answer, Worked};
use super::mailbox::{Left, Mailbox};
use super::polling::PollAnswer;
use super::recovery::{Parked, Resume};
use super::rounds::Errand;
use crate::client::Emission;
use crate::comeback::Found;
use crate::front::bearer::Seated;
use crate::front::hello::Hello;
use crate::gate::Visit;
use crate::ids::{SessionKey, SocketId};

/// What other threads want of a shard.
pub(crate) enum Mail {
    /// A publication for the members it has.
    Deliver(Arc<Publication>),
    /// A publication for everybody of its organisation.
    Announce(Arc<Publication>, Audience),
    /// A WebSocket whose upgrade is done.
    Socket(Box<NewSocket>),
    /// A long-polling handshake.
    OpenPolling(Box<Hello>, Option<Box<Visit>>, oneshot::Sender<PollAnswer>),
    /// A GET that waits for packets.
    Poll(SessionKey, oneshot::Sender<PollAnswer>),
    /// The client gave up its GET.
    PollAborted(SessionKey),
    /// How many bytes may a POST have?
    MayPost(SessionKey, oneshot::Sender<Result<usize, HandshakeError>>),
    /// A POST has begun.
    Posting(SessionKey),
    /// A POST with packets.
    Post(SessionKey, Bytes, oneshot::Sender<PollAnswer>),
    /// A POST that was refused before it was read; `true` ends the session.
    BadPost(SessionKey, bool),
    /// Who has signed in on this session? Nobody is said if this token fits, by its digest.
    Whose(SessionKey, Digest, oneshot::Sender<Seated>),
    /// A token that is shown with this session's requests needs no second look.
    Fits(SessionKey, Digest),
    /// May a WebSocket take this session over?
    MayUpgrade(SessionKey, oneshot::Sender<UpgradeAnswer>),
    /// Something for one client, from a handler on the front.
    Emit(ConnKey, Emission),
    /// The backend was asked about a connection's command, the last of this batch of its lane.
    Asked(ConnKey, u64, Box<Asking>, Result<Option<Answered>, Refusal>),
    /// A page of a room was read for a connection that catches up before it joins, or could not be.
    Paged(ConnKey, InLog, Result<Vec<Arc<Publication>>, Refusal>),
    /// The same for one that is slow.
    Lent(ConnKey, InLog, Result<Vec<Arc<Publication>>, Refusal>),
    /// Answers of the front to commands of a batch of a connection's lane; it is still at work on more.
    Answers(ConnKey, u64, Vec<Answer>),
    /// The front has worked off what it was given for these connections.
    LanesDone(Vec<Worked>),
    /// The last answers to a batch: its publishes are stored, or refused.
    Stored(ConnKey, u64, Vec<Answer>),
    /// Another shard's client wants a session that may be here.
    Resume(Box<Resume>),
    /// The answer to that.
    Resumed(Box<(Resume, Option<Parked>)>),
    /// Nobody can say now whether there is such a session, or which of its rooms its client may enter.
    NotResumed(Box<(Resume, Option<Parked>)>),
    /// What the store knows of a session that this shard's memory does not know.
    Sought(SessionKey, Result<Option<Box<Found>>, StoreError>),
    /// A session of this shard's making is now with another connection.
    Moved(SessionKey, (usize, ConnKey)),
    /// A session of this shard's making lost its connection, or is over.
    Home(SessionKey, Option<Box<Parked>>),
    /// Say that everything before this has been delivered of a tracked message.
    Report(u64),
    /// Send a tracked message once more to those who owe it; `true`: to all connections of its user.
    Again(Arc<Publication>, bool),
    /// Nobody waits for the acknowledgements of a message any more.
    Settled(u64),
    /// What is kept for the user of a seat.
    Restore(ConnKey, AckTo, SocketId, Vec<Subscription>),
    /// Who is in a room, of this shard's connections?
    Members(Room, oneshot::Sender<Vec<(Arc<Identity>, u64)>>),
    /// What is known of a user's connections, and what became of a message for each?
    Explain(Box<Inquiry>, oneshot::Sender<Told>),
    /// Something to be done for every connection it concerns.
    Errand(Errand),
    /// Take everybody out of a room.
    Close(Room),
    /// Say that what came before this has been sent.
    Beat(u64),
    /// Close all connections within so many milliseconds.
    Drain(u64),
    /// Stop the loop.
    Stop,
}

/// Whether a WebSocket may take a polling session over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpgradeAnswer {
    Yes,
    UnknownSid,
    NotPolling,
}

/// A WebSocket on its way from the front to a shard.
pub(crate) struct NewSocket {
    /// The socket, non-blocking.
    pub(crate) stream: mio::net::TcpStream,
    /// What has to be sent before anything else: the 101, if the HTTP server has not sent it.
    pub(crate) reply: Vec<u8>,
    /// What the front had already read behind the upgrade request.
    pub(crate) read: Bytes,
    /// The negotiated compression.
    pub(crate) deflate: Option<tidings_wire::websocket::Deflate>,
    /// What it speaks.
    pub(crate) speaks: Speaks,
    /// Who it is so far.
    pub(crate) hello: Box<Hello>,
    /// Its places.
    pub(crate) admitted: Admitted,
}

/// The places of a new WebSocket; none where nothing is limited.
pub(crate) enum Admitted {
    /// It is a connection of its own.
    Visit(Option<Box<Visit>>),
    /// It is to carry a polling session, which has its own places.
    Probe(Option<Place<Account>>),
}

/// What a new WebSocket speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speaks {
    /// Socket.IO from the start.
    SocketIo,
    /// Socket.IO, to take a polling session over.
    Upgrade(SessionKey),
    /// It wanted to take over a session that another WebSocket has; it is closed at once.
    TooLate,
    /// Plain JSON.
    Plain,
    /// Raw echo, for codec conformance.
    Echo,
}

/// A shard's mailbox; pushing wakes the shard if it sleeps.
pub(crate) struct Inbox {
    mail: Mailbox<Mail>,
    waker: mio::Waker,
}

/// While so many letters wait, publications are refused: the shard is far behind. Once it has taken what is there it looks
/// for those that were recorded.
const DELIVERIES: usize = 65_536;

impl Inbox {
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Self { mail: Mailbox::default(), waker }
    }

    /// Adds a publication and wakes the shard, unless the mailbox is full.
    fn offer(&self, letter: Mail) -> bool {
        self.leave(letter, DELIVERIES)
    }

    /// Adds a letter that is no publication, and wakes the shard. None is refused: each belongs to something that is
    /// bounded where it begins, such as a connection's lane, a request or a session, and to leave one out would leave
    /// that waiting for ever.
    pub(crate) fn push(&self, letter: Mail) {
        self.leave(letter, usize::MAX);
    }

    /// Takes everything; whether publications were refused behind it.
    #[must_use]
    pub(crate) fn take(&self, into: &mut Vec<Mail>) -> bool {
        self.mail.take(into)
    }

    /// Announces that the shard is about to sleep; `false` if there is mail after all.
    pub(crate) fn sleep(&self) -> bool {
        self.mail.sleep()
    }

    /// Says that the shard is awake and will look into the mailbox before it sleeps.
    pub(crate) fn wakes(&self) {
        self.mail.wakes();
    }

    fn leave(&self, letter: Mail, most: usize) -> bool {
        let left = self.mail.leave(letter, most);
        if left == Left::Asleep
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a shard could not be woken");
        }
        left != Left::Refused
    }
}

/// One shard's mailbox as the hub sees it.
pub(crate) struct ShardPost(pub(crate) Arc<Inbox>);

impl Post for ShardPost {
    fn deliver(&self, publication: Arc<Publication>) -> bool {
        self.0.offer(Mail::Deliver(publication))
    }

    fn announce(&self, publication: Arc<Publication>, audience: Audience) -> bool {
        self.0.offer(Mail::Announce(publication, audience))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tidings_core::{MessageId, Org, Payload};

    use super::*;

    #[test]
    fn whoever_empties_a_mailbox_is_told_once_that_it_has_refused() {
        shuttle::check_random(refuses_and_tells, 1);
    }

    fn refuses_and_tells() {
        let poll = mio::Poll::new().unwrap();
        let inbox = Arc::new(Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap()));
        let post = ShardPost(inbox.clone());
        let room = Room::new(&Org::default(), "chat:1", 200).unwrap();
        let id = MessageId { node: 1, number: 1 };
        let publication = Arc::new(Publication::new(room, "e", Payload::json("1"), id, 0));
        assert!((0..DELIVERIES).all(|_| post.deliver(publication.clone())));
        let mut mail = Vec::new();
        assert!(!inbox.take(&mut mail));
        mail.clear();
        assert!((0..DELIVERIES).all(|_| post.deliver(publication.clone())));
        assert!(!post.deliver(publication.clone()));
        assert!(!post.announce(publication.clone(), Audience::Everybody));
        assert!(inbox.take(&mut mail));
        assert_eq!(mail.len(), DELIVERIES);
        mail.clear();
        assert!(!inbox.take(&mut mail), "there is room again");
    }
}
