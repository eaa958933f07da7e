//! Users, as values that cannot be without their organisation.

use compact_str::CompactString;

use crate::access::Identity;
use crate::room::{Org, Room};

/// A user: organisation and id as one value; two organisations may know the same id.
///
/// Whatever is kept or looked up for a user is kept under this. There is no way to make one of an
/// id alone, nor to put one together by hand:
///
/// ```compile_fail,E0061
/// tidings_core::UserKey::new("42");
/// ```
///
/// ```compile_fail,E0451
/// tidings_core::UserKey { org: tidings_core::Org::default(), user: "42".into() };
/// ```
///
/// ```compile_fail,E0277
/// let key: tidings_core::UserKey = "acme/42".into();
/// ```
///
/// With both it can:
///
/// ```
/// let (here, there) = (tidings_core::Org::new("here"), tidings_core::Org::new("there"));
/// assert_ne!(tidings_core::UserKey::new(&here, "42"), tidings_core::UserKey::new(&there, "42"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    org: Org,
    user: CompactString,
}

impl UserKey {
    /// The user `user` of `org`.
    pub fn new(org: &Org, user: &str) -> Self {
        Self { org: org.clone(), user: user.into() }
    }

    /// The organisation.
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// The id, unique within the organisation alone.
    pub fn id(&self) -> &str {
        &self.user
    }

    /// The user's personal room.
    pub fn room(&self) -> Room {
        Room::of_user(&self.org, &self.user)
    }
}

/// Whose a session is: a user's, or that of somebody without a token; always of one organisation.
///
/// A session is taken up again only by its holder, and there is no holder but that of an identity:
///
/// ```compile_fail,E0451
/// tidings_core::Holder { org: tidings_core::Org::default(), user: None };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    org: Org,
    user: Option<CompactString>,
}

impl Holder {
    /// Whoever has this identity.
    pub fn of(who: &Identity) -> Self {
        Self { org: who.org.clone(), user: who.user.clone() }
    }
}

impl Identity {
    /// The user; `None` for an anonymous client.
    pub fn user_key(&self) -> Option<UserKey> {
        self.user.as_deref().map(|user| UserKey::new(&self.org, user))
    }

    /// Whether it works for those who run the server, not only for an organisation on it: a
    /// server of the default organisation.
    ///
    /// Figures of the whole process count what every organisation does, so no other may see them.
    pub fn is_operator(&self) -> bool {
        self.org == Org::default() && self.is_server()
    }
}
