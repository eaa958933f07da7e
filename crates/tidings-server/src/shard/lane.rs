//! Commands that need the front: one ordered, bounded lane per connection.

use std::collections::VecDeque;
use std::sync::Arc;

use tidings_core::{Code, ConnKey, Identity, Position, Refusal, Room};

use super::ShardLoop;
use super::command::AckTo;
use super::inbox::Mail;
use crate::client::{Call, Client, Emission};
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
    Welcome(Client, Option<String>, Box<Hello>),
    /// An event for the mounted handler.
    Handle(Call),
}

impl Job {
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

    /// Hands the commands that met in this turn to the front, one task per connection.
    pub(super) fn dispatch_lanes(&mut self) {
        while let Some(key) = self.laned.pop() {
            let Some(lane) = self.links.get(key).and_then(|link| link.lane.as_deref_mut()) else { continue };
            lane.busy = true;
            let jobs = std::mem::take(&mut lane.jobs);
            let (shared, shard) = (self.shared.clone(), self.shard.index());
            self.shared.front.spawn(async move {
                for job in jobs {
                    run(&shared, shard, key, job).await;
                }
                shared.inboxes[shard].push(Mail::LaneIdle(key));
            });
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
}

async fn run(shared: &Arc<Shared>, shard: usize, key: ConnKey, job: Job) {
    let (ack, body) = match job {
        Job::History { ack, who, room, since, limit } => {
            (ack, history::answer(&shared.node, &who, &room, since, limit))
        }
        Job::Presence { ack, room, page } => (ack, history::presence(shared, &room, page).await),
        Job::Welcome(client, auth, hello) => {
            if let Some(handler) = &shared.handler {
                handler.connected(client, auth, *hello).await;
            }
            return;
        }
        Job::Handle(call) => {
            if let Some(handler) = &shared.handler {
                handler.handle(call).await;
            }
            return;
        }
    };
    shared.inboxes[shard].push(Mail::Emit(key, Emission::Answer { ack, body }));
}
