//! Who may do what, written down a second time and as briefly as it can be.

/// The words of the configuration; the place of a word is its digit in the name of a kind.
pub(crate) const RULES: [&str; 8] =
    ["anyone", "signed-in", "verified", "role:editor", "claim:plan=pro", "owner", "server", "nobody"];

/// Somebody, by what the token says; without a user it is nobody in particular.
#[derive(Debug, Clone, Default)]
pub(crate) struct Person {
    pub(crate) user: Option<&'static str>,
    pub(crate) org: Option<&'static str>,
    pub(crate) verified: bool,
    pub(crate) editor: bool,
    pub(crate) admin: bool,
    pub(crate) pro: bool,
    pub(crate) scope: Option<&'static str>,
}

impl Person {
    pub(crate) fn serves(&self) -> bool {
        self.admin || matches!(self.scope, Some("publish" | "admin"))
    }

    /// Whether a rule names this person, in a room with this id.
    fn is(&self, rule: &str, id: &str) -> bool {
        let known = self.user.is_some();
        match rule {
            "anyone" => true,
            "signed-in" => known,
            "verified" => known && self.verified,
            "role:editor" => known && self.editor,
            "claim:plan=pro" => known && self.pro,
            "owner" => self.user == Some(id),
            "server" => self.serves(),
            _ => false,
        }
    }
}

/// The rules of a room for subscribe, publish, history and presence, by their digits.
pub(crate) type Rules = [usize; 4];

/// What one may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Subscribe,
    Publish,
    History,
    Presence,
    Rewind,
    Stats,
    List,
    Announce,
    AnnounceAbroad,
}

/// `ok`, or the code of the refusal.
pub(crate) fn outcome(who: &Person, rules: Rules, id: &str, deed: Deed) -> &'static str {
    let [hears, speaks, reads, sees] = rules.map(|rule| who.is(RULES[rule], id));
    let in_room = |may| match (may, hears) {
        (true, _) => "ok",
        (false, true) => "forbidden",
        (false, false) => "not_found",
    };
    let as_server = if who.serves() { "ok" } else { "forbidden" };
    match deed {
        Deed::Subscribe => in_room(hears),
        Deed::Publish => in_room(speaks),
        Deed::History => in_room(reads),
        Deed::Presence | Deed::Stats => in_room(sees),
        Deed::Rewind if hears => in_room(reads),
        Deed::Rewind => "not_found",
        Deed::List | Deed::Announce => as_server,
        Deed::AnnounceAbroad => "not_found",
    }
}
