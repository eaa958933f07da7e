//! A subscriber that comes back with its position, and whose hearing goes into a history.

use std::io;

use serde_json::json;

use super::{Heard, PlainClient, Position};
use crate::history::{ClientId, History, RoomId};

/// One client's subscription to one room, over as many connections as it takes.
#[derive(Debug)]
pub struct Follower {
    client: ClientId,
    room: RoomId,
    name: String,
    position: Option<Position>,
    subscribing: Option<u64>,
    /// The epoch of the newest answer to a subscription.
    epoch: String,
    /// Everything missed has come.
    caught_up: bool,
}

impl Follower {
    /// A client that has heard nothing yet.
    pub fn new(history: &mut History, tenant: &str, room: &str) -> Self {
        let (client, id) = (history.client(tenant), history.room(tenant, room));
        let (name, epoch) = (room.into(), String::new());
        Self { client, room: id, name, position: None, subscribing: None, epoch, caught_up: false }
    }

    /// The room in the history.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// The client in the history.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Where it is.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Whether it has subscribed, or taken up its subscription, and heard all that it missed.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// Subscribes, with its position if it has one.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn subscribe(&mut self, client: &mut PlainClient) -> io::Result<()> {
        let mut body = json!({"type": "subscribe", "room": self.name});
        if let Some(position) = &self.position {
            body["since"] = position.since();
        }
        self.caught_up = false;
        self.subscribing = Some(client.command(body).await?);
        Ok(())
    }

    /// Forgets where it is, as clients do that keep no position.
    pub fn forget(&mut self) {
        self.position = None;
    }

    /// Takes in what was heard; `false` if it was not for this subscription.
    ///
    /// # Panics
    /// If the subscription was refused for good: no test goes on after that.
    pub fn take(&mut self, heard: &Heard, history: &mut History) -> bool {
        match heard {
            Heard::Ack { id, body } if Some(*id) == self.subscribing => {
                assert_eq!(body["ok"], true, "{body}");
                self.granted(Position::of(body), body["recovered"].as_bool(), history);
            }
            Heard::Event { room, position, body } if *room == self.name => {
                let id = body["data"].as_u64().or_else(|| body["data"]["n"].as_u64());
                let Some(id) = id else { return true };
                history.received(self.client, self.room, id, position.as_ref().map(Position::at));
                if position.is_some() {
                    self.position = position.clone();
                }
            }
            Heard::Other(body) if body["room"] == self.name.as_str() => match body["type"].as_str() {
                Some("gap") => self.gap(body, history),
                Some("resumed") => self.caught_up = true,
                _ => {}
            },
            _ => return false,
        }
        true
    }

    /// The answer to its subscription: at first a place to begin at, later whether it goes on.
    fn granted(&mut self, at: Option<Position>, recovered: Option<bool>, history: &mut History) {
        self.epoch = at.as_ref().map(|at| at.epoch.clone()).unwrap_or_default();
        match (&self.position, recovered) {
            (Some(_), Some(true)) => history.resumed(self.client, self.room),
            // The gap is told next.
            (Some(_), _) => {}
            (None, _) => {
                if let Some(at) = &at {
                    history.subscribed(self.client, self.room, at.at());
                }
                self.position = at;
                self.caught_up = true;
            }
        }
    }

    /// Goes on behind a gap, in the epoch that the answer before it named.
    fn gap(&mut self, body: &serde_json::Value, history: &mut History) {
        let here =
            self.position.as_ref().filter(|here| here.epoch == self.epoch).map_or(0, |here| here.offset);
        let from = body["from"].as_u64().unwrap_or(here + 1);
        let resume = body["resumeAt"].as_u64().map(|first| first.saturating_sub(1));
        let to = body["to"].as_u64().or(resume).unwrap_or(from.saturating_sub(1));
        let position = Position { epoch: self.epoch.clone(), offset: to, tag: None };
        history.gap(self.client, self.room, position.at().epoch, from, to);
        self.position = Some(position);
    }
}
