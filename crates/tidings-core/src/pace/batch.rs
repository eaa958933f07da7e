//! Events that leave together.

use compact_str::CompactString;

use super::{HELD_BYTES, Out, Topic, is_due};

/// Events gather until there are so many, or the first has waited so long; then all leave together, in the order
/// they came. Of one name and slot only the newest waits, at the place of the first.
#[derive(Debug)]
pub struct Batch<T> {
    wait_ms: u64,
    most: usize,
    held: Vec<Held<T>>,
    bytes: usize,
    due_ms: Option<u64>,
}

#[derive(Debug)]
struct Held<T> {
    /// Its name and slot, if it has one.
    topic: Option<CompactString>,
    bytes: usize,
    event: T,
}

impl<T> Batch<T> {
    /// An empty batch.
    pub fn new(wait_ms: u64, most: usize) -> Self {
        Self { wait_ms, most: most.max(1), held: Vec::new(), bytes: 0, due_ms: None }
    }

    /// Offers an event of so many bytes.
    pub fn offer(&mut self, now_ms: u64, topic: Topic<'_>, bytes: usize, event: T) -> Out<T> {
        let topic = topic.slot.map(|_| topic.text());
        let same = |held: &&mut Held<T>| topic.is_some() && held.topic == topic;
        if let Some(held) = self.held.iter_mut().find(same) {
            self.bytes = self.bytes - held.bytes + bytes;
            held.bytes = bytes;
            return Out::Replaced(std::mem::replace(&mut held.event, event));
        }
        self.bytes += bytes;
        self.held.push(Held { topic, bytes, event });
        self.due_ms.get_or_insert(now_ms.saturating_add(self.wait_ms));
        if self.held.len() >= self.most || self.bytes > HELD_BYTES {
            Out::Ready(self.take())
        } else {
            Out::Held
        }
    }

    /// When what waits leaves at the latest.
    pub fn due_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// Whether what waits has waited long enough.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.due_ms.is_some_and(|due| is_due(due, now_ms, self.wait_ms))
    }

    /// Takes what has waited long enough.
    pub fn take_due(&mut self, now_ms: u64) -> Vec<T> {
        if self.is_due(now_ms) { self.take() } else { Vec::new() }
    }

    fn take(&mut self) -> Vec<T> {
        (self.bytes, self.due_ms) = (0, None);
        self.held.drain(..).map(|held| held.event).collect()
    }
}
