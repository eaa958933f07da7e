//! What the limits cost in memory for each event: nothing.
//!
//! A process of its own, since it counts every allocation of the process.
#![allow(clippy::unwrap_used)]

#[path = "server/common.rs"]
#[allow(dead_code, reason = "the other tests' vocabulary")]
mod common;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidings_server::Config;

use common::{Wire, frame, limited, user, with_server};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Publishes and pings of one client, half of each, before and while it is counted.
const EVENTS: usize = 4_000;
/// As many as fit a socket's buffers, so that sending never waits for reading.
const BATCH: usize = 100;

/// How many allocations the process makes while a client publishes and pings.
fn allocations(config: &Config) -> usize {
    with_server(config, |addr, _| {
        let mut wire = Wire::open_for(addr, "/ws", "192.0.2.1").unwrap().sign_in(&user("alice"));
        let publish = "{\"type\":\"publish\",\"id\":1,\"room\":\"loose:1\",\"event\":\"e\",\"data\":1}";
        let pair = [frame(0x81, publish.as_bytes()), frame(0x81, b"{\"type\":\"ping\",\"id\":2}")].concat();
        let batch = pair.repeat(BATCH / 2);
        let mut say = |events: usize| {
            for _ in 0..events / BATCH {
                wire.send(&batch);
                let passed = (0..BATCH).filter(|_| wire.hear("ack").contains("\"ok\":true")).count();
                assert_eq!(passed, BATCH, "nothing may be refused while it is counted");
            }
        };
        // What is made once, for the first event, is not the question.
        say(EVENTS);
        let region = Region::new(ALLOCATOR);
        say(EVENTS);
        let change = region.change();
        change.allocations + change.reallocations
    })
}

#[test]
fn limits_allocate_nothing_per_event() {
    let mut limited = limited();
    let limits = &mut limited.limits;
    for rate in [
        &mut limits.messages_per_second,
        &mut limits.messages_burst,
        &mut limits.user_messages_per_second,
        &mut limits.user_messages_burst,
        &mut limits.org_messages_per_second,
        &mut limits.org_messages_burst,
        &mut limits.address_messages_per_second,
        &mut limits.address_messages_burst,
        &mut limits.publish_per_minute,
    ] {
        *rate = 1_000_000;
    }
    let free = Config { no_limits: true, ..limited.clone() };
    let (with, without) = (allocations(&limited), allocations(&free));
    println!("{EVENTS} events: {with} allocations with limits, {without} without");
    assert!(without > EVENTS, "the control: what an event costs anyway is seen");
    // The answers under a budget are longer, so a buffer may grow once more for some batch.
    assert!(with < without + EVENTS / 50, "{with} with limits, {without} without");
}
