//! One connection, and several who sit in its namespace one after the other.

use crate::common::{Frame, Wire, config, frame, with_server};
use crate::hooks::token;

#[test]
fn what_the_front_reads_for_one_who_left_is_not_answered_to_the_next_one_there() {
    with_server(&config(), |addr, _| {
        let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
        wire.say(&format!("40{{\"token\":\"{}\"}}", token("ana")));
        wire.hear("40{");
        // All of it comes in one read, so that the answer is still on its way when eve sits down.
        let eve = format!("40{{\"token\":\"{}\"}}", token("eve"));
        let said =
            ["427[\"history\",{\"room\":\"open:1\"}]", "41", &eve, "428[\"history\",{\"room\":\"open:1\"}]"];
        let frames: Vec<u8> = said.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect();
        wire.send(&frames);
        wire.hear("40{");
        let Frame::Text(first) = wire.next() else { panic!("closed") };
        assert!(first.starts_with("438["), "{first}");
    });
}
