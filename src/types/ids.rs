//! Identifiers. Every id that leaves the process is a UUIDv7, so ids sort by creation; row keys
//! are SQLite integers that projections store because they are small.
//!
//! Called by: every layer. Talks to: nothing.
//! Invariants: an id of one kind can never be passed where another kind is expected.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id, later in sort order than every id made before it on this machine.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The underlying UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
    };
}

uuid_id!(
    /// A private data centre: one directory, one catalogue, one key.
    TenantId
);
uuid_id!(
    /// A stored file at one source path; outlives its revisions.
    DocumentId
);
uuid_id!(
    /// One ledger entry: something dropped, or a child found inside it. One revision of a document.
    ItemId
);
uuid_id!(
    /// A unit of durable work in a tenant's queue.
    JobId
);
uuid_id!(
    /// An upload that comes in pieces.
    UploadId
);
uuid_id!(
    /// A named group of documents inside a tenant, the unit of access.
    CollectionId
);
uuid_id!(
    /// A place that documents come from by themselves.
    SourceId
);
uuid_id!(
    /// An API key, as listed and revoked; not the key itself.
    ApiKeyId
);
uuid_id!(
    /// A person with an account on this appliance.
    UserId
);
uuid_id!(
    /// A sign-in from one browser, as listed and revoked; not its token.
    SessionId
);

uuid_id!(
    /// One installation, as certificates name it.
    ApplianceId
);

macro_rules! row_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
    };
}

row_key!(
    /// Row key of a document in its tenant's catalogue.
    DocumentKey
);
row_key!(
    /// Row key of an item; full text and vectors are keyed by it. Never reused.
    ItemKey
);
row_key!(
    /// Row key of a chunk. Never reused.
    ChunkKey
);
