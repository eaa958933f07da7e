//! The newest of something, bounded in number and in bytes.

use std::collections::VecDeque;

/// The newest entries; the oldest make room.
///
/// Its places are made at once, so that noting something takes no memory from the system; those that were never
/// used are not touched.
pub(super) struct Ring<T> {
    entries: VecDeque<(usize, T)>,
    most: usize,
    bytes: usize,
    most_bytes: usize,
    forgot: bool,
}

impl<T> Ring<T> {
    /// Room for so many entries of so many bytes on average; at least for one.
    pub(super) fn new(most: usize, entry_bytes: usize) -> Self {
        let most = most.max(1);
        let (entries, most_bytes) = (VecDeque::with_capacity(most), most.saturating_mul(entry_bytes));
        Self { entries, most, bytes: 0, most_bytes, forgot: false }
    }

    /// Adds an entry that takes so many bytes.
    pub(super) fn push(&mut self, entry: T, bytes: usize) {
        while !self.entries.is_empty()
            && (self.entries.len() >= self.most || self.bytes + bytes > self.most_bytes)
        {
            self.bytes -= self.entries.pop_front().map_or(0, |(bytes, _)| bytes);
            self.forgot = true;
        }
        self.bytes += bytes;
        self.entries.push_back((bytes, entry));
    }

    /// The newest entry of which this is true.
    pub(super) fn newest(&mut self, wanted: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.entries.iter_mut().rev().map(|(_, entry)| entry).find(|entry| wanted(entry))
    }

    /// All entries, the oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// Whether something had to make room.
    pub(super) fn has_forgotten(&self) -> bool {
        self.forgot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_entries_make_room_by_their_bytes() {
        let mut ring = Ring::new(4, 10);
        for number in 0..4 {
            ring.push(number, 10);
        }
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(!ring.has_forgotten());
        ring.push(4, 25);
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [3, 4]);
        assert!(ring.has_forgotten());
        // One that is larger than all of it is kept alone, so that the newest is always there.
        ring.push(5, 100);
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [5]);
    }
}
