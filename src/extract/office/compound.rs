//! Compound files (OLE): which of the many things they can be.
//!
//! Called by: `office`. Talks to: `cfb`, `protection`, `old_lock`, `objects`, `legacy`, `sheet`.
//! Invariants: what a stream claims to hold is never trusted for an allocation; no stream is
//! read beyond the size of the whole file.

use std::io::{Cursor, Read};

use cfb::CompoundFile;

use super::{legacy, objects, old_lock, protection, read_package, sheet};
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
        let is_locked = old_lock::is_locked_word(&head);
        let bytes = if is_locked { old_lock::word(bytes, passwords)? } else { bytes };
        let objects = unless_full(objects::of_storages(&bytes, out))?;
        return legacy::word(bytes, out).and(objects);
    }
    if file.is_stream("/Workbook") || file.is_stream("/Book") {
        media_type(out, "application/vnd.ms-excel");
        let locked = ["/Workbook", "/Book"].into_iter().find(|name| {
            stream(&mut file, name, FIRST_RECORDS).is_some_and(|records| has_lock(&records))
        });
        drop(file);
        let bytes = match locked {
            Some(name) => old_lock::workbook(bytes, name, passwords)?,
            None => bytes,
        };
        let text = unless_full(sheet::read_legacy(&bytes, out))?;
        return objects::of_storages(&bytes, out).and(text);
    }
    if file.is_stream("/PowerPoint Document") {
        media_type(out, "application/vnd.ms-powerpoint");
        let user = stream(&mut file, "/Current User", 32).unwrap_or_default();
        drop(file);
        let is_locked = old_lock::is_locked_slides(&user);
        let bytes = if is_locked { old_lock::slides(bytes, passwords)? } else { bytes };
        let objects = unless_full(objects::of_slides(&bytes, out))?;
        return legacy::slides(bytes, out).and(objects);
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

/// Has what is left of a file read before a limit that was reached ends the reading.
fn unless_full(outcome: Result<(), Stop>) -> Result<Result<(), Stop>, Stop> {
    match outcome {
        Ok(()) | Err(Stop::Full) => Ok(outcome),
        Err(stop) => Err(stop),
    }
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
