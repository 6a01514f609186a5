//! What the tests of parsers share: running `extract` on bytes, and input that does not end.
//!
//! Called by: unit tests of `extract`. Talks to: `extract` through its public surface.
//! Invariants: compiled for tests only.

use std::io::{self, Cursor, Read, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{ExtractLimits, ExtractRequest, ExtractSink, RandomAccess, extract, extract_file};
use crate::types::{Block, ChildHeader, ExtractFailure, ExtractedDocument, FormatHint};

/// What one file gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) document: ExtractedDocument,
    pub(crate) blocks: Vec<Block>,
    pub(crate) children: Vec<(ChildHeader, Vec<u8>)>,
}

impl Found {
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.blocks.iter().map(|block| block.text.as_str()).collect()
    }
}

impl ExtractSink for Found {
    fn block(&mut self, block: Block) -> io::Result<()> {
        self.blocks.push(block);
        Ok(())
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        self.children.push((header.clone(), bytes));
        Ok(())
    }
}

/// Limits that no ordinary test reaches.
pub(crate) fn limits() -> ExtractLimits {
    ExtractLimits::default()
}

pub(crate) fn extract_from(
    name: &str,
    format: Option<FormatHint>,
    limits: ExtractLimits,
    input: &mut dyn Read,
) -> Result<Found, ExtractFailure> {
    let mut found = Found::default();
    found.document = extract(&request(name, format, limits), input, &mut found)?;
    Ok(found)
}

fn request(name: &str, format: Option<FormatHint>, limits: ExtractLimits) -> ExtractRequest {
    ExtractRequest {
        name: name.to_owned(),
        media_type: None,
        format,
        passwords: Default::default(),
        limits,
    }
}

/// Reads a file that can be read in any order.
pub(crate) fn try_run_file(
    name: &str,
    limits: ExtractLimits,
    bytes: Vec<u8>,
) -> Result<Found, ExtractFailure> {
    let mut found = Found::default();
    let file = RandomAccess::new(Cursor::new(bytes));
    found.document = extract_file(&request(name, None, limits), file, &mut found)?;
    Ok(found)
}

/// Reads `bytes`, which must succeed.
pub(crate) fn run(name: &str, bytes: &[u8]) -> Found {
    extract_from(name, None, limits(), &mut &bytes[..]).expect("the file is readable")
}

pub(crate) fn try_run(name: &str, bytes: &[u8]) -> Result<Found, ExtractFailure> {
    extract_from(name, None, limits(), &mut &bytes[..])
}

pub(crate) fn run_as(name: &str, format: FormatHint, bytes: &[u8]) -> Found {
    try_run_as(name, format, bytes).expect("the file is readable")
}

/// What came out of a file, read in turn as what it was given out for.
pub(crate) fn documents(found: &Found) -> Vec<Found> {
    let children = found.children.iter();
    children
        .map(|(header, bytes)| run_as(&header.name, header.format.expect("a format"), bytes))
        .collect()
}

pub(crate) fn try_run_as(
    name: &str,
    format: FormatHint,
    bytes: &[u8],
) -> Result<Found, ExtractFailure> {
    extract_from(name, Some(format), limits(), &mut &bytes[..])
}

/// A zip archive with these parts.
pub(crate) fn package_of(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a new part");
        zip.write_all(bytes).expect("memory does not fail");
    }
    zip.finish().expect("memory does not fail").into_inner()
}

/// A start followed by the same bytes over and over, and a count of what was taken.
pub(crate) struct Endless {
    start: Vec<u8>,
    repeated: Vec<u8>,
    given: u64,
    end: u64,
}

impl Endless {
    pub(crate) fn new(repeated: &[u8]) -> Self {
        Self::after(b"", repeated)
    }

    pub(crate) fn after(start: &[u8], repeated: &[u8]) -> Self {
        Self { start: start.to_vec(), repeated: repeated.to_vec(), given: 0, end: u64::MAX }
    }

    pub(crate) fn ending_after(mut self, bytes: u64) -> Self {
        self.end = bytes;
        self
    }

    pub(crate) fn given(&self) -> u64 {
        self.given
    }
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        for slot in out.iter_mut() {
            if self.given == self.end {
                break;
            }
            let at = usize::try_from(self.given).expect("tests run on 64 bits");
            *slot = match self.start.get(at) {
                Some(byte) => *byte,
                None => self.repeated[(at - self.start.len()) % self.repeated.len()],
            };
            self.given += 1;
            count += 1;
        }
        Ok(count)
    }
}
