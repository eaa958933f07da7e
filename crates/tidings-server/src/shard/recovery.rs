//! Sessions of connections that broke: kept for a while, taken up once.

mod earlier;
mod outlive;
mod rejoin;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidings_core::shard::{Filter, Left};
use tidings_core::{Answered, ConnKey, Holder, Identity, Keep, Mark, Room};
use tidings_store::StoreError;
use tidings_wire::CloseReason;

pub(crate) use earlier::Earlier;

use super::ShardLoop;
use super::catch_up::CatchUp;
use super::inbox::Mail;
use super::link::{Link, Seat};
use super::socketio::Admission;
use crate::comeback::{Found, Proof, Subscription, digest_of};
use crate::ids::{SessionKey, SocketId};
use crate::signin::revoked::Why;

/// A client that wants to take up a session.
pub(crate) struct Resume {
    /// The private id it has.
    pub(crate) pid: SessionKey,
    /// Where the session is thought to be: its home at first, then where the home says.
    pub(crate) at: (usize, ConnKey),
    /// The connection that asks.
    pub(crate) asker: (usize, ConnKey),
    /// The offset it sent.
    pub(crate) offset: Option<String>,
    /// What it is let in as.
    pub(crate) admission: Admission,
    /// What the backend said of the session's rooms; `None` before it was asked.
    pub(crate) answered: Option<Vec<Answered>>,
    /// The session's rooms were read from the log, as far as they are in it.
    pub(crate) loaded: bool,
    /// What was missed in them that is not in memory.
    pub(crate) earlier: Earlier,
}

/// A session whose connection broke.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    namespace: u8,
    sid: SocketId,
    /// The only one who may take it up.
    holder: Holder,
    /// Who that was, by the token that may be called back.
    who: Arc<Identity>,
    /// Its rooms.
    rooms: Vec<Kept>,
    /// The last recorded event that went out whole; `None`: another process sent it.
    flushed: Option<u64>,
    /// The store has it.
    stored: bool,
    /// When it was parked, in the home shard's milliseconds.
    at_ms: u64,
}

/// A room of a session whose connection broke.
#[derive(Debug, Clone)]
struct Kept {
    room: Room,
    /// By what it is shown that nothing was missed.
    proof: Proof,
    /// The point in its organisation's events when it subscribed.
    since: Mark,
    /// What it wanted.
    filter: Option<Box<Filter>>,
}

/// Where a session of this shard's making is.
enum Place {
    /// Nobody here knows it; the store is asked for those who want it.
    Sought(Vec<Resume>),
    /// Here, without a connection.
    Parked(Box<Parked>),
    /// Taken up by a connection that is not the one its key names.
    Moved((usize, ConnKey)),
}

/// The sessions whose keys name this shard, once they have left their first connection.
pub(super) struct Sessions {
    places: HashMap<u128, Place>,
    order: VecDeque<(u64, SessionKey)>,
    /// How many wait for the store.
    seeking: usize,
    most: usize,
    window_ms: u64,
}

impl Sessions {
    pub(super) fn new(most: usize, window_ms: u64) -> Self {
        Self { places: HashMap::new(), order: VecDeque::new(), seeking: 0, most, window_ms }
    }

    /// Whether no session is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many are known: without a connection, sought, or with another than their first.
    pub(super) fn known(&self) -> usize {
        self.places.len()
    }

    /// Keeps a session; answers those that were forgotten for it and are in the store.
    fn park(&mut self, pid: SessionKey, parked: Parked) -> Vec<SessionKey> {
        let mut forgotten = Vec::new();
        while self.order.len() >= self.most.max(1) {
            forgotten.extend(self.forget_oldest());
        }
        self.order.push_back((parked.at_ms, pid));
        self.places.insert(pid.secret, Place::Parked(Box::new(parked)));
        forgotten
    }

    /// Forgets sessions that were parked for longer than they are kept; answers those that are in the store.
    fn expire(&mut self, now_ms: u64) -> Vec<SessionKey> {
        let mut forgotten = Vec::new();
        while self.order.front().is_some_and(|(at, _)| at + self.window_ms <= now_ms) {
            forgotten.extend(self.forget_oldest());
        }
        if self.places.is_empty() {
            self.places.shrink_to_fit();
            self.order.shrink_to_fit();
        }
        forgotten
    }

    /// A session may have been taken up and parked again since the entry was made.
    fn forget_oldest(&mut self) -> Option<SessionKey> {
        let (at, pid) = self.order.pop_front()?;
        match self.places.get(&pid.secret) {
            Some(Place::Parked(parked)) if parked.at_ms == at => {
                let stored = parked.stored;
                self.places.remove(&pid.secret);
                stored.then_some(pid)
            }
            _ => None,
        }
    }
}

/// Sessions of one shard that the store is asked for at once, and clients that may want the same one;
/// others are told to come again.
const SEEKING: usize = 16_384;
const WANTING: usize = 16;

impl ShardLoop {
    /// Keeps what a broken connection needs to be taken up again.
    pub(super) fn park(&mut self, link: &mut Link, resumable: bool) {
        for at in 0..link.seats.len() {
            if !resumable {
                self.is_over(link.key, &link.seats[at]);
            } else if let Some(pid) = link.seats[at].pid {
                let behind = behind(link, link.seats[at].namespace);
                let parked = self.parked(link.key, &link.seats[at], link.mixed, behind);
                self.send_home(pid, Some(parked));
            }
        }
    }

    /// Takes what may be taken up again from a link that stays for its last poll; answers who sat there.
    pub(super) fn park_seats(&mut self, key: ConnKey) -> Vec<Seat> {
        let Some(mut link) = self.links.remove(key) else { return Vec::new() };
        self.park(&mut link, true);
        let seats = std::mem::take(&mut link.seats);
        self.links.insert(link);
        seats
    }

    /// A session comes home, or is over.
    pub(super) fn come_home(&mut self, pid: SessionKey, parked: Option<Parked>) {
        match parked {
            Some(mut parked) => {
                parked.at_ms = self.now_ms;
                if self.draining {
                    self.outlives(pid, &mut parked);
                }
                let forgotten = self.sessions.park(pid, parked);
                forgotten.into_iter().for_each(|pid| self.forget_comeback(pid));
            }
            None => {
                self.sessions.places.remove(&pid.secret);
            }
        }
    }

    /// Forgets sessions that nobody has taken up in time.
    pub(super) fn expire_sessions(&mut self) {
        let forgotten = self.sessions.expire(self.now_ms);
        forgotten.into_iter().for_each(|pid| self.forget_comeback(pid));
    }

    /// Looks for the session a client wants, here or where it is.
    pub(super) fn seek(&mut self, mut resume: Resume) {
        let (shard, conn) = resume.at;
        if shard != self.shard.index() {
            return self.shared.inboxes[shard].push(Mail::Resume(Box::new(resume)));
        }
        let is_home = self.home_of(resume.pid) == shard;
        if is_home {
            match self.sessions.places.get_mut(&resume.pid.secret) {
                Some(Place::Moved(at)) if resume.at != *at => {
                    resume.at = *at;
                    return self.seek(resume);
                }
                Some(Place::Parked(parked)) => {
                    let parked = (**parked).clone();
                    return self.found(resume, Some(parked));
                }
                Some(Place::Sought(wanting)) if wanting.len() < WANTING => return wanting.push(resume),
                Some(Place::Sought(_)) => return self.cannot_tell(resume, None),
                _ => {}
            }
        }
        let parked = self.take_over(&resume, conn);
        let may_be_stored = is_home && parked.is_none() && self.shared.comebacks.is_some();
        if may_be_stored && !self.sessions.places.contains_key(&resume.pid.secret) {
            return self.ask_the_store(resume);
        }
        self.found(resume, parked);
    }

    /// Asks the store for a session that another process may have left.
    fn ask_the_store(&mut self, resume: Resume) {
        if self.sessions.seeking >= SEEKING {
            return self.cannot_tell(resume, None);
        }
        self.sessions.seeking += 1;
        let pid = resume.pid;
        self.sessions.places.insert(pid.secret, Place::Sought(vec![resume]));
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        self.shared.front.spawn(async move {
            let found = shared.find_session(digest_of(pid)).await;
            inbox.push(Mail::Sought(pid, found.map(|found| found.map(Box::new))));
        });
    }

    /// The store has said what it knows of a session: the first who may have it takes it, and whoever came
    /// behind takes it over.
    pub(super) fn sought(&mut self, pid: SessionKey, found: Result<Option<Box<Found>>, StoreError>) {
        self.sessions.seeking = self.sessions.seeking.saturating_sub(1);
        let Some(Place::Sought(wanting)) = self.sessions.places.remove(&pid.secret) else { return };
        let Ok(found) = found else {
            return wanting.into_iter().for_each(|resume| self.cannot_tell(resume, None));
        };
        let mut parked = found.and_then(|found| self.revived(*found));
        for resume in wanting {
            match parked.take() {
                Some(parked) if self.may_have(&resume, &parked) => self.found(resume, Some(parked)),
                None if self.sessions.places.contains_key(&pid.secret) => self.seek(resume),
                kept => {
                    parked = kept;
                    self.found(resume, None);
                }
            }
        }
    }

    /// A session of another process, as if its connection had broken here just now.
    fn revived(&self, Found { session, rooms }: Found) -> Option<Parked> {
        let who = Arc::new(Identity {
            user: session.user.map(Into::into),
            org: session.org,
            issued_at: session.issued_at,
            token_id: session.token_id.map(Into::into),
            ..Identity::anonymous()
        });
        let kept = |one: Subscription| Kept {
            proof: one.proof,
            since: one.since,
            room: one.room,
            filter: one.filter,
        };
        Some(Parked {
            namespace: self.settings.namespaces.index(&session.namespace)?,
            sid: session.socket.into_bytes().try_into().ok()?,
            holder: Holder::of(&who),
            who,
            rooms: rooms.into_iter().map(kept).collect(),
            flushed: None,
            stored: true,
            at_ms: self.now_ms,
        })
    }

    fn home_of(&self, pid: SessionKey) -> usize {
        pid.home(self.node.hub().shards())
    }

    /// Takes a session from a connection that is still there: the newer one wins.
    fn take_over(&mut self, resume: &Resume, conn: ConnKey) -> Option<Parked> {
        let link = self.links.get(conn)?;
        let at = link.seats.iter().position(|seat| seat.pid == Some(resume.pid))?;
        if !belongs(&link.seats[at], resume) {
            return None;
        }
        let (seat, mixed) = (link.seats.swap_remove(at), link.mixed);
        let behind = behind(link, seat.namespace);
        let parked = self.parked(conn, &seat, mixed, behind);
        self.note_closed(conn, &seat, CloseReason::Replaced.label(), true);
        self.close(conn, CloseReason::Replaced);
        Some(parked)
    }

    fn may_have(&self, resume: &Resume, parked: &Parked) -> bool {
        parked.namespace == resume.admission.namespace
            && parked.holder == Holder::of(&resume.admission.who)
            // What was called back is not taken up, not even with a newer token.
            && self.shared.sign_in.revoked().why(&parked.who) != Some(Why::Revoked)
    }

    /// Hands a session to the shard whose client asked for it.
    fn found(&mut self, mut resume: Resume, parked: Option<Parked>) {
        let parked = parked.filter(|parked| self.may_have(&resume, parked));
        resume.at = resume.asker;
        if parked.is_some() {
            // From here on the key leads to the new connection, so it cannot be used twice.
            self.set_place(resume.pid, resume.asker);
        }
        if resume.asker.0 == self.shard.index() {
            return self.resumed(resume, parked);
        }
        self.shared.inboxes[resume.asker.0].push(Mail::Resumed(Box::new((resume, parked))));
    }

    /// Notes at a session's home where it is now.
    pub(super) fn set_place(&mut self, pid: SessionKey, at: (usize, ConnKey)) {
        let home = self.home_of(pid);
        if home == self.shard.index() {
            self.sessions.places.insert(pid.secret, Place::Moved(at));
        } else {
            self.shared.inboxes[home].push(Mail::Moved(pid, at));
        }
    }

    fn parked(&mut self, key: ConnKey, seat: &Seat, mixed: bool, behind: Vec<Kept>) -> Parked {
        let left = self.node.leave_all(&mut self.shard, key.slot, Some(seat.namespace));
        self.tell_left(&seat.who, &left);
        Parked {
            namespace: seat.namespace,
            sid: seat.sid,
            holder: Holder::of(&seat.who),
            who: seat.who.clone(),
            rooms: left.into_iter().map(kept).chain(behind).collect(),
            // Organisations count each for itself: of two on one connection the number says nothing.
            flushed: Some(if mixed { 0 } else { self.shard.flushed(key.slot) }),
            stored: seat.kept.stored,
            at_ms: self.now_ms,
        }
    }

    pub(super) fn send_home(&mut self, pid: SessionKey, parked: Option<Parked>) {
        let home = self.home_of(pid);
        if home == self.shard.index() {
            self.come_home(pid, parked);
        } else {
            self.shared.inboxes[home].push(Mail::Home(pid, parked.map(Box::new)));
        }
    }
}

/// Rooms in which a connection was still catching up: of what it missed nobody knows how much it got.
fn behind(link: &Link, namespace: u8) -> Vec<Kept> {
    let rooms = link.catching_up.iter().filter(|one| one.ack.namespace() == namespace);
    let kept = |one: &CatchUp| Kept {
        room: one.room.clone(),
        proof: Proof::Gone,
        since: Mark::default(),
        filter: one.filter.clone().map(Box::new),
    };
    rooms.map(kept).collect()
}

fn kept(left: Left) -> Kept {
    let proof = match left.entry.spec.keep {
        Keep::Durable { .. } => Proof::Log,
        Keep::Recent { .. } => Proof::Memory,
        Keep::Nothing => Proof::Volatile,
    };
    Kept { room: left.entry.room.clone(), proof, since: left.since, filter: left.filter }
}

fn belongs(seat: &Seat, resume: &Resume) -> bool {
    let admission = &resume.admission;
    seat.namespace == admission.namespace && Holder::of(&seat.who) == Holder::of(&admission.who)
}
