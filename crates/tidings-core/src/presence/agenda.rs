use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use crate::lock;
use crate::room::{Org, Room};
use crate::user::UserKey;

/// A place that is to be looked at.
#[derive(Debug)]
pub(super) enum Due {
    Room(Room),
    /// Everybody of an organisation in a namespace.
    Crowd(Org, u8),
    /// A user whose wish to be seen by nobody ends.
    User(UserKey),
}

/// Where a place stands in the agenda: when it is due, and a number that tells two of one time apart.
pub(super) type Spot = (u64, u64);

/// Which places are to be looked at when, each once at most.
#[derive(Default)]
pub(super) struct Agenda {
    dues: Mutex<Dues>,
    alarm: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Dues {
    by_time: BTreeMap<Spot, Due>,
    /// How often something was put in.
    put: u64,
}

impl Agenda {
    pub(super) fn on_alarm(&self, wake: Box<dyn Fn() + Send + Sync>) {
        // Who sets a second one is not heard: there is one task that looks.
        let _ = self.alarm.set(wake);
    }

    /// Moves what stands at `spot` to an earlier time, or out if it is never wanted.
    ///
    /// For a later time it stays: whoever looks too early puts it where it belongs then.
    pub(super) fn sort(&self, spot: &mut Option<Spot>, at_ms: u64, due: impl FnOnce() -> Due) {
        let is_never = at_ms == u64::MAX;
        if spot.map_or(is_never, |(held_ms, _)| held_ms <= at_ms && !is_never) {
            return;
        }
        let is_first = {
            let mut dues = lock(&self.dues);
            if let Some(old) = spot.take() {
                dues.by_time.remove(&old);
            }
            if is_never {
                return;
            }
            dues.put += 1;
            let key = (at_ms, dues.put);
            dues.by_time.insert(key, due());
            *spot = Some(key);
            dues.by_time.first_key_value().is_some_and(|(first, _)| *first == key)
        };
        if is_first && let Some(wake) = self.alarm.get() {
            wake();
        }
    }

    pub(super) fn next_ms(&self) -> u64 {
        lock(&self.dues).by_time.first_key_value().map_or(u64::MAX, |((at_ms, _), _)| *at_ms)
    }

    /// Takes what is due by now, and where it stood.
    pub(super) fn take(&self, now_ms: u64) -> Option<(Spot, Due)> {
        let mut dues = lock(&self.dues);
        let first = dues.by_time.first_entry().filter(|first| first.key().0 <= now_ms)?;
        Some(first.remove_entry())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.dues).by_time.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::access::Identity;
    use crate::presence::{Change, Presence, Times};
    use crate::room::{Org, Roll, Room};
    use crate::roster::{Device, Status, Wish};
    use crate::shard::ConnKey;
    use crate::user::UserKey;

    const ROLL: Roll = Roll::Members { full: 100, deltas: 1_000 };
    const ROOMS: usize = 3;

    #[derive(Debug, Clone)]
    enum Deed {
        Come(usize, usize),
        Go(usize, usize, bool),
        Wish(usize, u64),
        Look(u64),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            3 => (0..4_usize, 0..ROOMS).prop_map(|(who, room)| Deed::Come(who, room)),
            3 => (0..4_usize, 0..ROOMS, any::<bool>()).prop_map(|(who, room, lost)| Deed::Go(who, room, lost)),
            1 => (0..4_usize, 1..100_000_u64).prop_map(|(who, for_ms)| Deed::Wish(who, for_ms)),
            2 => (0..3_000_u64).prop_map(Deed::Look),
        ]
    }

    fn who(id: usize) -> Identity {
        Identity { user: Some(id.to_string().into()), ..Identity::anonymous() }
    }

    fn room(at: usize) -> Room {
        Room::new(&Org::default(), &format!("chat:{at}"), 200).unwrap()
    }

    /// A user has one connection in each room; room 0 stands for its whole namespace too.
    fn act(presence: &Presence, deed: &Deed, now_ms: u64) {
        let device = |id: usize| Device::new(0, ConnKey { slot: id as u32, generation: 1 }, 0);
        match *deed {
            Deed::Come(id, at) => {
                presence.join(&who(id), &room(at), ROLL, device(id), now_ms);
                if at == 0 {
                    presence.seated(&who(id), 0, device(id), now_ms);
                }
            }
            Deed::Go(id, at, lost) => {
                presence.leave(&room(at), device(id), lost, now_ms);
                if at == 0 {
                    presence.unseated(&who(id), 0, device(id), now_ms);
                }
            }
            Deed::Wish(id, for_ms) => {
                let shown = Some(Some(Wish::Status(Status::Away)));
                let change = Change { shown, for_ms: Some(for_ms), ..Change::default() };
                presence.set(&UserKey::new(&Org::default(), &id.to_string()), change, now_ms).unwrap();
            }
            Deed::Look(_) => drop(presence.look(now_ms)),
        }
    }

    proptest! {
        #[test]
        fn a_place_stands_in_the_agenda_once_at_most_and_not_without_anybody(deeds in vec(deed(), 0..200)) {
            let presence = Presence::new(Times { announce_up_to: 10, ..Times::default() });
            let mut now_ms = 10_000;
            for deed in deeds {
                if let Deed::Look(ms) = deed {
                    now_ms += ms;
                }
                act(&presence, &deed, now_ms);
                let places = presence.figures().0 + presence.namespaces();
                prop_assert!(presence.agenda.len() <= places, "{} for {places}", presence.agenda.len());
            }
        }
    }

    #[test]
    fn rooms_that_come_and_go_while_a_wish_goes_on_leave_nothing_in_the_agenda() {
        let presence = Presence::default();
        act(&presence, &Deed::Wish(1, 30 * 24 * 3_600_000), 10_000);
        for at in 0..100 {
            let now_ms = 11_000 + at as u64 * 1_000;
            act(&presence, &Deed::Come(1, at), now_ms);
            drop(presence.look(now_ms + 300));
            act(&presence, &Deed::Go(1, at, false), now_ms + 400);
        }
        drop(presence.look(200_000));
        assert_eq!((presence.figures().0, presence.agenda.len()), (0, 0));
    }
}
