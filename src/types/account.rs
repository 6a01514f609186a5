//! Accounts in words: roles in a tenant, roles on the appliance, what a tenant may be.
//!
//! Called by: `system`, `auth`, `app`, `http`, `cli`. Talks to: nothing.
//! Invariants: a word is the same in SQL, JSON and on the command line; no role is implied.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{CollectionId, UserId};

/// A word that names no member of its set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not one of {known}")]
pub struct UnknownWord {
    word: String,
    known: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order people are shown.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word used in SQL, JSON and on the command line.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                    UnknownWord { word: word.to_owned(), known: known.join(", ") }
                })
            }
        }
    };
}

words!(
    /// What a membership or an API key may do in its tenant.
    Role {
        /// Everything: members, keys, documents, audit.
        Owner = "owner",
        /// Adds, changes and removes documents.
        Editor = "editor",
        /// Searches, asks and reads.
        Reader = "reader",
        /// Sees who did what, and no content.
        Auditor = "auditor",
    }
);

words!(
    /// What a user may do on the appliance as a whole; content of tenants is no part of it.
    ApplianceRole {
        /// Users, tenants and their limits.
        Admin = "admin",
        /// Locks, unlocks and watches.
        Operator = "operator",
    }
);

words!(
    /// The set of limits and features that a tenant has.
    Tier {
        Casual = "casual",
        Pro = "pro",
        Enterprise = "enterprise",
    }
);

words!(
    /// Whether a tenant is served.
    TenantState {
        Active = "active",
        /// Kept, but its members are refused.
        Suspended = "suspended",
        /// Its keys are not in memory, so nothing can be read by anybody.
        Locked = "locked",
    }
);

words!(
    /// What a one-time link is good for.
    LinkPurpose {
        /// Makes the first admin of an appliance that has none.
        FirstAdmin = "first_admin",
        /// Sets the password of one user.
        Reset = "reset",
    }
);

/// Which collections of a tenant are in sight; `null` in JSON is all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CollectionScope {
    All,
    /// Only documents of these; with none, nothing.
    Only(BTreeSet<CollectionId>),
}

impl CollectionScope {
    /// True where documents of a collection are in sight.
    pub fn includes(&self, collection: CollectionId) -> bool {
        match self {
            Self::All => true,
            Self::Only(some) => some.contains(&collection),
        }
    }
}

impl From<Option<BTreeSet<CollectionId>>> for CollectionScope {
    fn from(some: Option<BTreeSet<CollectionId>>) -> Self {
        some.map_or(Self::All, Self::Only)
    }
}

impl Serialize for CollectionScope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_none(),
            Self::Only(some) => serializer.serialize_some(some),
        }
    }
}

impl<'de> Deserialize<'de> for CollectionScope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<BTreeSet<CollectionId>>::deserialize(deserializer).map(Self::from)
    }
}

/// True for what can be a user's name: 1 to 64 ASCII letters, digits, `.`, `-`, `_` and `@`,
/// starting with a letter or digit, and no id. Two names that look alike would be two people.
pub fn is_user_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.parse::<UserId>().is_err()
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_@".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_json_and_as_text() {
        for role in Role::ALL {
            let json = serde_json::to_string(role).unwrap();
            assert_eq!(json, format!("\"{role}\""));
            assert_eq!(role.as_str().parse::<Role>().as_ref(), Ok(role));
        }
        assert_eq!(serde_json::to_string(&LinkPurpose::FirstAdmin).unwrap(), "\"first_admin\"");
        let error = "root".parse::<ApplianceRole>().unwrap_err().to_string();
        assert!(error.contains("root") && error.contains("admin, operator"), "{error}");
    }

    #[test]
    fn a_scope_of_no_collections_is_not_a_scope_of_all() {
        let none: CollectionScope = serde_json::from_str("[]").unwrap();
        assert!(!none.includes(CollectionId::generate()));
        let all: CollectionScope = serde_json::from_str("null").unwrap();
        assert!(all.includes(CollectionId::generate()));
        assert_eq!(serde_json::to_string(&none).unwrap(), "[]");
    }

    #[test]
    fn names_of_users_are_plain_and_no_ids() {
        for name in ["ada", "Ada.Lovelace", "ada-l_1@site.example", "7"] {
            assert!(is_user_name(name), "{name}");
        }
        let id = UserId::generate().to_string();
        for name in ["", " ada", "a b", "-ada", "ada:x", "adа", "a/b", id.as_str(), &"x".repeat(65)]
        {
            assert!(!is_user_name(name), "{name}");
        }
    }
}
