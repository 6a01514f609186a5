//! The end of a chain: what the next entry follows, authenticated with a key.
//!
//! Called by: the stores. Talks to: nothing.
//! Invariants: a head is sealed with the newest key and can be checked with every key the chain
//! still has; a head that was found altered says so for ever, and the chain goes on behind it:
//! work does not stop, and the evidence stays.

use serde::{Deserialize, Serialize};

use super::entry::{Entry, EntryHash};
use super::event::Record;
use crate::crypto::{KeyPurpose, Keyring, SecretKey, keyed_name};

/// Separates head records from query digests under the same key.
const HEAD_DOMAIN: &str = "cairn audit head v1";
const QUERY_DOMAIN: &str = "cairn audit query v1";

/// The name of a chain and the keys that authenticate its head.
pub struct ChainKeys {
    scope: String,
    current: u32,
    keys: Vec<(u32, SecretKey)>,
}

impl ChainKeys {
    /// The chain of the keyring's scope.
    pub fn of(keyring: &Keyring) -> Self {
        Self::named(keyring.scope(), keyring)
    }

    /// The chain of this name, kept under the keyring's keys: one that came from elsewhere goes on
    /// under the name it began with.
    pub fn named(name: &str, keyring: &Keyring) -> Self {
        let keys = keyring
            .epochs()
            .into_iter()
            .filter_map(|epoch| keyring.subkey(epoch, KeyPurpose::Audit).map(|key| (epoch, key)));
        Self { scope: name.to_owned(), current: keyring.current_epoch(), keys: keys.collect() }
    }

    /// The id of the tenant as which it began, or `system`.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The epoch that heads are sealed with.
    pub fn current_epoch(&self) -> u32 {
        self.current
    }

    fn key(&self, epoch: u32) -> Option<&SecretKey> {
        self.keys.iter().find(|(known, _)| *known == epoch).map(|(_, key)| key)
    }

    fn current_key(&self) -> &SecretKey {
        self.key(self.current).expect("invariant: a keyring holds its current epoch")
    }

    /// Tells equal queries of one chain from different ones, and nothing more without the key.
    pub(super) fn digest(&self, query: &str) -> String {
        keyed_name(self.current_key(), &format!("{QUERY_DOMAIN}\n{query}"))
    }

    /// The head of a chain without entries.
    pub fn first_head(&self) -> Head {
        self.seal(0, EntryHash::genesis(&self.scope), None)
    }

    /// A head where the stored one is missing: the chain goes on behind its last known entry, and
    /// the loss is noted.
    pub fn head_after_loss(&self, last: Option<(u64, EntryHash)>) -> Head {
        let (sequence, hash) = last.unwrap_or((0, EntryHash::genesis(&self.scope)));
        self.seal(sequence, hash, Some(sequence + 1))
    }

    /// The entry for `record` behind `head`, and the head behind that entry.
    pub fn extend(&self, head: &Head, record: Record, keeps_query_text: bool) -> (Entry, Head) {
        let sequence = head.sequence + 1;
        let altered_at = match head.altered_at {
            None if !self.is_genuine(head) => Some(sequence),
            noted => noted,
        };
        let entry = record.into_entry(self, sequence, head.hash, keeps_query_text);
        let head = self.seal(sequence, entry.hash, altered_at);
        (entry, head)
    }

    /// True where this head was sealed with a key of the chain.
    pub fn is_genuine(&self, head: &Head) -> bool {
        self.key(head.epoch).is_some_and(|key| self.mac(key, head) == head.mac)
    }

    /// Seals a head with the newest key, so that older ones may go.
    pub fn reseal(&self, head: &Head) -> Head {
        let altered_at = match head.altered_at {
            None if !self.is_genuine(head) => Some(head.sequence + 1),
            noted => noted,
        };
        self.seal(head.sequence, head.hash, altered_at)
    }

    /// The head of a chain that ended so elsewhere, sealed with the newest key here.
    pub fn take_over(&self, end: &ChainEnd) -> Head {
        self.seal(end.sequence, end.hash, end.altered_at)
    }

    fn seal(&self, sequence: u64, hash: EntryHash, altered_at: Option<u64>) -> Head {
        let mut head = Head { sequence, hash, epoch: self.current, altered_at, mac: String::new() };
        head.mac = self.mac(self.current_key(), &head);
        head
    }

    fn mac(&self, key: &SecretKey, head: &Head) -> String {
        let Head { sequence, hash, epoch, altered_at, mac: _ } = head;
        // Entries are counted from 1, so 0 is free to say that nothing was found altered.
        let altered_at = altered_at.unwrap_or(0);
        let scope = &self.scope;
        keyed_name(key, &format!("{HEAD_DOMAIN}\n{sequence} {epoch} {altered_at} {hash}\n{scope}"))
    }
}

/// Where a chain ends, as its keeper tells another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainEnd {
    /// Sequence of the newest entry; 0 where there is none.
    pub sequence: u64,
    pub hash: EntryHash,
    /// Where the chain was found not to be sound, if it was: that stays on record.
    pub altered_at: Option<u64>,
}

/// The newest entry of a chain, as its keeper knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence of the newest entry; 0 where there is none.
    pub sequence: u64,
    pub hash: EntryHash,
    /// Epoch of the key it is sealed with.
    pub epoch: u32,
    /// The entry that was written when this record was first found missing or altered.
    pub altered_at: Option<u64>,
    /// HMAC of all of the above.
    pub mac: String,
}
