//! Going on with a session: its rooms are read, asked about and joined again, and what was missed is sent.

use std::sync::Arc;

use tidings_core::frame::parse_resume_offset;
use tidings_core::node::{From, Heard};
use tidings_core::{Action, Code, ConnKey, Denied, Joined, Mark, Position, Publication, Room};
use tidings_wire::CloseReason;
use tidings_wire::json::write_string;

use super::{Kept, Parked, Resume};
use crate::comeback::Proof;
use crate::hooks::{Caller, Draft};
use crate::shard::ShardLoop;
use crate::shard::inbox::Mail;
use crate::shard::renewal::{FORBIDDEN, FULL};

/// Who missed more than so many bytes in all rooms together begins afresh: what is kept for a session
/// must not become a queue of any length.
pub(super) const RESUME_BYTES: usize = 32 << 20;

impl ShardLoop {
    /// Goes on with a session, or with a fresh one if it cannot be had.
    pub(in crate::shard) fn resumed(&mut self, mut resume: Resume, parked: Option<Parked>) {
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
        if !resume.loaded && self.has_to_read(&resume, &parked) {
            return self.read_rooms(resume, parked);
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
        let (namespace, gaps) = (resume.admission.namespace, resume.admission.gaps);
        let auth = resume.admission.auth.clone();
        let rejoined = match self.rejoin(key, &resume, &parked) {
            Ok(rejoined) => rejoined,
            Err(Unread) => {
                self.node.leave_all(&mut self.shard, key.slot, Some(namespace));
                return self.cannot_tell(resume, Some(parked));
            }
        };
        if !rejoined.gaps.is_empty() && !gaps {
            self.node.leave_all(&mut self.shard, key.slot, Some(namespace));
            self.send_home(resume.pid, None);
            if parked.stored {
                self.forget_comeback(resume.pid);
            }
            return self.admit(key, resume.admission);
        }
        // Another namespace of this connection may be further: what counts is that nothing is lost.
        let alone = self.links.get(key).is_some_and(|link| link.seats.is_empty());
        let heard = rejoined.heard;
        let flushed = if alone { heard } else { heard.min(self.shard.flushed(key.slot)) };
        self.shard.set_flushed(key.slot, flushed);
        if !self.seat(key, resume.admission, parked.sid, Some(resume.pid)) {
            return;
        }
        if parked.stored {
            self.goes_on(key, namespace, parked.flushed.is_none());
        }
        for (room, reason) in &rejoined.gaps {
            self.tell_missed(key, namespace, room.as_ref(), reason);
        }
        for (room, reason) in &rejoined.left {
            self.tell_out(key, namespace, room, reason);
        }
        self.note_resumed(key, namespace, &parked.who, rejoined.spans);
        self.replay_merged(key, namespace, rejoined.missed);
        self.welcomed(key, namespace, auth);
    }

    /// Sends what was missed in all rooms, in the order in which it was delivered to others.
    ///
    /// The offset of an event of the log says nothing of events in memory; behind such a one it has to say
    /// that this was heard.
    fn replay_merged(&mut self, key: ConnKey, namespace: u8, missed: Vec<Arc<Publication>>) {
        let Some(link) = self.links.get(key) else { return };
        let form = link.form(namespace);
        let mut memory = 0;
        for publication in missed {
            if publication.is_damaged() {
                continue;
            }
            if publication.sequence == 0 && memory > 0 {
                let behind = Publication { sequence: memory, ..(*publication).clone() };
                self.shard.replay(key.slot, &behind, form);
            } else {
                memory = publication.sequence;
                self.shard.replay(key.slot, &publication, form);
            }
        }
    }

    /// Tells a client that asked for it of what it has missed for good.
    fn tell_missed(&mut self, key: ConnKey, namespace: u8, room: Option<&Room>, reason: &str) {
        let mut body = b"{".to_vec();
        if let Some(room) = room {
            body.extend_from_slice(b"\"room\":");
            write_string(&mut body, room.name());
            body.push(b',');
        }
        body.extend_from_slice(format!("\"reason\":\"{reason}\"}}").as_bytes());
        self.send_event(key, namespace, "tidings:gap", &body);
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
            parked.rooms.iter().map(|kept| &kept.room).filter(|room| open(room)).cloned().collect();
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
                Err(_) => Mail::NotResumed(Box::new((resume, Some(parked)))),
            });
        });
    }

    /// Nobody can say now whether a client may go on, or with what: a session that was found is kept, and
    /// its client has to come again.
    pub(in crate::shard) fn not_resumed(&mut self, resume: &Resume, parked: Option<Parked>) {
        if let Some(parked) = parked {
            self.send_home(resume.pid, Some(parked));
        }
        self.close(resume.asker.1, CloseReason::Overloaded);
    }

    /// The same, told to the shard whose client asked.
    pub(super) fn cannot_tell(&mut self, resume: Resume, parked: Option<Parked>) {
        if resume.asker.0 == self.shard.index() {
            return self.not_resumed(&resume, parked);
        }
        let shard = resume.asker.0;
        self.shared.inboxes[shard].push(Mail::NotResumed(Box::new((resume, parked))));
    }

    /// How far the client has heard; `None` if nobody can say.
    ///
    /// Its own word counts where it is one of ours; of that of a process whose memory is not here only what it says of the log. A word
    /// that is not ours was spoilt by some event's last argument: then it is what was flushed here. No word at
    /// all means that nothing was heard since the session began.
    pub(super) fn heard(&self, resume: &Resume, parked: &Parked) -> Option<Heard> {
        let Some(text) = resume.offset.as_deref() else { return Some(Heard::To(Mark::default())) };
        match parse_resume_offset(text) {
            Some((node, mark)) if node == self.node.id() => Some(Heard::To(mark)),
            Some((node, mark)) => {
                // Nobody has heard what the log does not have: it was moved back.
                let known = self.node.mark_of(&parked.who.org).durable;
                let memory = if self.node.counts_as(node) { mark.memory } else { 0 };
                (mark.durable <= known).then_some(Heard::To(Mark { memory, ..mark }))
            }
            None => parked.flushed.map(Heard::Flushed),
        }
    }

    /// Joins the session's rooms again, all at one point.
    ///
    /// # Errors
    /// A room has to be read first.
    fn rejoin(&mut self, key: ConnKey, resume: &Resume, parked: &Parked) -> Result<Rejoined, Unread> {
        let Some(link) = self.links.get(key) else { return Err(Unread) };
        let (admission, who) = (&resume.admission, resume.admission.who.clone());
        let (offset, place) = (admission.offset, admission.place);
        let form = tidings_core::frame::Form { offset, place, ..link.form(admission.namespace) };
        let now = self.node.mark_of(&who.org);
        let heard = self.heard(resume, parked);
        let from = |kept: &Kept| match (kept.proof, heard.map(|heard| resume.earlier.then(&kept.room, heard)))
        {
            (Proof::Log | Proof::Memory, Some(heard)) if parked.flushed.is_some() => {
                From::Sequence { heard, since: kept.since }
            }
            // Of what another process counted in memory nothing is left.
            (Proof::Log, Some(heard)) if self.node.is_durable(&kept.room) => {
                From::Sequence { heard, since: Mark { memory: now.memory, ..kept.since } }
            }
            // The process before has handed it on, with the numbers.
            (Proof::Carried, Some(heard)) if parked.flushed.is_none() => {
                From::Sequence { heard, since: kept.since }
            }
            // It was in this room when this process began, and has heard nothing of what was said there since.
            (Proof::Silent | Proof::Gone, _)
                if parked.flushed.is_none() && !self.node.is_durable(&kept.room) =>
            {
                From::Sequence { heard: Heard::To(Mark::default()), since: Mark::default() }
            }
            _ => From::Now,
        };
        let rooms: Vec<_> = parked.rooms.iter().map(|kept| (kept.room.clone(), from(kept))).collect();
        let answered = resume.answered.as_deref().unwrap_or_default();
        let asker = self.asker(key, &who, answered);
        let joined = self.node.clone().rejoin(&mut self.shard, key.slot, form, asker, &rooms);
        let mut rejoined = Rejoined {
            missed: Vec::new(),
            spans: Vec::new(),
            gaps: Vec::new(),
            left: Vec::new(),
            heard: match heard {
                Some(Heard::To(mark)) if parked.flushed.is_some() || mark.memory > 0 => mark.memory,
                Some(Heard::Flushed(flushed)) => flushed,
                _ => now.memory,
            },
        };
        let mut missed = Vec::new();
        for ((joined, kept), (_, from)) in joined.into_iter().zip(&parked.rooms).zip(&rooms) {
            let mut joined = match joined {
                Ok(joined) => joined,
                Err(Denied::Load) => return Err(Unread),
                // Others have taken its place: what was missed there is not to be had.
                Err(Denied::No(refusal)) if refusal.code == Code::Unavailable => {
                    rejoined.gaps.push((Some(kept.room.clone()), "overflow"));
                    rejoined.left.push((kept.room.clone(), FULL));
                    continue;
                }
                // A room one may no longer enter is left out; rights are judged anew.
                Err(_) => {
                    rejoined.left.push((kept.room.clone(), FORBIDDEN));
                    continue;
                }
            };
            let earlier = resume.earlier.of(&kept.room);
            if earlier.is_some() && joined.recovered == Some(false) {
                // Memory has moved on meanwhile.
                return Err(Unread);
            }
            if let Some(earlier) = earlier {
                joined.missed.splice(0..0, earlier.events.iter().cloned());
            }
            if let Some(reason) = earlier.and_then(|earlier| earlier.lost).or(lost(kept, &joined, *from)) {
                rejoined.gaps.push((Some(kept.room.clone()), reason));
            }
            if let Some(filter) = &kept.filter {
                joined.missed.retain(|missed| missed.is_damaged() || filter.passes(missed));
                self.shard.set_filter(key.slot, &kept.room, form.namespace, (**filter).clone());
            }
            let place = |event: Option<&Arc<Publication>>| event.and_then(|event| event.position);
            let span = place(joined.missed.first()).zip(place(joined.missed.last()));
            rejoined.spans.extend(span.map(|span| (kept.room.clone(), span)));
            let in_log = self.node.is_durable(&kept.room);
            if let Some(first) = joined.missed.first().filter(|_| !in_log) {
                rejoined.heard = rejoined.heard.min(first.sequence.saturating_sub(1));
            }
            missed.extend(joined.missed.into_iter().map(|event| (in_log, event)));
        }
        // An event that is in memory alone stands behind those of the log that were delivered before it.
        missed.sort_by_key(|(in_log, event)| (event.durable, if *in_log { 0 } else { event.sequence }));
        rejoined.missed = missed.into_iter().map(|(_, event)| event).collect();
        let bytes = rejoined.missed.iter().map(|event| event.bytes()).sum::<usize>();
        if resume.earlier.too_much || bytes > RESUME_BYTES {
            rejoined.missed.clear();
            rejoined.spans.clear();
            rejoined.gaps = vec![(None, "trimmed")];
        }
        Ok(rejoined)
    }
}

/// What came of joining a session's rooms again.
struct Rejoined {
    missed: Vec<Arc<Publication>>,
    /// From where to where it is sent what it missed in each room.
    spans: Vec<(Room, (Position, Position))>,
    /// Rooms in which something was missed for good, and why; `None`: in any of them.
    gaps: Vec<(Option<Room>, &'static str)>,
    /// Rooms it is not in any more, and why.
    left: Vec<(Room, &'static str)>,
    /// The last recorded event of this process that it has heard.
    heard: u64,
}

/// A room has to be read from the log first.
struct Unread;

/// Why something was missed for good in a room, if it was.
fn lost(kept: &Kept, joined: &Joined, from: From) -> Option<&'static str> {
    match (kept.proof, from) {
        (Proof::Volatile, _) => None,
        (Proof::Gone, _) => Some("epoch"),
        _ if joined.top.is_none() => None,
        (_, From::Sequence { .. }) if joined.missed.iter().any(|event| event.is_damaged()) => Some("corrupt"),
        (_, From::Sequence { .. }) if joined.recovered == Some(true) => None,
        (_, From::Sequence { .. }) => Some("trimmed"),
        _ => Some("epoch"),
    }
}
