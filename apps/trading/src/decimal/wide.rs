//! What a product of two decimals is divided by, where the product needs more than 128 bits: what a large position has cost, times
//! how much of it is sold.

use super::{Rounding, goes_up};

/// `left × right ÷ by`, rounded once; as large as there is room for, and nothing if `by` is nothing.
pub(super) fn divided((left, right): (i128, i128), by: i128, rounding: Rounding) -> i128 {
    if by == 0 {
        return 0;
    }
    let is_negative = (left < 0) ^ (right < 0) ^ (by < 0);
    let most = if is_negative { i128::MIN } else { i128::MAX };
    let by = by.unsigned_abs();
    let product = product(left.unsigned_abs(), right.unsigned_abs());
    let Some((whole, rest)) = quotient(product, by) else { return most };
    // Of what is less than nothing the lower neighbour is the one that is larger by size.
    let (below, above) = if is_negative { (by - rest, rest) } else { (rest, by - rest) };
    let is_odd = (whole % 2 != 0) ^ is_negative;
    let is_larger = rest > 0 && goes_up(is_odd, (below, above), rounding) != is_negative;
    let size = whole.checked_add(is_larger.into()).and_then(|size| i128::try_from(size).ok());
    size.map_or(most, |size| if is_negative { -size } else { size })
}

/// The upper and the lower 128 bits of a product.
fn product(left: u128, right: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let ((a, b), (c, d)) = ((left >> 64, left & LOW), (right >> 64, right & LOW));
    let low = b * d;
    // (2^64 - 1)^2 + 2^64 - 1 is less than 2^128: what is carried always fits.
    let middle = a * d + (low >> 64);
    let (middle, carry) = (b * c + (middle & LOW), middle >> 64);
    (a * c + carry + (middle >> 64), middle << 64 | low & LOW)
}

/// How often `by`, which is 2^127 at most, is in a number of 256 bits, and what is left; nothing if it is too often for 128
/// bits.
fn quotient((high, low): (u128, u128), by: u128) -> Option<(u128, u128)> {
    let (mut rest, mut whole) = (high, 0);
    if rest >= by {
        return None;
    }
    // Bit by bit, as on paper.
    for bit in (0..u128::BITS).rev() {
        rest = rest << 1 | low >> bit & 1;
        whole = whole << 1 | u128::from(rest >= by);
        if rest >= by {
            rest -= by;
        }
    }
    Some((whole, rest))
}
