//! The words of the audit trail: what was done, and how it ended.
//!
//! Called by: every module that records. Talks to: nothing.
//! Invariants: words are contract; one is never renamed or reused, since chains that hold it are
//! kept for ever. The part before the dot names the kind of thing, so that a filter can take all
//! of it.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Something worth recording.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action of this release.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word stored and exported.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

actions! {
    SessionSignIn = "session.sign_in",
    SessionSignOut = "session.sign_out",
    /// A sign-in that failed, for whatever reason.
    SessionRefused = "session.refused",
    /// A session ended by somebody else, or from another session of the same user.
    SessionRevoke = "session.revoke",

    UserCreate = "user.create",
    /// Appliance role, name, disabled or enabled.
    UserChange = "user.change",
    UserDelete = "user.delete",
    /// A one-time link for a user was made.
    UserLink = "user.link",
    UserPassword = "user.password",
    UserTotpEnable = "user.totp_enable",
    UserTotpDisable = "user.totp_disable",
    /// A recovery code was used up.
    UserRecoveryCode = "user.recovery_code",

    /// A membership was granted, changed or taken away.
    MemberChange = "member.change",
    KeyCreate = "key.create",
    KeyRevoke = "key.revoke",
    CollectionCreate = "collection.create",

    DocumentUpload = "document.upload",
    /// Facts or text of a document were read.
    DocumentRead = "document.read",
    /// The original was read.
    DocumentDownload = "document.download",
    DocumentDelete = "document.delete",
    DocumentRetry = "document.retry",
    /// A password was given for a locked document. It is never recorded itself.
    DocumentPassword = "document.password",
    IndexRebuild = "index.rebuild",

    SourceCreate = "source.create",
    /// Settings, sign-in, pause; also a run that somebody asked for.
    SourceChange = "source.change",
    SourceDelete = "source.delete",

    Search = "search",
    Ask = "ask",

    TenantCreate = "tenant.create",
    TenantRename = "tenant.rename",
    TenantTier = "tenant.tier",
    TenantSuspend = "tenant.suspend",
    TenantResume = "tenant.resume",
    TenantLock = "tenant.lock",
    TenantUnlock = "tenant.unlock",
    TenantDelete = "tenant.delete",
    TenantExport = "tenant.export",
    TenantImport = "tenant.import",
    /// The tenant was given a new data key, which all that is written has from then on.
    TenantRotateKey = "tenant.rotate_key",
    /// Nothing is left under the data key before, and it was destroyed.
    TenantRetireKey = "tenant.retire_key",

    AuditRead = "audit.read",
    AuditExport = "audit.export",
    AuditVerify = "audit.verify",
    /// What the trail itself keeps was changed.
    AuditPolicy = "audit.policy",

    /// The first account was made.
    ApplianceSetup = "appliance.setup",
    ApplianceStart = "appliance.start",
    ApplianceStop = "appliance.stop",
    ApplianceSeal = "appliance.seal",
    /// Also where it failed.
    ApplianceUnseal = "appliance.unseal",
    ApplianceRotateKek = "appliance.rotate_kek",
    /// Recovery shares were made.
    ApplianceShares = "appliance.shares",
    /// The key was made again from recovery shares.
    ApplianceRecover = "appliance.recover",
    /// A certificate of the server was made, imported or renewed.
    ApplianceCertificate = "appliance.certificate",
    ApplianceSupportArchive = "appliance.support_archive",

    /// A one-time link was made at the command line.
    ConsoleLink = "console.link",
    /// A password or second factor was reset at the command line.
    ConsoleReset = "console.reset",
}

impl Action {
    /// True where `word` names an action, or all actions of a kind by the part before the dot.
    pub fn is_filter(word: &str) -> bool {
        Self::ALL.iter().any(|action| {
            let name = action.as_str();
            name == word || name.split_once('.').is_some_and(|(kind, _)| kind == word)
        })
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<'_, str>::deserialize(deserializer)?;
        let found = Self::ALL.iter().find(|action| action.as_str() == word);
        found.copied().ok_or_else(|| D::Error::custom(format!("{word:?} is no action")))
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Ok,
    /// The caller may not, or asked for what is not there.
    Refused,
    /// The appliance could not.
    Failed,
}

impl Outcome {
    /// The word stored and exported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
