//! Tenant archives: one encrypted, signed file that holds everything of a tenant.
//!
//! Called by: `app::transfer`; `app::deletion` and `cli` for signatures. Talks to: whatever reader or writer it is given.
//! Invariants: content passes through and is never held as a whole; what is read counts only once
//! [`read`] has returned, because only then every entry and the signature have been checked; a
//! name, an entry list or a passphrase's cost that an archive asks for is bounded.
//! Why age and tar: somebody without Cairn can open the file with `age -d` and `tar`, check the
//! digests in `manifest.json` and the signature in `manifest.sig`.
//!
//! ```text
//! age(passphrase) { tar { entries…, manifest.json, manifest.sig } }
//! ```
//!
//! `manifest.json` lists length and SHA-256 of every entry before it; `manifest.sig` holds an
//! Ed25519 public key and its signature over the bytes of `manifest.json`. Encryption proves to
//! the holder of the passphrase that nobody else changed the file; the signature says which
//! appliance wrote it.

mod manifest;
mod reader;
mod signing;
#[cfg(test)]
mod tests;
mod writer;

use std::io;

pub use manifest::{EntryRecord, Manifest, Provenance};
pub use reader::{Verified, read};
pub use signing::{Fingerprint, NotAFingerprint, Signature, SigningKey};
pub use writer::ArchiveWriter;

/// The format written and read.
pub const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";

/// Longest name of an entry, which is what a plain tar header holds.
const MAX_NAME_BYTES: usize = 100;
/// Entries at most; their list is held in memory.
const MAX_ENTRIES: usize = 2_000_000;
/// Longest manifest, which is read as a whole.
const MAX_MANIFEST_BYTES: u64 = 512 << 20;
const MAX_SIGNATURE_BYTES: u64 = 4 << 10;

/// An archive could not be written or is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("write the archive")]
    Write(#[source] io::Error),
    #[error("the archive is damaged, cut short or cannot be read")]
    Read(#[source] io::Error),
    #[error("the passphrase does not open this archive")]
    WrongPassphrase,
    #[error("this is no archive of a tenant")]
    NotAnArchive,
    #[error("opening the archive would take more work than any that Cairn writes")]
    ExcessiveWork,
    #[error("the archive has format {found}; this release reads format {FORMAT}")]
    Format { found: u32 },
    #[error("an entry of the archive has a name or type that none has")]
    Entry,
    #[error("the archive names {name} twice")]
    Repeated { name: String },
    #[error("the archive holds more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("{name} has another length than was announced")]
    Length { name: String },
    #[error("the manifest cannot be written or read")]
    Manifest(#[source] serde_json::Error),
    #[error("{name} is not what the manifest says")]
    Mismatch { name: String },
    #[error("the archive lacks its manifest or signature")]
    Incomplete,
    #[error("the signature does not fit the manifest")]
    Signature,
    #[error("something follows the end of the archive")]
    Surplus,
}

/// True for a name that an entry may have: relative, plain, and not one of the two at the end.
fn is_entry_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    name.len() <= MAX_NAME_BYTES
        && name.split('/').all(part)
        && !matches!(name, MANIFEST | SIGNATURE)
}
