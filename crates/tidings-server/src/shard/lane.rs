//! Commands that need the front: one ordered, bounded lane per connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tidings_core::{Code, ConnKey, Identity, Position, Refusal, Room};

use super::ShardLoop;
use super::command::{AckTo, text};
use super::inbox::Mail;
use crate::client::{Call, Client};
use crate::front::hello::Hello;
use crate::history;
use crate::shared::Shared;

/// Commands that may wait in one connection's lane.
const LANE: usize = 1_000;

/// One connection's commands for the front, in the order they were said.
#[derive(Default)]
pub(super) struct Lane {
    jobs: VecDeque<Job>,
    /// The front is at work for this connection.
    busy: bool,
}

/// A command for the front.
pub(crate) enum Job {
    /// Read a room's history.
    History { ack: AckTo, who: Arc<Identity>, room: Room, since: Option<Position>, limit: usize },
    /// See who is in a room.
    Presence { ack: AckTo, room: Room, page: usize },
    /// Tell the mounted handler of a client that joined.
    Welcome(Box<Client>, Option<String>, Box<Hello>),
    /// An event for the mounted handler.
    Handle(Box<Call>),
}

/// What the front answers to a command.
pub(crate) struct Answer {
    ack: AckTo,
    /// A finished JSON object.
    body: Result<Vec<u8>, Refusal>,
}

impl Job {
    /// Whether it may send to the client by itself, which must not overtake answers before it.
    fn speaks(&self) -> bool {
        matches!(self, Self::Welcome(..) | Self::Handle(..))
    }

    fn ack(&self) -> AckTo {
        match self {
            Self::History { ack, .. } | Self::Presence { ack, .. } => *ack,
            Self::Welcome(client, ..) => AckTo::SocketIo { namespace: client.namespace_index(), id: None },
            Self::Handle(call) => AckTo::SocketIo { namespace: call.client.namespace_index(), id: call.id },
        }
    }
}

impl ShardLoop {
    /// Puts a command into a connection's lane.
    pub(super) fn queue(&mut self, key: ConnKey, job: Job) {
        let Some(link) = self.links.get(key) else { return };
        let lane = link.lane.get_or_insert_default();
        if lane.jobs.len() >= LANE {
            let refusal = Refusal::new(Code::Unavailable, "too many commands are waiting");
            return self.answer_refused(key, job.ack(), "", &refusal);
        }
        if lane.jobs.is_empty() && !lane.busy {
            self.laned.push(key);
        }
        lane.jobs.push_back(job);
    }

    /// Hands the commands that met in this turn to the front, in one task for all connections.
    pub(super) fn dispatch_lanes(&mut self) {
        let mut lanes = Vec::new();
        for key in std::mem::take(&mut self.laned) {
            let Some(lane) = self.links.get(key).and_then(|link| link.lane.as_deref_mut()) else { continue };
            lane.busy = true;
            lanes.push((key, std::mem::take(&mut lane.jobs)));
        }
        if !lanes.is_empty() {
            self.shared.front.spawn(work_off(self.shared.clone(), self.shard.index(), lanes));
        }
    }

    /// The front is done with what it was given.
    pub(super) fn lane_idle(&mut self, key: ConnKey) {
        let Some(link) = self.links.get(key) else { return };
        match link.lane.as_deref_mut() {
            Some(lane) if !lane.jobs.is_empty() => {
                lane.busy = false;
                self.laned.push(key);
            }
            _ => link.lane = None,
        }
    }

    /// Sends what the front answered to one connection, in order.
    pub(super) fn answers(&mut self, key: ConnKey, answers: Vec<Answer>) {
        for Answer { ack, body } in answers {
            match body {
                Ok(body) => self.send_answer(key, ack, text(&body)),
                Err(refusal) => self.answer_refused(key, ack, "", &refusal),
            }
        }
    }
}

/// Works off the lanes of one turn.
///
/// What is done without waiting goes back in one letter for all; a lane that has to wait goes on in
/// a task of its own, so that it holds up its own client alone.
async fn work_off(shared: Arc<Shared>, shard: usize, lanes: Vec<(ConnKey, VecDeque<Job>)>) {
    let mut done = Vec::with_capacity(lanes.len());
    for (key, jobs) in lanes {
        let mut lane = Box::pin(work_off_one(shared.clone(), shard, key, jobs));
        match at_once(lane.as_mut()).await {
            Some(answers) => done.push((key, answers)),
            None => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let answers = lane.await;
                    shared.inboxes[shard].push(Mail::LanesDone(vec![(key, answers)]));
                });
            }
        }
    }
    shared.inboxes[shard].push(Mail::LanesDone(done));
}

/// Works off one connection's commands; before it has to wait it sends the answers it has.
async fn work_off_one(shared: Arc<Shared>, shard: usize, key: ConnKey, jobs: VecDeque<Job>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for job in jobs {
        if job.speaks() {
            send(&shared, shard, key, &mut answers);
        }
        let mut doing = pin!(run(&shared, job));
        let answer = match at_once(doing.as_mut()).await {
            Some(answer) => answer,
            None => {
                send(&shared, shard, key, &mut answers);
                doing.await
            }
        };
        answers.extend(answer);
    }
    answers
}

fn send(shared: &Shared, shard: usize, key: ConnKey, answers: &mut Vec<Answer>) {
    if !answers.is_empty() {
        shared.inboxes[shard].push(Mail::Answers(key, std::mem::take(answers)));
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

async fn run(shared: &Arc<Shared>, job: Job) -> Option<Answer> {
    match job {
        Job::History { ack, who, room, since, limit } => {
            Some(Answer { ack, body: history::answer(&shared.node, &who, &room, since, limit) })
        }
        Job::Presence { ack, room, page } => {
            Some(Answer { ack, body: history::presence(shared, &room, page).await })
        }
        Job::Welcome(client, auth, hello) => {
            if let Some(handler) = &shared.handler {
                handler.connected(*client, auth, *hello).await;
            }
            None
        }
        Job::Handle(call) => {
            if let Some(handler) = &shared.handler {
                handler.handle(*call).await;
            }
            None
        }
    }
}
