//! Who plays in the demo.

use tidings_app::Dice;

use crate::acts::people::NewPlayer;

/// Those of the demo who can sign in, which are the first.
pub(super) const KNOWN: usize = 4;
const ACCOUNTS: [(&str, &str, &str); KNOWN] = [
    ("demo-alice", "Alice", "GB"),
    ("demo-bob", "Bob", "US"),
    ("demo-charlie", "Charlie", "FR"),
    ("demo-diana", "Diana", "DE"),
];

/// How many play besides.
const OTHERS: usize = 200;

const FIRST: [&str; 40] = [
    "Aiko", "Amara", "Andrei", "Anja", "Bilal", "Bruna", "Caio", "Chiara", "Dai", "Darya", "Elif", "Emil",
    "Farah", "Freya", "Goran", "Hana", "Ibrahim", "Ines", "Jonas", "Kaito", "Katya", "Lena", "Luca", "Maja",
    "Mateo", "Mila", "Nadia", "Noor", "Oskar", "Pia", "Quentin", "Rafael", "Rosa", "Sami", "Sofia", "Tariq",
    "Uma", "Viktor", "Yara", "Zoe",
];
const LAST: [&str; 24] = [
    "Alvarez", "Bakker", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hansen", "Ito", "Jensen",
    "Kowalski", "Lindholm", "Moreau", "Novak", "Okafor", "Petrov", "Quispe", "Rossi", "Silva", "Tanaka",
    "Ueda", "Varga", "Weber", "Yilmaz",
];
const COUNTRIES: [&str; 28] = [
    "AR", "AU", "BR", "CA", "CH", "CN", "CZ", "DE", "DK", "ES", "FI", "FR", "GB", "HU", "IN", "IT", "JP",
    "KR", "MX", "NG", "NL", "NO", "PE", "PL", "PT", "SE", "TR", "US",
];

/// Everybody, those who can sign in first.
pub(super) fn people(dice: &mut Dice) -> Vec<NewPlayer> {
    let known = ACCOUNTS.iter().map(|(id, name, country)| (String::from(*id), String::from(*name), *country));
    let other = |at: usize| {
        // 40 first names and 24 last ones meet anew for 120 people, then with another shift.
        let name = format!("{} {}", FIRST[at % FIRST.len()], LAST[(at * 7 + at / 120) % LAST.len()]);
        (format!("p{:03}", at + 1), name, COUNTRIES[at * 11 % COUNTRIES.len()])
    };
    let all: Vec<_> = known.chain((0..OTHERS).map(other)).collect();
    let mut new = Vec::with_capacity(all.len());
    for (id, name, country) in all {
        // The sum of three dice: many in the middle, few at the ends.
        let rating = 800 + (0..3).map(|_| dice.below(334) as i64).sum::<i64>();
        new.push(NewPlayer { id, name, country: Some(country.into()), rating: Some(rating) });
    }
    new
}
