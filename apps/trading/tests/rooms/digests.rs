//! Digests of accounts come at the same places of the journal whoever applies it.

use tidings_trading::journal::{Entry, Hash};
use tidings_trading::order::{Ask, Kind, Side};
use tidings_trading::room::{DIGEST_EVERY, Room, Told};

use super::asks::ask;
use super::trades::{free, place, price, running};

/// The digests among what is told, with the entry they came with.
fn digests(seq: u64, told: &[Told]) -> Vec<(u64, String, Hash)> {
    let digest = |told: &Told| match told {
        Told::Digest { user, digest } => Some((seq, user.clone(), *digest)),
        _ => None,
    };
    told.iter().filter_map(digest).collect()
}

#[test]
fn every_sixteenth_thing_told_of_an_account_is_followed_by_its_digest_also_when_its_journal_is_read_again() {
    let mut room = running(free());
    let fresh = room.clone();
    let buy = |number: u64| ask(&number.to_string(), Side::Buy, (Kind::Market, "1"));
    let mut told = Vec::new();
    let mut journal: Vec<Entry> = Vec::new();
    room.apply(1, price("10", None)).map(|applied| journal.push(applied.entry)).unwrap();
    for number in 0..40 {
        let (user, order): (&str, Ask) = (if number % 4 == 3 { "bob" } else { "ada" }, buy(number));
        let applied = room.apply(number * 1_000, place(user, order)).unwrap();
        told.extend(digests(applied.entry.seq, &applied.told));
        journal.push(applied.entry);
    }
    // A fill is three things; joining was one. What an entry tells is summed up behind it.
    let due = |things: u64| (things * 3 + 1) / DIGEST_EVERY;
    assert_eq!(told.iter().filter(|(_, user, _)| user == "ada").count() as u64, due(30));
    assert_eq!(told.iter().filter(|(_, user, _)| user == "bob").count() as u64, due(10));
    let mut again: Room = fresh;
    let replayed: Vec<_> =
        journal.iter().flat_map(|entry| digests(entry.seq, &again.replay(entry).unwrap())).collect();
    assert_eq!(replayed, told);
}
