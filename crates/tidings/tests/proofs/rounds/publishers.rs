//! Those who publish all the time, each message under a key, until it is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tidings_testkit::client::{Heard, PlainClient};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Run;
use super::plan::Plan;
use crate::bed::Publisher;

const PUBLISHERS: u64 = 8;
/// Who is not let in, or refused for now, tries again after so long.
const RETRY: Duration = Duration::from_millis(50);

/// All publishers of a run.
pub(crate) struct Publishers {
    tasks: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Counts {
    acked: AtomicU64,
    changed: Notify,
}

impl Publishers {
    pub(crate) fn start(run: &Run) -> Self {
        let (counts, stop) = (Arc::new(Counts::default()), watch::Sender::new(false));
        let task = |number| tokio::spawn(publish(run.clone(), number, counts.clone(), stop.subscribe()));
        let tasks = (0..PUBLISHERS).map(task).collect();
        Self { tasks, counts, stop }
    }

    /// Waits until so many more messages are acknowledged.
    pub(crate) async fn more(&self, messages: u64) {
        let until = self.counts.acked.load(Ordering::SeqCst) + messages;
        loop {
            let changed = self.counts.changed.notified();
            if self.counts.acked.load(Ordering::SeqCst) >= until {
                return;
            }
            changed.await;
        }
    }

    /// Ends; everything that was published is acknowledged then.
    pub(crate) async fn finish(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// One publisher: its messages go round the rooms.
async fn publish(run: Run, number: u64, counts: Arc<Counts>, stop: watch::Receiver<bool>) {
    let mut rooms: Vec<Publisher> = {
        let mut history = run.history.lock().unwrap();
        (0..run.plan.rooms).map(|room| Publisher::new(&mut history, &Plan::room(room), true)).collect()
    };
    let mut ticks = interval(
        Duration::from_millis(1_000 * PUBLISHERS / run.plan.rate.max(1)).max(Duration::from_millis(1)),
    );
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = 0;
    // Messages whose answer has not come, by room.
    let mut open: Vec<(usize, u64)> = Vec::new();
    loop {
        let Ok(mut client) = PlainClient::sign_in(run.addr, None).await else {
            sleep(RETRY).await;
            continue;
        };
        let mut again = std::mem::take(&mut open);
        rooms.iter_mut().for_each(|room| room.open.clear());
        loop {
            // What was refused or not answered goes first.
            while let Some((room, message)) = again.pop() {
                open.push((room, message));
                if !say(&run, &mut rooms[room], &mut client, message).await {
                    break;
                }
            }
            if *stop.borrow() && open.is_empty() && again.is_empty() {
                return;
            }
            tokio::select! {
                heard = client.next_heard() => {
                    if matches!(heard, Heard::Closed(_)) {
                        open.append(&mut again);
                        break;
                    }
                    let Some((room, message, refused)) = take(&run, &mut rooms, &heard) else { continue };
                    open.retain(|one| *one != (room, message));
                    if refused {
                        again.push((room, message));
                        sleep(RETRY).await;
                    } else {
                        counts.acked.fetch_add(1, Ordering::SeqCst);
                        counts.changed.notify_waiters();
                    }
                }
                _ = ticks.tick(), if !*stop.borrow() => {
                    next += 1;
                    let room = ((next * PUBLISHERS + number) % run.plan.rooms) as usize;
                    again.push((room, number * 1_000_000_000 + next));
                }
            }
        }
    }
}

async fn say(run: &Run, publisher: &mut Publisher, client: &mut PlainClient, message: u64) -> bool {
    run.history.lock().unwrap().publishing(publisher.id, message);
    let key = message.to_string();
    let body = tidings_testkit::client::publishing(&publisher.room, json!(message), Some(&key));
    match client.command(body).await {
        Ok(command) => publisher.open.insert(command, message).is_none(),
        Err(_) => false,
    }
}

/// The message an answer is about, and whether it was refused for now.
fn take(run: &Run, rooms: &mut [Publisher], heard: &Heard) -> Option<(usize, u64, bool)> {
    let Heard::Ack { id, .. } = heard else { return None };
    let room = rooms.iter().position(|room| room.open.contains_key(id))?;
    let (message, answer) = rooms[room].take(heard, &mut run.history.lock().unwrap())?;
    if let Err(refusal) = &answer {
        assert_eq!(refusal["retryable"], true, "{refusal}");
    }
    Some((room, message, answer.is_err()))
}
