//! The bytes of one file as the parsers see them: a head to look at, then a stream.
//!
//! Called by: `extract` and its parsers. Talks to: nothing.
//! Invariants: reading starts at the first byte whatever was looked at before; at most
//! `HEAD_BYTES` are held unless a parser asks for the whole file, and then never more than the
//! limit it names.

use std::io::{self, Read};

use super::clean::size;
use super::emit::Stop;
use crate::types::ExtractFailureCode;

/// How much of a file type detection looks at.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// A file being read.
pub(super) struct Source<'a> {
    head: Vec<u8>,
    at: usize,
    rest: &'a mut dyn Read,
    head_is_all: bool,
    consumed: u64,
    whole: bool,
}

impl<'a> Source<'a> {
    /// Reads the head of `rest`.
    pub(super) fn new(rest: &'a mut dyn Read) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut start = (&mut *rest).take(HEAD_BYTES as u64);
        start.read_to_end(&mut head)?;
        let head_is_all = head.len() < HEAD_BYTES;
        Ok(Self { head, at: 0, rest, head_is_all, consumed: 0, whole: false })
    }

    /// The first bytes of the file, whether they were read already or not.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// True where the head is the whole file.
    pub(super) fn head_is_all(&self) -> bool {
        self.head_is_all
    }

    /// Bytes handed out so far.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// True once a parser took the whole file into memory.
    pub(super) fn was_read_whole(&self) -> bool {
        self.whole
    }

    /// All bytes of the file. Fails with `TooLarge` where there are more than `limit`.
    pub(super) fn read_whole(&mut self, limit: u64) -> Result<Vec<u8>, Stop> {
        self.whole = true;
        let mut bytes = Vec::new();
        self.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Stop::Input)?;
        if bytes.len() as u64 > limit {
            return Err(Stop::failure(
                ExtractFailureCode::TooLarge,
                format!(
                    "The file is larger than {}, the most that is read of this type at once",
                    size(limit)
                ),
            ));
        }
        Ok(bytes)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = &self.head[self.at..];
        let count = if left.is_empty() {
            self.rest.read(out)?
        } else {
            let count = left.len().min(out.len());
            out[..count].copy_from_slice(&left[..count]);
            self.at += count;
            count
        };
        self.consumed += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_at_the_head_does_not_consume_it() {
        let bytes: Vec<u8> = (0..HEAD_BYTES * 2).map(|i| (i % 251) as u8).collect();
        let mut input = bytes.as_slice();
        let mut source = Source::new(&mut input).expect("readable");
        assert_eq!(source.head().len(), HEAD_BYTES);
        assert!(!source.head_is_all());
        let all = source.read_whole(1 << 20).unwrap_or_default();
        assert_eq!(all, bytes);
        assert_eq!(source.consumed(), bytes.len() as u64);
    }

    #[test]
    fn a_file_over_the_limit_is_too_large() {
        let mut input: &[u8] = b"12345";
        let mut source = Source::new(&mut input).expect("readable");
        let Err(Stop::Failure(failure)) = source.read_whole(4) else {
            panic!("five bytes passed a limit of four");
        };
        assert_eq!(failure.code, ExtractFailureCode::TooLarge);
    }
}
