//! Trading competitions: rooms in which members trade with the same cash at the same prices, and are ranked.
//!
//! A room is a deterministic state machine, made of its rules and its journal alone; every amount is exact.
//!
//! | module | what it is |
//! |---|---|
//! | [`decimal`] | exact decimals |
//! | [`instrument`], [`rules`] | what is traded, within which bounds |
//! | [`order`], [`market`], [`account`], [`pace`] | what a room is made of |
//! | [`room`] | the state machine |
//! | [`journal`], [`digest`], [`export`] | what happened, and how it is proven |
//! | [`standing`] | who stands where, by named rules |
//! | [`refused`] | what a room says no to |

pub mod account;
pub mod decimal;
pub mod digest;
pub mod export;
pub mod instrument;
pub mod journal;
pub mod market;
pub mod order;
pub mod pace;
pub mod refused;
pub mod room;
pub mod rules;
pub mod standing;
