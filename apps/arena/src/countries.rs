//! Which countries there are.

/// The second letters of the codes that ISO 3166-1 assigns (alpha-2), by the first one.
const ASSIGNED: [&str; 26] = [
    "DEFGILMOQRSTUWXZ",
    "ABDEFGHIJLMNOQRSTVWYZ",
    "ACDFGHIKLMNORUVWXYZ",
    "EJKMOZ",
    "CEGHRST",
    "IJKMOR",
    "ABDEFGHILMNPQRSTUWY",
    "KMNRTU",
    "DELMNOQRST",
    "EMOP",
    "EGHIMNPRWYZ",
    "ABCIKRSTUVY",
    "ACDEFGHKLMNOPQRSTUVWXYZ",
    "ACEFGILOPRUZ",
    "M",
    "AEFGHKLMNRSTWY",
    "A",
    "EOSUW",
    "ABCDEGHIJKLMNORSTVXYZ",
    "CDFGHJKLMNORTVWZ",
    "AGMSYZ",
    "ACEGINU",
    "FS",
    "",
    "ET",
    "AMW",
];

/// What is told of anything else.
pub const EXPECTED: &str = "expected a code of ISO 3166-1 such as GB";

/// Whether something is a country's code (ISO 3166-1 alpha-2).
pub fn is_code(code: &str) -> bool {
    let &[first, second] = code.as_bytes() else { return false };
    let at = usize::from(first.wrapping_sub(b'A'));
    ASSIGNED.get(at).is_some_and(|seconds| seconds.as_bytes().contains(&second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_are_assigned_are_a_countrys() {
        let letters = b'A'..=b'Z';
        let pairs = letters.clone().flat_map(|one| letters.clone().map(move |other| [one, other]));
        let codes: Vec<[u8; 2]> = pairs.filter(|pair| is_code(&String::from_utf8_lossy(pair))).collect();
        assert_eq!(codes.len(), 249, "as many as the standard has");
        for code in ["GB", "US", "FR", "SE", "AD", "ZW", "OM", "QA", "SS"] {
            assert!(is_code(code), "{code}");
        }
        for code in ["ZZ", "AA", "XX", "UK", "EU", "gb", "Gb", "G", "", "GBR", "É", "[A", "A["] {
            assert!(!is_code(code), "{code}");
        }
    }
}
