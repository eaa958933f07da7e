//! A PostgreSQL that goes away and comes back.

use std::fs;

use super::{Postgres, command, owner, programs, serve};
use crate::serving::signal;

impl Postgres {
    /// Ends the server as a crash would: nothing is finished, nobody is told.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub fn crash(&self) {
        let mut stop = command(&programs().join("pg_ctl"), owner());
        let done =
            stop.args(["stop", "--mode=immediate", "--pgdata"]).arg(self.place.path().join("data")).output();
        let done = done.unwrap_or_else(|error| panic!("cannot run pg_ctl: {error}"));
        assert!(done.status.success(), "pg_ctl: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts it again after that, on the same port and with what it had stored.
    ///
    /// # Panics
    /// If it does not start.
    pub fn come_back(&mut self) {
        let keeper = serve(&programs(), self.place.path(), owner(), self.port, self.flushes);
        self.keepers.push(keeper.unwrap_or_else(|| panic!("PostgreSQL did not come back")));
    }

    /// Stops every process of the server in the middle of what it does: connections stay open, and nothing on
    /// them is answered.
    pub fn freeze(&self) {
        self.processes().into_iter().for_each(|process| signal(process, "STOP"));
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        // One that ended meanwhile need not go on.
        let stopped = self.processes().into_iter().filter(|process| state(*process) == Some('T'));
        stopped.for_each(|process| signal(process, "CONT"));
    }

    /// The server and its children, itself first so that it makes no more.
    fn processes(&self) -> Vec<u32> {
        let lock = fs::read_to_string(self.place.path().join("data/postmaster.pid")).unwrap_or_default();
        let Some(server) = lock.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else {
            return Vec::new();
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let children = numbers.filter(|number| fields(*number).is_some_and(|(_, parent)| parent == server));
        std::iter::once(server).chain(children).collect()
    }
}

/// A process' state and its parent, from `/proc/N/stat`.
fn fields(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before them is in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn state(process: u32) -> Option<char> {
    fields(process).map(|(state, _)| state)
}
