//! Commands that talk to a running server.

pub(crate) mod explain;
pub(crate) mod follow;
pub(crate) mod publish;
pub(crate) mod target;
pub(crate) mod watch;
