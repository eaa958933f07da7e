//! Which of a client's offers is accepted, and with which parameters (RFC 7692 section 7.1).

use std::fmt::Write;

use super::{Deflate, DeflateConfig, LARGEST_WINDOW, SMALLEST_WINDOW};

/// One offer of the client, understood completely.
#[derive(Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<Bits>,
}

/// The value of `client_max_window_bits`, which an offer may leave open.
#[derive(Debug, Clone, Copy)]
enum Bits {
    Open,
    AtMost(u8),
}

/// Accepts the first offer that can be honoured: the header's value to answer with, and what it means.
///
/// Both directions always go without context takeover, which a server may demand unasked (sections 7.1.1.1
/// and 7.1.1.2). An offer with a window of 8 bits for the server is declined: it cannot be kept.
pub(in crate::websocket) fn negotiate(extensions: &str, config: &DeflateConfig) -> Option<(String, Deflate)> {
    extensions.split(',').find_map(|offer| {
        let offer = read_offer(offer)?;
        let ours = config.window_bits.clamp(SMALLEST_WINDOW, LARGEST_WINDOW);
        let window_bits = offer.server_max_window_bits.unwrap_or(LARGEST_WINDOW).min(ours);
        (window_bits >= SMALLEST_WINDOW).then(|| (answer(&offer, window_bits), Deflate { window_bits }))
    })
}

fn answer(offer: &Offer, window_bits: u8) -> String {
    let mut answer =
        String::from("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if offer.server_max_window_bits.is_some() || window_bits < LARGEST_WINDOW {
        // Writing into a String cannot fail.
        let _ = write!(answer, "; server_max_window_bits={window_bits}");
    }
    if let Some(Bits::AtMost(bits)) = offer.client_max_window_bits {
        let _ = write!(answer, "; client_max_window_bits={bits}");
    }
    answer
}

/// Reads one offer; `None` for another extension and for unknown, repeated or ill-valued parameters.
fn read_offer(text: &str) -> Option<Offer> {
    let mut parts = text.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let mut offer = Offer::default();
    for part in parts {
        read_parameter(part, &mut offer)?;
    }
    Some(offer)
}

fn read_parameter(part: &str, offer: &mut Offer) -> Option<()> {
    let (name, value) = match part.split_once('=') {
        Some((name, value)) => (name.trim_end(), Some(unquote(value.trim_start())?)),
        None => (part, None),
    };
    match (name.to_ascii_lowercase().as_str(), value) {
        ("server_no_context_takeover", None) if !offer.server_no_context_takeover => {
            offer.server_no_context_takeover = true;
        }
        ("client_no_context_takeover", None) if !offer.client_no_context_takeover => {
            offer.client_no_context_takeover = true;
        }
        ("server_max_window_bits", Some(bits)) if offer.server_max_window_bits.is_none() => {
            offer.server_max_window_bits = Some(read_bits(bits)?);
        }
        ("client_max_window_bits", bits) if offer.client_max_window_bits.is_none() => {
            offer.client_max_window_bits = Some(match bits {
                Some(bits) => Bits::AtMost(read_bits(bits)?),
                None => Bits::Open,
            });
        }
        _ => return None,
    }
    Some(())
}

/// A value may be quoted, but only around a token (RFC 6455 section 9.1).
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// A whole number from 8 to 15 without leading zeros (RFC 7692 section 7.1.2).
fn read_bits(value: &str) -> Option<u8> {
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn negotiated(offers: &str) -> Option<(String, u8)> {
        negotiate(offers, &DeflateConfig::default()).map(|(answer, deflate)| (answer, deflate.window_bits))
    }

    #[test]
    fn offers_are_answered_with_what_both_sides_will_do() {
        let cases = [
            ("permessage-deflate", "", 15),
            ("permessage-deflate; client_max_window_bits", "", 15),
            ("permessage-deflate; client_max_window_bits=8", "; client_max_window_bits=8", 15),
            ("permessage-deflate; client_max_window_bits=15", "; client_max_window_bits=15", 15),
            ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15", 15),
            ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9", 9),
            ("permessage-deflate;server_max_window_bits=\"10\"", "; server_max_window_bits=10", 10),
            ("Permessage-Deflate ; Server_No_Context_Takeover", "", 15),
            (
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=12; \
                 client_no_context_takeover; server_no_context_takeover",
                "; server_max_window_bits=12; client_max_window_bits=9",
                12,
            ),
        ];
        for (offer, more, window) in cases {
            assert_eq!(negotiated(offer), Some((format!("{BOTH}{more}"), window)), "{offer}");
        }
    }

    #[test]
    fn an_offer_that_cannot_be_honoured_is_passed_over_for_the_next() {
        let declined = [
            "",
            "permessage-bzip2",
            "x-webkit-deflate-frame",
            "permessage-deflate; unknown",
            "permessage-deflate;",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=\"10",
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        ];
        for offer in declined {
            assert_eq!(negotiated(offer), None, "{offer}");
            let second = format!("{offer}, permessage-deflate; server_max_window_bits=11");
            assert_eq!(negotiated(&second), Some((format!("{BOTH}; server_max_window_bits=11"), 11)));
        }
    }

    #[test]
    fn the_servers_own_window_is_told_even_unasked() {
        let small = DeflateConfig { window_bits: 10 };
        for (offer, window) in [
            ("permessage-deflate", 10),
            ("permessage-deflate; server_max_window_bits=12", 10),
            ("permessage-deflate; server_max_window_bits=9", 9),
        ] {
            let expected =
                (format!("{BOTH}; server_max_window_bits={window}"), Deflate { window_bits: window });
            assert_eq!(negotiate(offer, &small), Some(expected), "{offer}");
        }
    }
}
