//! What an archive says of itself: where it comes from, and what each entry has to be.
//!
//! Called by: the rest of `archive`, `app::transfer`. Talks to: nothing.
//! Invariants: a list never names an entry twice; field names are format and never change.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ArchiveError, MAX_ENTRIES, is_entry_name};
use crate::types::{ApplianceId, TenantId, Tier};

/// Where an archive comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of Cairn that wrote it.
    pub version: String,
    pub appliance: ApplianceId,
    pub tenant: TenantId,
    pub name: String,
    pub tier: Tier,
    pub exported_at: Timestamp,
    /// Who asked for it, in words.
    pub by: String,
}

/// One entry as it has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRecord {
    pub name: String,
    pub length: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    #[serde(flatten)]
    pub provenance: Provenance,
    /// In the order of the archive.
    pub entries: Vec<EntryRecord>,
}

/// The entries seen so far.
#[derive(Default)]
pub(super) struct EntryList {
    records: Vec<EntryRecord>,
    names: HashSet<String>,
}

impl EntryList {
    /// Takes a name for the next entry.
    pub(super) fn announce(&mut self, name: &str) -> Result<(), ArchiveError> {
        if !is_entry_name(name) {
            return Err(ArchiveError::Entry);
        }
        if self.names.len() >= MAX_ENTRIES {
            return Err(ArchiveError::TooManyEntries);
        }
        if self.names.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(ArchiveError::Repeated { name: name.to_owned() })
        }
    }

    pub(super) fn push(&mut self, record: EntryRecord) {
        self.records.push(record);
    }

    pub(super) fn into_records(self) -> Vec<EntryRecord> {
        self.records
    }

    /// Compares what was read with what a manifest lists.
    pub(super) fn compare(&self, listed: &[EntryRecord]) -> Result<(), ArchiveError> {
        let differing = self.records.iter().zip(listed).find(|(read, listed)| read != listed);
        if let Some((read, _)) = differing {
            return Err(ArchiveError::Mismatch { name: read.name.clone() });
        }
        if self.records.len() == listed.len() { Ok(()) } else { Err(ArchiveError::Incomplete) }
    }
}

/// Reads a manifest. The format comes first: a later one may have other fields.
pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, ArchiveError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } = serde_json::from_slice(bytes).map_err(ArchiveError::Manifest)?;
    if format != super::FORMAT {
        return Err(ArchiveError::Format { found: format });
    }
    serde_json::from_slice(bytes).map_err(ArchiveError::Manifest)
}
