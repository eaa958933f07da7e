//! How windows end, and are opened again: so that their rooms' past leads from one to the other.
//!
//! Whoever was away is told what a room has said since. A window that nobody looks at is told nothing, so it
//! says before that nobody is in it any more, and with whom it begins when it is opened again. Both are messages as any
//! other: who applies them one after the other has the right list, whether he was there or comes back.

use crate::boards::OrgBoards;
use crate::ranks::Diff;
use crate::windows::{OpenWindow, WindowName};
use crate::wire::BoardEvent;

/// A window that nobody has come into for so long ends.
const EMPTY_MS: u64 = 10_000;
/// How often it is looked which have nobody.
const SWEEP_MS: u64 = 1_000;

/// A window that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its room.
    pub room: String,
    /// What is to be said there: that everybody has left it.
    pub event: BoardEvent,
    open: OpenWindow,
}

impl OrgBoards {
    /// Takes out windows without anybody, by what `members` says of a room.
    pub fn end_empty(&mut self, now_ms: u64, members: impl Fn(&str) -> usize) -> Vec<Ended> {
        if now_ms.saturating_sub(self.swept_ms) < SWEEP_MS {
            return Vec::new();
        }
        self.swept_ms = now_ms;
        let is_over = |room: &String, open: &mut OpenWindow| {
            if members(room) > 0 {
                open.seen_ms = now_ms;
            }
            now_ms.saturating_sub(open.seen_ms) >= EMPTY_MS
        };
        let over: Vec<_> = self.windows.extract_if(is_over).collect();
        let end = |(room, open): (String, OpenWindow)| {
            let diff = Diff { leave: open.seen(), ..Diff::default() };
            Ended { event: self.message(&room, &open.scope, (&diff, &[])), room, open }
        };
        over.into_iter().map(end).collect()
    }

    /// What could not be said of the end of a window: it goes on.
    pub fn goes_on(&mut self, ended: Ended) {
        self.windows.entry(ended.room).or_insert(ended.open);
    }

    /// What is said in the room of a window that is opened again: everybody enters it.
    pub fn begins(&self, name: &WindowName) -> Option<BoardEvent> {
        let (room, open) = self.windows.get_key_value(&name.room())?;
        let enter = open.window.rows().to_vec();
        Some(self.message(room, &open.scope, (&Diff { enter, ..Diff::default() }, &[])))
    }

    /// A window that could not be opened after all.
    pub fn close(&mut self, name: &WindowName) {
        self.windows.remove(&name.room());
    }
}
