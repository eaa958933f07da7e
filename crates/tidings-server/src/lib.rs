//! Listeners, shard loops, long polling, HTTP API, health and metrics.

pub mod config;
