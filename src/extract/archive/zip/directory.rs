//! The directory at the end of a zip archive.
//!
//! Called by: `zip`. Talks to: the archive, wherever it lies.
//! Invariants: every number is checked against the archive before it is used; the records are
//! held, the files are not; records are read one at a time.
//!
//! Why not the `zip` crate: it keys entries by name, and of two files of the same name it would
//! lose one.

use std::io::{self, Read};

use jiff::Timestamp;

use super::super::names::{decode, decode_dos};
use super::super::times;
use crate::extract::source::RandomAccess;

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const RECORD: &[u8] = b"PK\x01\x02";
const END_LENGTH: usize = 22;
const END_64_LENGTH: usize = 56;
const LOCATOR_LENGTH: usize = 20;
const RECORD_LENGTH: usize = 46;
/// The end record is followed by a comment of at most this length; some writers add more.
const SEARCH: u64 = 2 * 65_536 + END_LENGTH as u64;
const UNIX: u8 = 3;

/// The records of an archive.
pub(super) struct Directory {
    records: Vec<u8>,
    /// Bytes in front of the archive, as of a self-extracting one.
    shift: u64,
}

/// What became of the search for the directory.
pub(super) enum Search {
    Found(Directory),
    /// It is longer than may be held.
    TooLong,
    /// The archive has lost its end.
    Missing,
}

/// One file as the directory describes it.
pub(super) struct Record<'b> {
    raw_name: &'b [u8],
    extra: &'b [u8],
    made_by: u8,
    attributes: u32,
    flags: u16,
    /// Day and time of the last change, as DOS says them.
    day: u16,
    time: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    /// Where the local header begins.
    pub(super) header: u64,
}

/// Finds the directory, unless it is longer than `most`.
pub(super) fn find(file: &mut RandomAccess, most: u64) -> io::Result<Search> {
    let length = file.length()?;
    let from = length.saturating_sub(SEARCH);
    let mut tail = Vec::new();
    file.part(from, length).read_to_end(&mut tail)?;
    let mut end = tail.len();
    while let Some(at) = last(&tail[..end], END) {
        match at_end(file, from, &tail, at, most)? {
            Search::Missing => end = at + END.len() - 1,
            found => return Ok(found),
        }
    }
    Ok(Search::Missing)
}

/// The directory that the end record at `at` of the `tail`, which begins at `from`, tells of.
fn at_end(file: &RandomAccess, from: u64, tail: &[u8], at: usize, most: u64) -> io::Result<Search> {
    let Some(told) = tail.get(at..at + END_LENGTH).and_then(Told::of_record) else {
        return Ok(Search::Missing);
    };
    let mut told = Told { end: from + at as u64, ..told };
    if let Some(locator) = at.checked_sub(LOCATOR_LENGTH).and_then(|start| tail.get(start..at))
        && locator.starts_with(LOCATOR_64)
    {
        let near = told.end.checked_sub((LOCATOR_LENGTH + END_64_LENGTH) as u64);
        let places = [u64_at(locator, 8), near];
        let mut records = places.into_iter().flatten().map(|at| Ok((at, Told::of_wide(file, at)?)));
        let found = records.find(|record: &io::Result<_>| !matches!(record, Ok((_, None))));
        let Some((at, Some(wide))) = found.transpose()? else { return Ok(Search::Missing) };
        told = Told { end: at, ..wide };
    }
    if told.size == 0 {
        return Ok(Search::Found(Directory { records: Vec::new(), shift: 0 }));
    }
    // The directory ends where the end record begins, whatever was put in front of the archive.
    let Some(start) = told.end.checked_sub(told.size) else { return Ok(Search::Missing) };
    for (start, shift) in [(start, start.checked_sub(told.offset)), (told.offset, Some(0))] {
        let (Some(shift), Some(length)) = (shift, told.end.checked_sub(start)) else { continue };
        if bytes_at(file, start, RECORD.len())? != RECORD {
            continue;
        }
        if length > most {
            return Ok(Search::TooLong);
        }
        let mut records = Vec::new();
        file.part(start, told.end).read_to_end(&mut records)?;
        return Ok(Search::Found(Directory { records, shift }));
    }
    Ok(Search::Missing)
}

/// What the end of an archive tells of its directory.
struct Told {
    size: u64,
    offset: u64,
    /// Where the record that tells it begins.
    end: u64,
}

impl Told {
    fn of_record(record: &[u8]) -> Option<Self> {
        let size = u64::from(u32_at(record, 12)?);
        Some(Self { size, offset: u64::from(u32_at(record, 16)?), end: 0 })
    }

    /// From the record of archives with numbers of 64 bits, where there is one.
    fn of_wide(file: &RandomAccess, at: u64) -> io::Result<Option<Self>> {
        let record = bytes_at(file, at, END_64_LENGTH)?;
        let told =
            || Some(Self { size: u64_at(&record, 40)?, offset: u64_at(&record, 48)?, end: at });
        Ok(if record.starts_with(END_64) { told() } else { None })
    }
}

/// The bytes at a place, fewer where the file ends.
fn bytes_at(file: &RandomAccess, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.part(at, at.saturating_add(length as u64)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Directory {
    /// The records in order. One that is broken is the last.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Record<'_>, &'static str>> {
        let (mut rest, shift) = (self.records.as_slice(), self.shift);
        std::iter::from_fn(move || {
            if !rest.starts_with(RECORD) {
                return None;
            }
            let Some((record, length)) = Record::parse(rest, shift) else {
                rest = &[];
                return Some(Err("The directory of the archive is damaged"));
            };
            rest = rest.get(length..).unwrap_or_default();
            Some(Ok(record))
        })
    }
}

impl<'b> Record<'b> {
    fn parse(rest: &'b [u8], shift: u64) -> Option<(Self, usize)> {
        let name = RECORD_LENGTH..RECORD_LENGTH + usize::from(u16_at(rest, 28)?);
        let extra = name.end..name.end + usize::from(u16_at(rest, 30)?);
        let length = extra.end + usize::from(u16_at(rest, 32)?);
        let mut record = Self {
            made_by: *rest.get(5)?,
            flags: u16_at(rest, 8)?,
            method: u16_at(rest, 10)?,
            time: u16_at(rest, 12)?,
            day: u16_at(rest, 14)?,
            crc: u32_at(rest, 16)?,
            packed: u64::from(u32_at(rest, 20)?),
            unpacked: u64::from(u32_at(rest, 24)?),
            attributes: u32_at(rest, 38)?,
            header: u64::from(u32_at(rest, 42)?),
            raw_name: rest.get(name)?,
            extra: rest.get(extra)?,
        };
        record.widen();
        record.header = record.header.checked_add(shift)?;
        Some((record, length))
    }

    /// Takes the numbers that do not fit 32 bits from the extra field.
    fn widen(&mut self) {
        let Some(wide) = field(self.extra, 0x0001) else {
            return;
        };
        let mut numbers = wide.chunks_exact(8).filter_map(|number| u64_at(number, 0));
        for slot in [&mut self.unpacked, &mut self.packed, &mut self.header] {
            if *slot == u64::from(u32::MAX)
                && let Some(number) = numbers.next()
            {
                *slot = number;
            }
        }
    }

    pub(super) fn name(&self) -> String {
        const UTF8: u16 = 1 << 11;
        if self.flags & UTF8 != 0 {
            return decode(self.raw_name);
        }
        // A version of the field, a checksum, then the name in UTF-8.
        if let Some(name) = field(self.extra, 0x7075).and_then(|field| field.get(5..))
            && let Ok(name) = std::str::from_utf8(name)
        {
            return name.to_owned();
        }
        if self.made_by == UNIX { decode(self.raw_name) } else { decode_dos(self.raw_name) }
    }

    /// When the file was last changed.
    pub(super) fn changed(&self) -> Option<Timestamp> {
        times::of_zip(self.day, self.time, self.extra)
    }

    pub(super) fn is_folder(&self) -> bool {
        let ends = self.raw_name.ends_with(b"/") || self.raw_name.ends_with(b"\\");
        let unix = self.made_by == UNIX && self.mode() == 0o040_000;
        self.unpacked == 0 && (ends || unix || self.attributes & 0x10 != 0)
    }

    pub(super) fn is_link(&self) -> bool {
        self.made_by == UNIX && self.mode() == 0o120_000
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Strength and real method of a file encrypted with AES.
    pub(super) fn aes(&self) -> Option<(u8, u16)> {
        let field = field(self.extra, 0x9901)?;
        Some((*field.get(4)?, u16_at(field, 5)?))
    }

    fn mode(&self) -> u32 {
        (self.attributes >> 16) & 0o170_000
    }
}

/// The content of an extra field.
pub(in crate::extract::archive) fn field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let id = u16_at(extra, 0)?;
        let content = extra.get(4..4 + usize::from(u16_at(extra, 2)?))?;
        if id == wanted {
            return Some(content);
        }
        extra = &extra[4 + content.len()..];
    }
}

fn last(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).rposition(|window| window == needle)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(in crate::extract::archive) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(in crate::extract::archive) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
