//! The binary.
mod demo;
mod host;

fn main() {}
