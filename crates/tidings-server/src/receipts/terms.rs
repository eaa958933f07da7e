//! What a publisher may ask of its recipients.

use tidings_core::{Code, Refusal};
use tidings_wire::plain::ReceiptWish;

/// How long recipients may take for each try, and how often a message is sent at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) timeout_ms: u32,
    pub(crate) tries: u32,
}

/// What a publisher gets who says nothing of it.
const DEFAULT: Terms = Terms { timeout_ms: 5_000, tries: 3 };

/// Milliseconds a try may take, and tries there may be: together ten minutes at most.
const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=60_000;
const TRIES: std::ops::RangeInclusive<u32> = 1..=10;

impl Terms {
    /// The terms of a publish that asks for a receipt.
    ///
    /// # Errors
    /// [`Code::BadRequest`] for values out of bounds, and for a message that may be lost.
    pub(crate) fn of(wish: ReceiptWish, volatile: bool) -> Result<Self, Refusal> {
        let bad = |text: &str| Err(Refusal::new(Code::BadRequest, text));
        if volatile {
            return bad("receipt: what is volatile may be lost and is not tracked");
        }
        let timeout_ms = wish.timeout_ms.unwrap_or(DEFAULT.timeout_ms);
        let tries = wish.tries.unwrap_or(DEFAULT.tries);
        if !TIMEOUT_MS.contains(&timeout_ms) {
            return bad("receipt.timeoutMs: is not from 100 to 60000");
        }
        if !TRIES.contains(&tries) {
            return bad("receipt.tries: is not from 1 to 10");
        }
        Ok(Self { timeout_ms, tries })
    }
}

/// Appends what a publisher gets, where its message is tracked.
pub(crate) fn write_terms(out: &mut Vec<u8>, terms: Option<Terms>) {
    if let Some(Terms { timeout_ms, tries }) = terms {
        let text = format!(",\"receipt\":{{\"timeoutMs\":{timeout_ms},\"tries\":{tries}}}");
        out.extend_from_slice(text.as_bytes());
    }
}
