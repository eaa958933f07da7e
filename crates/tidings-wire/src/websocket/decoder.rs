//! What a client sends, taken apart in the caller's read buffer.

use simdutf8::compat::from_utf8;

use super::deflate::{Deflate, inflate};
use super::frame::Opcode;
use super::header::{self, Header, Rules};
use super::unfinished::{Progress, Unfinished, take};
use crate::{Limits, Violation};

/// A finished message or control frame of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// To be answered with a pong of the same payload, at most 125 bytes.
    Ping(&'a [u8]),
    /// The answer to a ping, or an unasked sign of life.
    Pong(&'a [u8]),
    /// The client's last frame, with its code and sentence if it gave any.
    Close(Option<(u16, &'a str)>),
}

/// Turns a client's bytes into messages; holds memory only for what is unfinished.
///
/// A whole unfragmented frame is unmasked and handed out where it lies in the caller's buffer; only what
/// a read has cut off is copied. After a [`Violation`] the connection is to be closed: what the decoder
/// makes of further bytes has no meaning. So is what follows a [`Incoming::Close`].
#[derive(Debug, Default)]
pub struct Decoder {
    deflate: Option<Deflate>,
    unfinished: Option<Box<Unfinished>>,
}

// Every idle connection has one.
const _: () = assert!(size_of::<Decoder>() <= 40);

/// Where a finished message lies.
enum Found<'i> {
    InInput(Incoming<'i>),
    Kept(Opcode),
}

impl Decoder {
    /// Starts behind the handshake; `deflate` is what [`accept`](super::accept) negotiated.
    pub fn new(deflate: Option<Deflate>) -> Self {
        Self { deflate, unfinished: None }
    }

    /// Takes the next finished message out of `input` and advances `input` behind it.
    ///
    /// `Ok(None)` means that `input` is used up; what was cut off at its end is kept inside, within
    /// `limits`. Call until then: it also frees the memory of the message given out before. A compressed
    /// message keeps the limits twice: as it comes and inflated.
    ///
    /// # Errors
    /// The [`Violation`] to hang up with: framing (1002, RFC 6455 section 5), text that is not UTF-8
    /// (1007, section 8.1, as soon as it is seen), too many fragments (1008), too many bytes (1009, judged
    /// by the header or, inflating, by the first byte too many).
    #[inline]
    pub fn next<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i mut [u8],
        limits: &Limits,
    ) -> Result<Option<Incoming<'d>>, Violation> {
        match self.advance(input, limits) {
            Ok(Some(Found::InInput(incoming))) => Ok(Some(incoming)),
            Ok(Some(Found::Kept(opcode))) => {
                // Judged before it is lent: a refused message must not stay in memory.
                if let Err(violation) = incoming(opcode, self.given()) {
                    self.unfinished = None;
                    return Err(violation);
                }
                incoming(opcode, self.given()).map(Some)
            }
            Ok(None) => Ok(None),
            Err(violation) => {
                self.unfinished = None;
                Err(violation)
            }
        }
    }

    /// Bytes of memory held for what is unfinished; 0 when nothing is.
    ///
    /// A message given out of this memory counts until the next call of [`next`](Self::next).
    pub fn held(&self) -> usize {
        self.unfinished.as_deref().map_or(0, Unfinished::size)
    }

    fn given(&self) -> &[u8] {
        self.unfinished.as_deref().map_or(&[], Unfinished::given)
    }

    #[inline]
    fn advance<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        limits: &Limits,
    ) -> Result<Option<Found<'i>>, Violation> {
        if self.unfinished.as_deref_mut().is_some_and(|unfinished| !unfinished.release()) {
            self.unfinished = None;
        }
        loop {
            if !self.unfinished.as_deref().is_some_and(Unfinished::inside_frame) {
                let Some(header) = self.read_header(input, limits)? else { return Ok(None) };
                if is_whole(&header, input) {
                    return self.read_whole(&header, input, limits).map(Some);
                }
                self.unfinished.get_or_insert_default().begin(header, limits)?;
            }
            match self.unfinished.get_or_insert_default().gather(input, limits)? {
                Progress::Starved => return Ok(None),
                Progress::FrameEnded => {}
                Progress::Complete(opcode) => return Ok(Some(Found::Kept(opcode))),
            }
        }
    }

    #[inline]
    fn read_header(&mut self, input: &mut &mut [u8], limits: &Limits) -> Result<Option<Header>, Violation> {
        let deflate = self.deflate.is_some();
        if let Some(unfinished) = self.unfinished.as_deref_mut() {
            let rules = Rules { limits, deflate, open: unfinished.open() };
            return unfinished.read_header(input, &rules);
        }
        let Some((header, size)) = header::read(input, &Rules { limits, deflate, open: None })? else {
            let start = take(input, usize::MAX);
            if !start.is_empty() {
                self.unfinished = Some(Box::new(Unfinished::starting(start)));
            }
            return Ok(None);
        };
        take(input, size);
        Ok(Some(header))
    }

    #[inline]
    fn read_whole<'i>(
        &mut self,
        header: &Header,
        input: &mut &'i mut [u8],
        limits: &Limits,
    ) -> Result<Found<'i>, Violation> {
        let payload = take(input, header.len);
        header::unmask(payload, header.mask);
        if !header.compressed {
            return incoming(header.opcode, payload).map(Found::InInput);
        }
        let inflated = inflate(payload, limits.message_bytes)?;
        self.unfinished = Some(Box::new(Unfinished::holding(header.opcode, inflated)));
        Ok(Found::Kept(header.opcode))
    }
}

/// Whether the frame can be handed out where it lies: it is complete and so is its message.
#[inline]
fn is_whole(header: &Header, input: &[u8]) -> bool {
    header.last && header.opcode != Opcode::Continuation && header.len <= input.len()
}

#[inline]
fn incoming(opcode: Opcode, payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    match opcode {
        Opcode::Text => read_text(payload).map(Incoming::Text),
        Opcode::Binary => Ok(Incoming::Binary(payload)),
        Opcode::Ping => Ok(Incoming::Ping(payload)),
        Opcode::Pong => Ok(Incoming::Pong(payload)),
        Opcode::Close => read_close(payload).map(Incoming::Close),
        Opcode::Continuation => Err(Violation::protocol("continuation without a message")),
    }
}

#[inline]
fn read_text(payload: &[u8]) -> Result<&str, Violation> {
    from_utf8(payload).map_err(|_| Violation::utf8("text message"))
}

/// Reads code and sentence of a close frame (RFC 6455 section 5.5.1).
fn read_close(payload: &[u8]) -> Result<Option<(u16, &str)>, Violation> {
    let Some((&code, sentence)) = payload.split_first_chunk() else {
        if payload.is_empty() {
            return Ok(None);
        }
        return Err(Violation::protocol("close frame of one byte"));
    };
    let code = u16::from_be_bytes(code);
    if !may_be_sent(code) {
        return Err(Violation::protocol("close code that must not be sent"));
    }
    let sentence = from_utf8(sentence).map_err(|_| Violation::utf8("sentence of a close frame"))?;
    Ok(Some((code, sentence)))
}

/// Whether a close frame may carry the code (RFC 6455 section 7.4 and the IANA registry it founded).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// How many bytes of `text` are UTF-8; an error as soon as no continuation can make the rest UTF-8.
pub(super) fn check_text(text: &[u8]) -> Result<usize, Violation> {
    match from_utf8(text) {
        Ok(text) => Ok(text.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(Violation::utf8("text message")),
    }
}
