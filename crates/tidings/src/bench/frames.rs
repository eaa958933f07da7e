//! WebSocket frames as a load generator needs them: parsed in place, written with a mask of zeros.

/// The longest frame that is taken from a server.
const MOST: u64 = 64 << 20;

/// What a frame carries (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A server broke the rules, or used one that a server of ours does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("the server sent a masked frame")]
    Masked,
    #[error("the server sent a fragment or a reserved bit")]
    Unexpected,
    #[error("the server sent a frame that is too long")]
    TooLong,
}

/// Cuts a stream of bytes into frames; holds bytes only while a frame is incomplete.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    partial: Vec<u8>,
}

impl Frames {
    /// Hands every frame that is complete with `bytes` to `each`, without copying where it can.
    ///
    /// # Errors
    /// [`BadFrame`]; the frames before it were handed over.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Opcode, &[u8])) -> Result<(), BadFrame> {
        if self.partial.is_empty() {
            let used = cut(bytes, &mut each)?;
            self.partial.extend_from_slice(bytes.get(used..).unwrap_or_default());
            return Ok(());
        }
        self.partial.extend_from_slice(bytes);
        let used = cut(&self.partial, &mut each)?;
        if used == self.partial.len() {
            // Ten thousand connections must not each keep the room of their longest frame.
            self.partial = Vec::new();
        } else {
            self.partial.drain(..used);
        }
        Ok(())
    }
}

fn cut(bytes: &[u8], each: &mut impl FnMut(Opcode, &[u8])) -> Result<usize, BadFrame> {
    let mut used = 0;
    while let Some((opcode, start, end)) = next(bytes.get(used..).unwrap_or_default())? {
        each(opcode, bytes.get(used + start..used + end).unwrap_or_default());
        used += end;
    }
    Ok(used)
}

/// The first frame's opcode and where its payload starts and ends, if all of it is there.
fn next(bytes: &[u8]) -> Result<Option<(Opcode, usize, usize)>, BadFrame> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let opcode = match first {
        0x81 => Opcode::Text,
        0x82 => Opcode::Binary,
        0x88 => Opcode::Close,
        0x89 => Opcode::Ping,
        0x8a => Opcode::Pong,
        _ => return Err(BadFrame::Unexpected),
    };
    let (start, length) = match second {
        0x80.. => return Err(BadFrame::Masked),
        126 => match rest.first_chunk() {
            Some(bytes) => (4, u64::from(u16::from_be_bytes(*bytes))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(bytes) => (10, u64::from_be_bytes(*bytes)),
            None => return Ok(None),
        },
        short => (2, u64::from(*short)),
    };
    let length = usize::try_from(length).ok().filter(|_| length <= MOST).ok_or(BadFrame::TooLong)?;
    Ok((bytes.len() >= start + length).then_some((opcode, start, start + length)))
}

/// A finished client frame. A mask of zeros is a mask (RFC 6455 section 5.3) and leaves the payload
/// readable in place; the server's work is the same.
pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    client_frame(0x81, text.as_bytes())
}

/// The answer to a ping, with its payload.
pub(crate) fn pong_frame(payload: &[u8]) -> Vec<u8> {
    client_frame(0x8a, payload)
}

fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => frame.push(0x80 | short),
        (_, Ok(medium)) => {
            frame.push(0x80 | 126);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = client_frame(first, payload);
        frame[1] &= 0x7f;
        let mask = frame.len() - payload.len() - 4;
        frame.drain(mask..mask + 4);
        frame
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let payloads = [vec![], b"a".to_vec(), vec![b'b'; 125], vec![b'c'; 126], vec![b'd'; 70_000]];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| server_frame(0x81, payload)).collect();
        for step in [1, 2, 3, 7, 127, 4096, stream.len()] {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for part in stream.chunks(step) {
                frames.feed(part, |_, payload| found.push(payload.to_vec())).unwrap();
            }
            assert_eq!(found, payloads, "in steps of {step}");
            assert!(frames.partial.is_empty());
        }
    }

    #[test]
    fn every_kind_is_told_apart() {
        let stream: Vec<u8> =
            [0x81, 0x82, 0x88, 0x89, 0x8a].iter().flat_map(|kind| server_frame(*kind, b"x")).collect();
        let mut found = Vec::new();
        Frames::default().feed(&stream, |opcode, _| found.push(opcode)).unwrap();
        assert_eq!(found, [Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong]);
    }

    #[test]
    fn what_a_server_must_not_send_is_refused() {
        let feed = |bytes: &[u8]| Frames::default().feed(bytes, |_, _| {});
        assert_eq!(feed(&[0x81, 0x80, 0, 0, 0, 0]), Err(BadFrame::Masked));
        assert_eq!(feed(&[0x01, 0x01, b'a']), Err(BadFrame::Unexpected));
        assert_eq!(feed(&[0xc1, 0x01, b'a']), Err(BadFrame::Unexpected));
        assert_eq!(feed(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]), Err(BadFrame::TooLong));
    }

    #[test]
    fn a_client_frame_is_masked_and_readable_in_place() {
        let frame = text_frame("hello");
        assert_eq!(frame, [&[0x81, 0x85, 0, 0, 0, 0][..], b"hello"].concat());
        assert_eq!(text_frame(&"x".repeat(300))[..4], [0x81, 0xfe, 1, 44]);
    }
}
