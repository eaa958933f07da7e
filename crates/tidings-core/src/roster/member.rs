use std::sync::Arc;

use compact_str::CompactString;

use super::{Device, Info};
use crate::user::UserKey;

/// Whether somebody is at their device. Who is offline is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// At one device at least.
    Online,
    /// Connected, and at none.
    Away,
}

impl Status {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
        }
    }
}

/// What a user wants others to see, whatever its devices say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// This status.
    Status(Status),
    /// Nothing.
    Invisible,
}

/// What a user has set for itself; holds in every place it is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What others are to see, and until when, by the roster's clock.
    pub shown: Option<(Wish, u64)>,
    /// What it says of itself.
    pub info: Option<Info>,
}

impl Wishes {
    /// When the first of them is over; `u64::MAX`: never.
    pub fn over_ms(&self) -> u64 {
        self.shown.map_or(u64::MAX, |(_, until_ms)| until_ms)
    }

    /// Whether others are to see nothing.
    pub fn is_invisible(&self) -> bool {
        matches!(self.shown, Some((Wish::Invisible, _)))
    }

    /// Drops what is over.
    pub fn expire(&mut self, now_ms: u64) {
        if self.over_ms() <= now_ms {
            self.shown = None;
        }
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.shown.is_none() && self.info.is_none()
    }
}

/// A member as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The user.
    pub user: UserKey,
    /// Its display name, if its token has one.
    pub name: Option<CompactString>,
    /// Its status, over all devices.
    pub status: Status,
    /// Its connections.
    pub devices: usize,
    /// When it last came, said something or lost a connection, by the roster's clock.
    pub seen_ms: u64,
    /// What it says of itself.
    pub info: Option<Info>,
}

impl Seen {
    /// The same user seen in two places: at a device if it is in one of them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let at_one = self.status == Status::Online || other.status == Status::Online;
        Self {
            status: if at_one { Status::Online } else { Status::Away },
            devices: self.devices.max(other.devices),
            seen_ms: self.seen_ms.max(other.seen_ms),
            ..self
        }
    }

    /// Whether nothing is different that one would be told of; being seen later is not.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        let same_info = match (&self.info, &other.info) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two) || one == two,
            (one, two) => one.is_none() && two.is_none(),
        };
        same_info && self.name == other.name && self.status == other.status && self.devices == other.devices
    }
}

/// A device that is not lost is held for ever.
pub(super) const HERE: u64 = u64::MAX;

/// One device of a member.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) device: Device,
    pub(super) idle: bool,
    /// When it is forgotten; [`HERE`] while it is connected.
    pub(super) until_ms: u64,
}

/// A user in one place.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) name: Option<CompactString>,
    pub(super) devices: Vec<Held>,
    pub(super) wishes: Wishes,
    pub(super) seen_ms: u64,
}

impl Member {
    pub(super) fn held(&mut self, device: Device) -> Option<&mut Held> {
        self.devices.iter_mut().find(|held| held.device == device)
    }

    /// Takes out a device that is lost, the one that would be forgotten first.
    pub(super) fn take_lost(&mut self) -> Option<Device> {
        let lost = self.devices.iter().enumerate().filter(|(_, held)| held.until_ms != HERE);
        let (at, _) = lost.min_by_key(|(_, held)| held.until_ms)?;
        Some(self.devices.swap_remove(at).device)
    }

    pub(super) fn is_invisible(&self) -> bool {
        self.wishes.is_invisible()
    }

    /// When something of it is over by the clock.
    pub(super) fn due_ms(&self) -> u64 {
        let devices = self.devices.iter().map(|held| held.until_ms).min().unwrap_or(HERE);
        devices.min(self.wishes.over_ms())
    }

    /// Ends what is over, and says which devices are forgotten.
    pub(super) fn expire(&mut self, now_ms: u64) -> Vec<Device> {
        self.wishes.expire(now_ms);
        let gone = self.devices.iter().filter(|held| held.until_ms <= now_ms);
        let gone = gone.map(|held| held.device).collect();
        self.devices.retain(|held| held.until_ms > now_ms);
        gone
    }

    /// As others see it; `None` if it is invisible.
    pub(super) fn shown(&self, user: &UserKey) -> Option<Seen> {
        (!self.is_invisible()).then(|| self.seen(user))
    }

    /// As it sees itself.
    pub(super) fn seen(&self, user: &UserKey) -> Seen {
        Seen {
            user: user.clone(),
            name: self.name.clone(),
            status: self.status(),
            devices: self.devices.len(),
            seen_ms: self.seen_ms,
            info: self.wishes.info.clone(),
        }
    }

    fn status(&self) -> Status {
        if let Some((Wish::Status(status), _)) = self.wishes.shown {
            return status;
        }
        let at_one = self.devices.iter().any(|held| !held.idle);
        if at_one { Status::Online } else { Status::Away }
    }
}
