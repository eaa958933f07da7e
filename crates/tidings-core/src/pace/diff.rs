//! Only what has changed.

use std::borrow::Cow;

use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};
use tidings_wire::json;

/// What is sent of a JSON object: all of it from time to time, else the members that changed.
///
/// Members are compared as text, and one that is gone is sent as `null`, as a merge patch (RFC 7396) has it. So
/// a member that changes its spelling counts as changed, and one that turns `null` looks as if it were gone. What is
/// gone is remembered, so that a full object can say so too ([`Diff::whole`]). A member that is an object is sent as a whole,
/// with `null` for what is gone in it: whoever merges goes on merging there.
#[derive(Debug)]
pub struct Diff {
    full_every: u32,
    /// The members said last; those that are gone are `null`, in them too.
    members: HashMap<CompactString, Box<str>>,
    /// Members that were there once and are not in the last object.
    gone: Vec<CompactString>,
    /// Some are gone in members that are there.
    inner: bool,
    /// Parts since the last full one; `None`: nothing was sent yet.
    parts: Option<u32>,
}

/// What stands for a member that is gone.
const NULL: &str = "null";

/// Members that are gone are remembered up to so many, and in each object of a member as well.
const GONE: usize = 100;

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// The whole object.
    Full,
    /// A JSON object with the members that changed.
    Part(String),
    /// Nothing has changed.
    Nothing,
}

impl Diff {
    /// Nothing was sent yet; every so-many-th time all is sent (0: only when it is asked for).
    pub fn new(full_every: u32) -> Self {
        Self { full_every, members: HashMap::new(), gone: Vec::new(), inner: false, parts: None }
    }

    /// Makes the next one a full one: somebody came who has nothing yet.
    pub fn ask_full(&mut self) {
        self.parts = None;
    }

    /// The object offered last with `null` for what was there once and is not in it; `None` if nothing is gone.
    pub fn whole(&self, object: &str) -> Option<String> {
        if self.gone.is_empty() && !self.inner {
            return None;
        }
        let named = json::members(object).map(|(name, value)| {
            let known = self.members.get(&*name_of(name)).map_or(value, |known| &**known);
            (name_of(name), known)
        });
        let gone = self.gone.iter().map(|name| (Cow::Borrowed(name.as_str()), NULL));
        Some(written(named.chain(gone)))
    }

    /// The bytes of what it remembers, about.
    pub fn bytes(&self) -> usize {
        self.members.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// What is to be sent of an object that passed [`json::check`]; what is no object is sent as it is.
    pub fn offer(&mut self, object: &str) -> Changes {
        if !object.trim_start().starts_with('{') {
            *self = Self::new(self.full_every);
            return Changes::Full;
        }
        let changed = self.take_in(object);
        let due = self.full_every > 0 && self.parts.is_some_and(|parts| parts + 1 >= self.full_every);
        match self.parts {
            Some(parts) if !due => {
                if changed.is_empty() {
                    return Changes::Nothing;
                }
                self.parts = Some(parts + 1);
                let changed = changed.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), &**value));
                Changes::Part(written(changed))
            }
            _ => {
                self.parts = Some(0);
                Changes::Full
            }
        }
    }

    /// Keeps the members of an object; those that changed, in its order, then those that are gone.
    fn take_in(&mut self, object: &str) -> Vec<(CompactString, Box<str>)> {
        let before = std::mem::take(&mut self.members);
        let mut names = Vec::new();
        self.inner = false;
        for (name, value) in json::members(object) {
            let name = CompactString::from(name_of(name).as_ref());
            let told = before.get(&name).map_or(Cow::Borrowed(value), |before| with_gone(before, value));
            self.inner |= matches!(told, Cow::Owned(_));
            // Of a member that is given twice the last one counts.
            if self.members.insert(name.clone(), told.into()).is_none() {
                names.push(name);
            }
        }
        names.retain(|name| before.get(name) != self.members.get(name));
        let mut gone: Vec<_> =
            before.into_iter().filter(|(name, _)| !self.members.contains_key(name)).collect();
        gone.sort();
        names.extend(gone.iter().filter(|(_, value)| **value != *NULL).map(|(name, _)| name.clone()));
        gone.truncate(GONE);
        self.gone = gone.into_iter().map(|(name, _)| name).collect();
        self.members.extend(self.gone.iter().map(|name| (name.clone(), NULL.into())));
        let value = |name: &CompactString| self.members.get(name).cloned().unwrap_or_else(|| NULL.into());
        names.into_iter().map(|name| (name.clone(), value(&name))).collect()
    }
}

fn name_of(literal: &str) -> Cow<'_, str> {
    json::string_lossy(literal).unwrap_or_default()
}

/// A member that takes another's place: where both are objects, with `null` for what is in that one alone, at any depth.
fn with_gone<'a>(before: &str, now: &'a str) -> Cow<'a, str> {
    if json::members(before).next().is_none() || !now.trim_start().starts_with('{') {
        return Cow::Borrowed(now);
    }
    let known: HashMap<_, _> = json::members(before).map(|(name, value)| (name_of(name), value)).collect();
    let merged: Vec<_> = json::members(now)
        .map(|(name, value)| {
            let name = name_of(name);
            let value = known.get(&name).map_or(Cow::Borrowed(value), |before| with_gone(before, value));
            (name, value)
        })
        .collect();
    let there: HashSet<_> = merged.iter().map(|(name, _)| name.clone()).collect();
    let gone = json::members(before).map(|(name, _)| name_of(name)).filter(|name| !there.contains(name));
    let gone: Vec<_> = gone.take(GONE).collect();
    if gone.is_empty() && merged.iter().all(|(_, value)| matches!(value, Cow::Borrowed(_))) {
        return Cow::Borrowed(now);
    }
    let merged = merged.iter().map(|(name, value)| (name.clone(), &**value));
    Cow::Owned(written(merged.chain(gone.into_iter().map(|name| (name, NULL)))))
}

fn written<'a>(members: impl Iterator<Item = (Cow<'a, str>, &'a str)>) -> String {
    let mut out = b"{".to_vec();
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, &name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
    // What was text before is text now.
    String::from_utf8(out).unwrap_or_default()
}
