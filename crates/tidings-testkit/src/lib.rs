//! What tests of several crates need. A dev-dependency; nothing ships it.
//!
//! | module | what it is |
//! |---|---|
//! | [`bed`] | the real binary on a database of a test's own, and those who talk to an app on it |
//! | [`client`] | a client of the plain protocol, and a subscriber that comes back with its position |
//! | [`described`] | whether a server answers as its description says |
//! | [`frames`] | WebSocket frames, without the server's own codec |
//! | [`history`] | a checker: what many clients heard, beside what was acknowledged |
//! | [`place`] | a directory of a test's own |
//! | [`ports`] | ports for servers that are started again where they were |
//! | [`postgres`] | a PostgreSQL of their own, started on a free port and stopped at the end |
//! | [`proxy`] | a proxy that spoils connections on purpose |
//! | [`serving`] | the real binary, started, killed and told to leave |
//! | [`settings`] | numbers that whoever runs a test has set |
//! | [`waiting`] | looking until something is so |

#[cfg(feature = "bed")]
pub mod bed;
#[cfg(feature = "net")]
pub mod client;
#[cfg(feature = "net")]
pub mod described;
pub mod frames;
pub mod history;
pub mod place;
pub mod ports;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "net")]
pub mod proxy;
pub mod serving;
pub mod settings;
pub mod waiting;

#[cfg(feature = "bed")]
pub use bed::Bed;
pub use history::History;
pub use place::Place;
pub use ports::free_port;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "net")]
pub use proxy::Proxy;
pub use serving::Serving;
pub use waiting::{eventually, eventually_told};
