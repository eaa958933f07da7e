//! Recorded events that never came by mail: the mailbox was full when they were handed over.

use hashbrown::HashSet;

use super::{NO_ROOM, Shard};

impl Shard {
    /// Has those catch up whom recorded events have not reached because this shard's mailbox was full.
    ///
    /// To be called when all was taken that was in the mailbox as it refused, and before anything that was handed over
    /// later: so nothing overtakes what is missing. It is in the rooms' histories, whatever they are: as for those who
    /// are slow it is read there.
    pub fn look_back(&mut self) {
        // What goes round a big room counts as taken, and those who are paused are not sent it any more.
        self.settle_recorded(NO_ROOM);
        let mut behind = HashSet::new();
        for (_, local) in &self.local {
            let Some(top) = local.entry.top().filter(|top| top.offset > local.taken) else { continue };
            let read = local.catching_up.iter().filter(|newcomer| newcomer.read_to >= top.offset);
            let read: HashSet<_> = read.map(|newcomer| (newcomer.slot, newcomer.namespace)).collect();
            let members = local.members.iter().map(|member| (member.slot, member.form.namespace));
            behind.extend(members.filter(|member| !read.contains(member)).map(|(slot, _)| slot));
        }
        for slot in behind {
            self.pause_quietly(slot);
        }
    }
}
