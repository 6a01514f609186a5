//! Tenants carried from one appliance to another in an archive.
//!
//! Called by: `http`. Talks to: `archive`, registry, `system`.
//! Invariants: names of entries and fields are format and never change; projections do not travel,
//! they are made anew from what does.
//!
//! ```text
//! tenant.json            what it is, and the key of the catalogue
//! catalogue.db           SQLCipher, without the audit trail
//! audit/000000.jsonl …   the audit trail with its chain, in parts, one entry a line
//! originals/<SHA-256> …  each content once
//! ```

mod export;
mod import;
mod pipe;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::audit::ChainEnd;
use crate::keys::MIN_PASSPHRASE_CHARS;
use crate::types::{Role, Tier};

pub use crate::archive::{Fingerprint, NotAFingerprint, Provenance};
pub use export::{Export, export};
pub use import::{Import, Imported, import};

/// The first entry.
const CONTENTS: &str = "tenant.json";
const CATALOGUE: &str = "catalogue.db";
/// Before the name of a part of the audit trail, and after it.
const TRAIL: (&str, &str) = ("audit/", ".jsonl");
/// Before the digest of an original.
const ORIGINALS: &str = "originals/";

/// `tenant.json`.
#[derive(Serialize, Deserialize)]
struct Contents {
    name: String,
    tier: Tier,
    /// Opens the catalogue; hexadecimal.
    catalogue_key: String,
    /// Name of the audit chain.
    audit_chain: String,
    audit_end: ChainEnd,
    /// Live documents.
    documents: u64,
    originals: u64,
    /// Of all originals together.
    original_bytes: u64,
    /// Who belonged to it. For people to read: accounts stay with their appliance.
    members: Vec<Member>,
}

/// Somebody who belonged to the tenant.
#[derive(Serialize, Deserialize)]
struct Member {
    name: String,
    role: Role,
}

/// Refuses a passphrase that is too easily tried.
fn check_passphrase(passphrase: &str) -> Result<(), Error> {
    if passphrase.chars().count() < MIN_PASSPHRASE_CHARS {
        return Err(Error::invalid(format!(
            "the passphrase is too short; use at least {MIN_PASSPHRASE_CHARS} characters"
        )));
    }
    Ok(())
}
