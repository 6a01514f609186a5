//! Tar archives.
//!
//! Called by: `extract::archive`, `packed`. Talks to: the `tar` crate for headers and long names.
//! Invariants: links and devices are listed and never followed; the archive is read once, as it
//! comes.

use std::io::{self, Read};

use ::tar::{Archive, Entry, EntryType, Header};

use super::super::emit::{Output, Stop, refusal};
use super::names::decode;
use super::{Entries, failure, quoted, times};
use crate::types::ExtractFailureCode;

pub(super) const BLOCK: usize = 512;
/// Longest name or attributes of an entry that stand in an entry of their own.
const MAX_NOTE: u64 = 64 * 1024;

pub(super) fn extract(input: &mut dyn Read, out: &mut Output<'_>) -> Result<(), Stop> {
    out.document.container = true;
    let mut archive = Archive::new(input);
    let mut entries = Entries::as_they_come(out);
    let mut noted = Noted::default();
    let mut broken = None;
    for entry in archive.entries().map_err(Stop::Input)? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        match what_it_is(&entry) {
            Kind::Note => {
                if let Err(error) = noted.take(&mut entry) {
                    broken = Some(error);
                    break;
                }
                continue;
            }
            Kind::File => {
                let name = noted.name(&entry);
                let changed = entry.header().mtime().ok().and_then(|at| i64::try_from(at).ok());
                entries.pass(&name, changed.and_then(times::of_unix), &mut entry, out)?;
            }
            Kind::Folder => {}
            Kind::Link => {
                let message =
                    format!("A link to {}; links are not followed", quoted(&noted.target(&entry)));
                let failure = failure(ExtractFailureCode::UnsupportedType, message);
                entries.refuse(&noted.name(&entry), failure, out)?;
            }
            Kind::Other => {
                let message = "A device or pipe, which holds no text";
                let failure = failure(ExtractFailureCode::UnsupportedType, message);
                entries.refuse(&noted.name(&entry), failure, out)?;
            }
        }
        noted = Noted::default();
    }
    let found = entries.found();
    entries.finish(out)?;
    broken.map_or(Ok(()), |error| Err(ended_early(&error, found)))
}

enum Kind {
    File,
    Folder,
    Link,
    Other,
    /// It tells something about the entry that follows, or about the archive.
    Note,
}

fn what_it_is<R: Read>(entry: &Entry<'_, R>) -> Kind {
    let kind = entry.header().entry_type();
    if kind.is_dir() {
        return Kind::Folder;
    }
    if kind.is_symlink() || kind.is_hard_link() {
        return Kind::Link;
    }
    if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
        return Kind::Other;
    }
    match kind.as_byte() {
        // Long names, attributes, and what GNU tar calls a volume.
        b'L' | b'K' | b'x' | b'X' | b'g' | b'V' => Kind::Note,
        // What is in a folder, as GNU tar lists it. The first tar knew folders by their slash.
        b'D' => Kind::Folder,
        _ if kind == EntryType::Regular && entry.size() == 0 => {
            if entry.path_bytes().ends_with(b"/") { Kind::Folder } else { Kind::File }
        }
        _ => Kind::File,
    }
}

/// What stands in front of an entry whose header the `tar` crate does not know: some programs
/// write the notes of GNU and POSIX under the mark of another tar.
#[derive(Default)]
struct Noted {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl Noted {
    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let kind = entry.header().entry_type().as_byte();
        if !matches!(kind, b'L' | b'K' | b'x' | b'X') {
            return Ok(());
        }
        let mut note = Vec::new();
        entry.take(MAX_NOTE).read_to_end(&mut note)?;
        match kind {
            b'L' => self.name = Some(until_zero(&note).to_owned()),
            b'K' => self.target = Some(until_zero(&note).to_owned()),
            _ => {
                self.name = attribute(&note, b"path").or(self.name.take());
                self.target = attribute(&note, b"linkpath").or(self.target.take());
            }
        }
        Ok(())
    }

    fn name<R: Read>(&self, entry: &Entry<'_, R>) -> String {
        if let Some(name) = &self.name {
            return decode(name);
        }
        let header = entry.header();
        let name = entry.path_bytes();
        match folder(header) {
            Some(folder) => format!("{}/{}", decode(folder), decode(&name)),
            None => decode(&name),
        }
    }

    fn target<R: Read>(&self, entry: &Entry<'_, R>) -> String {
        match &self.target {
            Some(target) => decode(target),
            None => entry.link_name_bytes().map(|raw| decode(&raw)).unwrap_or_default(),
        }
    }
}

/// The start of a long name, where it stands in a header that the `tar` crate does not know.
fn folder(header: &Header) -> Option<&[u8]> {
    let block = header.as_bytes();
    let unknown = header.as_gnu().is_none() && header.as_ustar().is_none();
    let folder = until_zero(&block[345..500]);
    (unknown && block[257..].starts_with(b"ustar") && !folder.is_empty()).then_some(folder)
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// One of the attributes that POSIX writes as lines of `length key=value`.
fn attribute(mut note: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    loop {
        let Some(space) = note.iter().take(20).position(|byte| *byte == b' ') else {
            return found;
        };
        let length = std::str::from_utf8(&note[..space]).ok()?.parse::<usize>().ok()?;
        let Some(line) = note.get(space + 1..length) else {
            return found;
        };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(value) = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(b"=")) {
            found = Some(value.to_owned());
        }
        note = &note[length..];
    }
}

fn ended_early(error: &io::Error, found: u64) -> Stop {
    match refusal(error) {
        Some(failure) => Stop::Failure(failure.clone()),
        None => Stop::malformed(format!("The archive is damaged after {found} files: {error}")),
    }
}

/// True where the first bytes are a tar header, which its checksum proves.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..BLOCK) else {
        return false;
    };
    let digits: String = block[148..156]
        .iter()
        .map(|byte| char::from(*byte))
        .skip_while(|c| *c == ' ')
        .take_while(char::is_ascii_digit)
        .collect();
    let Ok(stated) = u64::from_str_radix(&digits, 8) else {
        return false;
    };
    let sum = |block: &[u8]| -> u64 { block.iter().map(|byte| u64::from(*byte)).sum() };
    let total = sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..]);
    stated == total && block[0] != 0
}
