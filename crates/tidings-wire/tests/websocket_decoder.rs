//! What comes out of the decoder does not depend on how the network cut the bytes.

#![allow(clippy::unwrap_used)]

mod websocket_client;

use proptest::collection::vec;
use proptest::prelude::*;
use tidings_wire::Limits;
use tidings_wire::websocket::{Decoder, Deflate, Incoming, compress};
use websocket_client::{Message, Sending, decode, masked, sendings};

fn written(sendings: &[Sending]) -> Vec<u8> {
    let mut bytes = Vec::new();
    sendings.iter().for_each(|sending| sending.write(&mut bytes));
    bytes
}

fn check_every_cut(sendings: &[Sending], deflate: bool) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    let bytes = written(sendings);
    let expected: Vec<Message> = sendings.iter().flat_map(Sending::expected).collect();
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        let decoded = decode(deflate, &limits, [head, tail]);
        prop_assert_eq!(decoded.violation, None, "cut at {}", cut);
        prop_assert_eq!(&decoded.messages, &expected, "cut at {}", cut);
        prop_assert_eq!(decoded.held, 0, "cut at {}", cut);
    }
    let bytewise = decode(deflate, &limits, bytes.chunks(1));
    prop_assert_eq!(bytewise.violation, None);
    prop_assert_eq!(bytewise.messages, expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_come_out_whole_wherever_a_read_is_cut(sendings in sendings(false)) {
        check_every_cut(&sendings, false)?;
    }

    #[test]
    fn compressed_messages_come_out_whole_wherever_a_read_is_cut(sendings in sendings(true)) {
        check_every_cut(&sendings, true)?;
    }

    #[test]
    fn any_bytes_get_one_verdict_however_they_are_cut(
        sendings in sendings(true),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        noise in vec(any::<u8>(), 0..20),
        step in 1..40_usize,
    ) {
        let mut bytes = written(&sendings);
        bytes.extend(noise);
        for (at, value) in flips.iter().filter(|_| !bytes.is_empty()).copied().collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let limits = Limits { message_bytes: 200, frame_bytes: 150, fragments: 4, ..Limits::default() };
        let whole = decode(true, &limits, [&bytes[..]]);
        let cut = decode(true, &limits, bytes.chunks(step));
        prop_assert_eq!(whole.messages, cut.messages);
        prop_assert_eq!(whole.violation, cut.violation);
    }
}

#[test]
fn long_messages_come_out_whole() {
    let limits = Limits::default();
    for len in [125, 126, 65_535, 65_536, 1_000_000] {
        let payload: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let bytes = masked(0x80, 2, &payload);
        for step in [bytes.len(), 16_384, 1_000, 61] {
            let decoded = decode(false, &limits, bytes.chunks(step));
            assert_eq!(
                decoded.messages,
                [Message::Binary(payload.clone())],
                "{len} bytes in steps of {step}"
            );
        }
    }
}

#[test]
fn a_whole_frame_is_handed_out_where_it_lies_and_nothing_is_held() {
    let limits = Limits::default();
    let mut buffer = [masked(0x80, 1, "grüß".as_bytes()), masked(0x80, 9, b"!")].concat();
    let range = buffer.as_ptr_range();
    let mut decoder = Decoder::new(None);
    let mut input = &mut buffer[..];
    let Ok(Some(Incoming::Text(text))) = decoder.next(&mut input, &limits) else { panic!("no text") };
    assert_eq!(text, "grüß");
    assert!(range.contains(&text.as_ptr()));
    assert_eq!(decoder.held(), 0);
    assert_eq!(decoder.next(&mut input, &limits), Ok(Some(Incoming::Ping(b"!"))));
    assert_eq!(decoder.next(&mut input, &limits), Ok(None));
    assert_eq!(decoder.held(), 0);
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 40);
    assert!(size_of::<Option<Deflate>>() <= 2);
}

#[test]
fn a_header_that_declares_four_exabytes_allocates_nothing() {
    let mut buffer = vec![0x82, 0xFF];
    buffer.extend_from_slice(&(1_u64 << 62).to_be_bytes());
    let mut decoder = Decoder::new(None);
    let violation = decoder.next(&mut &mut buffer[..], &Limits::default()).unwrap_err();
    assert_eq!(violation.reason.code(), 1009);
    assert_eq!(decoder.held(), 0);
}

#[test]
fn memory_follows_the_bytes_that_came_and_not_the_announcement() {
    let limits = Limits::default();
    let bytes = masked(0x80, 2, &vec![7; 1_000_000]);
    let mut decoder = Decoder::new(None);
    for came in [20, 1_000, 100_000] {
        decoder = Decoder::new(None);
        let mut buffer = bytes[..came].to_vec();
        assert_eq!(decoder.next(&mut &mut buffer[..], &limits), Ok(None));
        assert!(decoder.held() < came + 300, "{} held for {came}", decoder.held());
    }
    let mut rest = bytes[100_000..].to_vec();
    for read in rest.chunks_mut(4_096) {
        let mut input = read;
        decoder.next(&mut input, &limits).unwrap();
        assert!(decoder.held() < 1_000_300, "{} held", decoder.held());
    }
    assert_eq!(decoder.next(&mut &mut [][..], &limits), Ok(None));
    assert_eq!(decoder.held(), 0);
}

#[test]
fn a_ping_between_fragments_does_not_free_or_mix_the_message() {
    let limits = Limits::default();
    let mut decoder = Decoder::new(None);
    let mut take = |bytes: &[u8]| {
        let mut buffer = bytes.to_vec();
        let mut input = &mut buffer[..];
        let mut seen: Vec<Message> = Vec::new();
        while let Some(incoming) = decoder.next(&mut input, &limits).unwrap() {
            seen.push(incoming.into());
        }
        (seen, decoder.held() > 0)
    };
    let ping = masked(0x80, 9, b"are you there");
    assert_eq!(take(&masked(0x00, 1, b"one ")), (vec![], true));
    assert_eq!(take(&ping[..9]), (vec![], true));
    assert_eq!(take(&ping[9..]), (vec![Message::Ping(b"are you there".to_vec())], true));
    assert_eq!(take(&ping), (vec![Message::Ping(b"are you there".to_vec())], true));
    assert_eq!(take(&ping[..7]), (vec![], true));
    assert_eq!(take(&ping[7..]), (vec![Message::Ping(b"are you there".to_vec())], true));
    assert_eq!(take(&masked(0x00, 0, b"")), (vec![], true));
    assert_eq!(take(&masked(0x80, 0, b"two")), (vec![Message::Text("one two".into())], false));
}

#[test]
fn a_bomb_is_refused_and_leaves_nothing_behind() {
    let mut bomb = Vec::new();
    compress(&vec![0; 20_000_000], 15, &mut bomb);
    let frame = masked(0xC0, 2, &bomb);
    for reads in [vec![&frame[..]], frame.chunks(1_000).collect()] {
        let decoded = decode(true, &Limits::default(), reads);
        assert_eq!(decoded.violation.map(|violation| violation.reason.code()), Some(1009));
        assert_eq!(decoded.held, 0);
    }
}

#[test]
fn an_empty_compressed_message_is_an_empty_message() {
    for payload in [&[0x00][..], &[]] {
        let decoded = decode(true, &Limits::default(), [&masked(0xC0, 1, payload)[..]]);
        assert_eq!(decoded.messages, [Message::Text(String::new())], "{payload:?}");
    }
    let fragments = [masked(0x40, 1, &[]), masked(0x00, 0, &[0x00]), masked(0x80, 0, &[])].concat();
    let decoded = decode(true, &Limits::default(), [&fragments[..]]);
    assert_eq!(decoded.messages, [Message::Text(String::new())]);
}

#[test]
fn an_uncompressed_message_passes_where_compression_was_negotiated() {
    let decoded = decode(true, &Limits::default(), [&masked(0x80, 1, b"plain")[..]]);
    assert_eq!(decoded.messages, [Message::Text("plain".into())]);
}
