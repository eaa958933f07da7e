//! A node of two shards whose mail is kept, and what the tests say to it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "every test uses its part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_core::frame::{Dialect, Form, Namespaces};
use tidings_core::hub::Audience;
use tidings_core::{
    Hub, Identity, Keep, Kinds, Lane, Node, Org, Payload, Post, Publication, Publish, QueueLimits, Room,
    RoomSpec, Rule, Shard,
};

pub const HOUR_MS: u64 = 3_600_000;
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// A mailbox that keeps what it is given, up to a bound.
#[derive(Clone)]
pub struct Kept {
    pub mail: Arc<Mutex<Vec<Arc<Publication>>>>,
    most: usize,
}

impl Kept {
    pub fn endless() -> Self {
        Self::of(usize::MAX)
    }

    /// One that takes so many at most.
    pub fn of(most: usize) -> Self {
        Self { mail: Arc::default(), most }
    }
}

impl Post for Kept {
    fn deliver(&self, publication: Arc<Publication>) -> bool {
        let mut mail = self.mail.lock().unwrap();
        let fits = mail.len() < self.most;
        if fits {
            mail.push(publication);
        }
        fits
    }

    fn announce(&self, publication: Arc<Publication>, _audience: Audience) -> bool {
        self.deliver(publication)
    }
}

pub fn spec(keep: Keep) -> RoomSpec {
    RoomSpec {
        subscribe: Rule::Anyone,
        publish: Rule::Anyone,
        history: Rule::Anyone,
        presence: Rule::Anyone,
        roll: tidings_core::Roll::Off,
        keep,
        lane: Lane::Normal,
        members: None,
        message_bytes: None,
        publish_rate: None,
        pacing: None,
        diff: None,
    }
}

pub fn recent(size: usize) -> Keep {
    Keep::Recent { size, ttl: Duration::from_secs(3_600), bytes: usize::MAX }
}

/// A node with `vol` and `rec` rooms, and `two` for at most two members; and its mailboxes.
pub fn node() -> (Node, Vec<Kept>) {
    node_with_mailboxes(usize::MAX)
}

pub fn node_with_mailboxes(most: usize) -> (Node, Vec<Kept>) {
    let boxes: Vec<Kept> = (0..2).map(|_| Kept { mail: Arc::default(), most }).collect();
    let posts = boxes.iter().map(|mailbox| Box::new(mailbox.clone()) as Box<dyn Post>).collect();
    let mut kinds = Kinds::default();
    kinds.declare("vol", spec(Keep::Nothing));
    kinds.declare("rec", spec(recent(100)));
    kinds.declare("two", RoomSpec { members: Some(2), ..spec(Keep::Nothing) });
    let asked = RoomSpec { subscribe: Rule::Ask, publish: Rule::Ask, ..spec(Keep::Nothing) };
    kinds.declare("ask", RoomSpec { history: Rule::Ask, presence: Rule::Nobody, ..asked });
    kinds.declare("small", RoomSpec { message_bytes: Some(8), ..spec(Keep::Nothing) });
    (Node::new(Hub::new(posts), kinds, 5), boxes)
}

pub fn shard(index: usize) -> Shard {
    Shard::new(index, Arc::new(Namespaces::new(["/adm"])), QueueLimits::default())
}

pub fn room(name: &str) -> Room {
    Room::new(&Org::default(), name, 200).unwrap()
}

pub fn anyone() -> Identity {
    Identity::anonymous()
}

pub fn plain() -> Form {
    Form { dialect: Dialect::Plain, namespace: 0, offset: false, place: false, deflate: 0, text_only: false }
}

/// An event with little in it.
pub fn event<'a>(name: &str, event: &'a str) -> Publish<'a> {
    Publish::new(room(name), event, Payload::json("1"))
}
