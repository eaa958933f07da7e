//! Sessions of connections that broke: kept for a while, taken up once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidings_core::frame::parse_resume_offset;
use tidings_core::node::From;
use tidings_core::shard::Filter;
use tidings_core::{Action, Answered, ConnKey, Denied, Holder, Identity, Publication, Room};
use tidings_wire::CloseReason;

use super::ShardLoop;
use super::inbox::Mail;
use super::link::{Link, Seat};
use super::socketio::Admission;
use crate::hooks::{Caller, Draft};
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
    /// Its rooms, each with the organisation's sequence when it subscribed and what it wanted.
    rooms: Vec<(Room, u64, Option<Box<Filter>>)>,
    /// The last recorded event that went out whole.
    flushed: u64,
    /// When it was parked, in the home shard's milliseconds.
    at_ms: u64,
}

/// Where a session of this shard's making is.
enum Place {
    /// Here, without a connection.
    Parked(Box<Parked>),
    /// Taken up by a connection that is not the one its key names.
    Moved((usize, ConnKey)),
}

/// The sessions whose keys name this shard, once they have left their first connection.
pub(super) struct Sessions {
    places: HashMap<u128, Place>,
    order: VecDeque<(u64, u128)>,
    most: usize,
    window_ms: u64,
}

impl Sessions {
    pub(super) fn new(most: usize, window_ms: u64) -> Self {
        Self { places: HashMap::new(), order: VecDeque::new(), most, window_ms }
    }

    /// Whether no session is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn park(&mut self, secret: u128, parked: Parked) {
        while self.order.len() >= self.most.max(1) {
            self.forget_oldest();
        }
        self.order.push_back((parked.at_ms, secret));
        self.places.insert(secret, Place::Parked(Box::new(parked)));
    }

    /// Forgets sessions that were parked for longer than they are kept.
    pub(super) fn expire(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(at, _)| at + self.window_ms <= now_ms) {
            self.forget_oldest();
        }
        if self.places.is_empty() {
            self.places.shrink_to_fit();
            self.order.shrink_to_fit();
        }
    }

    /// A session may have been taken up and parked again since the entry was made.
    fn forget_oldest(&mut self) {
        let Some((at, secret)) = self.order.pop_front() else { return };
        if matches!(self.places.get(&secret), Some(Place::Parked(parked)) if parked.at_ms == at) {
            self.places.remove(&secret);
        }
    }
}

/// Who missed more than so many bytes in all rooms together begins afresh: what is kept for a session
/// must not become a queue of any length.
const RESUME_BYTES: usize = 32 << 20;

impl ShardLoop {
    /// Keeps what a broken connection needs to be taken up again.
    pub(super) fn park(&mut self, link: &mut Link, resumable: bool) {
        for at in 0..link.seats.len() {
            let Some(pid) = link.seats[at].pid else { continue };
            if resumable {
                let parked = self.parked(link.key, &link.seats[at], link.mixed);
                self.send_home(pid, Some(parked));
            } else if pid.conn != link.key || pid.shard != self.shard.index() {
                self.send_home(pid, None);
            }
        }
    }

    /// A session comes home, or is over.
    pub(super) fn come_home(&mut self, pid: SessionKey, parked: Option<Parked>) {
        match parked {
            Some(mut parked) => {
                parked.at_ms = self.now_ms;
                self.sessions.park(pid.secret, parked);
            }
            None => {
                self.sessions.places.remove(&pid.secret);
            }
        }
    }

    /// Looks for the session a client wants, here or where it is.
    pub(super) fn seek(&mut self, mut resume: Resume) {
        let (shard, conn) = resume.at;
        if shard != self.shard.index() {
            return self.shared.inboxes[shard].push(Mail::Resume(Box::new(resume)));
        }
        if resume.pid.shard == shard {
            match self.sessions.places.get(&resume.pid.secret) {
                Some(Place::Moved(at)) if resume.at != *at => {
                    resume.at = *at;
                    return self.seek(resume);
                }
                Some(Place::Parked(parked)) => {
                    let parked = (**parked).clone();
                    return self.found(resume, Some(parked));
                }
                _ => {}
            }
        }
        let parked = self.take_over(&resume, conn);
        self.found(resume, parked);
    }

    /// Takes a session from a connection that is still there: the newer one wins.
    fn take_over(&mut self, resume: &Resume, conn: ConnKey) -> Option<Parked> {
        let link = self.links.get(conn)?;
        let at = link.seats.iter().position(|seat| seat.pid == Some(resume.pid))?;
        if !belongs(&link.seats[at], resume) {
            return None;
        }
        let (seat, mixed) = (link.seats.swap_remove(at), link.mixed);
        let parked = self.parked(conn, &seat, mixed);
        self.close(conn, CloseReason::Replaced);
        Some(parked)
    }

    /// Hands a session to the shard whose client asked for it.
    fn found(&mut self, mut resume: Resume, parked: Option<Parked>) {
        let fits = |parked: &Parked| {
            parked.namespace == resume.admission.namespace
                && parked.holder == Holder::of(&resume.admission.who)
                // What was called back is not taken up, not even with a newer token.
                && self.shared.sign_in.revoked().why(&parked.who) != Some(Why::Revoked)
        };
        let parked = parked.filter(fits);
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
        if pid.shard == self.shard.index() {
            self.sessions.places.insert(pid.secret, Place::Moved(at));
        } else {
            self.shared.inboxes[pid.shard].push(Mail::Moved(pid, at));
        }
    }

    /// Goes on with a session, or with a fresh one if it cannot be had.
    pub(super) fn resumed(&mut self, mut resume: Resume, parked: Option<Parked>) {
        let key = resume.asker.1;
        let Some(parked) = parked else { return self.admit(key, resume.admission) };
        if self.still_good(&resume.admission.who).is_err() {
            // The token was called back while its session was looked for; `admit` says so.
            self.send_home(resume.pid, Some(parked));
            return self.admit(key, resume.admission);
        }
        if self.links.get(key).is_none() {
            return self.send_home(resume.pid, Some(parked));
        }
        if resume.answered.is_none() && (self.shared.hooks.is_some() || !self.shared.apps.is_empty()) {
            return self.ask_about_rooms(resume, parked);
        }
        // Whom it takes over has left, so that the two are not counted at once.
        match self.stand(key, &resume.admission.who) {
            Ok(standing) => resume.admission.standing = standing,
            Err(refusal) => {
                self.send_home(resume.pid, Some(parked));
                return self.refuse_connect(key, resume.admission.namespace, &refusal);
            }
        }
        let heard = self.heard(&resume, &parked);
        let who = resume.admission.who.clone();
        let (namespace, gaps) = (resume.admission.namespace, resume.admission.gaps);
        let auth = resume.admission.auth.clone();
        let missed = self.rejoin(key, &resume, &parked, &who, heard);
        if missed.is_none() && !gaps {
            self.node.leave_all(&mut self.shard, key.slot, Some(namespace));
            self.send_home(resume.pid, None);
            return self.admit(key, resume.admission);
        }
        // Another namespace of this connection may be further: what counts is that nothing is lost.
        let alone = self.links.get(key).is_some_and(|link| link.seats.is_empty());
        let flushed = if alone { heard } else { heard.min(self.shard.flushed(key.slot)) };
        self.shard.set_flushed(key.slot, flushed);
        if !self.seat(key, resume.admission, parked.sid, Some(resume.pid)) {
            return;
        }
        let Some(link) = self.links.get(key) else { return };
        let form = link.form(namespace);
        if missed.is_none() {
            self.send_event(key, namespace, "tidings:gap", b"{\"reason\":\"trimmed\"}");
        }
        for publication in missed.unwrap_or_default() {
            self.shard.replay(key.slot, &publication, form);
        }
        self.welcomed(key, namespace, auth);
    }

    /// Asks the backend about the rooms of a session that its rules leave open, all at once.
    ///
    /// Without an answer nobody knows which rooms the client may enter, so the session waits for
    /// its next attempt: a room that is silently left out would be a gap nobody is told of.
    fn ask_about_rooms(&mut self, mut resume: Resume, parked: Parked) {
        let key = resume.asker.1;
        let (Some(link), who) = (self.links.get(key), resume.admission.who.clone()) else { return };
        let (address, entrance) = (link.remote, link.entrance());
        let asker = self.asker(key, &who, &[]);
        let open =
            |room: &Room| matches!(self.node.admit(asker, room, Action::Subscribe), Err(Denied::Ask(_)));
        let rooms: Vec<Room> =
            parked.rooms.iter().map(|(room, ..)| room).filter(|room| open(room)).cloned().collect();
        if rooms.is_empty() {
            resume.answered = Some(Vec::new());
            return self.resumed(resume, Some(parked));
        }
        let (shared, inbox, at) = (self.shared.clone(), self.inbox.clone(), resume.asker);
        self.shared.front.spawn(async move {
            let mut asked = tokio::task::JoinSet::new();
            for room in rooms {
                let (shared, who) = (shared.clone(), who.clone());
                asked.spawn(async move {
                    let caller = Caller { who: &who, connection: Some(at), address, entrance };
                    shared.ask(&caller, &room, Action::Subscribe, Draft::default()).await
                });
            }
            let answers = asked.join_all().await.into_iter().collect::<Result<Vec<_>, _>>();
            inbox.push(match answers {
                Ok(answers) => {
                    resume.answered = Some(answers);
                    Mail::Resumed(Box::new((resume, Some(parked))))
                }
                Err(_) => Mail::NotResumed(Box::new((resume, parked))),
            });
        });
    }

    /// The backend did not say which rooms a session may enter: it is kept, and its client has to
    /// come again.
    pub(super) fn not_resumed(&mut self, resume: &Resume, parked: Parked) {
        self.send_home(resume.pid, Some(parked));
        self.close(resume.asker.1, CloseReason::Overloaded);
    }

    /// The last recorded event the client has heard.
    ///
    /// Its own word counts where it is one of ours. A word that is not was spoilt by some event's
    /// last argument: then it is what was flushed. No word at all means that nothing was heard
    /// since the session began.
    fn heard(&self, resume: &Resume, parked: &Parked) -> u64 {
        match resume.offset.as_deref() {
            None => 0,
            Some(text) => parse_resume_offset(self.node.id(), text).unwrap_or(parked.flushed),
        }
    }

    /// Joins the session's rooms again; what was missed, or `None` if not all of it is kept.
    fn rejoin(
        &mut self,
        key: ConnKey,
        resume: &Resume,
        parked: &Parked,
        who: &Identity,
        heard: u64,
    ) -> Option<Vec<Arc<Publication>>> {
        let link = self.links.get(key)?;
        let admission = &resume.admission;
        let form = tidings_core::frame::Form { offset: admission.offset, ..link.form(admission.namespace) };
        let (mut missed, mut complete) = (Vec::new(), true);
        let from = |since| From::Sequence { heard, since };
        let rooms: Vec<_> =
            parked.rooms.iter().map(|(room, since, _)| (room.clone(), from(*since))).collect();
        let answered = resume.answered.as_deref().unwrap_or_default();
        let asker = self.asker(key, who, answered);
        let joined = self.node.clone().rejoin(&mut self.shard, key.slot, form, asker, &rooms);
        for (joined, (room, _, filter)) in joined.into_iter().zip(&parked.rooms) {
            // A room one may no longer enter is left out; rights are judged anew.
            let Ok(mut joined) = joined else {
                continue;
            };
            complete &= joined.top.is_none() || joined.recovered == Some(true);
            if let Some(filter) = filter {
                joined.missed.retain(|missed| filter.passes(missed));
                self.shard.set_filter(key.slot, room, form.namespace, (**filter).clone());
            }
            missed.extend(joined.missed);
        }
        missed.sort_by_key(|publication| publication.sequence);
        let bytes: usize = missed.iter().map(|publication| publication.bytes()).sum();
        (complete && bytes <= RESUME_BYTES).then_some(missed)
    }

    fn parked(&mut self, key: ConnKey, seat: &Seat, mixed: bool) -> Parked {
        let left = self.node.leave_all(&mut self.shard, key.slot, Some(seat.namespace));
        self.tell_left(&seat.who, &left);
        Parked {
            namespace: seat.namespace,
            sid: seat.sid,
            holder: Holder::of(&seat.who),
            who: seat.who.clone(),
            rooms: left.into_iter().map(|left| (left.entry.room.clone(), left.since, left.filter)).collect(),
            // Organisations count each for itself: of two on one connection the number says nothing.
            flushed: if mixed { 0 } else { self.shard.flushed(key.slot) },
            at_ms: self.now_ms,
        }
    }

    fn send_home(&mut self, pid: SessionKey, parked: Option<Parked>) {
        if pid.shard == self.shard.index() {
            self.come_home(pid, parked);
        } else {
            self.shared.inboxes[pid.shard].push(Mail::Home(pid, parked.map(Box::new)));
        }
    }
}

fn belongs(seat: &Seat, resume: &Resume) -> bool {
    let admission = &resume.admission;
    seat.namespace == admission.namespace && Holder::of(&seat.who) == Holder::of(&admission.who)
}
