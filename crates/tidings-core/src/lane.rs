//! How urgent an event is.

pub use tidings_wire::plain::Lane;
