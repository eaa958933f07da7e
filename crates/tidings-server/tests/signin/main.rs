//! Tokens, from the outside: which are believed, which are not, and what is asked for them.
#![allow(clippy::unwrap_used)]

mod common;
mod corpus;
mod issuers;
mod jwks;
mod mutations;
mod own;
