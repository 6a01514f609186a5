//! 7z archives.
//!
//! Called by: `extract::archive`. Talks to: `sevenz-rust2`.
//! Invariants: a password is tried before anything is passed on; files that share a compressed
//! block with one that is too much are given up together with it, and counted; header and
//! dictionary are bounded, and an archive that is larger than may be held is read where it lies.

use std::io::{self, Read, Seek};

use sevenz_rust2::{ArchiveReader, EntryDecision, Error, Password};

use super::super::emit::{Output, Stop};
use super::super::source::{RandomAccess, Source};
use super::budget::Budget;
use super::{Entries, failure, times};
use crate::types::ExtractFailureCode;

/// Most memory of header and dictionary each, in KiB.
const MEMORY_KIB: usize = 256 << 10;
/// File attributes of Windows: a folder, and a link.
const FOLDER: u32 = 0x10;
const REPARSE_POINT: u32 = 0x400;

type Reader = ArchiveReader<RandomAccess>;

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    out.document.container = true;
    let mut file = source.in_any_order(out.limits().max_parse_bytes)?;
    let budget = Budget::new(out);
    budget.add_packed(file.length().map_err(Stop::Input)?);
    let mut reader = open(&file, out)?;
    let expected = reader.archive().files.iter().filter(|file| !file.is_directory()).count() as u64;
    let mut entries = Entries::as_they_come(out);
    let mut stop = None;
    let walked = reader.for_each_entries_with_decision(|entry, body| {
        let attributes = if entry.has_windows_attributes { entry.windows_attributes } else { 0 };
        if entry.is_directory || attributes & FOLDER != 0 {
            return Ok(EntryDecision::Continue);
        }
        let is_link =
            attributes & REPARSE_POINT != 0 || (attributes >> 16) & 0o170_000 == 0o120_000;
        let passed = if let Some(failure) = budget.spent() {
            entries.refuse(entry.name(), failure, out)
        } else if is_link || entry.is_anti_item() {
            let message = "A link or a mark of something deleted, which is not followed";
            let failure = failure(ExtractFailureCode::UnsupportedType, message);
            entries.refuse(entry.name(), failure, out)
        } else {
            let changed = entry.has_last_modified_date.then(|| entry.last_modified_date().into());
            let changed = changed.and_then(times::of_windows);
            entries.pass(entry.name(), changed, &mut budget.metered(&mut *body), out)
        };
        if let Err(reason) = passed {
            stop = Some(reason);
            return Ok(EntryDecision::Stop);
        }
        // What nobody wanted of this file must come out all the same before the next one can.
        let rest = io::copy(&mut budget.metered(body), &mut io::sink());
        Ok(if rest.is_ok() { EntryDecision::Continue } else { EntryDecision::SkipBlock })
    });
    if let Some(stop) = stop {
        return Err(stop);
    }
    let missing = expected.saturating_sub(entries.found());
    entries.finish(out)?;
    if missing > 0 {
        let reason = budget.spent().map_or("they are damaged".to_owned(), |f| f.message);
        out.warn(format!("{missing} files were not taken out: {reason}"));
    }
    walked.map_err(|error| damaged(&error))
}

/// The archive, opened with whichever password fits.
fn open(file: &RandomAccess, out: &Output<'_>) -> Result<Reader, Stop> {
    match with_password(file, Password::empty()) {
        Ok(reader) if !is_encrypted(&reader) => return Ok(reader),
        Ok(_) | Err(Error::PasswordRequired | Error::MaybeBadPassword(_)) => {}
        Err(error) => return Err(damaged(&error)),
    }
    for password in out.passwords() {
        let password = Password::new(password);
        let Ok(mut reader) = with_password(file, password.clone()) else {
            continue;
        };
        if fits(&mut reader, out) {
            return with_password(file, password).map_err(|error| damaged(&error));
        }
    }
    let message = super::locked(1, 1, out);
    Err(Stop::failure(ExtractFailureCode::PasswordRequired, message))
}

fn with_password(file: &RandomAccess, password: Password) -> Result<Reader, Error> {
    let mut file = file.clone();
    file.rewind()?;
    let mut reader = ArchiveReader::new_with_memory_limit(file, password, MEMORY_KIB)?;
    // Threads would each take a dictionary of their own.
    reader.set_thread_count(1);
    Ok(reader)
}

fn is_encrypted(reader: &Reader) -> bool {
    let archive = reader.archive();
    (0..archive.files.len()).any(|at| archive.is_file_encrypted(at))
}

/// True where the password opens the archive, which its first encrypted file proves.
fn fits(reader: &mut Reader, out: &Output<'_>) -> bool {
    let budget = Budget::new(out);
    budget.add_packed(u64::MAX / 2);
    let most = out.limits().max_child_bytes;
    let mut proved = !is_encrypted(reader);
    let walked = reader.for_each_entries_with_decision(|entry, body| {
        if !entry.has_stream() {
            return Ok(EntryDecision::Continue);
        }
        // The checksum is compared at the end of the file.
        let mut body = budget.metered(body).take(most);
        proved = io::copy(&mut body, &mut io::sink()).is_ok();
        Ok(EntryDecision::Stop)
    });
    walked.is_ok() && proved
}

fn damaged(error: &Error) -> Stop {
    match error {
        Error::MaxMemLimited { .. } => Stop::failure(
            ExtractFailureCode::TooLarge,
            "The archive needs more memory to be unpacked than is allowed",
        ),
        Error::UnsupportedCompressionMethod(method) => Stop::failure(
            ExtractFailureCode::UnsupportedType,
            format!("The archive is compressed with {method}, which cannot be read"),
        ),
        Error::Unsupported(what) => Stop::failure(
            ExtractFailureCode::UnsupportedType,
            format!("The archive cannot be read: {what}"),
        ),
        Error::ChecksumVerificationFailed | Error::NextHeaderCrcMismatch => {
            Stop::malformed("The archive is damaged: a checksum in it is wrong")
        }
        Error::Io(error, _) => Stop::malformed(format!("The archive is damaged: {error}")),
        Error::Other(what) => Stop::malformed(format!("The archive is damaged: {what}")),
        _ => Stop::malformed("The archive is damaged: its list of files cannot be understood"),
    }
}
