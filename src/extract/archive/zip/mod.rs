//! Zip archives.
//!
//! Called by: `extract::archive`. Talks to: `directory` for what is in it, `entry` for the bytes of
//! one file, `stream` for archives that have lost their directory.
//! Invariants: the directory at the end decides what is in the archive; a password is proved on
//! one file before it is used for the others.

mod aes;
mod behind;
mod directory;
mod entry;
mod stream;
mod traditional;

use std::io::{self, Cursor, Read, Seek};

use super::super::emit::{Output, Stop};
use super::super::exports::{Plan, Shelf};
use super::super::source::{RandomAccess, Source};
use super::budget::Budget;
use super::gathering::MAX_PLANNED;
use super::{Delivery, Entries, failure};
use crate::types::ExtractFailureCode;
use directory::{Directory, Record, Search};
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
    let mut file = if source.is_large(limit) {
        source.in_any_order(limit)?
    } else {
        let mut bytes = Vec::new();
        let mut start = source.by_ref().take(limit.saturating_add(1));
        start.read_to_end(&mut bytes).map_err(Stop::Input)?;
        if bytes.len() as u64 > limit {
            let mut whole = Begun { start: bytes, at: 0, rest: source };
            return stream::extract(&mut budget.counted(&mut whole), &budget, out).map(drop);
        }
        RandomAccess::new(Cursor::new(bytes))
    };
    budget.add_packed(file.length().map_err(Stop::Input)?);
    let searched = directory::find(&mut file, limit).map_err(Stop::Input)?;
    let missing = match searched {
        Search::Found(directory) => return from_directory(&file, &directory, &budget, out),
        Search::TooLong => false,
        Search::Missing => true,
    };
    file.rewind().map_err(Stop::Input)?;
    let found = stream::extract(&mut file, &budget, out)?;
    if missing {
        return Err(Stop::malformed(format!(
            "The archive is damaged or cut off: its directory is missing; {found} files were found"
        )));
    }
    Ok(())
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
    file: &RandomAccess,
    directory: &Directory,
    budget: &Budget,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let password = password(file, directory, out);
    let archive = Archive { file: file.clone(), password: password.as_deref(), budget };
    let mut entries = Entries::default();
    let mut held = Held::new(&archive, directory, out);
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
            None => archive.one_file(&record, &mut entries, out)?,
        }
    }
    let unread = plan.deliver(&mut held, &mut Delivery { entries: &mut entries, out })?;
    for record in unread.into_iter().filter_map(|at| held.records.get(at)) {
        archive.one_file(record, &mut entries, out)?;
    }
    entries.finish(out)
}

/// What is in the archive, folders left out.
fn files(directory: &Directory) -> impl Iterator<Item = Result<Record<'_>, &'static str>> {
    directory.records().filter(|record| !record.as_ref().is_ok_and(Record::is_folder))
}

/// What the files of an archive are taken out with.
struct Archive<'a> {
    file: RandomAccess,
    password: Option<&'a str>,
    budget: &'a Budget,
}

/// The files of an archive, to be looked at in any order.
struct Held<'b> {
    archive: &'b Archive<'b>,
    records: Vec<Record<'b>>,
    names: Vec<String>,
    most: u64,
}

impl<'b> Held<'b> {
    /// Without any, where there are too many or some cannot be opened.
    fn new(archive: &'b Archive<'b>, directory: &'b Directory, out: &Output<'_>) -> Self {
        let found = files(directory).map_while(Result::ok).take(MAX_PLANNED + 1);
        let mut records: Vec<Record<'_>> = found.collect();
        let locked = archive.password.is_none() && records.iter().any(Record::is_encrypted);
        if records.len() > MAX_PLANNED || locked {
            records.clear();
        }
        let names = records.iter().map(Record::name).collect();
        let most = out.limits().max_parse_bytes.min(out.limits().max_child_bytes);
        Self { archive, records, names, most }
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
        if record.unpacked > most || self.archive.budget.spent().is_some() {
            return None;
        }
        let mut content = Vec::new();
        let read = self.archive.with_body(record, |body| {
            let mut body = body.take(most.saturating_add(1));
            body.read_to_end(&mut content).is_ok()
        });
        let whole = matches!(read, Ok(true)) && content.len() as u64 <= most;
        whole.then_some(content)
    }
}

impl Archive<'_> {
    fn one_file(
        &self,
        record: &Record<'_>,
        entries: &mut Entries,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let name = record.name();
        if let Some(failure) = self.budget.spent() {
            return entries.refuse(&name, failure, out);
        }
        if record.is_link() {
            let message = "A link to another file; links are not followed";
            let failure = failure(ExtractFailureCode::UnsupportedType, message);
            return entries.refuse(&name, failure, out);
        }
        if record.is_encrypted() && self.password.is_none() {
            entries.lock();
            return Ok(());
        }
        let changed = record.changed();
        match self.with_body(record, |body| entries.pass(&name, changed, body, out)) {
            Ok(passed) => passed,
            Err(entry::Closed::Locked) => {
                entries.lock();
                Ok(())
            }
            Err(entry::Closed::Failed(failure)) => entries.refuse(&name, failure, out),
        }
    }

    /// Gives the unpacked bytes of a file to `take`, as far as the budget goes.
    fn with_body<T>(
        &self,
        record: &Record<'_>,
        take: impl FnOnce(&mut dyn Read) -> T,
    ) -> Result<T, entry::Closed> {
        entry::with_body(&mut self.file.clone(), record, self.password, |body| {
            take(&mut self.budget.metered(body))
        })
    }
}

/// The password that opens the smallest encrypted file to its end. Of two that differ the check
/// in the header of a file takes one in 256 for right; its checksum does not.
fn password(file: &RandomAccess, directory: &Directory, out: &Output<'_>) -> Option<String> {
    let smallest = directory
        .records()
        .map_while(Result::ok)
        .filter(|record| record.is_encrypted() && !record.is_folder())
        .min_by_key(|record| record.packed)?;
    let proves = |password: &&String| {
        let whole = |body: &mut dyn Read| io::copy(&mut body.take(PROOF), &mut io::sink()).is_ok();
        entry::with_body(&mut file.clone(), &smallest, Some(password), whole).unwrap_or(false)
    };
    out.passwords().iter().find(proves).cloned()
}
