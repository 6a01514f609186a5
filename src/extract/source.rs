//! The bytes of one file as the parsers see them: a head to look at, then a stream, and any part
//! of a file that lies where it can be read in any order.
//!
//! Called by: `extract` and its parsers. Talks to: nothing.
//! Invariants: reading starts at the first byte whatever was looked at before; at most
//! `HEAD_BYTES` are held unless a parser asks for the whole file, and then never more than the
//! limit it names.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::clean::size;
use super::emit::Stop;
use crate::types::ExtractFailureCode;

/// How much of a file type detection looks at.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// Bytes that can be read in any order.
pub trait ReadSeek: Read + Seek {}

impl<R: Read + Seek> ReadSeek for R {}

/// A file that can be read in any order; all clones share one position.
#[derive(Clone)]
pub struct RandomAccess(Rc<RefCell<dyn ReadSeek>>);

impl RandomAccess {
    /// Takes a file over.
    pub fn new(file: impl ReadSeek + 'static) -> Self {
        Self::shared(Rc::new(RefCell::new(file)))
    }

    /// The bytes from `at` up to `end`, wherever other clones move to meanwhile.
    pub(super) fn part(&self, at: u64, end: u64) -> Part {
        Part { file: self.clone(), at, end }
    }

    /// Bytes of the file.
    pub(super) fn length(&mut self) -> io::Result<u64> {
        self.seek(SeekFrom::End(0))
    }

    /// Shares a file with its holder, who must not be in the middle of using it when it is read.
    pub(super) fn shared<R: ReadSeek + 'static>(file: Rc<RefCell<R>>) -> Self {
        Self(file)
    }
}

impl Read for RandomAccess {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(out)
    }
}

impl Seek for RandomAccess {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(to)
    }
}

/// A part of a file, read from its start.
pub(super) struct Part {
    file: RandomAccess,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(out.len());
        if most == 0 {
            return Ok(0);
        }
        self.file.seek(SeekFrom::Start(self.at))?;
        let count = self.file.read(&mut out[..most])?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Where the bytes after the head come from.
enum Rest<'a> {
    Stream(&'a mut dyn Read),
    File { file: RandomAccess, length: u64 },
}

impl Read for Rest<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.read(out),
            Self::File { file, .. } => file.read(out),
        }
    }
}

/// A file being read.
pub(super) struct Source<'a> {
    head: Vec<u8>,
    at: usize,
    rest: Rest<'a>,
    head_is_all: bool,
    consumed: u64,
    whole: bool,
}

impl<'a> Source<'a> {
    /// Reads the head of a stream.
    pub(super) fn new(rest: &'a mut dyn Read) -> io::Result<Self> {
        Self::begin(Rest::Stream(rest))
    }

    /// Reads the head of a file that can be read in any order.
    pub(super) fn of_file(mut file: RandomAccess) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        Self::begin(Rest::File { file, length })
    }

    fn begin(mut rest: Rest<'a>) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut start = (&mut rest).take(HEAD_BYTES as u64);
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

    /// True where the file is known to be longer than `limit` and can be read in any order.
    pub(super) fn is_large(&self, limit: u64) -> bool {
        matches!(self.rest, Rest::File { length, .. } if length > limit)
    }

    /// All bytes of the file. Fails with `TooLarge` where there are more than `limit`.
    pub(super) fn read_whole(&mut self, limit: u64) -> Result<Vec<u8>, Stop> {
        self.whole = true;
        let mut bytes = Vec::new();
        if !self.is_large(limit) {
            self.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Stop::Input)?;
        }
        if bytes.len() as u64 > limit || self.is_large(limit) {
            return Err(Stop::failure(
                ExtractFailureCode::TooLarge,
                format!(
                    "The file is larger than {}, the most that is read of this type at once; \
                     split it, or have ingest.max_parse_bytes raised",
                    size(limit)
                ),
            ));
        }
        Ok(bytes)
    }

    /// The file in any order, from its start: from memory where it is not longer than `limit`,
    /// else from where it lies. Fails with `TooLarge` for a stream that is longer.
    pub(super) fn in_any_order(&mut self, limit: u64) -> Result<RandomAccess, Stop> {
        if let Rest::File { file, length } = &mut self.rest
            && *length > limit
        {
            self.whole = true;
            file.rewind().map_err(Stop::Input)?;
            return Ok(file.clone());
        }
        Ok(RandomAccess::new(Cursor::new(self.read_whole(limit)?)))
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

    #[test]
    fn a_file_over_the_limit_is_read_in_any_order_from_where_it_lies() {
        let bytes: Vec<u8> = (0..HEAD_BYTES * 2).map(|i| (i % 251) as u8).collect();
        for limit in [10, 1 << 20] {
            let file = RandomAccess::new(Cursor::new(bytes.clone()));
            let mut source = Source::of_file(file).expect("memory");
            assert_eq!(source.is_large(limit), limit == 10);
            let Ok(mut file) = source.in_any_order(limit) else { panic!("refused") };
            let mut all = Vec::new();
            file.seek(SeekFrom::Start(100)).expect("memory");
            file.read_to_end(&mut all).expect("memory");
            assert_eq!(all, bytes[100..]);
        }
        let file = RandomAccess::new(Cursor::new(bytes.clone()));
        let mut source = Source::of_file(file).expect("memory");
        assert!(matches!(source.read_whole(10), Err(Stop::Failure(_))));
        assert_eq!(source.consumed(), 0, "nothing is read of what is refused");
        let mut input = bytes.as_slice();
        let mut source = Source::new(&mut input).expect("memory");
        assert!(source.in_any_order(10).is_err());
    }
}
