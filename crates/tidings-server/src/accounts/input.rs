//! What an address, a name, a password and an organisation may be.

use tidings_core::{Code, Org, Refusal};

/// Bytes of an e-mail address (RFC 5321 section 4.5.3.1.3, without the angle brackets).
pub const EMAIL_BYTES: usize = 254;
/// Bytes of a name.
pub const NAME_BYTES: usize = 100;
/// Bytes of a password; more would buy more hashing.
pub const PASSWORD_BYTES: usize = 1_024;
/// Bytes of an organisation's name, and of other short words.
pub const WORD_BYTES: usize = 100;
/// Characters of a role.
pub const ROLE_CHARS: usize = 64;

/// What is typed first by everybody who guesses; without spaces, in lower case.
const COMMON: [&str; 16] = [
    "passwordpassword",
    "password1234",
    "password12345",
    "password123456",
    "123456789012",
    "1234567890123",
    "123456123456",
    "qwertyuiop123",
    "qwertyqwerty",
    "qwertyuiopasdf",
    "letmeinletmein",
    "adminadminadmin",
    "administrator",
    "changemechangeme",
    "iloveyouiloveyou",
    "welcomewelcome",
];

fn bad(text: &str) -> Refusal {
    Refusal::new(Code::BadRequest, text)
}

/// An address without the space around it; whether it exists, only a mail can tell.
///
/// # Errors
/// `bad_request` if it cannot be one.
pub fn email(text: &str) -> Result<&str, Refusal> {
    let text = text.trim();
    let wrong = || bad("email: is not an e-mail address");
    if text.len() > EMAIL_BYTES {
        return Err(bad("email: is longer than 254 bytes"));
    }
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let odd = |c: char| hides(c) || c.is_whitespace() || "<>()[],;:\\\"".contains(c);
    let dotted = !domain.starts_with(['.', '-']) && !domain.ends_with(['.', '-']) && !domain.contains("..");
    if local.is_empty() || local.contains('@') || domain.is_empty() || text.contains(odd) || !dotted {
        return Err(wrong());
    }
    Ok(text)
}

/// The name others see; without one, what stands before the `@`.
///
/// # Errors
/// `bad_request` if it is empty, too long, or has control characters in it.
pub fn name<'a>(text: Option<&'a str>, email: &'a str) -> Result<&'a str, Refusal> {
    let short = || email.split('@').next().unwrap_or(email);
    let text = text.map_or_else(short, str::trim);
    let text = if text.len() > NAME_BYTES && !text.contains(' ') && email.starts_with(text) {
        cut(text)
    } else {
        text
    };
    if text.is_empty() || text.len() > NAME_BYTES || text.contains(hides) {
        return Err(bad("name: is 1 to 100 bytes without control characters"));
    }
    Ok(text)
}

/// Whether a character is one that nobody sees, or that changes what is seen of others: with it somebody could be called
/// as somebody else looks. Those that join letters of Persian or parts of a picture stay.
pub fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn cut(text: &str) -> &str {
    let end = (0..=NAME_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// An organisation as a request names it; none is `default`.
///
/// # Errors
/// `bad_request` if it cannot be one.
pub fn org(text: Option<&str>) -> Result<Org, Refusal> {
    text.map_or_else(|| Ok(Org::default()), |text| word(text, "org").map(Org::new))
}

/// A role that is given to somebody here: a word that a rule can name, a list can separate and a terminal can show.
///
/// What other issuers call their roles is theirs to say, and is not asked of their tokens.
///
/// # Errors
/// `bad_request` with the name of the field.
pub fn role<'a>(text: &'a str, field: &str) -> Result<&'a str, Refusal> {
    let fits = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    if text.is_empty() || text.chars().count() > ROLE_CHARS || !text.chars().all(fits) {
        return Err(bad(&format!("{field}: is 1 to {ROLE_CHARS} letters, digits, `-`, `_`, `.` or `:`")));
    }
    Ok(text)
}

/// A short word.
///
/// # Errors
/// `bad_request` with the name of the field.
pub fn word<'a>(text: &'a str, field: &str) -> Result<&'a str, Refusal> {
    if text.is_empty() || text.len() > WORD_BYTES || text.contains(hides) {
        return Err(bad(&format!("{field}: is 1 to {WORD_BYTES} bytes without control characters")));
    }
    Ok(text)
}

/// Whether a password may be set: long enough, and not what everybody guesses first.
///
/// # Errors
/// `bad_request` with the reason.
pub fn new_password(password: &str, least: usize, email: &str) -> Result<(), Refusal> {
    any_password(password)?;
    if password.chars().count() < least {
        return Err(bad(&format!("password: has fewer than {least} characters")));
    }
    let plain = password.to_lowercase().replace(' ', "");
    let mut chars = plain.chars();
    let first = chars.next();
    let one_only = chars.all(|c| Some(c) == first);
    let local = email.split('@').next().unwrap_or(email);
    let own = plain == email.to_lowercase() || plain == local.to_lowercase();
    if one_only || own || COMMON.contains(&plain.as_str()) {
        return Err(bad("password: is too easy to guess"));
    }
    Ok(())
}

/// Whether a text can be anybody's password.
///
/// # Errors
/// `bad_request` if it is empty or too long.
pub fn any_password(password: &str) -> Result<(), Refusal> {
    match password.len() {
        0 => Err(bad("password: is empty")),
        1..=PASSWORD_BYTES => Ok(()),
        _ => Err(bad("password: is longer than 1024 bytes")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_have_a_local_part_and_a_domain() {
        for good in ["a@b.example", " Ada@Example.com ", "a.b+c@localhost", "ä@ö.example", "o'neil@x.y"] {
            assert!(email(good).is_ok(), "{good}");
        }
        let long = format!("{}@b.example", "a".repeat(250));
        for bad in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@@b.c",
            "a b@c.d",
            "a@b\r\nBcc: c@d.e",
            "<a@b.c>",
            "a@b.c,d@e.f",
            "root\u{200b}@b.c",
            "\u{202e}a@b.c",
            &long,
        ] {
            assert!(email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_short_and_one_line() {
        assert_eq!(name(None, "ada@b.example").unwrap(), "ada");
        assert_eq!(name(Some(" Ada "), "x@b.example").unwrap(), "Ada");
        assert_eq!(name(None, &format!("{}@b", "a".repeat(240))).unwrap().len(), NAME_BYTES);
        assert_eq!(name(Some("علی\u{200c}رضا"), "x@b.example").unwrap(), "علی\u{200c}رضا");
        for bad in
            ["", "  ", "a\nb", &"a".repeat(101), "\u{202e}nimda", "root\u{200b}", "\u{2066}a", "a\u{2029}b"]
        {
            assert!(name(Some(bad), "x@b.example").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_role_is_one_word() {
        let long = "r".repeat(ROLE_CHARS);
        for good in ["admin", "team-a_b.c:writer", "7", "Prüfer", &long] {
            assert_eq!(role(good, "role").unwrap(), good);
        }
        for bad in ["", " ", "bad role", "a,b", "a\nb", "a\u{7f}", "a/b", "\u{202e}x", &(long + "r")] {
            assert!(role(bad, "role").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_long_and_not_the_first_guess() {
        let fits = |password: &str| new_password(password, 12, "ada.lovelace@b.example").is_ok();
        assert!(fits("correct horse battery") && fits("ünïcödé täler"));
        for bad in [
            "",
            "short",
            "elevenchars",
            "aaaaaaaaaaaaaaaa",
            "Password 1234",
            "ada.lovelace",
            "Ada.Lovelace@b.example",
            &"ab".repeat(513),
        ] {
            assert!(!fits(bad), "{bad}");
        }
        assert!(new_password("password123", 8, "x@b").is_ok(), "the demo's");
    }
}
