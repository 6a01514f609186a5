//! Files that hold other files: zip, 7z, tar, and single compressed files.
//!
//! Called by: `extract`. Talks to: one reader per kind below, `budget` and `names`.
//! Invariants: nothing is ever written to a path, so no name can point outside: names only say
//! where a child stands in the ledger. Every entry becomes a child, one that is not taken too,
//! with its reason; what comes out together is bounded by a `Budget`.

mod budget;
mod gathering;
mod members;
mod names;
mod packed;
mod sevenz;
mod tar;
mod times;
mod zip;

use std::io::{self, Read};

use jiff::Timestamp;

use self::budget::Budget;
use self::gathering::Gathering;
use self::names::Names;
pub(super) use self::packed::Packing;
use super::clean::{one_line, shorten};
use super::emit::{Output, Stop, refusal};
use super::exports::{Outlet, document_header};
use super::sniff::Format;
use super::source::Source;
use crate::types::{ChildHeader, ExtractFailure, ExtractFailureCode};

/// The reader of a media type found by signature, where it is an archive.
pub(super) fn format_of(media_type: &str, extension: &str) -> Option<Format> {
    Some(match media_type {
        "application/zip" | "application/java-archive" => Format::Zip,
        "application/x-7z-compressed" => Format::SevenZip,
        "application/x-tar" => Format::Tar,
        "application/gzip" => Format::Packed(Packing::Gzip),
        "application/x-bzip2" => Format::Packed(Packing::Bzip2),
        "application/x-xz" => Format::Packed(Packing::Xz),
        "application/zstd" => Format::Packed(Packing::Zstd),
        "application/octet-stream" if matches!(extension, "lzma" | "tlz") => {
            Format::Packed(Packing::Lzma)
        }
        _ => return None,
    })
}

pub(super) use self::zip::extract as extract_zip;

/// Reads a tar archive.
pub(super) fn extract_tar(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let budget = Budget::new(out);
    let counted = budget.counted(source);
    tar::extract(&mut budget.metered(counted), out)
}

/// True where the first bytes are the header of a tar archive, with or without a signature.
pub(super) fn is_tar(head: &[u8]) -> bool {
    tar::is_tar(head)
}

/// Reads a compressed file: the archive or the single file in it.
pub(super) fn extract_packed(
    source: &mut Source<'_>,
    packing: Packing,
    name: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    packed::extract(source, packing, name, out)
}

/// Reads a 7z archive.
pub(super) fn extract_sevenz(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    sevenz::extract(source, out)
}

/// What became of the entries of one archive.
#[derive(Default)]
struct Entries {
    names: Names,
    /// Files that a password is needed for.
    locked: u64,
    total: u64,
    /// What waits for the end of an archive that is read as it comes.
    gathering: Option<Gathering>,
}

impl Entries {
    /// For an archive that cannot be looked at as a whole before its files come by.
    fn as_they_come(out: &Output<'_>) -> Self {
        Self { gathering: Some(Gathering::new(out.limits())), ..Self::default() }
    }

    /// Files seen so far, whatever became of them.
    fn found(&self) -> u64 {
        self.total + self.gathering.as_ref().map_or(0, Gathering::waiting)
    }

    /// Passes a file on, or keeps it back until it is known what it belongs to.
    fn pass(
        &mut self,
        name: &str,
        file_date: Option<Timestamp>,
        body: &mut dyn Read,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        match &mut self.gathering {
            Some(gathering) => match gathering.take(name, file_date, body) {
                Some(mut body) => self.pass_on(name, file_date, &mut body, out),
                None => Ok(()),
            },
            None => self.pass_on(name, file_date, body, out),
        }
    }

    /// Passes a file on under the cleaned form of `name`, last changed at `file_date`.
    fn pass_on(
        &mut self,
        name: &str,
        file_date: Option<Timestamp>,
        body: &mut dyn Read,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        self.total += 1;
        let header = ChildHeader { file_date, ..header(self.names.clean(name)) };
        out.child(&header, &mut Damaged(body))
    }

    /// Lists a file that is not taken, with the reason.
    fn refuse(
        &mut self,
        name: &str,
        failure: ExtractFailure,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        self.total += 1;
        out.refuse(&header(self.names.clean(name)), failure)
    }

    /// Passes on a document made of the archive's files.
    fn document(
        &mut self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        self.total += 1;
        out.child(&document_header(self.names.clean(name), media_type), &mut &bytes[..])
    }

    /// Notes a file that cannot be opened without its password.
    fn lock(&mut self) {
        self.total += 1;
        self.locked += 1;
    }

    /// Says what is to be said at the end. Fails where a password is missing, so that the archive
    /// is read again once it is given.
    fn finish(mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        if let Some(gathering) = self.gathering.take() {
            gathering.deliver(&mut self, out)?;
        }
        out.fact("files", &self.total.to_string());
        if self.names.changed() > 0 {
            out.warn(format!(
                "{} names that point outside the archive or hold unusual characters were changed",
                self.names.changed()
            ));
        }
        if self.locked == 0 {
            return Ok(());
        }
        Err(Stop::failure(
            ExtractFailureCode::PasswordRequired,
            locked(self.locked, self.total, out),
        ))
    }
}

fn locked(locked: u64, total: u64, out: &Output<'_>) -> String {
    let what = if locked == total {
        "The archive is".to_owned()
    } else {
        format!("{locked} of the {total} files in the archive are")
    };
    if out.passwords().is_empty() {
        format!("{what} protected by a password")
    } else {
        format!("{what} protected by another password than the one given")
    }
}

/// A name inside a sentence: bounded, on one line.
fn quoted(name: &str) -> String {
    shorten(&one_line(name), 200)
}

fn header(name: String) -> ChildHeader {
    ChildHeader { name, absolute: false, media_type: None, format: None, file_date: None }
}

/// Where documents made of an export's files go.
struct Delivery<'d, 'o> {
    entries: &'d mut Entries,
    out: &'d mut Output<'o>,
}

impl Outlet for Delivery<'_, '_> {
    fn document(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Stop> {
        self.entries.document(name, media_type, bytes, self.out)
    }

    fn part(&mut self, name: &str, reason: &str) -> Result<(), Stop> {
        let failure = failure(ExtractFailureCode::PartOfAnother, reason);
        self.entries.refuse(name, failure, self.out)
    }

    fn warn(&mut self, sentence: &str) {
        self.out.warn(sentence);
    }
}

fn failure(code: ExtractFailureCode, message: impl Into<String>) -> ExtractFailure {
    ExtractFailure { code, message: message.into(), media_type: None }
}

/// A body whose errors are the entry's own: it is listed as damaged, and the archive goes on.
struct Damaged<'b>(&'b mut dyn Read);

impl Read for Damaged<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted || refusal(&error).is_some() {
                return error;
            }
            let message = format!("The file is damaged inside the archive: {error}");
            io::Error::other(failure(ExtractFailureCode::Malformed, message))
        })
    }
}

#[cfg(test)]
mod tests;
