//! What tests of several crates need. A dev-dependency; nothing ships it.
//!
//! | module | what it is |
//! |---|---|
//! | [`postgres`] | a PostgreSQL of their own, started on a free port and stopped at the end |
//! | [`place`] | a directory of a test's own |

pub mod place;
pub mod postgres;

pub use place::Place;
pub use postgres::Postgres;
