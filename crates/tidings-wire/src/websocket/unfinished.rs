//! What a decoder keeps between two reads: boxed, so that an idle connection has none of it.

use super::decoder::check_text;
use super::deflate::inflate;
use super::frame::Opcode;
use super::header::{self, Header, MAX_CLIENT_HEADER, Rules};
use crate::{Limits, Violation};

/// An unfinished header, frame or message, or the message given out last.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// The beginning of a header that was cut off.
    start: [u8; MAX_CLIENT_HEADER],
    start_len: usize,
    /// A frame whose payload is still coming.
    frame: Option<Frame>,
    /// The data message the frames belong to.
    message: Option<Message>,
    /// Payload of the data message so far, unmasked, inflated only when it is finished.
    payload: Vec<u8>,
    /// Payload of a control frame so far: it may come between the fragments of a message.
    control: Vec<u8>,
    /// What was given out last, and is held only until the next call.
    given: Option<Opcode>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    header: Header,
    /// Bytes of payload still to come; the header's mask is turned to fit them.
    left: usize,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    opcode: Opcode,
    compressed: bool,
    fragments: u32,
    /// Bytes of the payload known to be UTF-8.
    valid: usize,
}

/// What became of the frame whose payload came in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Progress {
    /// The read ended inside the frame.
    Starved,
    /// The frame is complete, its message is not.
    FrameEnded,
    /// A message or control frame is complete and waits in [`Unfinished::given`].
    Complete(Opcode),
}

impl Unfinished {
    /// Keeps an inflated message until the caller has read it.
    pub(super) fn holding(opcode: Opcode, payload: Vec<u8>) -> Self {
        Self { payload, given: Some(opcode), ..Self::default() }
    }

    /// Keeps the beginning of a header.
    pub(super) fn starting(header: &[u8]) -> Self {
        let mut this = Self::default();
        this.extend_start(header);
        this
    }

    /// Bytes of the fragmented message so far, if one is open.
    pub(super) fn open(&self) -> Option<usize> {
        self.message.map(|_| self.payload.len())
    }

    /// Bytes of memory, this value included.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.payload.capacity() + self.control.capacity()
    }

    /// Lets go of what was given out; answers whether anything is still unfinished.
    pub(super) fn release(&mut self) -> bool {
        match self.given.take() {
            Some(opcode) if opcode.is_control() => self.control = Vec::new(),
            Some(_) => return false,
            None => {}
        }
        self.start_len > 0 || self.frame.is_some() || self.message.is_some()
    }

    /// The payload of what [`Progress::Complete`] announced.
    pub(super) fn given(&self) -> &[u8] {
        match self.given {
            Some(opcode) if opcode.is_control() => &self.control,
            _ => &self.payload,
        }
    }

    /// Whether a frame's payload is still coming.
    pub(super) fn inside_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// Reads the next header, which may have begun in an earlier read, and advances `input` behind it.
    pub(super) fn read_header(
        &mut self,
        input: &mut &mut [u8],
        rules: &Rules<'_>,
    ) -> Result<Option<Header>, Violation> {
        let kept = self.start_len;
        let copied = self.extend_start(input);
        let Some((header, size)) = header::read(&self.start[..self.start_len], rules)? else {
            take(input, copied);
            return Ok(None);
        };
        // The kept bytes alone were no header, so the header ends in this read.
        take(input, size.saturating_sub(kept));
        self.start_len = 0;
        Ok(Some(header))
    }

    /// Copies as much of `bytes` as a header can be long; answers how much.
    fn extend_start(&mut self, bytes: &[u8]) -> usize {
        let room = &mut self.start[self.start_len..];
        let copied = room.len().min(bytes.len());
        room[..copied].copy_from_slice(&bytes[..copied]);
        self.start_len += copied;
        copied
    }

    /// Takes note of a frame whose payload will be gathered.
    pub(super) fn begin(&mut self, header: Header, limits: &Limits) -> Result<(), Violation> {
        if !header.opcode.is_control() {
            let message = self.message.get_or_insert(Message {
                opcode: header.opcode,
                compressed: header.compressed,
                fragments: 0,
                valid: 0,
            });
            message.fragments = message.fragments.saturating_add(1);
            if message.fragments > limits.fragments {
                return Err(Violation::structure("too many fragments"));
            }
        }
        self.frame = Some(Frame { header, left: header.len });
        Ok(())
    }

    /// Unmasks and copies what has come of the frame's payload, and advances `input` behind it.
    pub(super) fn gather(&mut self, input: &mut &mut [u8], limits: &Limits) -> Result<Progress, Violation> {
        let Some(mut frame) = self.frame.take() else { return Ok(Progress::FrameEnded) };
        let chunk = take(input, frame.left);
        header::unmask(chunk, frame.header.mask);
        let kept = if frame.header.opcode.is_control() { &mut self.control } else { &mut self.payload };
        append(kept, chunk, frame.left);
        frame.left -= chunk.len();
        if frame.left == 0 {
            return self.end_frame(frame.header, limits);
        }
        frame.header.mask = header::turn(frame.header.mask, chunk.len());
        self.frame = Some(frame);
        self.check_text()?;
        Ok(Progress::Starved)
    }

    fn end_frame(&mut self, header: Header, limits: &Limits) -> Result<Progress, Violation> {
        if header.opcode.is_control() {
            self.given = Some(header.opcode);
            return Ok(Progress::Complete(header.opcode));
        }
        if !header.last {
            self.check_text()?;
            return Ok(Progress::FrameEnded);
        }
        let Some(message) = self.message.take() else { return Ok(Progress::FrameEnded) };
        if message.compressed {
            self.payload = inflate(&self.payload, limits.message_bytes)?;
        }
        self.given = Some(message.opcode);
        Ok(Progress::Complete(message.opcode))
    }

    /// Fails as soon as the text so far cannot become UTF-8 whatever follows.
    fn check_text(&mut self) -> Result<(), Violation> {
        match &mut self.message {
            Some(message) if message.opcode == Opcode::Text && !message.compressed => {
                message.valid += check_text(&self.payload[message.valid..])?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Cuts up to `len` bytes off the front of `input`.
pub(super) fn take<'i>(input: &mut &'i mut [u8], len: usize) -> &'i mut [u8] {
    let all = std::mem::take(input);
    let (front, rest) = all.split_at_mut(len.min(all.len()));
    *input = rest;
    front
}

/// Appends `chunk`, of which `coming` bytes are announced: memory follows the bytes, not the announcement.
fn append(kept: &mut Vec<u8>, chunk: &[u8], coming: usize) {
    let needed = kept.len() + chunk.len();
    if needed > kept.capacity() {
        let enough = kept.len() + coming.max(chunk.len());
        let target = needed.max(kept.capacity() * 2).min(enough);
        kept.reserve_exact(target - kept.len());
    }
    kept.extend_from_slice(chunk);
}
