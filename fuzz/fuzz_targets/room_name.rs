//! A room's name is refused, or it is kind and id within its bytes; rules and offsets never panic.
//!
//! Input: any text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_core::frame::{parse_resume_offset, resume_offset};
use tidings_core::{Epoch, Identity, Org, Room, Rule};

const BYTES: usize = 40;

fuzz_target!(|text: &str| {
    if let Ok(room) = Room::new(&Org::default(), text, BYTES) {
        assert_eq!(room.name(), text);
        assert!(text.len() <= BYTES && !room.kind().is_empty() && !room.id().is_empty());
        assert!(!room.kind().contains(':') && !text.chars().any(char::is_control));
        assert_eq!(format!("{}:{}", room.kind(), room.id()), text);
        assert!(!Rule::Owner.admits(&Identity::anonymous(), &room));
        let elsewhere = Room::new(&Org::new(text), text, BYTES);
        assert_eq!(elsewhere.is_ok_and(|other| other == room), text == Org::DEFAULT);
    }
    assert_eq!(Room::of_user(&Org::default(), text).id(), text);
    if let Some(epoch) = Epoch::parse(text) {
        assert_eq!(epoch.to_string(), text.to_ascii_lowercase());
    }
    if let Some((node, mark)) = parse_resume_offset(text) {
        assert_eq!(parse_resume_offset(&resume_offset(node, mark)), Some((node, mark)));
    }
    let _ = Rule::parse(text);
});
