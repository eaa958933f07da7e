//! Hits in, threats out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use tidings_core::Org;

use super::kind::{Kind, Source, Threat, counted};
use super::track::Track;
use crate::config::ThreatsConfig;

/// Sources that are told apart at once; hits of others are counted together, for each kind.
pub const PLACES: usize = 16_384;

/// Hits that are an alert where they come from one source are so many times as many for a whole
/// organisation, or from everywhere.
const CROWD: u32 = 5;

/// Something that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Hit<'a> {
    /// What it may be part of.
    pub kind: Kind,
    /// The address it came from, as it was judged.
    pub address: Option<IpAddr>,
    /// The organisation it was aimed at, if that is known for sure.
    pub org: Option<&'a Org>,
    /// The account it was aimed at, of that organisation.
    pub account: Option<&'a str>,
}

/// Counts hits by their sources, and says when one becomes a threat.
///
/// It has no clock: times are handed in, in milliseconds, and never go back.
#[derive(Debug)]
pub struct Detector {
    alerts: [u32; Kind::ALL.len()],
    window_ms: u64,
    tracks: HashMap<(Kind, Source), Track>,
    swept_ms: u64,
}

/// One way to look at a hit: whose it is, what tells its origins apart, and when it is a threat.
struct View {
    source: Source,
    from: u64,
    /// Different origins it takes.
    needs: usize,
    times: u32,
}

impl Detector {
    /// A detector as configured; without `detect` it finds nothing.
    pub fn new(config: &ThreatsConfig) -> Self {
        let alerts = Kind::ALL.map(|kind| if config.detect { config.alert(kind) } else { 0 });
        let window_ms = config.window_seconds.saturating_mul(1_000);
        Self { alerts, window_ms, tracks: HashMap::new(), swept_ms: 0 }
    }

    /// Counts a hit; answers what became a threat, or a worse one, by it.
    pub fn observe(&mut self, hit: &Hit<'_>, now_ms: u64) -> Vec<Threat> {
        let alert = self.alerts[hit.kind as usize];
        if alert == 0 {
            return Vec::new();
        }
        views(hit)
            .into_iter()
            .flatten()
            .filter_map(|view| self.count(hit.kind, view, alert, now_ms))
            .collect()
    }

    /// Sources that are told apart now.
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Whether nothing was counted of late.
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    fn count(&mut self, kind: Kind, view: View, alert: u32, now_ms: u64) -> Option<Threat> {
        let View { mut source, from, mut needs, mut times } = view;
        let mut key = (kind, source);
        if !self.tracks.contains_key(&key) && !self.has_place(now_ms) {
            key = (kind, Source::Everywhere);
            (needs, times) = (0, CROWD);
        }
        let track = self.tracks.entry(key.clone()).or_default();
        let count = track.hit(from, now_ms, self.window_ms);
        if track.spread() < needs {
            return None;
        }
        let level = track.rises(count, alert.saturating_mul(times))?;
        source = key.1;
        Some(Threat { kind, level, count, since_ms: track.since_ms(), source })
    }

    /// Whether another source can be told apart, after those at rest were forgotten.
    fn has_place(&mut self, now_ms: u64) -> bool {
        // While it is full this is not done for every hit.
        if self.tracks.len() >= PLACES && now_ms >= self.swept_ms + self.window_ms / 8 {
            let window_ms = self.window_ms;
            self.tracks.retain(|_, track| track.advance(now_ms, window_ms) > 0);
            self.swept_ms = now_ms;
        }
        self.tracks.len() < PLACES
    }
}

/// The ways to look at a hit.
///
/// One address in one organisation is one threat, not four: the account and the organisation are looked at
/// for hits of several addresses, and the address as such for hits in several organisations, or in none.
fn views(hit: &Hit<'_>) -> [Option<View>; 4] {
    let address = hit.address.map(counted);
    let from = hash(&address);
    let of_org = |org: &Org| {
        let source = match (address, hit.account) {
            (Some(address), _) => Source::OrgAddress(org.clone(), address),
            (None, Some(account)) => Source::Account(org.clone(), account.into()),
            (None, None) => Source::Org(org.clone()),
        };
        View { source, from, needs: 1, times: 1 }
    };
    let of_address = |address| {
        let needs = if hit.org.is_some() { 2 } else { 1 };
        View { source: Source::Address(address), from: hash(&hit.org), needs, times: 1 }
    };
    let several = |source, needs, times| address.map(|_| View { source, from, needs, times });
    let account = hit.org.zip(hit.account);
    [
        hit.org.map(of_org),
        address.map(of_address),
        account.and_then(|(org, account)| several(Source::Account(org.clone(), account.into()), 2, 1)),
        hit.org.and_then(|org| several(Source::Org(org.clone()), 3, CROWD)),
    ]
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
