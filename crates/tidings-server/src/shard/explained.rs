//! What the flight recorder is told by a shard's loop, and what it answers of a user's connections.

use tidings_core::recorder::{Fate, Noted, Story, What};
use tidings_core::{ConnKey, Identity, Position, Refusal, Room, UserKey};

use super::ShardLoop;
use super::link::Seat;
use crate::ids::id_text;

/// Connections of one user that a shard answers for, the newest first.
const CONNECTIONS: usize = 64;

/// Moments of a user that a shard answers, the newest first.
const MOMENTS: usize = 200;

/// What is asked of a shard.
pub(crate) struct Inquiry {
    /// Whose connections.
    pub(crate) user: UserKey,
    /// The message, if it is about one.
    pub(crate) about: Option<Noted>,
}

/// What a shard answers.
#[derive(Default)]
pub(crate) struct Told {
    /// What became of the message for each connection.
    pub(crate) connections: Vec<Connection>,
    /// What happened to them, the newest first; if it is not about a message.
    pub(crate) moments: Vec<Moment>,
    /// Connections that have ended since the message may be forgotten.
    pub(crate) is_incomplete: bool,
}

/// What is told of one connection.
pub(crate) struct Connection {
    /// What the client knows it by.
    pub(crate) name: String,
    /// What became of the message, by subscription.
    pub(crate) fates: Vec<Fate>,
    /// Since when it was in the room, and when it left, in milliseconds since 1970.
    pub(crate) joined_ms: Option<u64>,
    pub(crate) left_ms: Option<u64>,
    /// When it ended, why, and whether its session was kept.
    pub(crate) closed: Option<(u64, &'static str, bool)>,
}

/// Something that happened to a connection.
pub(crate) struct Moment {
    /// In milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The room, if it is about one.
    pub(crate) room: Option<String>,
    /// What.
    pub(crate) what: What,
}

impl ShardLoop {
    /// Notes that a connection has ended for whoever sat on it.
    pub(super) fn note_closed(&mut self, key: ConnKey, seat: &Seat, reason: &'static str, is_parked: bool) {
        if let Some(user) = seat.who.user_key() {
            self.shard.note_closed(key, user, id_text(&seat.sid), reason, is_parked);
        }
    }

    /// Notes that a session goes on, and what is sent of what it missed, from where to where in each room.
    pub(super) fn note_resumed(
        &mut self,
        key: ConnKey,
        namespace: u8,
        who: &Identity,
        missed: Vec<(Room, (Position, Position))>,
    ) {
        let Some(user) = who.user_key().filter(|_| self.shard.trace().is_some()) else { return };
        self.shard.note(key, None, What::Resumed(user));
        for (room, span) in missed {
            self.shard.note_span(key, &room, namespace, span);
        }
    }

    /// Notes that a publish was refused.
    pub(super) fn note_refused(&mut self, key: ConnKey, command: &str, refusal: &Refusal) {
        self.shared.admin.refused.count(refusal.code);
        if command == "publish" {
            self.shard.note(key, None, What::Refused { code: refusal.code.as_str(), count: 1 });
        }
    }

    /// What is known of a user's connections on this shard.
    pub(super) fn explained(&mut self, inquiry: &Inquiry) -> Told {
        let Some(trace) = self.shard.trace() else { return Told::default() };
        let is_incomplete = inquiry.about.as_ref().is_some_and(|noted| trace.has_forgotten(noted.moment));
        let mut stories = self.stories_here(inquiry);
        let ended: Vec<_> = trace.notes().rev().filter_map(|note| ended(note, inquiry)).collect();
        for (key, name) in ended {
            if stories.len() >= CONNECTIONS {
                break;
            }
            if !stories.iter().any(|(_, story)| story.at.1 == key) {
                stories.push((name, Story::of_the_past((self.shard.index(), key))));
            }
        }
        let room = inquiry.about.as_ref().map(|noted| &noted.room);
        for note in trace.notes() {
            let concerns = note.room.is_none() || room.is_none() || note.room.as_ref() == room;
            let own = stories.iter_mut().find(|(_, story)| story.at.1 == note.key);
            if let Some((_, story)) = own.filter(|_| concerns) {
                story.add(note);
            }
        }
        let moments = if room.is_none() { self.moments(&stories) } else { Vec::new() };
        let connections = inquiry.about.iter().flat_map(|noted| {
            let tell = |(name, story): &mut (String, Story)| {
                story.is_incomplete = is_incomplete;
                self.connection(std::mem::take(name), story, noted)
            };
            stories.iter_mut().map(tell).collect::<Vec<_>>()
        });
        Told { connections: connections.collect(), moments, is_incomplete }
    }

    /// The user's connections that are open.
    fn stories_here(&self, inquiry: &Inquiry) -> Vec<(String, Story)> {
        let room = inquiry.about.as_ref().map(|noted| &noted.room);
        let mut stories = Vec::new();
        for (key, seat) in self.links.seats_of(&inquiry.user).take(CONNECTIONS) {
            if stories.iter().any(|(_, story): &(String, Story)| story.at.1 == key) {
                continue;
            }
            let story = match room {
                Some(room) => self.shard.story(key, room),
                None => Some(Story::of_the_past((self.shard.index(), key))),
            };
            stories.extend(story.map(|story| (id_text(&seat.sid).to_owned(), story)));
        }
        stories
    }

    fn connection(&self, name: String, story: &Story, noted: &Noted) -> Connection {
        let closed =
            story.closed.map(|closed| (self.shared.wall_of(closed.at.1), closed.reason, closed.is_parked));
        let last = story.memberships.last();
        Connection {
            name,
            fates: story.fates(noted),
            joined_ms: last.map(|membership| self.shared.wall_of(membership.joined.1)),
            left_ms: last
                .and_then(|membership| membership.left)
                .map(|(_, left_ms)| self.shared.wall_of(left_ms)),
            closed,
        }
    }

    fn moments(&self, stories: &[(String, Story)]) -> Vec<Moment> {
        let mut notes: Vec<_> = stories.iter().flat_map(|(_, story)| &story.notes).collect();
        notes.sort_by_key(|note| std::cmp::Reverse(note.moment));
        notes.truncate(MOMENTS);
        let told = notes.into_iter().map(|note| Moment {
            at_ms: self.shared.wall_of(note.at_ms),
            room: note.room.as_ref().map(|room| room.name().to_owned()),
            what: note.what.clone(),
        });
        told.collect()
    }
}

/// The connection of the user that ended, if a note says so.
fn ended(note: &tidings_core::recorder::Note, inquiry: &Inquiry) -> Option<(ConnKey, String)> {
    match &note.what {
        What::Closed { user, name, .. } if *user == inquiry.user => Some((note.key, name.to_string())),
        _ => None,
    }
}
