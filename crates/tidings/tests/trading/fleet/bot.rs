//! One bot: trades by its schedule, whatever the server does, and comes back when its connection ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, sleep_until};

use super::ROOM;
use super::chance::Chance;
use super::heard::Heard;
use super::line::{Line, Said};
use super::orders::{Order, cancelling, draw, placing};
use super::plan::Plan;
use super::report::Times;
use crate::bed::token;

/// Who is not let in, or is told to try again, does so after this.
const RETRY: Duration = Duration::from_millis(20);
/// With more open orders than that the oldest is cancelled.
const OPEN: usize = 20;

/// What all bots share.
pub(crate) struct Fleet {
    pub(crate) plan: Plan,
    pub(crate) addr: SocketAddr,
    pub(crate) start: Instant,
    /// Orders that are acknowledged or refused for good, and bots that have nothing left to say.
    pub(crate) settled: AtomicU64,
    pub(crate) idle: AtomicU64,
    pub(crate) changed: Notify,
    /// Where each bot's own room and the public one end, once the room has ended.
    pub(crate) ends: watch::Sender<Option<Arc<BTreeMap<String, u64>>>>,
}

/// What a bot waits for an answer to.
#[derive(Debug, Clone)]
enum Asked {
    Hear(String),
    Place(String),
    Cancel(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    ok: bool,
    order_id: Option<&'a str>,
    status: Option<&'a str>,
    #[serde(default)]
    duplicate: bool,
    error: Option<Fault>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fault {
    code: String,
    message: String,
    #[serde(default)]
    retryable: bool,
}

/// A bot, and in the end what it did and heard.
pub(crate) struct Bot {
    pub(crate) user: String,
    pub(crate) heard: Heard,
    /// By its own id.
    pub(crate) orders: BTreeMap<String, Order>,
    pub(crate) times: Times,
    fleet: Arc<Fleet>,
    number: u64,
    chance: Chance,
    /// How many it has placed.
    placed: u64,
    /// Open orders, and those that are being cancelled.
    open: BTreeSet<u64>,
    asked: BTreeMap<u64, Asked>,
    /// What has to be said again.
    again: Vec<Asked>,
    is_idle: bool,
}

impl Bot {
    pub(crate) fn new(fleet: Arc<Fleet>, number: u64, cash: i128) -> Self {
        Self {
            user: Plan::bot(number),
            heard: Heard { cash, ..Heard::default() },
            orders: BTreeMap::new(),
            times: Times::new(),
            fleet,
            number,
            chance: Chance::of(number + 1),
            placed: 0,
            open: BTreeSet::new(),
            asked: BTreeMap::new(),
            again: Vec::new(),
            is_idle: false,
        }
    }

    /// Trades until everything is said, answered and heard.
    pub(crate) async fn trade(mut self) -> Self {
        let token = token(&self.user, &serde_json::json!({}));
        loop {
            let Ok(line) = Line::open(self.fleet.addr, &token).await else {
                sleep(RETRY).await;
                continue;
            };
            // An error is the end of the connection, nothing else.
            if self.trade_on(line).await.is_ok() {
                return self;
            }
            self.times.lost += 1;
            self.again.extend(std::mem::take(&mut self.asked).into_values());
            self.again.retain(|asked| !matches!(asked, Asked::Hear(_)));
        }
    }

    async fn trade_on(&mut self, mut line: Line) -> io::Result<()> {
        for room in [format!("trade:{ROOM}"), format!("trade:{ROOM}:{}", self.user)] {
            self.hear(&mut line, room).await?;
        }
        for asked in std::mem::take(&mut self.again) {
            self.say(&mut line, asked).await?;
        }
        let mut ends = self.fleet.ends.subscribe();
        loop {
            while let Some((opcode, at)) = line.pop() {
                match opcode {
                    1 => self.take(line.text(&at)),
                    9 => line.pong(at).await?,
                    _ => return Err(io::ErrorKind::ConnectionReset.into()),
                }
            }
            self.rest();
            if self.is_over(ends.borrow().as_deref()) {
                return Ok(());
            }
            let (due, more) = (self.due(), self.placed < self.fleet.plan.orders_of(self.number));
            tokio::select! {
                () = sleep_until(due.into()), if more => self.place(&mut line, due).await?,
                () = sleep(RETRY), if !self.again.is_empty() => {
                    for asked in std::mem::take(&mut self.again) {
                        self.say(&mut line, asked).await?;
                    }
                }
                heard = line.more() => heard?,
                // Nobody is left to say when it ends: the test has failed.
                changed = ends.changed() => changed.map_err(io::Error::other)?,
            }
        }
    }

    fn due(&self) -> Instant {
        self.fleet.start + self.fleet.plan.due(self.number, self.placed)
    }

    /// Notes once that everything is said and answered.
    fn rest(&mut self) {
        let more = self.placed < self.fleet.plan.orders_of(self.number);
        if !self.is_idle && !more && self.asked.is_empty() && self.again.is_empty() {
            self.is_idle = true;
            self.fleet.idle.fetch_add(1, Ordering::SeqCst);
            self.fleet.changed.notify_waiters();
        }
    }

    fn is_over(&self, ends: Option<&BTreeMap<String, u64>>) -> bool {
        let at = |room: &str| self.heard.places.get(room).map_or(0, |place| place.offset);
        let reached = |ends: &BTreeMap<String, u64>| {
            let rooms = [format!("trade:{ROOM}"), format!("trade:{ROOM}:{}", self.user)];
            rooms.iter().all(|room| at(room) >= ends[room])
        };
        self.is_idle && ends.is_some_and(reached)
    }

    async fn hear(&mut self, line: &mut Line, room: String) -> io::Result<()> {
        let place = self.heard.places.get(&room).filter(|_| self.fleet.plan.since);
        let since = place.map_or(String::new(), |place| {
            let tag = place.tag.as_ref().map_or(String::new(), |tag| format!(",\"tag\":\"{tag}\""));
            format!(",\"since\":{{\"epoch\":\"{}\",\"offset\":{}{tag}}}", place.epoch, place.offset)
        });
        let id = line.command(&format!("\"type\":\"subscribe\",\"room\":\"{room}\"{since}}}")).await?;
        self.asked.insert(id, Asked::Hear(room));
        Ok(())
    }

    /// Places the next order; now and then twice, now and then with something else, now and then it breaks off behind it.
    async fn place(&mut self, line: &mut Line, due: Instant) -> io::Result<()> {
        let (market, rest) = draw(&mut self.chance, &self.heard.held);
        let client = format!("{}", self.placed);
        self.placed += 1;
        let (breaks, twice) = (self.chance.per_mille(self.fleet.plan.resets), self.chance.per_mille(20));
        let (sent, measured) = (Instant::now(), market && !twice && !breaks);
        let order = Order { rest, due, sent, measured, said: 0, placed: None, refused: None };
        self.orders.insert(client.clone(), order);
        self.say(line, Asked::Place(client.clone())).await?;
        if twice {
            self.say(line, Asked::Place(client)).await?;
        }
        if self.open.len() > OPEN || self.chance.per_mille(100) {
            self.cancel_oldest(line).await?;
        }
        if self.chance.per_mille(10) && self.placed > 1 {
            let known = self.chance.below(self.placed - 1).to_string();
            self.say(line, Asked::Place(known)).await?;
        }
        if breaks { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    async fn cancel_oldest(&mut self, line: &mut Line) -> io::Result<()> {
        let Some(number) = self.open.pop_first() else { return Ok(()) };
        self.say(line, Asked::Cancel(format!("o{number}"))).await
    }

    /// Says something, for the first time or again.
    async fn say(&mut self, line: &mut Line, asked: Asked) -> io::Result<()> {
        let text = match &asked {
            Asked::Place(client) => {
                let order = self.orders.get_mut(client).unwrap();
                order.said += 1;
                order.measured &= order.said == 1;
                self.times.said_again += u64::from(order.said > 1);
                // The control does as programs do that make a new id for each try.
                let is_new = order.said > 1 && !self.fleet.plan.same_id;
                let id = if is_new { format!("{client}/{}", order.said) } else { client.clone() };
                placing(ROOM, &id, &order.rest)
            }
            Asked::Cancel(order) => cancelling(ROOM, order),
            Asked::Hear(_) => return Ok(()),
        };
        // What is not sent is said again on the next connection.
        match line.command(&text).await {
            Ok(id) => drop(self.asked.insert(id, asked)),
            Err(error) => {
                self.again.push(asked);
                return Err(error);
            }
        }
        Ok(())
    }

    fn take(&mut self, text: &str) {
        let said: Said<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        match said.kind {
            "event" => {
                self.heard.event(&said, text, Instant::now());
                for order in std::mem::take(&mut self.heard.over) {
                    self.open.remove(&number(&order));
                }
            }
            "ack" => self.answered(&said, text),
            "gap" => self.heard.faults.push(format!("a gap: {text}")),
            "error" => self.heard.faults.push(format!("an error: {text}")),
            _ => {}
        }
    }

    fn answered(&mut self, said: &Said<'_>, text: &str) {
        let Some(asked) = said.id.and_then(|id| self.asked.remove(&id)) else {
            return self.heard.faults.push(format!("an answer to nothing: {text}"));
        };
        let answer: Answer<'_> = serde_json::from_str(text).unwrap();
        match (answer.error, asked) {
            (Some(fault), asked) if fault.retryable => {
                self.times.busy += 1;
                self.again.push(asked);
            }
            (None, Asked::Hear(room)) => self.heard.granted(&room, said),
            (Some(fault), Asked::Hear(room)) => {
                self.heard.faults.push(format!("{room} is not heard: {} {}", fault.code, fault.message));
            }
            (None, Asked::Place(client)) => {
                let filled = answer.status == Some("filled");
                self.is_placed(&client, answer.order_id.unwrap(), (filled, answer.duplicate));
            }
            (Some(fault), Asked::Place(client)) => self.is_refused(&client, fault),
            // What is filled or cancelled by now cannot be any more.
            (Some(_), Asked::Cancel(_)) => self.times.cancelled_late += 1,
            (None, Asked::Cancel(_)) => self.times.cancelled += u64::from(answer.ok),
        }
    }

    fn is_placed(&mut self, client: &str, id: &str, (filled, duplicate): (bool, bool)) {
        let now = Instant::now();
        let order = self.orders.get_mut(client).unwrap();
        self.times.duplicates += u64::from(duplicate);
        let known = order.placed.replace(id.to_owned());
        if known.as_deref().is_some_and(|known| known != id) {
            self.heard.faults.push(format!("{client} was {known:?}, and is {id}"));
        }
        if known.is_some() || order.refused.is_some() {
            return;
        }
        if !filled {
            self.open.insert(number(id));
        }
        if let Some(executed) =
            self.heard.executed.get(client).filter(|_| filled && order.measured && !duplicate)
        {
            self.times.executed(order.due, order.sent, *executed);
        }
        self.times.answered(now - order.sent, order.measured);
        self.settle();
    }

    fn is_refused(&mut self, client: &str, fault: Fault) {
        let order = self.orders.get_mut(client).unwrap();
        let code = fault.message.split([':', ' ']).next().unwrap_or_default().to_owned();
        *self.times.refused.entry(code).or_default() += 1;
        if order.placed.is_none() && order.refused.replace(fault.code).is_none() {
            self.settle();
        }
    }

    fn settle(&self) {
        self.fleet.settled.fetch_add(1, Ordering::SeqCst);
        self.fleet.changed.notify_waiters();
    }
}

/// The number in the room's id of an order.
pub(crate) fn number(order: &str) -> u64 {
    order.trim_start_matches('o').parse().unwrap()
}
