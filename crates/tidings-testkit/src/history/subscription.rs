//! What one client has heard of one room.

use super::At;

/// Offsets of an epoch, both ends included; empty if `to` is before `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) epoch: u64,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Span {
    fn has(self, at: At) -> bool {
        self.epoch == at.epoch && (self.from..=self.to).contains(&at.offset)
    }
}

/// One client's part of one room, over all its connections.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Behind this place it wanted to hear everything.
    start: At,
    /// The newest it heard, or was told that it is at.
    pub(super) at: At,
    /// What it heard; one span as long as nothing is missing.
    heard: Vec<Span>,
    gaps: Vec<Span>,
    pub(super) end: Option<At>,
}

impl Subscription {
    pub(super) fn new(at: At) -> Self {
        Self { start: at, at, heard: Vec::new(), gaps: Vec::new(), end: None }
    }

    pub(super) fn has(&self, at: At) -> bool {
        self.heard.iter().rev().any(|span| span.has(at))
    }

    pub(super) fn hear(&mut self, at: At) {
        match self.heard.last_mut() {
            Some(last) if last.epoch == at.epoch && last.to + 1 == at.offset => last.to = at.offset,
            _ => self.heard.push(Span { epoch: at.epoch, from: at.offset, to: at.offset }),
        }
        // An older message leaves it where the newest has brought it.
        if at.epoch != self.at.epoch || at.offset > self.at.offset {
            self.at = at;
        }
    }

    pub(super) fn declare(&mut self, gap: Span) {
        self.gaps.push(gap);
        self.at = At { epoch: gap.epoch, offset: gap.to };
    }

    /// Messages within declared gaps.
    pub(super) fn declared(&self) -> u64 {
        self.gaps.iter().map(|gap| (gap.to + 1).saturating_sub(gap.from)).sum()
    }

    /// Whether a message came, came too early to be wanted, or is in a gap that was told.
    pub(super) fn accounts_for(&self, at: At) -> bool {
        let early = at.epoch == self.start.epoch && at.offset <= self.start.offset;
        early || self.has(at) || self.gaps.iter().any(|gap| gap.has(at))
    }
}

#[cfg(test)]
impl Subscription {
    /// How much it holds.
    pub(super) fn spans(&self) -> usize {
        self.heard.len() + self.gaps.len()
    }
}
