//! The directory at the end of a zip archive.
//!
//! Called by: `zip`. Talks to: nothing.
//! Invariants: every number is checked against the archive before it is used; records are read
//! one at a time, so a directory of millions costs no memory.
//!
//! Why not the `zip` crate: it keys entries by name, and of two files of the same name it would
//! lose one.

use jiff::Timestamp;

use super::super::names::{decode, decode_dos};
use super::super::times;

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const RECORD: &[u8] = b"PK\x01\x02";
const END_LENGTH: usize = 22;
const RECORD_LENGTH: usize = 46;
/// The end record is followed by a comment of at most this length; some writers add more.
const SEARCH: usize = 2 * 65_536 + END_LENGTH;
const UNIX: u8 = 3;

/// Where the records of an archive are.
pub(super) struct Directory<'b> {
    bytes: &'b [u8],
    start: usize,
    /// Bytes in front of the archive, as of a self-extracting one.
    shift: u64,
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

/// Finds the directory; none where the archive has lost its end.
pub(super) fn find(bytes: &[u8]) -> Option<Directory<'_>> {
    let from = bytes.len().saturating_sub(SEARCH);
    let mut end = bytes.len();
    while let Some(at) = last(&bytes[from..end], END).map(|at| from + at) {
        if let Some(directory) = at_end(bytes, at) {
            return Some(directory);
        }
        end = at + END.len() - 1;
    }
    None
}

fn at_end(bytes: &[u8], at: usize) -> Option<Directory<'_>> {
    let record = bytes.get(at..at + END_LENGTH)?;
    let mut size = u64::from(u32_at(record, 12)?);
    let mut offset = u64::from(u32_at(record, 16)?);
    let mut end = at;
    if let Some(locator) = at.checked_sub(20).and_then(|start| bytes.get(start..at))
        && locator.starts_with(LOCATOR_64)
    {
        let stated = usize::try_from(u64_at(locator, 8)?).ok()?;
        let near = at.checked_sub(20 + 56);
        let record_at = [Some(stated), near]
            .into_iter()
            .flatten()
            .find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(END_64)))?;
        let record = bytes.get(record_at..record_at.checked_add(56)?)?;
        size = u64_at(record, 40)?;
        offset = u64_at(record, 48)?;
        end = record_at;
    }
    if size == 0 {
        return Some(Directory { bytes, start: end, shift: 0 });
    }
    // The directory ends where the end record begins, whatever was put in front of the archive.
    let start = (end as u64).checked_sub(size)?;
    let candidates = [(start, start.checked_sub(offset)), (offset, Some(0))];
    candidates.into_iter().find_map(|(start, shift)| {
        let start = usize::try_from(start).ok()?;
        let found = bytes.get(start..)?.starts_with(RECORD);
        found.then_some(Directory { bytes, start, shift: shift? })
    })
}

impl<'b> Directory<'b> {
    /// The records in order. One that is broken is the last.
    pub(super) fn records(
        &self,
    ) -> impl Iterator<Item = Result<Record<'b>, &'static str>> + use<'b> {
        let (bytes, shift) = (self.bytes, self.shift);
        let mut at = self.start;
        std::iter::from_fn(move || {
            let rest = bytes.get(at..)?;
            if !rest.starts_with(RECORD) {
                return None;
            }
            let Some((record, length)) = Record::parse(rest, shift) else {
                at = bytes.len();
                return Some(Err("The directory of the archive is damaged"));
            };
            at += length;
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
