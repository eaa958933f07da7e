//! JSON as text: checked once, then sliced, never built into a tree.
//!
//! A payload is forwarded to thousands of clients and read by at most one handler, so the wire keeps it as
//! the text it came in. [`check`] proves that the text is one JSON value of bounded depth; everything else
//! here works on text that passed it and takes slices of it. On text that did not pass, the functions
//! return nonsense or nothing, but never panic.

mod check;
mod meant;
mod scan;
mod text;

pub(crate) use check::check_named;
pub use check::{MAX_DEPTH, check};
pub use meant::meant;
pub use scan::{Elements, Members, elements, members};
pub(crate) use scan::{name_and_args, skip_space, skip_value, string_end};
pub use text::{string, string_lossy, unsigned, write_string};
