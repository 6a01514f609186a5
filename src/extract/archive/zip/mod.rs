//! Zip archives.
//!
//! Called by: `extract::archive`. Talks to: `directory` for what is in it, `entry` for the bytes of
//! one file, `stream` for archives that are too large to be held or have lost their directory.
//! Invariants: the directory at the end decides what is in the archive; a password is proved on
//! one file before it is used for the others.

mod aes;
mod behind;
mod directory;
mod entry;
mod stream;
mod traditional;

use std::io::{self, Read};

use super::super::emit::{Output, Stop};
use super::super::exports::{Plan, Shelf};
use super::super::source::Source;
use super::budget::Budget;
use super::gathering::MAX_PLANNED;
use super::{Delivery, Entries, failure};
use crate::types::ExtractFailureCode;
use directory::{Directory, Record};
pub(super) use directory::{field, u32_at, u64_at};

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
        let mut whole = Begun { start: bytes, at: 0, rest: source };
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

/// A file whose start was read already, which is given up once it was read again.
struct Begun<R> {
    start: Vec<u8>,
    at: usize,
    rest: R,
}

impl<R: Read> Read for Begun<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = &self.start[self.at..];
        if left.is_empty() {
            (self.start, self.at) = (Vec::new(), 0);
            return self.rest.read(out);
        }
        let count = left.len().min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

fn from_directory(
    bytes: &[u8],
    directory: &Directory<'_>,
    budget: &Budget,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let password = password(bytes, directory, out);
    let password = password.as_deref();
    let mut entries = Entries::default();
    let mut held = Held::new(bytes, directory, password, budget, out);
    let plan = Plan::of(&mut held);
    for (at, record) in files(directory).enumerate() {
        let record = record.map_err(Stop::malformed)?;
        if plan.is_made_into_documents(at) {
            continue;
        }
        match plan.part_of(at) {
            Some(reason) => {
                let failure = failure(ExtractFailureCode::PartOfAnother, reason);
                entries.refuse(&record.name(), failure, out)?;
            }
            None => one_file(bytes, &record, password, budget, &mut entries, out)?,
        }
    }
    let unread = plan.deliver(&mut held, &mut Delivery { entries: &mut entries, out })?;
    for record in unread.into_iter().filter_map(|at| held.records.get(at)) {
        one_file(bytes, record, password, budget, &mut entries, out)?;
    }
    entries.finish(out)
}

/// What is in the archive, folders left out.
fn files<'b>(
    directory: &Directory<'b>,
) -> impl Iterator<Item = Result<Record<'b>, &'static str>> + use<'b> {
    directory.records().filter(|record| !record.as_ref().is_ok_and(Record::is_folder))
}

/// The files of an archive, to be looked at in any order.
struct Held<'b> {
    bytes: &'b [u8],
    records: Vec<Record<'b>>,
    names: Vec<String>,
    password: Option<&'b str>,
    budget: &'b Budget,
    most: u64,
}

impl<'b> Held<'b> {
    /// Without any, where there are too many or some cannot be opened.
    fn new(
        bytes: &'b [u8],
        directory: &Directory<'b>,
        password: Option<&'b str>,
        budget: &'b Budget,
        out: &Output<'_>,
    ) -> Self {
        let found = files(directory).map_while(Result::ok).take(MAX_PLANNED + 1);
        let mut records: Vec<Record<'_>> = found.collect();
        let locked = password.is_none() && records.iter().any(Record::is_encrypted);
        if records.len() > MAX_PLANNED || locked {
            records.clear();
        }
        let names = records.iter().map(Record::name).collect();
        let most = out.limits().max_parse_bytes.min(out.limits().max_child_bytes);
        Self { bytes, records, names, password, budget, most }
    }
}

impl Shelf for Held<'_> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn most(&self) -> u64 {
        self.most
    }

    fn read(&mut self, at: usize, most: u64) -> Option<Vec<u8>> {
        let record = self.records.get(at).filter(|record| !record.is_link())?;
        if record.unpacked > most || self.budget.spent().is_some() {
            return None;
        }
        let mut content = Vec::new();
        let read = entry::with_body(self.bytes, record, self.password, |body| {
            let mut body = self.budget.metered(body).take(most.saturating_add(1));
            body.read_to_end(&mut content).is_ok()
        });
        let whole = matches!(read, Ok(true)) && content.len() as u64 <= most;
        whole.then_some(content)
    }
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
        entries.pass(&name, record.changed(), &mut budget.metered(body), out)
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
