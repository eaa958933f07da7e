//! Members come and go, trading begins and ends.

use super::{Effects, Room, State, Told};
use crate::account::Account;
use crate::refused::{Reason, Refused};

impl Room {
    pub(super) fn open(&mut self, effects: &mut Effects) -> Result<(), Refused> {
        self.is(&[State::Draft], Reason::RoomState)?;
        self.becomes(State::Open, effects);
        Ok(())
    }

    pub(super) fn join(
        &mut self,
        user: &str,
        name: &str,
        at_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        let open = [State::Open, State::Running];
        self.is(if self.rules.late_join { &open } else { &open[..1] }, Reason::RoomState)?;
        if self.accounts.contains_key(user) {
            return Err(Refused::new(Reason::AlreadyAMember, "one joins a room once"));
        }
        if self.accounts.len() >= self.rules.max_members as usize {
            return Err(Refused::new(Reason::RoomFull, "this room has as many members as it takes"));
        }
        let account = Account::new(name, self.joined, self.rules.starting_cash, at_ms);
        self.joined += 1;
        self.present += 1;
        self.accounts.insert(user.to_owned(), account);
        effects.told.push(Told::Joined { user: user.to_owned(), name: name.to_owned() });
        effects.touched.insert(user.to_owned());
        Ok(())
    }

    /// Before trading a member is as if never there; afterwards the account stays, without a place.
    pub(super) fn leave(&mut self, user: &str, effects: &mut Effects) -> Result<(), Refused> {
        self.is(&[State::Open, State::Running], Reason::RoomState)?;
        self.member(user)?;
        self.present -= 1;
        if self.state == State::Open {
            self.accounts.remove(user);
        } else {
            self.cancel_all(user, effects);
            self.arm(user, None);
            if let Some(account) = self.accounts.get_mut(user) {
                account.left = true;
            }
        }
        effects.touched.remove(user);
        effects.told.push(Told::Left { user: user.to_owned() });
        Ok(())
    }

    pub(super) fn start(&mut self, at_ms: u64, effects: &mut Effects) -> Result<(), Refused> {
        self.is(&[State::Open], Reason::RoomState)?;
        self.started_ms = Some(at_ms);
        self.accounts.values_mut().for_each(|account| account.begin(at_ms));
        self.becomes(State::Running, effects);
        Ok(())
    }

    /// The end is a place in the journal, not a time: what is before it counts, nothing is after it.
    pub(super) fn end(&mut self, at_ms: u64, effects: &mut Effects) -> Result<(), Refused> {
        self.is(&[State::Running], Reason::RoomNotRunning)?;
        self.ended_ms = Some(at_ms);
        self.unfinished.clear();
        // Told first: of what follows there may be more than one transaction holds.
        self.becomes(State::Ended, effects);
        let users: Vec<String> = self.accounts.keys().cloned().collect();
        users.iter().for_each(|user| self.cancel_all(user, effects));
        self.accounts.values_mut().for_each(|account| account.weigh(at_ms));
        Ok(())
    }

    fn becomes(&mut self, new: State, effects: &mut Effects) {
        let old = std::mem::replace(&mut self.state, new);
        effects.told.push(Told::State { old, new });
    }
}
