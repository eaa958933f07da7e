//! Commands that need the front: one ordered, bounded lane per connection.
//!
//! A command whose rule leaves the decision to the team's backend goes through the lane, too, and
//! comes back to be carried out; what its client says after it waits behind it.
//!
//! A batch is open until all of it is answered. Publishes to durable rooms begin though such are open that were
//! said before them, so that all that is in flight meets in a transaction; everything else waits for an empty lane.

mod job;
mod order;
mod row;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tidings_core::{Action, Answered, Asker, Code, ConnKey, Identity, Refusal, Room};

pub(crate) use job::Job;
use order::Order;
use row::Row;

use super::ShardLoop;
use super::command::{AckTo, text};
use super::handled::{handled, welcomed};
use super::inbox::Mail;
use super::kept::{Asking, Kept};
use crate::apps::{Connection, SaidCommand, refused_as};
use crate::asking::Need;
use crate::client::{Client, Teller};
use crate::hooks::{Caller, Draft, Entrance};
use crate::ids::SocketId;
use crate::presence;
use crate::receipts::Tracking;
use crate::shared::Shared;

/// Commands of one connection that wait in its lane or have begun there, and are not answered yet.
const LANE: usize = 1_000;

/// Commands of one connection for which there is place at once: so many often come together.
const TOGETHER: usize = 12;

/// Bytes of commands that may wait; a single one may be longer.
const LANE_BYTES: usize = 1 << 20;

/// One connection's commands for the front, in the order they were said.
#[derive(Default)]
pub(super) struct Lane {
    jobs: VecDeque<Job>,
    /// The front is at work for this connection, and takes no more before it has said how that went.
    busy: bool,
    /// What has begun, in the order in which it is answered.
    begun: Order<Answer>,
    /// Commands that ask, the one under way included, and those that wait behind them.
    kept: usize,
    /// The bytes of these, and of what else waits.
    bytes: usize,
}

/// Who reads a room, and where the answer goes.
pub(crate) struct By {
    ack: AckTo,
    /// The seat it was asked from: the answer is not for whoever sits there next.
    sid: SocketId,
    who: Arc<Identity>,
}

/// What the front has done of a batch.
pub(crate) struct Worked {
    key: ConnKey,
    /// Which of the lane's batches.
    number: u64,
    /// The last answers to it; `None` if it ends with publishes that are being stored.
    answers: Option<Vec<Answer>>,
}

/// What the front answers to a command.
pub(crate) struct Answer {
    by: By,
    /// The command, for a refusal that nobody asked to be acknowledged.
    command: &'static str,
    /// A finished JSON object.
    body: Result<Vec<u8>, Refusal>,
    /// A message whose receipts are waited for once it is answered.
    tracking: Option<Tracking>,
}

impl By {
    pub(super) fn who(&self) -> &Arc<Identity> {
        &self.who
    }
}

impl Answer {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len)
    }
}

impl Lane {
    fn is_full(&self, job: &Job) -> bool {
        let bytes = job.bytes();
        self.jobs.len() + self.begun.commands() >= LANE
            || (self.bytes > 0 && bytes > 0 && self.bytes + bytes > LANE_BYTES)
    }

    fn put(&mut self, job: Job, first: bool) {
        self.kept += usize::from(job.kept().is_some());
        self.bytes += job.bytes();
        if self.jobs.is_empty() {
            self.jobs.reserve(TOGETHER);
        }
        if first { self.jobs.push_front(job) } else { self.jobs.push_back(job) }
    }

    /// Whether what comes now has to wait behind a command that asks.
    pub(super) fn keeps(&self) -> bool {
        self.kept > 0
    }

    /// A command that asked is back from the front.
    pub(super) fn came_back(&mut self, number: u64, kept: &Kept) {
        self.take_out(kept);
        self.busy = false;
        // Its batch began alone, so that nothing waited behind it.
        self.begun.answered(number, Vec::new(), true);
    }

    fn take_out(&mut self, kept: &Kept) {
        self.kept -= 1;
        self.bytes -= kept.bytes();
    }

    /// Whether what is first may begin: a publish behind publishes that are being stored, and else alone.
    fn may_begin(&self) -> bool {
        !self.busy && (self.begun.is_empty() || matches!(self.jobs.front(), Some(Job::Publish { .. })))
    }

    /// The jobs the front can do in a row: behind what has begun the publishes, and else all up to the first that
    /// asks, or that runs on the shard.
    fn batch(&mut self) -> VecDeque<Job> {
        let batch = self.next_jobs();
        // What asks is counted until it is back.
        let begun = batch.iter().filter(|job| job.kept().is_none());
        self.bytes -= begun.map(Job::bytes).sum::<usize>();
        batch
    }

    fn next_jobs(&mut self) -> VecDeque<Job> {
        let mut jobs = self.jobs.iter();
        if !self.begun.is_empty() {
            let end = jobs.position(|job| !matches!(job, Job::Publish { .. }));
            return self.first_jobs(end.unwrap_or(self.jobs.len()));
        }
        if self.kept == 0 {
            return std::mem::take(&mut self.jobs);
        }
        let end = jobs.position(|job| job.kept().is_some()).unwrap_or(self.jobs.len());
        let asks = matches!(self.jobs.get(end), Some(Job::Ask(_)));
        self.first_jobs(end + usize::from(asks))
    }

    fn first_jobs(&mut self, count: usize) -> VecDeque<Job> {
        let rest = self.jobs.split_off(count);
        std::mem::replace(&mut self.jobs, rest)
    }

    /// What nobody is left to hear, of which messages have to be followed all the same.
    pub(super) fn into_held(self) -> impl Iterator<Item = Answer> {
        self.begun.into_held()
    }
}

impl ShardLoop {
    /// Puts a command into a connection's lane; one that is being carried out goes first.
    pub(super) fn queue(&mut self, key: ConnKey, job: Job) {
        let first = self.is_carried_out(key);
        let Some(link) = self.links.get(key) else { return };
        let lane = link.lane.get_or_insert_default();
        if !first && lane.is_full(&job) {
            let refusal = Refusal::new(Code::Unavailable, "too many commands are waiting");
            let name = job.kept().map(Kept::name).unwrap_or_default();
            return self.answer_refused(key, job.ack(), &name, &refusal);
        }
        if lane.jobs.is_empty() && !lane.busy {
            self.laned.push(key);
        }
        lane.put(job, first);
    }

    /// Works off the commands that met in this turn: those that waited for their turn here, the
    /// others on the front, in one task for all connections.
    pub(super) fn dispatch_lanes(&mut self) {
        let mut lanes = Vec::new();
        // What is carried out may itself have to be asked about.
        while let Some(key) = self.laned.pop() {
            lanes.extend(self.next_batch(key));
        }
        if !lanes.is_empty() {
            self.shared.front.spawn(work_off(self.shared.clone(), lanes));
        }
    }

    /// Carries out what has waited, and returns what is next for the front.
    fn next_batch(&mut self, key: ConnKey) -> Option<(Place, VecDeque<Job>)> {
        loop {
            let shard = self.shard.index();
            let link = self.links.get(key)?;
            let (address, entrance) = (link.remote, link.entrance());
            let lane = link.lane.as_deref_mut().filter(|lane| lane.may_begin())?;
            match lane.jobs.pop_front() {
                None => {
                    link.lane = None;
                    return None;
                }
                Some(Job::Later(kept)) => {
                    lane.take_out(&kept);
                    self.carry_out(key, *kept, None);
                }
                Some(job) => {
                    lane.jobs.push_front(job);
                    lane.busy = true;
                    let jobs = lane.batch();
                    let number = lane.begun.open(jobs.len());
                    return Some((Place { key, number, shard, address, entrance }, jobs));
                }
            }
        }
    }

    /// The front is done with a batch, but for publishes that are being stored.
    pub(super) fn worked(&mut self, Worked { key, number, answers }: Worked) {
        if let Some(lane) = self.links.get(key).and_then(|link| link.lane.as_deref_mut()) {
            lane.busy = false;
        }
        match answers {
            Some(answers) => self.all_answered(key, number, answers),
            None => self.laned.push(key),
        }
    }

    /// All of a batch is answered.
    pub(super) fn all_answered(&mut self, key: ConnKey, number: u64, answers: Vec<Answer>) {
        self.answers(key, number, answers, true);
        self.laned.push(key);
    }

    /// Sends what the front answered to one connection, in order: what came too early waits for its turn.
    pub(super) fn answers(&mut self, key: ConnKey, number: u64, answers: Vec<Answer>, closes: bool) {
        let lane = self.links.get(key).and_then(|link| link.lane.as_deref_mut());
        let ready = match lane {
            Some(lane) => lane.begun.answered(number, answers, closes),
            None => answers,
        };
        for Answer { by: By { ack, sid, .. }, command, body, tracking } in ready {
            if let Some(tracking) = tracking {
                self.shared.receipts.follow(tracking);
            }
            let seat = self.links.get(key).and_then(|link| link.seat(ack.namespace()));
            if seat.is_none_or(|seat| seat.sid != sid) {
                continue;
            }
            match body {
                Ok(body) => self.send_answer(key, ack, text(&body)),
                Err(refusal) => self.answer_refused(key, ack, command, &refusal),
            }
        }
    }

    /// Follows the messages of a connection that is gone whose answers waited for their turn.
    pub(super) fn follow_unheard(&mut self, lane: Lane) {
        for tracking in lane.into_held().filter_map(|answer| answer.tracking) {
            self.shared.receipts.follow(tracking);
        }
    }

    /// Who reads a room, from the seat in the namespace of `ack`.
    ///
    /// # Errors
    /// Nobody sits there.
    pub(super) fn by(&mut self, key: ConnKey, ack: AckTo) -> Result<By, Refusal> {
        let seat = self.links.get(key).and_then(|link| link.seat(ack.namespace()));
        let by = seat.map(|seat| By { ack, sid: seat.sid, who: seat.who.clone() });
        by.ok_or_else(|| Refusal::new(Code::Unauthorized, "sign in first"))
    }
}

/// Whose commands the front runs.
#[derive(Clone, Copy)]
struct Place {
    shard: usize,
    key: ConnKey,
    /// The batch, among those of the connection's lane.
    number: u64,
    address: IpAddr,
    entrance: Entrance,
}

impl Place {
    fn teller(self, shared: &Shared, by: &By) -> Teller {
        Teller { inbox: shared.inboxes[self.shard].clone(), key: self.key, ack: by.ack, sid: by.sid }
    }

    fn caller(self, who: &Identity) -> Caller<'_> {
        let connection = Some((self.shard, self.key));
        Caller { who, connection, address: self.address, entrance: self.entrance }
    }
}

/// Works off the lanes of one turn.
///
/// What is done without waiting goes back in one letter for all; a lane that has to wait goes on in
/// a task of its own, so that it holds up its own client alone.
async fn work_off(shared: Arc<Shared>, lanes: Vec<(Place, VecDeque<Job>)>) {
    let mut done = Vec::with_capacity(lanes.len());
    let Some(shard) = lanes.first().map(|(place, _)| place.shard) else { return };
    for (place, jobs) in lanes {
        let mut lane = Box::pin(work_off_one(shared.clone(), place, jobs));
        match at_once(lane.as_mut()).await {
            Some(worked) => done.extend(worked),
            None => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let Some(worked) = lane.await {
                        shared.inboxes[shard].push(Mail::LanesDone(vec![worked]));
                    }
                });
            }
        }
    }
    shared.inboxes[shard].push(Mail::LanesDone(done));
}

/// Answers go to the shard before there are more bytes of them: it is the shard that knows what
/// still fits, and answers to one who is gone are freed.
const ANSWERS_BYTES: usize = 256 << 10;

/// Works off one connection's commands; before it has to wait it sends the answers it has. `None`
/// if the last was a question: then the shard goes on by its answer.
async fn work_off_one(shared: Arc<Shared>, place: Place, jobs: VecDeque<Job>) -> Option<Worked> {
    let (mut answers, mut bytes) = (Vec::new(), 0);
    let mut row = Row::default();
    for job in jobs {
        if let Job::Publish { by, said, remaining, terms } = job {
            row.begin(&shared, place, by, &said, (remaining, terms)).await;
            continue;
        }
        if !row.is_empty() {
            finish(&shared, place, &mut row, &mut answers).await;
        }
        if job.speaks() || bytes > ANSWERS_BYTES {
            send(&shared, place, &mut answers);
            bytes = 0;
        }
        // It answers for itself.
        let job = match job {
            Job::Handle(call) => {
                handled(&shared, call).await;
                continue;
            }
            job => job,
        };
        if let Job::Ask(mut asking) = job {
            let answer = Box::pin(answer(&shared, place, &mut asking)).await;
            shared.inboxes[place.shard].push(Mail::Asked(place.key, place.number, asking, answer));
            return None;
        }
        let mut doing = pin!(run(&shared, place, job));
        let answer = match at_once(doing.as_mut()).await {
            Some(answer) => answer,
            None => {
                send(&shared, place, &mut answers);
                doing.await
            }
        };
        bytes += answer.as_ref().map_or(0, Answer::bytes);
        answers.extend(answer);
    }
    let answers = row.finish_later(&shared, place, answers).await;
    Some(Worked { key: place.key, number: place.number, answers })
}

/// Waits for what was published in a row; answers that are there already do not wait with it.
async fn finish(shared: &Shared, place: Place, row: &mut Row, answers: &mut Vec<Answer>) {
    send(shared, place, answers);
    answers.extend(std::mem::take(row).answers().await);
}

fn send(shared: &Shared, place: Place, answers: &mut Vec<Answer>) {
    if !answers.is_empty() {
        let letter = Mail::Answers(place.key, place.number, std::mem::take(answers));
        shared.inboxes[place.shard].push(letter);
    }
}

/// What a future gives without waiting, if it does.
async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn run(shared: &Arc<Shared>, place: Place, job: Job) -> Option<Answer> {
    match job {
        Job::History { by, room, since, limit } => {
            let body = shared.history(&place.caller(&by.who), &room, since, limit).await;
            Some(Answer { by, command: "history", body, tracking: None })
        }
        Job::Presence { by, room, page } => {
            let may = |asker: Asker<'_>| shared.node.admit(asker, &room, Action::Presence).map(drop);
            let body = match shared.settle(&place.caller(&by.who), &room, Draft::default(), may).await {
                Ok(()) => Ok(presence::answer(shared, &by.who, &room, page).await),
                Err(refusal) => Err(refusal),
            };
            Some(Answer { by, command: "presence", body, tracking: None })
        }
        Job::Restore { by } => {
            let user = by.who.user_key()?;
            match shared.subscriptions.of(&user).await {
                Ok(kept) => {
                    shared.inboxes[place.shard].push(Mail::Restore(place.key, by.ack, by.sid, kept));
                    None
                }
                Err(refusal) => Some(Answer { by, command: "subscribe", body: Err(refusal), tracking: None }),
            }
        }
        Job::EndKept { by, room } => {
            let ended = match by.who.user_key() {
                Some(user) => shared.subscriptions.end(&user, &room).await,
                None => Ok(()),
            };
            let body = ended.map(|()| b"{\"ok\":true}".to_vec());
            Some(Answer { by, command: "unsubscribe", body, tracking: None })
        }
        Job::Welcome(client, auth, hello) => {
            welcomed(shared, *client, auth, *hello).await;
            None
        }
        Job::Command { by, said, client } => {
            command(shared, place, by, *said, *client).await;
            None
        }
        Job::Entered { connection, rooms, welcomes } => {
            entered(shared, *connection, rooms, welcomes).await;
            None
        }
        // A batch ends with the first and before the second; publishes are done in rows, and events before.
        Job::Ask(_) | Job::Later(_) | Job::Publish { .. } | Job::Handle(_) => None,
    }
}

/// Does a command of an app, answers it, and says what it has for this connection alone.
async fn command(shared: &Arc<Shared>, place: Place, by: By, said: SaidCommand, client: Client) {
    let connection = Connection::new(client, shared.clone(), place.address, place.entrance);
    let connection = Arc::new(connection);
    let peer: Arc<dyn tidings_app::Peer> = connection.clone();
    let caller = tidings_app::Caller { who: by.who.clone(), peer: Some(peer) };
    let mut body = shared.app_command(&said, caller).await;
    let command = shared.apps.find(&said.namespace, &said.name);
    if let (Err(refusal), Some(command), false) = (&body, command, by.ack.is_silent())
        && let Some(refused) = refused_as(command, refusal)
    {
        body = Ok(refused);
    }
    let command = command.map_or("command", |command| command.requires.name);
    send(shared, place, &mut vec![Answer { by, command, body, tracking: None }]);
    connection.say_later();
}

/// A client is in a namespace: it is taken into its own rooms, and apps are told that want to know.
async fn entered(shared: &Shared, connection: Connection, rooms: Vec<Room>, welcomes: bool) {
    for room in rooms {
        if let Err(refusal) = connection.enter(&room).await {
            tracing::debug!(%refusal, room = room.name(), "somebody's own room could not be joined");
        }
    }
    if welcomes {
        let (who, namespace) =
            (connection.client.identity().clone(), connection.client.namespace().to_owned());
        let connection = Arc::new(connection);
        let peer: Arc<dyn tidings_app::Peer> = connection.clone();
        shared.apps.connected(&namespace, tidings_app::Caller { who, peer: Some(peer) }).await;
        connection.say_later();
    }
}

async fn answer(shared: &Shared, place: Place, asking: &mut Asking) -> Result<Option<Answered>, Refusal> {
    let stored = asking.stored.take();
    let caller = place.caller(&asking.who);
    let Some(open) = &mut asking.open else {
        return shared.ask_connect(&caller, "/").await.map(|()| None);
    };
    // Nobody asks for what is taken up again.
    let maker = (!matches!(asking.kept, Kept::Restore(_))).then_some(&caller);
    match open.need {
        Need::History => shared.load_once_it_answers(maker, &open.room).await.map(|()| None),
        Need::Snapshot => {
            if shared.node.wants_loading(&open.room) {
                shared.load_once_it_answers(maker, &open.room).await?;
            }
            let caller = tidings_app::Caller::new(asking.who.clone());
            open.snapshot = Some(Box::new(shared.apps.join(&open.room, caller).await?));
            Ok(None)
        }
        Need::Page(epoch, after) => shared.read_behind(&open.room, epoch, after).await.map(|_| None),
        Need::StoredWith | Need::StoredBehind => match stored {
            Some(stored) => stored.done().await.map(|()| None),
            None => Ok(None),
        },
        Need::StoredWithout => {
            // It has left; what cannot be written now is written later, behind its back.
            if let Some(stored) = stored
                && let Err(refusal) = stored.done().await
            {
                tracing::debug!(%refusal, "that a room was left is not stored yet");
            }
            Ok(None)
        }
        Need::Keep => {
            if shared.node.wants_loading(&open.room) {
                shared.load_for(maker, &open.room).await?;
            }
            let heard = shared.node.hub().find(&open.room).and_then(|entry| entry.top());
            let none = || Refusal::new(Code::Forbidden, "only a user's subscriptions are kept");
            let user = asking.who.user_key().ok_or_else(none)?;
            shared.subscriptions.keep(&user, &open.room, heard).await.map(|()| None)
        }
        Need::Answer(action) => {
            let draft = Draft { event: &open.event, data: &open.data };
            shared.ask(&caller, &open.room, action, draft).await.map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidings_core::{Org, Payload};

    use super::*;
    use crate::durable::Said;

    fn publish(bytes: usize) -> Job {
        let sid = SocketId::try_from(b"aaaaaaaaaaaaaaaaaaaa".as_slice()).unwrap();
        let ack = AckTo::SocketIo { namespace: 0, id: None };
        let room = Room::new(&Org::default(), "lobby:a", 200).unwrap();
        let payload = Payload::json(vec![b'1'; bytes]);
        let (event, lane, key, skip) = ("e".into(), None, None, None);
        let said = Box::new(Said { room, event, payload, lane, key, batch: None, skip, ack: None });
        Job::Publish {
            by: By { ack, sid, who: Arc::new(Identity::anonymous()) },
            said,
            remaining: None,
            terms: None,
        }
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes_until_the_front_has_it() {
        let mut lane = Lane::default();
        assert!(!lane.is_full(&publish(2 * LANE_BYTES)), "a single one may be longer");
        lane.put(publish(LANE_BYTES - 10), false);
        assert!(!lane.is_full(&publish(10)) && lane.is_full(&publish(11)));
        assert_eq!(lane.batch().len(), 1);
        assert!(!lane.is_full(&publish(LANE_BYTES)));
    }

    /// The size of what a function returns.
    fn size<A, B, C, R>(_: impl Fn(A, B, C) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn what_a_lane_carries_while_it_is_worked_off_is_small() {
        // One is made for each connection that said something in a turn; with all that is rare in it, it
        // was 39,000 bytes, and making it cost more than what was done with it.
        let bytes = size(work_off_one);
        assert!(bytes <= 5_000, "{bytes} bytes");
    }
}
