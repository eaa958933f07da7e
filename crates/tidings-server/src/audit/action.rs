//! What can be noted.

/// What was done, or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The server started.
    Start,
    /// The server stopped.
    Stop,
    /// The database is an older copy of itself; every room began another epoch.
    MovedBack,
    /// A setting is another than at the last start; before and after say how, without secrets.
    ConfigChange,
    /// A secret was made.
    SecretCreate,
    /// A secret is another than at the last start, or is there no more; what it was or is, is never said.
    SecretRotate,
    /// A key of a program was made.
    KeyCreate,
    /// A key of a program was called back.
    KeyRevoke,
    /// Somebody registered.
    Register,
    /// Somebody signed in, or could not.
    Login,
    /// An account or address is kept out for a while after failures.
    Lockout,
    /// Somebody signed out.
    Logout,
    /// A password was changed, or could not be.
    PasswordChange,
    /// An e-mail address was verified.
    Verify,
    /// A password was right, and the code of the second factor was asked for.
    FactorAsked,
    /// A second factor was turned on, or could not be.
    FactorOn,
    /// A second factor was turned off by its owner, or could not be.
    FactorOff,
    /// A second factor was removed by somebody else.
    FactorRemove,
    /// Recovery codes were made anew, or could not be.
    RecoveryRenew,
    /// A recovery code was used up.
    RecoveryUsed,
    /// Somebody who had signed in proved again who they are, or could not.
    Confirm,
    /// A refresh token was used a second time, and its family ended.
    RefreshReuse,
    /// Somebody's roles changed.
    RoleChange,
    /// An organisation was made.
    OrgCreate,
    /// A kind of rooms was changed, added or removed while the server runs; before and after say how.
    RuleChange,
    /// Tokens were called back.
    Revocation,
    /// Somebody may sign in again.
    UserEnable,
    /// A connection was ended by somebody with the right to.
    Disconnect,
    /// Clients were sent out of a room.
    RoomKick,
    /// Clients were taken into a room.
    RoomJoin,
    /// An administrator had an event sent to clients.
    Emit,
    /// What could not be delivered was sent again.
    DeadLetterRedrive,
    /// What could not be delivered was thrown away.
    DeadLetterPurge,
    /// Dead letters were thrown away for newer ones (sampled).
    DeadLetterOverflow,
    /// Data was exported.
    Export,
    /// A limit of rate or count refused somebody; the limits themselves note one in ten seconds of each.
    LimitBreach,
    /// A connection was closed for flooding (sampled).
    Flood,
    /// A page of a foreign origin was refused (sampled).
    OriginRefused,
    /// A token was refused; the reason says why (sampled).
    TokenRefused,
    /// A key of a program was refused (sampled).
    KeyRefused,
    /// A session id was refused that does not exist (sampled).
    SessionRefused,
    /// The audit log was read.
    AuditRead,
    /// Old entries were taken away by retention.
    AuditTrim,
    /// Entries were lost.
    AuditLost,
    /// A threat was noticed.
    Threat,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 45] = [
        Self::Start,
        Self::Stop,
        Self::MovedBack,
        Self::ConfigChange,
        Self::SecretCreate,
        Self::SecretRotate,
        Self::KeyCreate,
        Self::KeyRevoke,
        Self::Register,
        Self::Login,
        Self::Lockout,
        Self::Logout,
        Self::PasswordChange,
        Self::Verify,
        Self::FactorAsked,
        Self::FactorOn,
        Self::FactorOff,
        Self::FactorRemove,
        Self::RecoveryRenew,
        Self::RecoveryUsed,
        Self::Confirm,
        Self::RefreshReuse,
        Self::RoleChange,
        Self::OrgCreate,
        Self::RuleChange,
        Self::Revocation,
        Self::UserEnable,
        Self::Disconnect,
        Self::RoomKick,
        Self::RoomJoin,
        Self::Emit,
        Self::DeadLetterRedrive,
        Self::DeadLetterPurge,
        Self::DeadLetterOverflow,
        Self::Export,
        Self::LimitBreach,
        Self::Flood,
        Self::OriginRefused,
        Self::TokenRefused,
        Self::KeyRefused,
        Self::SessionRefused,
        Self::AuditRead,
        Self::AuditTrim,
        Self::AuditLost,
        Self::Threat,
    ];

    /// The word that stands in the log, and by which it is searched.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::MovedBack => "database.moved_back",
            Self::ConfigChange => "config.change",
            Self::SecretCreate => "secret.create",
            Self::SecretRotate => "secret.rotate",
            Self::KeyCreate => "key.create",
            Self::KeyRevoke => "key.revoke",
            Self::Register => "register",
            Self::Login => "login",
            Self::Lockout => "lockout",
            Self::Logout => "logout",
            Self::PasswordChange => "password.change",
            Self::Verify => "verify",
            Self::FactorAsked => "factor.asked",
            Self::FactorOn => "factor.on",
            Self::FactorOff => "factor.off",
            Self::FactorRemove => "factor.remove",
            Self::RecoveryRenew => "recovery.renew",
            Self::RecoveryUsed => "recovery.used",
            Self::Confirm => "confirm",
            Self::RefreshReuse => "refresh.reuse",
            Self::RoleChange => "role.change",
            Self::OrgCreate => "org.create",
            Self::RuleChange => "rule.change",
            Self::Revocation => "revocation",
            Self::UserEnable => "user.enable",
            Self::Disconnect => "disconnect",
            Self::RoomKick => "room.kick",
            Self::RoomJoin => "room.join",
            Self::Emit => "emit",
            Self::DeadLetterRedrive => "deadletter.redrive",
            Self::DeadLetterPurge => "deadletter.purge",
            Self::DeadLetterOverflow => "deadletter.overflow",
            Self::Export => "export",
            Self::LimitBreach => "limit.breach",
            Self::Flood => "flood",
            Self::OriginRefused => "origin.refused",
            Self::TokenRefused => "token.refused",
            Self::KeyRefused => "key.refused",
            Self::SessionRefused => "session.refused",
            Self::AuditRead => "audit.read",
            Self::AuditTrim => "audit.trim",
            Self::AuditLost => "audit.lost",
            Self::Threat => "threat",
        }
    }

    /// Whether anybody can bring it about as often as they like without asking for anything, so that only some
    /// are written; see [`super::Entry::is_sampled`].
    pub const fn is_sampled(self) -> bool {
        matches!(
            self,
            Self::DeadLetterOverflow
                | Self::Flood
                | Self::OriginRefused
                | Self::TokenRefused
                | Self::KeyRefused
                | Self::SessionRefused
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_word_of_its_own() {
        let mut words: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Action::ALL.len());
    }
}
