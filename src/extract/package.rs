//! Office files and e-books as what they are inside: named parts in a zip archive.
//!
//! Called by: `office`, `epub`. Talks to: `zip`, `xml`.
//! Invariants: the archive is checked by what it declares before any part is read: how many
//! entries, how large each and all of them become, and how far they swell; nothing is written
//! to disk; a name is only ever a key.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::clean::size;
use super::emit::{Output, Stop};
use super::xml::Xml;
use crate::types::ExtractFailureCode;

const MAX_ENTRIES: usize = 65_536;
/// Largest part when unpacked.
const MAX_PART: u64 = 256 << 20;
/// Most that all parts together may unpack to.
const MAX_TOTAL: u64 = 1 << 30;
/// A part that swells further than this and is not small was made to fill memory.
const MAX_RATIO: u64 = 400;
const SMALL: u64 = 64 << 20;

/// Takes the lock off the parts of a package that have one.
pub(super) trait Unlock {
    /// The bytes of a part as they were before it was locked.
    fn unlock(&self, name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Stop>;
}

/// An opened archive.
pub(super) struct Package<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    lock: Option<Box<dyn Unlock>>,
    names: Vec<String>,
    /// Index by name in lower case: producers disagree on case.
    by_name: HashMap<String, usize>,
}

impl<'b> Package<'b> {
    pub(super) fn open(bytes: &'b [u8]) -> Result<Self, Stop> {
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        if zip.len() > MAX_ENTRIES {
            return Err(too_large(&format!("it holds {} files", zip.len())));
        }
        let mut names = Vec::with_capacity(zip.len());
        let mut by_name = HashMap::new();
        let mut total = 0_u64;
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(|error| broken(&error))?;
            let name = String::from_utf8_lossy(entry.name_raw()).replace('\\', "/");
            let (packed, unpacked) = (entry.compressed_size(), entry.size());
            if unpacked > SMALL && unpacked / packed.max(1) > MAX_RATIO {
                return Err(too_large(&format!("{name} swells to {}", size(unpacked))));
            }
            total = total.saturating_add(unpacked);
            by_name.entry(name.to_lowercase()).or_insert(index);
            names.push(name);
        }
        if total > MAX_TOTAL {
            return Err(too_large(&format!("it unpacks to {}", size(total))));
        }
        Ok(Self { zip, lock: None, names, by_name })
    }

    /// Says how the parts that are read from now on are unlocked.
    pub(super) fn unlock_with(&mut self, lock: Box<dyn Unlock>) {
        self.lock = Some(lock);
    }

    /// Names of all entries as stored.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(&name.to_lowercase())
    }

    /// A part's bytes, or none where there is no such part.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>, Stop> {
        let Some(index) = self.by_name.get(&name.to_lowercase()) else {
            return Ok(None);
        };
        let entry = self.zip.by_index(*index).map_err(|error| broken(&error))?;
        let mut bytes = Vec::new();
        let read = entry.take(MAX_PART + 1).read_to_end(&mut bytes);
        read.map_err(|error| Stop::malformed(format!("{name} inside is damaged: {error}")))?;
        if bytes.len() as u64 > MAX_PART {
            return Err(too_large(&format!("{name} swells to more than {}", size(MAX_PART))));
        }
        match &self.lock {
            Some(lock) => lock.unlock(name, bytes).map(Some),
            None => Ok(Some(bytes)),
        }
    }

    /// A part as XML, or none where there is no such part.
    pub(super) fn xml(&mut self, name: &str) -> Result<Option<Xml>, Stop> {
        self.part(name)?.map(|bytes| Xml::parse(&bytes)).transpose()
    }

    /// A part the document can do without: what is wrong with it becomes a warning.
    pub(super) fn optional_xml(&mut self, name: &str, out: &mut Output<'_>) -> Option<Xml> {
        match self.xml(name) {
            Ok(xml) => xml,
            Err(Stop::Failure(failure)) => {
                out.warn(format!("{name} was left out: {}", failure.message));
                None
            }
            Err(_) => None,
        }
    }
}

fn broken(error: &ZipError) -> Stop {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            Stop::failure(
                ExtractFailureCode::PasswordRequired,
                "The file is protected by a password",
            )
        }
        other => Stop::malformed(format!("The file is damaged: {other}")),
    }
}

fn too_large(what: &str) -> Stop {
    Stop::failure(ExtractFailureCode::TooLarge, format!("The file is too large inside: {what}"))
}
