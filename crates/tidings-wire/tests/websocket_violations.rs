//! What a client must not send, and the code it is told when we hang up.

mod websocket_client;

use tidings_wire::Limits;
use websocket_client::{Message, decode, masked};

fn limits() -> Limits {
    Limits { message_bytes: 1_000, frame_bytes: 600, fragments: 3, ..Limits::default() }
}

fn code(deflate: bool, bytes: &[u8]) -> Option<u16> {
    decode(deflate, &limits(), [bytes]).violation.map(|violation| violation.reason.code())
}

fn close(code: u16, sentence: &[u8]) -> Vec<u8> {
    masked(0x80, 8, &[&code.to_be_bytes(), sentence].concat())
}

#[track_caller]
fn refused(expected: u16, cases: &[(&str, Vec<u8>)]) {
    for (name, bytes) in cases {
        for step in [bytes.len(), 1] {
            let decoded = decode(false, &limits(), bytes.chunks(step));
            let code = decoded.violation.map(|violation| violation.reason.code());
            assert_eq!(code, Some(expected), "{name}, in steps of {step}: {decoded:?}");
            assert_eq!(decoded.held, 0, "{name}");
        }
    }
}

#[test]
fn a_broken_frame_is_a_protocol_error() {
    refused(
        1002,
        &[
            ("not masked", vec![0x81, 0x02, b'h', b'i']),
            ("not masked and empty", vec![0x81, 0x00]),
            ("RSV1 without compression", masked(0xC0, 1, b"hi")),
            ("RSV2", masked(0xA0, 1, b"hi")),
            ("RSV3", masked(0x90, 1, b"hi")),
            ("RSV2 on a control frame", masked(0xA0, 9, b"hi")),
            ("all reserved bits", masked(0xF0, 2, b"")),
            ("reserved data opcode 3", masked(0x80, 3, b"")),
            ("reserved data opcode 7", masked(0x80, 7, b"")),
            ("reserved control opcode 11", masked(0x80, 11, b"")),
            ("reserved control opcode 15", masked(0x80, 15, b"")),
            ("fragmented ping", masked(0x00, 9, b"")),
            ("fragmented close", masked(0x00, 8, b"")),
            ("long ping", masked(0x80, 9, &[0; 126])),
            ("long close", masked(0x80, 8, &[0; 126])),
            ("control frame with a 64-bit length", vec![0x8A, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0]),
            ("16-bit length of 125", vec![0x82, 0xFE, 0, 125]),
            ("16-bit length of 0", vec![0x82, 0xFE, 0, 0]),
            ("64-bit length of 65535", vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
            ("64-bit length with its highest bit", vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("64-bit length of all ones", [&[0x82, 0xFF][..], &[0xFF; 8]].concat()),
        ],
    );
}

#[test]
fn fragments_out_of_order_are_a_protocol_error() {
    let start = masked(0x00, 1, b"start");
    refused(
        1002,
        &[
            ("final continuation of nothing", masked(0x80, 0, b"end")),
            ("continuation of nothing", masked(0x00, 0, b"more")),
            (
                "continuation of a finished message",
                [masked(0x80, 1, b"all"), masked(0x80, 0, b"more")].concat(),
            ),
            ("text inside a message", [start.clone(), masked(0x80, 1, b"new")].concat()),
            ("binary inside a message", [start.clone(), masked(0x00, 2, b"new")].concat()),
            (
                "continuation after the end",
                [start, masked(0x80, 0, b"end"), masked(0x80, 0, b"more")].concat(),
            ),
        ],
    );
}

#[test]
fn a_bad_close_frame_is_refused() {
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    let named = codes.map(|bad| ("close code", close(bad, b"")));
    refused(1002, &named);
    refused(1002, &[("close of one byte", masked(0x80, 8, &[3]))]);
    refused(
        1007,
        &[("sentence that is not UTF-8", close(1000, &[0xCE, 0xBA, 0xE1])), ("0xFF", close(1000, &[0xFF]))],
    );
}

#[test]
fn a_good_close_frame_is_handed_out() {
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
    {
        let decoded = decode(false, &limits(), [&close(code, "tschüß".as_bytes())[..]]);
        assert_eq!(decoded.messages, [Message::Close(Some((code, "tschüß".into())))]);
    }
    let decoded = decode(false, &limits(), [&masked(0x80, 8, b"")[..]]);
    assert_eq!(decoded.messages, [Message::Close(None)]);
    let longest = "a".repeat(123);
    let decoded = decode(false, &limits(), [&close(1000, longest.as_bytes())[..]]);
    assert_eq!(decoded.messages, [Message::Close(Some((1000, longest)))]);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let good = "κόσμε".as_bytes();
    refused(
        1007,
        &[
            ("surrogate", masked(0x80, 1, &[0xED, 0xA0, 0x80])),
            ("overlong", masked(0x80, 1, &[0xC0, 0xAF])),
            ("above the last code point", masked(0x80, 1, &[0xF4, 0x90, 0x80, 0x80])),
            ("cut off at the end", masked(0x80, 1, &good[..good.len() - 1])),
            ("cut off behind a long text", masked(0x80, 1, &[&[b'a'; 500][..], &[0xC3]].concat())),
            ("stray continuation", masked(0x80, 1, &[0x80])),
            ("bad second fragment", [masked(0x00, 1, good), masked(0x80, 0, &[0xFF])].concat()),
            ("cut off in the last fragment", [masked(0x00, 1, &[0xC3]), masked(0x80, 0, b"")].concat()),
        ],
    );
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    let text = "κόσμε🙂";
    let mut bytes = masked(0x00, 1, b"");
    let limits = Limits { fragments: 100, ..limits() };
    for byte in text.as_bytes() {
        bytes.extend(masked(0x00, 0, &[*byte]));
    }
    bytes.extend(masked(0x80, 0, b""));
    assert_eq!(decode(false, &limits, [&bytes[..]]).messages, [Message::Text(text.into())]);
}

#[test]
fn bad_text_fails_before_the_frame_or_message_is_complete() {
    let bad = [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE, 0xBC, 0xCE, 0xB5, 0xF4, 0x90];
    let mut fragment = masked(0x00, 1, &bad);
    assert_eq!(code(false, &fragment), Some(1007));
    assert_eq!(code(false, &fragment[..fragment.len() - 1]), None);
    fragment = masked(0x80, 1, &[&bad[..], b"a tail that does not arrive"].concat());
    let header = 6;
    assert_eq!(code(false, &fragment[..header + bad.len()]), Some(1007));
    assert_eq!(code(false, &fragment[..header + bad.len() - 1]), None);
}

#[test]
fn a_size_over_the_limit_is_refused_by_the_header_alone() {
    let first = masked(0x00, 2, &[0; 600]);
    refused(
        1009,
        &[
            ("frame of 601", masked(0x80, 2, &[0; 601])[..4].to_vec()),
            ("frame of 65536", vec![0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0]),
            ("frame of 2^62", vec![0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0]),
            ("frame of 2^63 - 1", vec![0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            ("message of 1001", [first.clone(), masked(0x80, 0, &[0; 401])[..4].to_vec()].concat()),
        ],
    );
    let largest = [first, masked(0x80, 0, &[0; 400])].concat();
    assert_eq!(decode(false, &limits(), [&largest[..]]).messages, [Message::Binary(vec![0; 1_000])]);
}

#[test]
fn too_many_fragments_are_a_refused_structure() {
    let start = [masked(0x00, 2, b"1"), masked(0x00, 0, b"2")].concat();
    refused(
        1008,
        &[
            ("four", [start.clone(), masked(0x00, 0, b"3"), masked(0x80, 0, b"4")].concat()),
            ("four, empty", [masked(0x00, 2, b""), masked(0x00, 0, b"").repeat(3)].concat()),
        ],
    );
    let most = [start, masked(0x80, 0, b"3")].concat();
    assert_eq!(decode(false, &limits(), [&most[..]]).messages, [Message::Binary(b"123".to_vec())]);
}

#[test]
fn rsv1_belongs_only_on_the_first_frame_of_a_compressed_message() {
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    assert_eq!(
        decode(true, &limits(), [&masked(0xC0, 1, &hello)[..]]).messages,
        [Message::Text("Hello".into())]
    );
    let on_continuation = [masked(0x40, 1, &hello[..3]), masked(0xC0, 0, &hello[3..])].concat();
    for (name, bytes, expected) in [
        ("on a continuation", on_continuation, 1002),
        ("on a ping", masked(0xC0, 9, b""), 1002),
        ("on a close", masked(0xC0, 8, b""), 1002),
        ("on what does not inflate", masked(0xC0, 2, &[0xFF; 9]), 1002),
        ("on what is not UTF-8", masked(0xC0, 1, &[0x00, 1, 0, 0xFE, 0xFF, 0xFF, 0]), 1007),
    ] {
        assert_eq!(code(true, &bytes), Some(expected), "{name}");
    }
}
