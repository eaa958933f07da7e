//! Requests that this server makes: to addresses it may reach, one answer, bounded in size.
//!
//! Whoever can make a server send requests can make it send them to places only the server can
//! reach. So what a name resolves to is judged right before connecting, and the address that was
//! judged is the one that is connected to; nothing follows a redirect, and no proxy of the
//! environment is asked.

mod address;
mod client;
mod target;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use address::{Reach, reach};
#[cfg(test)]
pub(crate) use client::Found;
pub(crate) use client::{Answer, Outbound, Question, Resolve, SystemResolver};
pub(crate) use target::{Guard, Target};
pub(crate) use tls::connector;
