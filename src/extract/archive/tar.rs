//! Tar archives.
//!
//! Called by: `extract::archive`, `packed`. Talks to: the `tar` crate for headers and long names.
//! Invariants: links and devices are listed and never followed; the archive is read once, as it
//! comes.

use std::io::{self, Read};

use ::tar::{Archive, EntryType};

use super::super::emit::{Output, Stop, refusal};
use super::names::decode;
use super::{Entries, failure, quoted};
use crate::types::ExtractFailureCode;

pub(super) const BLOCK: usize = 512;

pub(super) fn extract(input: &mut dyn Read, out: &mut Output<'_>) -> Result<(), Stop> {
    out.document.container = true;
    let mut archive = Archive::new(input);
    let mut entries = Entries::as_they_come(out);
    let mut broken = None;
    for entry in archive.entries().map_err(Stop::Input)? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        let kind = entry.header().entry_type();
        let name = decode(&entry.path_bytes());
        match what_it_is(kind) {
            Kind::File => entries.pass(&name, &mut entry, out)?,
            Kind::Folder => {}
            Kind::Link => {
                let target = entry.link_name_bytes().map(|raw| decode(&raw)).unwrap_or_default();
                let message = format!("A link to {}; links are not followed", quoted(&target));
                let failure = failure(ExtractFailureCode::UnsupportedType, message);
                entries.refuse(&name, failure, out)?;
            }
            Kind::Other => {
                let message = "A device or pipe, which holds no text";
                let failure = failure(ExtractFailureCode::UnsupportedType, message);
                entries.refuse(&name, failure, out)?;
            }
        }
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
}

fn what_it_is(kind: EntryType) -> Kind {
    if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() || kind.is_hard_link() {
        Kind::Link
    } else if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
        Kind::Other
    } else {
        Kind::File
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
