//! The windows of one board that somebody looks at.

use hashbrown::HashMap;

use super::{Board, Diff, Moved, Row, View, Window};

/// Windows of a board that can be open at once; another is refused.
pub const WINDOWS_MOST: usize = 100_000;

/// The windows of one board that somebody looks at, each once however many do.
#[derive(Debug, Default)]
pub struct Windows {
    open: HashMap<View, Watched>,
}

#[derive(Debug)]
struct Watched {
    window: Window,
    viewers: usize,
}

impl Windows {
    /// Nobody looks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one more viewer look, and says what it sees: what those who look already saw last.
    ///
    /// `None` if too many windows are open ([`WINDOWS_MOST`]).
    pub fn open(&mut self, view: &View, board: &Board) -> Option<&[Row]> {
        if !self.open.contains_key(view) && self.open.len() >= WINDOWS_MOST {
            return None;
        }
        let watched = self
            .open
            .entry_ref(view)
            .or_insert_with(|| Watched { window: Window::open(view.clone(), board), viewers: 0 });
        watched.viewers += 1;
        Some(watched.window.rows())
    }

    /// Lets one viewer go; with the last one the window is closed.
    pub fn close(&mut self, view: &View) {
        let Some(watched) = self.open.get_mut(view) else { return };
        watched.viewers -= 1;
        if watched.viewers == 0 {
            self.open.remove(view);
        }
    }

    /// Hears of a batch of changes.
    pub fn note(&mut self, moved: &[Moved]) {
        for watched in self.open.values_mut() {
            watched.window.note(moved);
        }
    }

    /// What is different in each window that has been touched.
    pub fn refresh(&mut self, board: &Board) -> Vec<(View, Diff)> {
        let changed = self
            .open
            .iter_mut()
            .filter_map(|(view, watched)| watched.window.refresh(board).map(|diff| (view.clone(), diff)));
        changed.collect()
    }

    /// How many windows are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether nobody looks.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
