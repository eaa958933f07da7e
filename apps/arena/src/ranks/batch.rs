//! Rows before and after a whole batch, from the rows before and after each of its changes.

use super::{Entry, Moved, Ranking, Row};

/// Changes of a batch that are put right against each other; with more it is cheaper to ask the board again.
pub(super) const FEW: usize = 8;

/// Whether a batch's rows can be put right: few changes, of a player each, in a ranking that counts entries.
pub(super) fn is_plain(changes: &[super::Change], ranking: Ranking) -> bool {
    let is_of = |one: &super::Change| {
        let player = one.player();
        move |other: &super::Change| other.player() == player
    };
    let twice = || changes.iter().enumerate().any(|(at, change)| changes[..at].iter().any(is_of(change)));
    changes.len() <= FEW && ranking != Ranking::Dense && !twice()
}

/// Makes of rows around each change the rows around all of them.
///
/// An old row was counted when earlier changes of the batch were made already, and a new row when later ones were
/// not: what these put ahead of a row, or took from there, is made good.
pub(super) fn put_right(moved: &mut [Moved], ranking: Ranking) {
    for at in 1..moved.len() {
        let (earlier, rest) = moved.split_at_mut(at);
        let it = &mut rest[0];
        for other in earlier {
            // Both are read before one is written: they count in the entries, which stay.
            let (mut old, mut new) = (it.old, other.new);
            recount(&mut old, other.new, other.old, ranking);
            recount(&mut new, it.old, it.new, ranking);
            (it.old, other.new) = (old, new);
        }
    }
}

/// Counts an entry out and another in, in the row of a third.
fn recount(row: &mut Option<Row>, out: Option<Row>, into: Option<Row>, ranking: Ranking) {
    let Some(row) = row else { return };
    let own = row.entry();
    let ahead = |other: Option<Row>| other.is_some_and(|it| place(&it.entry()) < place(&own));
    let above = |other: Option<Row>| other.is_some_and(|it| it.score > own.score);
    row.position = row.position + u32::from(ahead(into)) - u32::from(ahead(out));
    row.rank = match ranking {
        Ranking::Competition => row.rank + u32::from(above(into)) - u32::from(above(out)),
        _ => row.position + 1,
    };
}

/// Where an entry stands, compared with others.
pub(super) fn place(entry: &Entry) -> impl Ord + use<> {
    (!entry.score, entry.reached, entry.player)
}
