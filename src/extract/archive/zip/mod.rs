//! Zip archives.
//!
//! Called by: `extract::archive`. Talks to: `directory` for what is in it, `entry` for the bytes of
//! one file, `stream` for archives that are too large to be held or have lost their directory.
//! Invariants: the directory at the end decides what is in the archive; a password is proved on
//! one file before it is used for the others.

mod aes;
mod directory;
mod entry;
mod stream;
mod traditional;

use std::io::{self, Read};

use super::super::emit::{Output, Stop};
use super::super::source::Source;
use super::budget::Budget;
use super::{Entries, failure};
use crate::types::ExtractFailureCode;
use directory::{Directory, Record};

/// How much of a file is unpacked to prove a password.
const PROOF: u64 = 16 << 20;

/// Reads a zip archive.
pub(in crate::extract) fn extract(
    source: &mut Source<'_>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    out.document.container = true;
    let budget = Budget::new(out);
    let limit = out.limits().max_parse_bytes;
    let mut bytes = Vec::new();
    source.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Stop::Input)?;
    if bytes.len() as u64 > limit {
        let mut whole = bytes.as_slice().chain(source);
        return stream::extract(&mut budget.counted(&mut whole), &budget, out).map(drop);
    }
    budget.add_packed(bytes.len() as u64);
    let Some(directory) = directory::find(&bytes) else {
        let found = stream::extract(&mut bytes.as_slice(), &budget, out)?;
        return Err(Stop::malformed(format!(
            "The archive is damaged or cut off: its directory is missing; {found} files were found"
        )));
    };
    from_directory(&bytes, &directory, &budget, out)
}

fn from_directory(
    bytes: &[u8],
    directory: &Directory<'_>,
    budget: &Budget,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let password = password(bytes, directory, out);
    let mut entries = Entries::default();
    for record in directory.records() {
        let record = record.map_err(Stop::malformed)?;
        if record.is_folder() {
            continue;
        }
        one_file(bytes, &record, password.as_deref(), budget, &mut entries, out)?;
    }
    entries.finish(out)
}

fn one_file(
    bytes: &[u8],
    record: &Record<'_>,
    password: Option<&str>,
    budget: &Budget,
    entries: &mut Entries,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let name = record.name();
    if let Some(failure) = budget.spent() {
        return entries.refuse(&name, failure, out);
    }
    if record.is_link() {
        let message = "A link to another file; links are not followed";
        return entries.refuse(&name, failure(ExtractFailureCode::UnsupportedType, message), out);
    }
    if record.is_encrypted() && password.is_none() {
        entries.lock();
        return Ok(());
    }
    let passed = entry::with_body(bytes, record, password, |body| {
        entries.pass(&name, &mut budget.metered(body), out)
    });
    match passed {
        Ok(passed) => passed,
        Err(entry::Closed::Locked) => {
            entries.lock();
            Ok(())
        }
        Err(entry::Closed::Failed(failure)) => entries.refuse(&name, failure, out),
    }
}

/// The password that opens the smallest encrypted file to its end. Of two that differ the check
/// in the header of a file takes one in 256 for right; its checksum does not.
fn password(bytes: &[u8], directory: &Directory<'_>, out: &Output<'_>) -> Option<String> {
    let smallest = directory
        .records()
        .map_while(Result::ok)
        .filter(|record| record.is_encrypted() && !record.is_folder())
        .min_by_key(|record| record.packed)?;
    let proves = |password: &&String| {
        let whole = |body: &mut dyn Read| io::copy(&mut body.take(PROOF), &mut io::sink()).is_ok();
        entry::with_body(bytes, &smallest, Some(password), whole).unwrap_or(false)
    };
    out.passwords().iter().find(proves).cloned()
}
