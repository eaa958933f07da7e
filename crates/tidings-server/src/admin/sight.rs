//! Whose connections and rooms an administrator sees.

use tidings_core::{Code, Identity, Org, Refusal};

use crate::accounts::members::OPERATOR;

/// Whose connections and rooms an administrator sees, and acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Those of every organisation.
    Everybody,
    /// Those of one.
    Only(Org),
}

impl Sight {
    /// What somebody sees: administrators their organisation; scope `admin` and the role `operator` everything,
    /// where they are of the default organisation. A token of another one may call itself what it likes: who
    /// speaks for that organisation has no say about the server.
    ///
    /// # Errors
    /// `forbidden` for who administers nothing.
    pub(crate) fn of(who: &Identity) -> Result<Self, Refusal> {
        let is_operator = is_operator(who);
        if is_operator || is_of_servers(who) && who.scopes.iter().any(|scope| scope == "admin") {
            return Ok(Self::Everybody);
        }
        if who.is_admin() {
            return Ok(Self::Only(who.org.clone()));
        }
        Err(Refusal::new(Code::Forbidden, "this is for administrators"))
    }

    /// The same for one organisation alone, if one is named.
    ///
    /// # Errors
    /// `not_found` for one that does not exist for the asker.
    pub(crate) fn narrowed(self, org: Option<&str>) -> Result<Self, Refusal> {
        match (self, org) {
            (sight, None) => Ok(sight),
            (Self::Everybody, Some(org)) => Ok(Self::Only(Org::new(org))),
            (Self::Only(own), Some(org)) if own.as_str() == org => Ok(Self::Only(own)),
            (Self::Only(_), Some(_)) => Err(Refusal::new(Code::NotFound, "no such organisation")),
        }
    }

    /// The one organisation that is acted in: the named one, else the asker's own.
    ///
    /// # Errors
    /// As [`Sight::narrowed`].
    pub(crate) fn acts_in(self, who: &Identity, org: Option<&str>) -> Result<Org, Refusal> {
        match self.narrowed(org)? {
            Self::Only(org) => Ok(org),
            Self::Everybody => Ok(who.org.clone()),
        }
    }

    /// Whether something of an organisation is seen.
    pub(crate) fn sees(&self, org: &Org) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(own) => own == org,
        }
    }
}

/// Whether somebody may see the figures of the whole process: an administrator of the default organisation, as
/// with `/metrics`, or an operator.
pub(crate) fn sees_figures(who: &Identity) -> bool {
    is_of_servers(who) && who.is_admin() || is_operator(who)
}

fn is_operator(who: &Identity) -> bool {
    is_of_servers(who) && who.roles.iter().any(|role| role == OPERATOR)
}

fn is_of_servers(who: &Identity) -> bool {
    who.org == Org::default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn who(org: &str, roles: &[&str], scopes: &[&str]) -> Identity {
        let words = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
        Identity {
            user: Some("u".into()),
            org: Org::new(org),
            roles: words(roles),
            scopes: words(scopes),
            ..Identity::anonymous()
        }
    }

    /// Organisation, roles and scopes; what is seen, and whether the server's figures are.
    type Row = (&'static str, &'static [&'static str], &'static [&'static str], Option<Sight>, bool);

    #[test]
    fn the_table_of_who_sees_what_is_as_it_is_documented() {
        let own = |org: &str| Some(Sight::Only(Org::new(org)));
        let table: [Row; 9] = [
            ("default", &[], &[], None, false),
            ("default", &["editor"], &["publish"], None, false),
            ("default", &["admin"], &[], own("default"), true),
            ("default", &["operator"], &[], Some(Sight::Everybody), true),
            ("default", &[], &["admin"], Some(Sight::Everybody), true),
            ("acme", &["admin"], &[], own("acme"), false),
            ("acme", &[], &["admin"], own("acme"), false),
            ("acme", &["operator"], &[], None, false),
            ("acme", &["admin", "operator"], &["publish", "admin"], own("acme"), false),
        ];
        for (org, roles, scopes, sight, figures) in table {
            let who = who(org, roles, scopes);
            assert_eq!(Sight::of(&who).ok(), sight, "{who:?}");
            assert_eq!(sees_figures(&who), figures, "{who:?}");
        }
        assert_eq!(Sight::of(&Identity::anonymous()).unwrap_err().code, Code::Forbidden);
    }

    #[test]
    fn another_organisation_does_not_exist_for_whom_sees_one_alone() {
        let acme = || Sight::Only(Org::new("acme"));
        assert_eq!(acme().narrowed(Some("acme")).unwrap(), acme());
        assert_eq!(acme().narrowed(Some("default")).unwrap_err().code, Code::NotFound);
        assert_eq!(Sight::Everybody.narrowed(Some("acme")).unwrap(), acme());
        assert!(Sight::Everybody.sees(&Org::new("x")) && !acme().sees(&Org::new("x")));
        let admin = who("default", &[], &["admin"]);
        assert_eq!(Sight::Everybody.acts_in(&admin, None).unwrap(), Org::default());
        assert_eq!(Sight::Everybody.acts_in(&admin, Some("acme")).unwrap(), Org::new("acme"));
    }
}
