//! The request that is being answered: whatever is noted meanwhile names it and where it came from.
//!
//! It belongs to the task that answers, so that no door can forget to hand it on.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use compact_str::CompactString;

use super::Entry;

/// Where ids come in, from proxies that are trusted, and go out.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of an id that somebody else made.
const ID_MOST: usize = 64;

tokio::task_local! {
    static ASKED: Asked;
}

/// A request: its id, and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    id: CompactString,
    address: IpAddr,
}

impl Asked {
    /// Adds the id to an answer.
    pub(crate) fn show(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            headers.insert(X_REQUEST_ID, id);
        }
    }

    /// Answers it: what is noted in this task until then names it.
    pub(crate) async fn answered<F: Future>(self, answer: F) -> F::Output {
        ASKED.scope(self, answer).await
    }
}

/// Where the request that is being answered came from; the unspecified address outside of one.
pub(crate) fn address() -> IpAddr {
    ASKED.try_with(|asked| asked.address).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Work for a task of its own that still belongs to the request that is being answered here.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    // Read here and not in the task, where there is none.
    let asked = ASKED.try_with(Asked::clone);
    async {
        match asked {
            Ok(asked) => asked.answered(work).await,
            Err(_) => work.await,
        }
    }
}

/// An entry that is noted while a request is answered, with that request and its address.
pub(super) fn named(entry: Entry) -> Entry {
    match ASKED.try_with(Asked::clone) {
        Ok(Asked { id, address }) => entry.asked(id, address),
        // On shards, and in tasks of the server's own.
        Err(_) => entry,
    }
}

/// Gives requests their ids.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    /// Ids of one node are places in an order that only it knows, so that none tells how many there were.
    order: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    /// The request with these headers; `trusted` says whether an id that comes with it is taken.
    pub(crate) fn asked(&self, headers: &HeaderMap, trusted: bool, address: IpAddr) -> Asked {
        let theirs = trusted.then(|| taken(headers)).flatten();
        Asked { id: theirs.unwrap_or_else(|| self.next()), address }
    }

    fn next(&self) -> CompactString {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        compact_str::format_compact!("{:016x}", self.order.hash_one(number))
    }
}

/// The id a proxy gave: one, of characters that mean nothing anywhere.
fn taken(headers: &HeaderMap) -> Option<CompactString> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let id = values.next()?.to_str().ok()?;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = !id.is_empty() && id.len() <= ID_MOST && id.bytes().all(harmless);
    (fits && values.next().is_none()).then(|| id.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audit::Action;

    fn id_of(lines: &[&str], trusted: bool) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        RequestIds::default().asked(&headers, trusted, Ipv4Addr::LOCALHOST.into()).id.into()
    }

    #[test]
    fn an_id_is_taken_from_a_trusted_proxy_if_it_is_short_and_harmless() {
        let longest = "a".repeat(ID_MOST);
        for id in ["7f3a", "A-b_c.9", longest.as_str()] {
            assert_eq!(id_of(&[id], true), id);
            assert_ne!(id_of(&[id], false), id, "anybody could name a request like another");
        }
        let longer = "a".repeat(ID_MOST + 1);
        for bad in ["", "a b", "a\tb", "a\"b", "a,b", "ä", longer.as_str()] {
            assert_eq!(id_of(&[bad], true).len(), 16, "{bad:?}");
        }
        assert_eq!(id_of(&["one", "two"], true).len(), 16, "which of the two would be guessed");
    }

    #[test]
    fn ids_differ_and_tell_no_number() {
        let ids = RequestIds::default();
        let made: std::collections::HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.len() == 16));
    }

    #[tokio::test]
    async fn what_is_noted_while_a_request_is_answered_names_it() {
        let address = Ipv4Addr::new(192, 0, 2, 7).into();
        let asked = Asked { id: "r1".into(), address };
        let entry = || Entry::ok(Action::Disconnect);
        let within = asked.answered(async { named(entry()).stored("n", 1) }).await;
        assert_eq!((within.request.as_deref(), within.address.as_deref()), (Some("r1"), Some("192.0.2.7")));
        let carried = || carried(async { named(Entry::ok(Action::Disconnect)).stored("n", 1) });
        let beside = Asked { id: "r1".into(), address }.answered(async { tokio::spawn(carried()).await });
        assert_eq!(beside.await.unwrap(), within, "a task of its own");
        let outside = carried().await;
        assert_eq!((outside.request, outside.address), (None, None));
    }
}
