//! Reads sealed files: any range, or from front to back.
//!
//! Called by: [`super::FileCipher`]. Talks to: the file it was given, by `pread` only, so that
//! any number of threads may read at once.
//! Invariants: a byte is returned only after its chunk was authenticated; a range costs one read
//! of the chunks it touches and no other.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::SealedFileError;
use super::chunk::ChunkCipher;
use super::layout::{
    CHUNK_LEN, HEADER_LEN, SEALED_CHUNK_LEN, TAG_LEN, chunk_count, chunk_offset, sealed_len,
};

/// Chunks that a stream reads at a time.
const STREAM_CHUNKS: u64 = 8;

/// The chunks of one file, whose header belongs to a file of ours as far as anyone can tell
/// without opening a chunk.
pub(super) struct Chunks {
    cipher: ChunkCipher,
    epoch: u32,
    content_len: u64,
    last: u64,
}

impl Chunks {
    pub(super) fn new(cipher: ChunkCipher, epoch: u32, content_len: u64) -> Self {
        Self { cipher, epoch, content_len, last: chunk_count(content_len) - 1 }
    }

    /// Turns `buffer`, which holds whole sealed chunks from `first` on, into their content. On an
    /// error nothing of them is left in it.
    ///
    /// The content of each chunk is decrypted to where the content before it ends, so that there
    /// is neither a second buffer nor a second copy.
    pub(super) fn open(&self, first: u64, buffer: &mut Vec<u8>) -> Result<(), SealedFileError> {
        let (mut number, mut from, mut to) = (first, 0, 0);
        while from < buffer.len() {
            let until = buffer.len().min(from + SEALED_CHUNK_LEN);
            let last = number == self.last;
            if !self.cipher.open(number, last, &mut buffer[to..until], from - to) {
                buffer.clear();
                return Err(SealedFileError::Chunk { number });
            }
            to += until - from - TAG_LEN;
            from = until;
            number += 1;
        }
        buffer.truncate(to);
        Ok(())
    }
}

/// The header of a file, which may be none.
pub(super) fn header_of(file: &File) -> io::Result<[u8; HEADER_LEN]> {
    let mut header = [0; HEADER_LEN];
    read_exactly(file, &mut header, 0)?;
    Ok(header)
}

fn read_exactly(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SealedFileError::Short.into(),
        _ => error,
    })
}

/// An open sealed file. Any number of threads may read it at once.
pub struct SealedReader {
    file: File,
    chunks: Chunks,
}

impl SealedReader {
    pub(super) fn open(
        file: File,
        chunks: impl FnOnce(&[u8; HEADER_LEN], u64) -> Result<Chunks, SealedFileError>,
    ) -> io::Result<Self> {
        let sealed_len = file.metadata()?.len();
        let chunks = chunks(&header_of(&file)?, sealed_len)?;
        let reader = Self { file, chunks };
        // Only the true last chunk opens as the last one: this is what tells a cut file.
        let last = reader.chunks.last;
        reader.read_chunks(last..last + 1, &mut Vec::new())?;
        Ok(reader)
    }

    /// Bytes of content.
    pub fn len(&self) -> u64 {
        self.chunks.content_len
    }

    /// True where there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The epoch of the key that the file is sealed with.
    pub fn epoch(&self) -> u32 {
        self.chunks.epoch
    }

    /// The content in this range.
    ///
    /// # Errors
    /// `InvalidData` where a chunk in the range has changed, `InvalidInput` where the range is
    /// not within the content, else the disk's.
    pub fn read_at(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let Range { start, end } = range;
        if start > end || end > self.len() {
            let len = self.len();
            let refusal = format!("range {start}..{end} is not within content of {len} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, refusal));
        }
        if start == end {
            return Ok(Vec::new());
        }
        let first = start / CHUNK_LEN as u64;
        let mut content = Vec::new();
        self.read_chunks(first..chunk_count(end), &mut content)?;
        let head = (start - first * CHUNK_LEN as u64) as usize;
        let len = (end - start) as usize;
        if 2 * len <= content.capacity() {
            // A short piece must not hold on to the room of whole chunks.
            return Ok(content[head..head + len].to_vec());
        }
        content.truncate(head + len);
        content.drain(..head);
        Ok(content)
    }

    /// The content from front to back.
    pub fn into_stream(self) -> SealedStream {
        SealedStream { reader: self, next: 0, content: Vec::new(), taken: 0 }
    }

    /// Fills `buffer` with the content of these chunks; leaves it empty on an error.
    fn read_chunks(&self, chunks: Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
        let start = chunk_offset(chunks.start);
        let end = chunk_offset(chunks.end).min(sealed_len(self.len()));
        buffer.resize((end - start) as usize, 0);
        read_exactly(&self.file, buffer, start).inspect_err(|_| buffer.clear())?;
        Ok(self.chunks.open(chunks.start, buffer)?)
    }
}

impl std::fmt::Debug for SealedReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedReader")
            .field("len", &self.len())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

/// Reads a sealed file from front to back, some chunks at a time.
pub struct SealedStream {
    reader: SealedReader,
    /// The chunk that comes after `content`.
    next: u64,
    content: Vec<u8>,
    taken: usize,
}

impl BufRead for SealedStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.content.len() && self.next <= self.reader.chunks.last {
            let until = (self.next + STREAM_CHUNKS).min(self.reader.chunks.last + 1);
            self.taken = 0;
            self.reader.read_chunks(self.next..until, &mut self.content)?;
            self.next = until;
        }
        Ok(&self.content[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = self.content.len().min(self.taken + amount);
    }
}

impl Read for SealedStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let taken = self.fill_buf()?.read(out)?;
        self.consume(taken);
        Ok(taken)
    }
}

impl std::fmt::Debug for SealedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedStream").field("reader", &self.reader).finish_non_exhaustive()
    }
}
