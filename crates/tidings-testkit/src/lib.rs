//! What tests of several crates need. A dev-dependency; nothing ships it.
//!
//! | module | what it is |
//! |---|---|
//! | [`frames`] | WebSocket frames, without the server's own codec |
//! | [`postgres`] | a PostgreSQL of their own, started on a free port and stopped at the end |
//! | [`place`] | a directory of a test's own |

pub mod frames;
pub mod place;
#[cfg(feature = "postgres")]
pub mod postgres;

pub use place::Place;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
