//! One entry of a chain, and the hash that ties it to the one before.
//!
//! Called by: `audit::chain`, `audit::verify`, the stores. Talks to: nothing.
//! Invariants: words are kept as they were written, also those this release does not know, so
//! that any release can verify any chain; JSON with a field too many or twice is not an entry.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::detail::{Detail, Value};
use crate::crypto::{hex, unhex};

/// Separates these hashes from any other use of SHA-256.
const DOMAIN: &[u8] = b"cairn audit entry v1";

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// `user`, `api_key`, `console`, `system` or `anonymous`.
    pub kind: String,
    pub id: Option<String>,
    /// The name at that time.
    pub name: Option<String>,
}

impl Party {
    /// Somebody of a kind, with an id where the kind has one.
    pub fn new(kind: &str, id: Option<String>, name: Option<String>) -> Self {
        Self { kind: kind.to_owned(), id, name }
    }

    /// A caller who has not said who they are, or not truly.
    pub fn anonymous() -> Self {
        Self::new("anonymous", None, None)
    }
}

/// What was acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// `document`, `key`, `user`, `tenant`, …
    pub kind: String,
    pub id: String,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The chain it belongs to: a tenant's id, or `system`.
    pub scope: String,
    /// 1 for the first of a chain, and one more for each that follows.
    pub sequence: u64,
    /// When it happened. Entries are in the order in which they were written, which may differ
    /// from this by moments.
    #[schema(value_type = String)]
    pub at: Timestamp,
    pub actor: Party,
    /// What was done, such as `document.read`.
    pub action: String,
    pub resource: Option<Resource>,
    /// `ok`, `refused` or `failed`.
    pub result: String,
    /// Address the request came from; absent for the local socket and for Cairn itself.
    pub source: Option<String>,
    pub request_id: Option<String>,
    #[schema(value_type = Object)]
    pub detail: Detail,
    /// Hash of the entry before it.
    #[schema(value_type = String)]
    pub previous: EntryHash,
    /// SHA-256 of all of the above.
    #[schema(value_type = String)]
    pub hash: EntryHash,
}

impl Entry {
    /// The hash that an entry with this content has to carry.
    pub fn computed_hash(&self) -> EntryHash {
        let mut out = Canonical::new(&self.scope);
        out.fixed(self.previous.as_bytes());
        out.fixed(&self.sequence.to_be_bytes());
        // All of it: digits that nobody hashes could be changed.
        out.fixed(&self.at.as_nanosecond().to_be_bytes());
        out.text(&self.actor.kind);
        out.optional(self.actor.id.as_deref());
        out.optional(self.actor.name.as_deref());
        out.text(&self.action);
        out.optional(self.resource.as_ref().map(|resource| resource.kind.as_str()));
        out.optional(self.resource.as_ref().map(|resource| resource.id.as_str()));
        out.text(&self.result);
        out.optional(self.source.as_deref());
        out.optional(self.request_id.as_deref());
        out.detail(&self.detail);
        out.hash()
    }
}

/// Fields one after the other, each with its length before it, so that no two contents look alike.
pub(super) struct Canonical(Sha256);

impl Canonical {
    pub(super) fn new(scope: &str) -> Self {
        let mut out = Self(Sha256::new());
        out.bytes(DOMAIN);
        out.text(scope);
        out
    }

    /// A field whose length never varies.
    fn fixed(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn length(&mut self, length: usize) {
        self.0.update((length as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.fixed(&[0]),
            Some(text) => {
                self.fixed(&[1]);
                self.text(text);
            }
        }
    }

    fn detail(&mut self, detail: &Detail) {
        let facts = detail.iter();
        self.length(facts.len());
        for (name, value) in facts {
            self.text(name);
            match value {
                Value::Flag(flag) => self.fixed(&[b'f', u8::from(*flag)]),
                Value::Number(number) => {
                    self.fixed(b"n");
                    self.fixed(&number.to_be_bytes());
                }
                Value::Text(text) => {
                    self.fixed(b"t");
                    self.text(text);
                }
                Value::Texts(texts) => {
                    self.fixed(b"l");
                    self.length(texts.len());
                    for text in texts {
                        self.text(text);
                    }
                }
            }
        }
    }

    pub(super) fn hash(self) -> EntryHash {
        EntryHash(self.0.finalize().into())
    }
}

/// SHA-256 over an entry; lower-case hexadecimal as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryHash([u8; 32]);

impl EntryHash {
    /// The hash that stands before the first entry of a chain.
    pub fn genesis(scope: &str) -> Self {
        Canonical::new(scope).hash()
    }

    /// A hash as stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes as stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not the hash of an entry.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for EntryHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        unhex(text).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(NotAHash)
    }
}

impl Serialize for EntryHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
