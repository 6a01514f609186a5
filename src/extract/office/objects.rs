//! Files embedded in Office files of 1997 to 2003, in Rich Text, and in wrappers of their own.
//!
//! Called by: `compound`, `attachments`, `rtf`. Talks to: `cfb`, `flate2`.
//! Invariants: what is taken out of one file is bounded in bytes and in streams, however often its
//! directory names the same ones; an object that holds no file is counted and said.
//!
//! A program that puts its document into another's keeps it in a storage: a dropped file with its
//! name (`Ole10Native`), a newer document as it is (`Package`, `CONTENTS`), or an old document as
//! streams, from which a file of its own is made.

use std::io::{Cursor, Read, Write};

use cfb::{CompoundFile, Version};
use flate2::read::ZlibDecoder;

use super::attachments;
use super::compound::{Compound, open, stream};
use crate::extract::emit::{Output, Stop};

/// Most bytes that are taken out of one file.
const MAX_TOTAL: usize = 1 << 30;
/// Largest object when unpacked.
const MAX_OBJECT: usize = 256 << 20;
/// Most streams and storages that are copied out of one file, and how deep in an object they lie.
const MAX_ENTRIES: usize = 10_000;
const MAX_DEPTH: usize = 8;
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0";
/// Streams that make a storage a document, and what it is called.
const DOCUMENTS: [(&str, &str); 4] = [
    ("WordDocument", "document.doc"),
    ("Workbook", "workbook.xls"),
    ("Book", "workbook.xls"),
    ("PowerPoint Document", "presentation.ppt"),
];
/// An object among the records of a presentation (MS-PPT 2.10.34 and 2.10.35).
const STORED_OBJECT: u16 = 0x1011;
const COMPRESSED: u16 = 1;
/// An object in Rich Text that is embedded and not linked (MS-OLEDS 2.2.4).
const EMBEDDED: usize = 2;

/// A file, and its name where it has one.
type Inner = (Option<String>, Vec<u8>);

/// Passes on what is embedded in a Word document or a workbook.
pub(super) fn of_storages(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut file = open(bytes)?;
    let mut objects = Objects::new(out);
    for (storage, is_object) in storages(&file) {
        let inner = objects.inner(&mut file, &storage, bytes.len());
        match inner.or_else(|| objects.document(&mut file, &storage)) {
            Some(inner) => objects.pass_on(inner)?,
            None if is_object && has_content(&file, &storage) => objects.unknown += 1,
            None => {}
        }
    }
    objects.report();
    Ok(())
}

/// Passes on what is embedded in a presentation.
pub(super) fn of_slides(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut file = open(bytes)?;
    let records = stream(&mut file, "/PowerPoint Document", bytes.len()).unwrap_or_default();
    drop(file);
    let mut objects = Objects::new(out);
    let mut rest = records.as_slice();
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let [instance, kind] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_le_bytes);
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let Some((data, next)) =
            usize::try_from(length).ok().and_then(|at| tail.split_at_checked(at))
        else {
            break;
        };
        rest = next;
        if kind != STORED_OBJECT {
            continue;
        }
        let storage = match instance >> 4 {
            COMPRESSED => objects.inflated(data),
            _ => data.to_vec(),
        };
        match file_of(&storage) {
            Some(inner) => objects.pass_on(inner)?,
            None if is_program(&storage) => {}
            None => objects.unknown += 1,
        }
    }
    objects.report();
    Ok(())
}

/// Says that this many objects were left where they are.
pub(in crate::extract) fn report_unknown(count: u32, out: &mut Output<'_>) {
    let objects = match count {
        0 => return,
        1 => "An embedded object holds".to_owned(),
        count => format!("{count} embedded objects hold"),
    };
    out.warn(format!(
        "{objects} no file that could be taken out, but perhaps a formula or a chart"
    ));
}

/// What is taken out of one file.
struct Objects<'o, 'a> {
    out: &'o mut Output<'a>,
    number: u32,
    /// Bytes and entries that may still be taken out.
    bytes: usize,
    entries: usize,
    unknown: u32,
}

impl<'o, 'a> Objects<'o, 'a> {
    fn new(out: &'o mut Output<'a>) -> Self {
        Self { out, number: 0, bytes: MAX_TOTAL, entries: MAX_ENTRIES, unknown: 0 }
    }

    fn pass_on(&mut self, (name, bytes): Inner) -> Result<(), Stop> {
        self.number += 1;
        attachments::child(self.number, name.as_deref().unwrap_or_default(), &bytes, self.out)
    }

    fn report(self) {
        if self.bytes == 0 || self.entries == 0 {
            self.out.warn("Embedded objects were taken out in part: they are too large together");
        }
        report_unknown(self.unknown, self.out);
    }

    /// Notes how much was taken; none where it is more than may be.
    fn counted(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let left = self.bytes.checked_sub(bytes.len());
        self.bytes = left.unwrap_or_default();
        left.map(|_| bytes)
    }

    fn inner(&mut self, file: &mut Compound<'_>, storage: &str, limit: usize) -> Option<Inner> {
        let limit = limit.min(self.bytes.saturating_add(1));
        let (name, bytes) = wrapped(file, storage, limit)?;
        Some((name, self.counted(bytes)?))
    }

    /// The document that is kept as streams of a storage.
    fn document(&mut self, file: &mut Compound<'_>, storage: &str) -> Option<Inner> {
        let name = document_in(file, storage)?;
        let memory = Cursor::new(Vec::new());
        // Not every reader knows the newer version.
        let mut copy = CompoundFile::create_with_version(Version::V3, memory).ok()?;
        let mut waiting = vec![(storage.to_owned(), String::new(), 0)];
        while let Some((from, to, depth)) = waiting.pop() {
            let entries: Vec<(String, bool)> = file
                .read_storage(&from)
                .ok()?
                .map(|entry| (entry.name().to_owned(), entry.is_storage()))
                .take(self.entries + 1)
                .collect();
            let left = self.entries.checked_sub(entries.len());
            self.entries = left.unwrap_or_default();
            left?;
            for (name, is_storage) in entries {
                let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
                if !is_storage {
                    let bytes = stream(file, &from, self.bytes.saturating_add(1))?;
                    let bytes = self.counted(bytes)?;
                    copy.create_stream(&to).ok()?.write_all(&bytes).ok()?;
                } else if depth < MAX_DEPTH {
                    copy.create_storage(&to).ok()?;
                    waiting.push((from, to, depth + 1));
                }
            }
        }
        copy.flush().ok()?;
        Some((Some(name.to_owned()), copy.into_inner().into_inner()))
    }

    /// A storage behind its length, compressed.
    fn inflated(&mut self, data: &[u8]) -> Vec<u8> {
        let limit = MAX_OBJECT.min(self.bytes);
        let mut bytes = Vec::new();
        let packed = data.get(4..).unwrap_or_default();
        // What is cut off or damaged has no file in it that could be read.
        let _ = ZlibDecoder::new(packed).take(limit as u64 + 1).read_to_end(&mut bytes);
        let fits = bytes.len() <= limit;
        self.counted(bytes).filter(|_| fits).unwrap_or_default()
    }
}

/// The storages that may hold an object, and whether their place says that they do.
fn storages(file: &Compound<'_>) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (parent, prefix) in [("/ObjectPool", ""), ("/", "MBD")] {
        let Ok(entries) = file.read_storage(parent) else { continue };
        let storages = entries.filter(cfb::Entry::is_storage);
        found.extend(storages.filter_map(|entry| {
            let path = entry.path().to_str()?.to_owned();
            Some((path, entry.name().starts_with(prefix)))
        }));
    }
    found
}

/// True where a storage has more than what a program notes about a link.
fn has_content(file: &Compound<'_>, storage: &str) -> bool {
    let is_own = |entry: cfb::Entry| {
        entry.is_stream() && !entry.is_empty() && !entry.name().starts_with(char::is_control)
    };
    file.read_storage(storage).is_ok_and(|mut entries| entries.any(is_own))
}

fn document_in(file: &Compound<'_>, storage: &str) -> Option<&'static str> {
    let mut known = DOCUMENTS.into_iter();
    let found = known.find(|(name, _)| file.is_stream(format!("{storage}/{name}")));
    found.map(|(_, name)| name)
}

/// True for the macros of a presentation.
fn is_program(bytes: &[u8]) -> bool {
    open(bytes).is_ok_and(|file| file.is_storage("/VBA"))
}

/// The file that a compound file wraps, or the compound file itself where it is a document.
fn file_of(bytes: &[u8]) -> Option<Inner> {
    wrapped_file(bytes).or_else(|| {
        let name = document_in(&open(bytes).ok()?, "")?;
        Some((Some(name.to_owned()), bytes.to_vec()))
    })
}

/// The file that an embedded object wraps.
pub(super) fn wrapped_file(bytes: &[u8]) -> Option<Inner> {
    if !bytes.starts_with(COMPOUND) {
        return None;
    }
    wrapped(&mut open(bytes).ok()?, "", bytes.len())
}

fn wrapped(file: &mut Compound<'_>, storage: &str, limit: usize) -> Option<Inner> {
    if let Some(native) = stream(file, &format!("{storage}/\u{1}Ole10Native"), limit) {
        return native_file(&native);
    }
    // Form controls keep their `contents` in lower case, which is the same name for a directory.
    let name = ["CONTENTS", "Package"].into_iter().find(|name| {
        let entry = file.entry(format!("{storage}/{name}"));
        entry.is_ok_and(|entry| entry.is_stream() && entry.name() == *name)
    })?;
    stream(file, &format!("{storage}/{name}"), limit).map(|bytes| (None, bytes))
}

/// What a program keeps of its object behind the size of it: a dropped file, or bytes of its own.
fn native_file(native: &[u8]) -> Option<Inner> {
    let mut rest = native;
    let size = length(&mut rest)?;
    let raw = rest.get(..size.min(rest.len())).filter(|raw| !raw.is_empty());
    dropped_file(rest).or_else(|| raw.map(|raw| (None, raw.to_vec())))
}

/// A dropped file: a mark, label, path, flags, path again, then the bytes.
fn dropped_file(data: &[u8]) -> Option<Inner> {
    let mut rest = data.strip_prefix(&[2, 0])?;
    let label = zero_ended(&mut rest)?;
    let _path = zero_ended(&mut rest)?;
    rest = rest.get(4..)?;
    let skipped = length(&mut rest)?;
    rest = rest.get(skipped..)?;
    let size = length(&mut rest)?;
    let bytes = rest.get(..size.min(rest.len()))?;
    Some((Some(String::from_utf8_lossy(label).into_owned()), bytes.to_vec()))
}

/// The file in the data of an object in Rich Text: version, kind, the name of its program, where
/// it is linked to, and what the program keeps (MS-OLEDS 2.2.5).
pub(super) fn rich_text_file(data: &[u8]) -> Option<Inner> {
    let mut rest = data.get(4..)?;
    if length(&mut rest)? != EMBEDDED {
        return None;
    }
    for _ in ["program", "topic", "item"] {
        let skipped = length(&mut rest)?;
        rest = rest.get(skipped..)?;
    }
    let size = length(&mut rest)?;
    let native = rest.get(..size.min(rest.len())).filter(|native| !native.is_empty())?;
    if native.starts_with(COMPOUND) {
        return file_of(native);
    }
    dropped_file(native).or_else(|| Some((None, native.to_vec())))
}

fn zero_ended<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = &rest[..end];
    *rest = &rest[end + 1..];
    Some(text)
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests;
