//! At most one event per scope and interval.

use std::collections::VecDeque;

use compact_str::CompactString;
use hashbrown::HashMap;

use super::{HELD_BYTES, Out, Per, SCOPES, Topic, is_due};

/// At most one event per scope and interval: the first comes through at once, of those that follow within the
/// interval the newest when it is over.
#[derive(Debug)]
pub struct Throttle<T> {
    interval_ms: u64,
    per: Per,
    /// What waits in each scope whose interval runs, with its bytes.
    scopes: HashMap<CompactString, Option<(T, usize)>>,
    /// When each of these intervals is over. All are of one length, so they end in the order they began.
    ends: VecDeque<(u64, CompactString)>,
    bytes: usize,
}

impl<T> Throttle<T> {
    /// A throttle through which nothing has come.
    pub fn new(interval_ms: u64, per: Per) -> Self {
        Self { interval_ms, per, scopes: HashMap::new(), ends: VecDeque::new(), bytes: 0 }
    }

    /// Offers an event of so many bytes.
    pub fn offer(&mut self, now_ms: u64, topic: Topic<'_>, bytes: usize, event: T) -> Out<T> {
        let scope = self.scope(topic);
        if !self.scopes.contains_key(&scope) {
            return self.begin(now_ms, scope, event);
        }
        let before = self.scopes.get(&scope).and_then(Option::as_ref).map_or(0, |(_, bytes)| *bytes);
        let others = self.bytes - before;
        // One event may be as large as a message may be; many together may not.
        if others > 0 && others + bytes > HELD_BYTES {
            return Out::Full(event);
        }
        self.bytes = others + bytes;
        match self.scopes.insert(scope, Some((event, bytes))).flatten() {
            Some((older, _)) => Out::Replaced(older),
            None => Out::Held,
        }
    }

    fn scope(&self, topic: Topic<'_>) -> CompactString {
        match self.per {
            Per::Room => CompactString::default(),
            Per::Event => topic.event.into(),
            Per::Slot => topic.text(),
        }
    }

    fn begin(&mut self, now_ms: u64, scope: CompactString, event: T) -> Out<T> {
        if self.scopes.len() >= SCOPES {
            return Out::Full(event);
        }
        self.ends.push_back((now_ms.saturating_add(self.interval_ms), scope.clone()));
        self.scopes.insert(scope, None);
        Out::Pass(event)
    }

    /// When the next interval is over; `None` if none runs.
    pub fn due_ms(&self) -> Option<u64> {
        self.ends.front().map(|(end, _)| *end)
    }

    /// Whether an interval is over.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.due_ms().is_some_and(|end| is_due(end, now_ms, self.interval_ms))
    }

    /// Takes what waited for intervals that are over; where something did, the next interval begins.
    pub fn take_due(&mut self, now_ms: u64) -> Vec<T> {
        let mut due = Vec::new();
        for _ in 0..self.ends.len() {
            if !self.is_due(now_ms) {
                break;
            }
            let Some((_, scope)) = self.ends.pop_front() else { break };
            if let Some((event, bytes)) = self.scopes.remove(&scope).flatten() {
                self.bytes -= bytes;
                due.push(event);
                self.ends.push_back((now_ms.saturating_add(self.interval_ms), scope.clone()));
                self.scopes.insert(scope, None);
            }
        }
        due
    }
}
