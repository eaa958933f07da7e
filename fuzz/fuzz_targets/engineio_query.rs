//! A query of any kind is read or refused; of a parameter that comes twice the first one counts.
//!
//! Input: the query of a request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::engineio::{MAX_PAIRS, Query};

fuzz_target!(|query: &str| {
    let Ok(read) = Query::parse(query) else {
        return assert!(query.matches('&').count() >= MAX_PAIRS);
    };
    let pairs: Vec<_> = read.pairs().collect();
    assert!(pairs.len() <= MAX_PAIRS);
    let first = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    assert_eq!(read.transport.as_ref(), first("transport"));
    assert_eq!(read.eio.as_ref(), first("EIO"));
    assert_eq!(read.sid.as_ref(), first("sid"));
    assert_eq!(read.t.as_ref(), first("t"));
    assert_eq!(read.j.as_ref(), first("j"));
    assert_eq!(read.b64, first("b64").is_some_and(|value| !value.is_empty()));
    let _ = (read.transport(), read.is_python());
    assert_eq!(read.version().is_ok(), first("EIO").is_some_and(|version| version == "4"));
});
