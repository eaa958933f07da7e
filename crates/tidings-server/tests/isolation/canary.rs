//! Words that belong to one organisation, and the search for them.

/// A word for each organisation that nobody else may ever see.
pub(crate) struct Canaries(Vec<String>);

/// What all of them begin with, so that one search finds any.
const BEGIN: &str = "ZQcanary";

impl Canaries {
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        Self((0..count).map(|org| format!("{BEGIN}{org}x{seed:x}Z")).collect())
    }

    pub(crate) fn of(&self, org: usize) -> &str {
        &self.0[org]
    }

    /// Whose canaries are in a text.
    pub(crate) fn in_text(&self, text: &str) -> Vec<usize> {
        let at = text.match_indices(BEGIN).map(|(at, _)| &text[at..]);
        at.filter_map(|rest| self.0.iter().position(|canary| rest.starts_with(canary.as_str()))).collect()
    }

    /// A canary in what one organisation sees that is not its own.
    pub(crate) fn foreign(&self, org: usize, text: &str) -> Option<usize> {
        self.in_text(text).into_iter().find(|other| *other != org)
    }
}

#[test]
fn a_canary_is_found_wherever_it_stands() {
    let canaries = Canaries::new(3, 7);
    let text = format!("é{}…{}", canaries.of(1), canaries.of(2));
    assert_eq!(canaries.in_text(&text), [1, 2]);
    assert_eq!(canaries.foreign(1, &text), Some(2));
    assert_eq!(canaries.foreign(1, canaries.of(1)), None);
}
