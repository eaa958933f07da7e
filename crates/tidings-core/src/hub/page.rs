//! Pages of the directory of rooms.

use std::sync::{Arc, PoisonError};

use super::{Entry, Hub};
use crate::lock;
use crate::room::Org;

impl Hub {
    /// The first `limit` of the rooms that are wanted, by organisation and name, of those behind `after`; and
    /// whether there are more.
    ///
    /// It walks the whole directory, one part after the other, and holds a page of it and no more.
    pub fn page(
        &self,
        after: Option<(&str, &str)>,
        limit: usize,
        wanted: impl Fn(&Entry) -> bool,
    ) -> (Vec<Arc<Entry>>, bool) {
        let mut page: Vec<Arc<Entry>> = Vec::with_capacity(limit + 2);
        for part in &self.rooms {
            let part = part.read().unwrap_or_else(PoisonError::into_inner);
            for entry in part.values() {
                let place = place(entry);
                let is_late = page.get(limit).is_some_and(|last| place > self::place(last));
                if is_late || after.is_some_and(|after| place <= after) || !wanted(entry) {
                    continue;
                }
                let at = page.partition_point(|other| self::place(other) < place);
                page.insert(at, entry.clone());
                // One more than the page tells that there are more.
                page.truncate(limit + 1);
            }
        }
        let more = page.len() > limit;
        page.truncate(limit);
        (page, more)
    }

    /// How many rooms of an organisation have members or a history here.
    pub fn rooms_of(&self, org: &Org) -> usize {
        lock(&self.counts).get(org).map_or(0, |rooms| rooms.count())
    }
}

/// Where a room stands in the order of pages.
fn place(entry: &Entry) -> (&str, &str) {
    (entry.room.org().as_str(), entry.room.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Rule;
    use crate::lane::Lane;
    use crate::publication::Epoch;
    use crate::room::{Keep, Roll, Room, RoomSpec};

    fn hub(rooms: usize) -> Hub {
        let rule = || Rule::Anyone;
        let spec = Arc::new(RoomSpec {
            subscribe: rule(),
            publish: rule(),
            history: rule(),
            presence: rule(),
            roll: Roll::Off,
            keep: Keep::Nothing,
            lane: Lane::Normal,
            members: None,
            message_bytes: None,
            publish_rate: None,
            pacing: None,
            diff: None,
        });
        let hub = Hub::new(Vec::new());
        for number in 0..rooms {
            // Neither the order of names nor that of numbers.
            let org = Org::new(["b", "a", "c"][number % 3]);
            let room = Room::new(&org, &format!("r:{:04}", number * 7_919 % rooms), 200).unwrap();
            hub.entry(&room, &spec, || Epoch(1)).unwrap();
        }
        hub
    }

    fn all(hub: &Hub, limit: usize, wanted: impl Fn(&Entry) -> bool) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        loop {
            let behind = found.last().map(|(org, name)| (org.as_str(), name.as_str()));
            let (page, more) = hub.page(behind, limit, &wanted);
            assert!(page.len() <= limit && (!more || page.len() == limit));
            let names = page.iter().map(|entry| place(entry));
            found.extend(names.map(|(org, name)| (org.to_owned(), name.to_owned())));
            if !more {
                return found;
            }
        }
    }

    #[test]
    fn pages_put_together_are_all_rooms_in_order_and_each_once() {
        let hub = hub(1_000);
        let whole = all(&hub, 5_000, |_| true);
        assert_eq!(whole.len(), 1_000);
        assert!(whole.is_sorted() && whole.windows(2).all(|pair| pair[0] != pair[1]));
        for limit in [1, 7, 100, 999, 1_000] {
            assert_eq!(all(&hub, limit, |_| true), whole, "{limit} a page");
        }
    }

    #[test]
    fn what_is_not_wanted_takes_no_place_on_a_page() {
        let hub = hub(300);
        let org = Org::new("a");
        let own = all(&hub, 10, |entry| *entry.room.org() == org);
        assert_eq!(own.len(), 100);
        assert!(own.iter().all(|(name, _)| name == "a"));
        assert_eq!(hub.rooms_of(&org), 100);
        assert_eq!(hub.rooms_of(&Org::new("nobody")), 0);
        assert_eq!(hub.page(None, 10, |_| false).0.len(), 0);
    }
}
