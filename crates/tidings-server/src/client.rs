//! A client as a handler on the front sees it, and what it can do for one.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidings_core::{Answered, ConnKey, Identity, Refusal, Room};
use tidings_wire::CloseReason;
use tokio::sync::oneshot;

use crate::apps::Entering;
use crate::front::hello::Hello;
use crate::ids::{SocketId, id_text};
use crate::shard::inbox::{Inbox, Mail};
use crate::shard::{AckTo, Admission};

/// A future that a handler returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What answers events that are not the engine's own; without more than that it lets everybody in.
///
/// Runs on the front. The events of one client are handled one after the other, in the order they
/// were said; different clients' at the same time.
pub trait Handler: Send + Sync + 'static {
    /// Decides whether a client that passed sign-in may join a namespace, and which rooms it is in
    /// from the first moment, as far as their rules let it.
    fn connect<'a>(
        &'a self,
        namespace: &'a str,
        hello: &'a Hello,
        auth: Option<&'a str>,
    ) -> Answer<'a, Result<Vec<Room>, ConnectRefused>> {
        let _ = (namespace, hello, auth);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// A client has joined, with the auth payload it sent and what it said at the handshake.
    fn connected(&self, client: Client, auth: Option<String>, hello: Hello) -> Answer<'_, ()> {
        let _ = (client, auth, hello);
        Box::pin(async {})
    }

    /// A client said something.
    fn handle(&self, call: Call) -> Answer<'_, ()>;

    /// A client has left, or its connection is gone.
    fn disconnected(&self, client: Client) -> Answer<'_, ()> {
        let _ = client;
        Box::pin(async {})
    }
}

/// Why a client may not join: what CONNECT_ERROR carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRefused {
    /// The message.
    pub message: String,
    /// More, as JSON.
    pub data: Option<String>,
}

/// An event a client said.
#[derive(Debug)]
pub struct Call {
    /// Who.
    pub client: Client,
    /// The id to acknowledge with, if it asked for that.
    pub id: Option<u64>,
    /// The event's name.
    pub name: CompactString,
    /// The arguments, each as JSON.
    pub args: Vec<String>,
    /// The binary their placeholders refer to.
    pub attachments: Vec<Bytes>,
}

impl Call {
    /// Acknowledges the event, if the client asked for that.
    pub fn ack(&self, args: Vec<String>, attachments: Vec<Bytes>) {
        if let Some(id) = self.id {
            let namespace = self.client.0.namespace;
            self.client.send(Emission::Ack { namespace, id, args, attachments });
        }
    }
}

/// What a client answers to an event of ours: its arguments as JSON, and their binary.
pub type AckArgs = (Vec<String>, Vec<Bytes>);

/// Where a client's answer goes.
pub(crate) type AckReply = oneshot::Sender<AckArgs>;

/// Answers a client owes us, by id.
#[derive(Debug, Default)]
pub(crate) struct Waiting(pub(crate) HashMap<u64, AckReply>);

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, id: u64, reply: AckReply) {
        self.0.insert(id, reply);
    }

    pub(crate) fn take(&mut self, id: u64) -> Option<AckReply> {
        self.0.remove(&id)
    }
}

/// A client in one namespace.
///
/// What is asked of it goes to its shard and is done in order; nothing waits for that. A client
/// that is gone takes no notice.
#[derive(Clone)]
pub struct Client(Arc<Sitting>);

/// Where a client sits: made once and shared by all that is handed out of it.
struct Sitting {
    at: (usize, ConnKey),
    inbox: Arc<Inbox>,
    namespace: u8,
    name: CompactString,
    sid: SocketId,
    who: Arc<Identity>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({} in {})", self.id(), self.namespace())
    }
}

impl Client {
    pub(crate) fn new(
        at: (usize, ConnKey),
        inbox: Arc<Inbox>,
        namespace: u8,
        name: CompactString,
        sid: SocketId,
        who: Arc<Identity>,
    ) -> Self {
        Self(Arc::new(Sitting { at, inbox, namespace, name, sid, who }))
    }

    /// The public socket id.
    pub fn id(&self) -> &str {
        id_text(&self.0.sid)
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.0.name
    }

    /// Who it is.
    pub fn who(&self) -> &Identity {
        &self.0.who
    }

    pub(crate) fn namespace_index(&self) -> u8 {
        self.0.namespace
    }

    /// Sends an event; arguments are JSON, whose placeholders count over all of them.
    pub fn emit(&self, name: &str, args: Vec<String>, attachments: Vec<Bytes>) {
        self.event(name, args, attachments, None);
    }

    /// Sends an event and returns what the client answers; the receiver fails if it is gone.
    pub fn emit_with_ack(
        &self,
        name: &str,
        args: Vec<String>,
        attachments: Vec<Bytes>,
    ) -> oneshot::Receiver<AckArgs> {
        let (reply, answer) = oneshot::channel();
        self.event(name, args, attachments, Some(reply));
        answer
    }

    /// Takes the client into a room, by the room's rules.
    pub fn join(&self, room: Room) {
        self.send(Emission::Join { namespace: self.0.namespace, room });
    }

    /// Sends the client out of the namespace; it does not come back by itself.
    pub fn disconnect(&self) {
        self.send(Emission::Disconnect { namespace: self.0.namespace });
    }

    /// Closes its connection; whether it comes back is the reason's.
    pub fn close(&self, reason: CloseReason) {
        self.send(Emission::Close(reason));
    }

    /// Cuts its connection without a word, as a broken network would.
    pub fn cut(&self) {
        self.send(Emission::Drop);
    }

    fn event(&self, name: &str, args: Vec<String>, attachments: Vec<Bytes>, ack: Option<AckReply>) {
        let (namespace, name) = (self.0.namespace, name.into());
        self.send(Emission::Event { namespace, name, args, attachments, ack });
    }

    /// Its shard and its place there.
    pub(crate) fn at(&self) -> (usize, ConnKey) {
        self.0.at
    }

    /// The namespace and who sits there: nothing of it is for whoever sits there next.
    pub(crate) fn seat(&self) -> (u8, SocketId) {
        (self.0.namespace, self.0.sid)
    }

    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.0.who
    }

    pub(crate) fn send(&self, emission: Emission) {
        self.0.inbox.push(Mail::Emit(self.0.at.1, emission));
    }
}

/// Where a publisher is told what became of its message.
pub(crate) struct Teller {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) key: ConnKey,
    pub(crate) ack: AckTo,
    /// The seat it published from: what came of it is not for whoever sits there next.
    pub(crate) sid: SocketId,
}

impl Teller {
    /// Tells it, as a notice of this name; `body` is a JSON object.
    pub(crate) fn tell(self, name: &'static str, body: Vec<u8>) {
        let Self { inbox, key, ack, sid } = self;
        inbox.push(Mail::Emit(key, Emission::Told { ack, sid, name, body }));
    }
}

/// Something to be done for one client, on its shard.
pub(crate) enum Emission {
    Admit {
        admission: Admission,
        auth: Option<String>,
        rooms: Vec<Room>,
    },
    Refuse {
        namespace: u8,
        message: String,
        data: Option<String>,
    },
    /// The front has judged the token of a plain client.
    Judged(Result<Arc<Identity>, Refusal>),
    /// The front has judged the token by which a client renews its sign-in.
    Renewed(AckTo, Result<Arc<Identity>, Refusal>),
    Event {
        namespace: u8,
        name: CompactString,
        args: Vec<String>,
        attachments: Vec<Bytes>,
        ack: Option<AckReply>,
    },
    Ack {
        namespace: u8,
        id: u64,
        args: Vec<String>,
        attachments: Vec<Bytes>,
    },
    /// A notice of the engine's own.
    Told {
        ack: AckTo,
        sid: SocketId,
        name: &'static str,
        body: Vec<u8>,
    },
    Join {
        namespace: u8,
        room: Room,
    },
    /// Takes it into a room for an app, which waits for what comes of it.
    Enter {
        seat: (u8, SocketId),
        room: Room,
        answered: Vec<Answered>,
        reply: Entering,
    },
    /// Takes it out of a room for an app.
    Leave {
        seat: (u8, SocketId),
        room: Room,
    },
    Disconnect {
        namespace: u8,
    },
    Close(CloseReason),
    Drop,
}
