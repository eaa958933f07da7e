//! Plain clients that come back with their positions.

use std::time::{Duration, Instant};

use tidings_testkit::client::{Follower, Heard, PlainClient};
use tidings_testkit::history::History;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Run;
use super::plan::Plan;
use crate::bed::ORG;

/// Who is not let in tries again after so long.
const RETRY: Duration = Duration::from_millis(100);

/// All plain clients of a run.
pub(crate) struct Crowd {
    members: Vec<JoinHandle<()>>,
    /// Somebody has taken up its subscription.
    back: mpsc::UnboundedReceiver<()>,
    /// Where each room ends, once it is quiet.
    ends: watch::Sender<Option<Vec<u64>>>,
}

impl Crowd {
    /// Has all of them subscribe.
    pub(crate) async fn enter(run: &Run) -> Self {
        let (tell, back) = mpsc::unbounded_channel();
        let ends = watch::Sender::new(None);
        let member = |number: u64| tokio::spawn(member(run.clone(), number, tell.clone(), ends.subscribe()));
        let members = (0..run.plan.plain).map(member).collect();
        let mut crowd = Self { members, back, ends };
        crowd.back().await;
        crowd
    }

    /// Waits until everybody is back, and says after how long each was.
    pub(crate) async fn back(&mut self) -> Vec<Duration> {
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < self.members.len() {
            self.back.recv().await.expect("a client has failed");
            times.push(start.elapsed());
        }
        times
    }

    /// Waits until everybody has heard the last message of its room.
    pub(crate) async fn finish(self, tops: &[Option<(u64, u64)>]) {
        self.ends.send_replace(Some(tops.iter().map(|top| top.map_or(0, |(offset, _)| offset)).collect()));
        for member in self.members {
            member.await.unwrap();
        }
    }
}

/// One client: listens, and comes back as often as it has to, until its room has ended.
async fn member(
    run: Run,
    number: u64,
    back: mpsc::UnboundedSender<()>,
    mut ends: watch::Receiver<Option<Vec<u64>>>,
) {
    let room = number % run.plan.rooms;
    let mut follower = Follower::new(&mut run.history.lock().unwrap(), ORG, &Plan::room(room));
    loop {
        let Ok(mut client) = PlainClient::sign_in(run.addr, None).await else {
            sleep(RETRY).await;
            continue;
        };
        if !run.plan.since && follower.position().is_some() {
            // Something is said while it is away.
            sleep(10 * RETRY).await;
            follower.forget();
        }
        if follower.subscribe(&mut client).await.is_err() {
            continue;
        }
        let mut told = false;
        loop {
            let end = ends.borrow().as_ref().map(|ends| ends[room as usize]);
            let at = follower.position().map(|position| position.offset);
            if end.is_some_and(|end| follower.is_caught_up() && at.is_some_and(|at| at >= end)) {
                return;
            }
            let heard = tokio::select! {
                heard = client.next_heard() => heard,
                _ = ends.changed() => continue,
            };
            if matches!(heard, Heard::Closed(_)) {
                break;
            }
            follower.take(&heard, &mut run.history.lock().unwrap());
            if follower.is_caught_up() && !told {
                told = true;
                // The run may be over.
                let _ = back.send(());
            }
        }
    }
}

/// Says where each room ended for everybody who is in it.
pub(crate) fn end(history: &mut History, run: &Run, tops: &[Option<(u64, u64)>]) {
    for room in 0..run.plan.rooms {
        let id = history.room(ORG, &Plan::room(room));
        let end = history.top_acked(id).expect("something was acknowledged in each room");
        assert_eq!(
            tops[room as usize].map(|(offset, _)| offset),
            Some(end.offset),
            "more is stored than was acknowledged"
        );
        history.ended_for_all(id, end);
    }
}
