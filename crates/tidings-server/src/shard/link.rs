//! A connection's transport and protocol state, beside what the core knows of it.

use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use tidings_core::frame::Form;
use tidings_core::shard::Sent;
use tidings_core::{ConnKey, Identity, Org, Sink, UserKey};
use tidings_wire::names::Dialect;
use tidings_wire::session::{PlainSession, SocketIo};
use tidings_wire::websocket::Decoder;

use super::catch_up::CatchUp;
use super::comeback::Kept;
use super::entry::Held;
use super::expiry::TokenClock;
use super::lane::Lane;
use super::meter::Meter;
use super::polling::{PollAnswer, Polling};
use crate::client::{Client, Waiting};
use crate::front::hello::Hello;
use crate::gate::Standing;
use crate::hooks::Entrance;
use crate::ids::{SessionKey, SocketId};
use crate::ledger::EntryId;

/// One connection.
pub(super) struct Link {
    pub(super) key: ConnKey,
    /// The address it came from.
    pub(super) remote: IpAddr,
    /// The secret of its session key; 0 where it has none.
    pub(super) secret: u128,
    pub(super) transport: Transport,
    pub(super) decoder: Decoder,
    /// Window bits of the negotiated compression; 0: none.
    pub(super) deflate: u8,
    /// The client cannot take binary.
    pub(super) text_only: bool,
    /// It came in where administrators do, if they have a listener of their own.
    pub(super) at_admin_door: bool,
    pub(super) session: Session,
    /// Engine packets are echoed and nothing else is done (conformance suites).
    pub(super) engine_only: bool,
    /// Who it is, in each namespace it has joined.
    pub(super) seats: Vec<Seat>,
    /// The organisation it was in first.
    pub(super) org: Option<Org>,
    /// It was in others since.
    pub(super) mixed: bool,
    /// What it said at the handshake, while it can still be asked for.
    pub(super) hello: Option<Box<Hello>>,
    /// Rooms in which it catches up from the log.
    pub(super) catching_up: Vec<CatchUp>,
    /// Commands that wait for the front.
    pub(super) lane: Option<Box<Lane>>,
    /// What it uses up of its limits.
    pub(super) meter: Meter,
    /// What a plain client says while the front judges its token.
    pub(super) held: Option<Box<Held>>,
    /// When its timer fires, in the shard's milliseconds.
    pub(super) timer_ms: u64,
    /// What the ledger of sessions knows it by.
    pub(super) noted: Option<EntryId>,
    /// What is due for the tokens of its seats.
    pub(super) token: TokenClock,
}

/// How its bytes travel.
pub(super) enum Transport {
    /// A WebSocket.
    Socket(TcpStream),
    /// Long polling.
    Polling(Box<Polling>),
}

/// What it speaks, and how far it has come.
pub(super) enum Session {
    /// Socket.IO.
    SocketIo(SocketIo),
    /// A WebSocket that is about to take a polling session over.
    Probe {
        /// The polling session.
        target: ConnKey,
        /// When it has to have done so.
        by_ms: u64,
        /// When an open poll is ended next, so that the client can change over; `u64::MAX` before
        /// it has probed.
        noop_ms: u64,
    },
    /// A polling session that its client has ended, while no poll was open to tell it by.
    Ended {
        /// When it is forgotten.
        by_ms: u64,
    },
    /// Plain JSON.
    Plain(PlainSession),
    /// Raw echo, for codec conformance.
    Echo,
}

/// Who a connection is in one namespace.
pub(super) struct Seat {
    pub(super) namespace: u8,
    /// Whether recorded events carry the trailing offset.
    pub(super) offset: bool,
    /// Whether events say of which room they are and where they stand there.
    pub(super) place: bool,
    /// Whether it wants to be told of gaps.
    pub(super) gaps: bool,
    pub(super) sid: SocketId,
    /// Its private id, if the session can be taken up again.
    pub(super) pid: Option<SessionKey>,
    pub(super) who: Arc<Identity>,
    /// Its place among the user's connections; `None` where nothing is limited.
    pub(super) standing: Option<Arc<Standing>>,
    /// When it is told that its token ends, in milliseconds since 1970; `u64::MAX`: not any more.
    pub(super) warn_at_ms: u64,
    /// Answers it owes us.
    pub(super) waiting: Option<Box<Waiting>>,
    /// What the mounted handler is handed with each of its events, once it has said one.
    pub(super) client: Option<Client>,
    /// What the store knows of its session.
    pub(super) kept: Kept,
}

impl Link {
    /// The seat in a namespace.
    pub(super) fn seat(&self, namespace: u8) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.namespace == namespace)
    }

    /// The same, to be changed.
    pub(super) fn seat_mut(&mut self, namespace: u8) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.namespace == namespace)
    }

    /// Whether it has never signed in, as somebody or as nobody where that is allowed.
    ///
    /// What suites use to echo is for nobody else, and has no sign-in.
    pub(super) fn is_stranger(&self) -> bool {
        self.org.is_none() && !self.engine_only && !matches!(self.session, Session::Echo)
    }

    /// The door it came by.
    pub(super) fn entrance(&self) -> Entrance {
        if matches!(self.session, Session::Plain(_)) { Entrance::Plain } else { Entrance::SocketIo }
    }

    /// The dialect it speaks.
    pub(super) fn dialect(&self) -> Dialect {
        match &self.session {
            Session::SocketIo(session) => session.dialect(),
            _ => Dialect::Plain,
        }
    }

    /// The form in which it wants the events of a namespace.
    pub(super) fn form(&self, namespace: u8) -> Form {
        let seat = self.seat(namespace);
        Form {
            dialect: self.dialect(),
            namespace,
            offset: seat.is_some_and(|seat| seat.offset),
            place: seat.is_some_and(|seat| seat.place),
            deflate: self.deflate,
            text_only: self.text_only,
        }
    }

    /// Who it first was, for logs: organisation and user.
    pub(super) fn first(&self) -> Option<&Identity> {
        self.seats.first().map(|seat| seat.who.as_ref())
    }
}

/// The connections of a shard, by slot.
#[derive(Default)]
pub(super) struct Links {
    links: Vec<Option<Link>>,
}

impl Links {
    pub(super) fn insert(&mut self, link: Link) {
        let slot = link.key.slot as usize;
        if self.links.len() <= slot {
            self.links.resize_with(slot + 1, || None);
        }
        self.links[slot] = Some(link);
    }

    pub(super) fn remove(&mut self, key: ConnKey) -> Option<Link> {
        self.get(key)?;
        self.links[key.slot as usize].take()
    }

    pub(super) fn key(&self, slot: u32) -> Option<ConnKey> {
        self.links.get(slot as usize)?.as_ref().map(|link| link.key)
    }

    pub(super) fn get(&mut self, key: ConnKey) -> Option<&mut Link> {
        self.links.get_mut(key.slot as usize)?.as_mut().filter(|link| link.key == key)
    }

    /// Every client of an organisation, with the form it wants, once per namespace it is in.
    pub(super) fn seated(&self, org: &Org) -> Vec<(u32, Form)> {
        let links = self.links.iter().flatten();
        let seats = links.flat_map(|link| link.seats.iter().map(move |seat| (link, seat)));
        let of_org = seats.filter(|(_, seat)| seat.who.org == *org);
        of_org.map(|(link, seat)| (link.key.slot, link.form(seat.namespace))).collect()
    }

    /// The seats of a user.
    pub(super) fn seats_of(&self, user: &UserKey) -> impl Iterator<Item = (ConnKey, &Seat)> {
        let seats =
            self.links.iter().flatten().flat_map(|link| link.seats.iter().map(|seat| (link.key, seat)));
        seats.filter(|(_, seat)| seat.who.org == *user.org() && seat.who.user.as_deref() == Some(user.id()))
    }

    /// Those of some connections that are still there and in this organisation, with the form each wants.
    pub(super) fn still_seated(&mut self, org: &Org, namespace: u8, keys: &[ConnKey]) -> Vec<(u32, Form)> {
        let seated = keys.iter().filter_map(|key| {
            let link = self.get(*key)?;
            link.seat(namespace).filter(|seat| seat.who.org == *org)?;
            Some((key.slot, link.form(namespace)))
        });
        seated.collect()
    }

    /// Places, taken or free.
    pub(super) fn slots(&self) -> usize {
        self.links.len()
    }

    pub(super) fn keys(&self) -> Vec<ConnKey> {
        self.links.iter().flatten().map(|link| link.key).collect()
    }
}

impl Sink for Links {
    fn send(&mut self, slot: u32, bytes: &[u8]) -> Sent {
        let Some(Some(link)) = self.links.get_mut(slot as usize) else { return Sent::Gone };
        match &mut link.transport {
            Transport::Socket(stream) => write(stream, bytes),
            Transport::Polling(polling) => match polling.waiting.take() {
                None => Sent::Bytes(0),
                Some(waiting) => {
                    // A client that gave up meanwhile is noticed by its aborted request.
                    let _ = waiting.send(PollAnswer::packets(bytes, polling.ends));
                    Sent::Bytes(bytes.len())
                }
            },
        }
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Sent {
    loop {
        match stream.write(bytes) {
            Ok(count) => return Sent::Bytes(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Bytes(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Sent::Gone,
        }
    }
}
