//! Compound files (OLE): which of the many things they can be, and the file in a wrapper.
//!
//! Called by: `office`. Talks to: `cfb`, `protection`, `old_lock`, `legacy`, `sheet`.
//! Invariants: what a stream claims to hold is never trusted for an allocation; no stream is
//! read beyond the size of the whole file.

use std::io::{Cursor, Read};

use cfb::CompoundFile;

use super::{legacy, old_lock, protection, read_package, sheet};
use crate::extract::emit::{Output, Stop};
use crate::extract::sniff::package_type;
use crate::types::ExtractFailureCode;

/// How much of a workbook is looked at for a lock, which stands near its beginning.
const FIRST_RECORDS: usize = 64 * 1024;

/// A compound file in memory.
pub(super) type Compound<'b> = CompoundFile<Cursor<&'b [u8]>>;

pub(super) fn read(bytes: Vec<u8>, passwords: &[String], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut file = open(&bytes)?;
    if file.is_stream("/EncryptedPackage") {
        let package = protection::decrypt(&mut file, bytes.len(), passwords)?;
        drop(file);
        drop(bytes);
        package_type(&package).clone_into(&mut out.document.media_type);
        return read_package(&package, out);
    }
    let media_type =
        |out: &mut Output<'_>, name: &str| name.clone_into(&mut out.document.media_type);
    if file.is_stream("/WordDocument") {
        media_type(out, "application/msword");
        let head = stream(&mut file, "/WordDocument", 32).unwrap_or_default();
        drop(file);
        if old_lock::is_locked_word(&head) {
            return legacy::word(old_lock::word(bytes, passwords)?, out);
        }
        return legacy::word(bytes, out);
    }
    if file.is_stream("/Workbook") || file.is_stream("/Book") {
        media_type(out, "application/vnd.ms-excel");
        let locked = ["/Workbook", "/Book"].into_iter().find(|name| {
            stream(&mut file, name, FIRST_RECORDS).is_some_and(|records| has_lock(&records))
        });
        drop(file);
        return match locked {
            Some(name) => sheet::read_legacy(&old_lock::workbook(bytes, name, passwords)?, out),
            None => sheet::read_legacy(&bytes, out),
        };
    }
    if file.is_stream("/PowerPoint Document") {
        media_type(out, "application/vnd.ms-powerpoint");
        let user = stream(&mut file, "/Current User", 32).unwrap_or_default();
        drop(file);
        if old_lock::is_locked_slides(&user) {
            return legacy::slides(old_lock::slides(bytes, passwords)?, out);
        }
        return legacy::slides(bytes, out);
    }
    if file.is_stream("/__properties_version1.0") {
        media_type(out, "application/vnd.ms-outlook");
    }
    let name = out.document.media_type.clone();
    Err(Stop::failure(
        ExtractFailureCode::UnsupportedType,
        format!("Files of type {name} cannot be read"),
    ))
}

/// True where the records of a workbook say that what follows is encrypted.
fn has_lock(records: &[u8]) -> bool {
    const FILE_PASS: u16 = 0x2f;
    let mut rest = records;
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        if u16::from_le_bytes([head[0], head[1]]) == FILE_PASS {
            return true;
        }
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let Some(next) = tail.get(length..) else {
            return false;
        };
        rest = next;
    }
    false
}

pub(super) fn open(bytes: &[u8]) -> Result<Compound<'_>, Stop> {
    CompoundFile::open(Cursor::new(bytes))
        .map_err(|error| Stop::malformed(format!("The file is damaged: {error}")))
}

/// A stream's bytes, at most `limit` of them.
pub(super) fn stream(file: &mut Compound<'_>, name: &str, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let stream = file.open_stream(name).ok()?;
    stream.take(limit as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The file that an embedded object wraps, and its name where it has one.
pub(super) fn wrapped_file(bytes: &[u8]) -> Option<(Option<String>, Vec<u8>)> {
    if !bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return None;
    }
    let mut file = open(bytes).ok()?;
    if let Some(native) = stream(&mut file, "/\u{1}Ole10Native", bytes.len()) {
        let (name, bytes) = native_file(&native)?;
        return Some((Some(name), bytes));
    }
    for name in ["/CONTENTS", "/Package"] {
        if file.is_stream(name) {
            return stream(&mut file, name, bytes.len()).map(|bytes| (None, bytes));
        }
    }
    None
}

/// A dropped file: size, flags, label, path, flags, path again, then the bytes.
fn native_file(native: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut rest = native.get(6..)?;
    let label = zero_ended(&mut rest)?;
    let _path = zero_ended(&mut rest)?;
    rest = rest.get(4..)?;
    let skipped = length(&mut rest)?;
    rest = rest.get(skipped..)?;
    let size = length(&mut rest)?;
    let bytes = rest.get(..size.min(rest.len()))?;
    Some((String::from_utf8_lossy(label).into_owned(), bytes.to_vec()))
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
