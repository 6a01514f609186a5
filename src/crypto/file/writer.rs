//! Seals a file from front to back.
//!
//! Called by: [`super::FileCipher`]. Talks to: the writer it was given.
//! Invariants: at most one chunk is held in memory; a full chunk waits until more content or the
//! end says whether it is the last, so that only `finish` writes a last chunk; after an error
//! nothing more is written and the file does not open.

use std::io::{self, Write};

use super::chunk::ChunkCipher;
use super::layout::{CHUNK_LEN, HEADER_LEN, MOST_CHUNKS, SEALED_CHUNK_LEN};

/// A sealed file being written. Dropping it without [`Self::finish`] leaves one that never opens.
pub struct SealedWriter<W: Write> {
    inner: W,
    cipher: ChunkCipher,
    /// Content of the chunk at hand; only while it is written, its ciphertext and tag.
    buffer: Vec<u8>,
    number: u64,
    failed: bool,
}

impl<W: Write> SealedWriter<W> {
    pub(super) fn begin(
        mut inner: W,
        header: &[u8; HEADER_LEN],
        cipher: ChunkCipher,
    ) -> io::Result<Self> {
        inner.write_all(header)?;
        let buffer = Vec::with_capacity(SEALED_CHUNK_LEN);
        Ok(Self { inner, cipher, buffer, number: 0, failed: false })
    }

    /// Seals the last chunk and gives the inner writer back, flushed but not synced.
    ///
    /// # Errors
    /// The inner writer's, or that an earlier write failed; then the file does not open.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal_chunk(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    /// What the chunks sealed so far went to; a `Vec` may be emptied now and then. Anything else
    /// that changes what was written leaves a file that does not open.
    pub fn inner_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    fn seal_chunk(&mut self, last: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(io::Error::other("an earlier write to this sealed file failed"));
        }
        if self.number >= MOST_CHUNKS {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let tag = self.cipher.seal(self.number, last, &mut self.buffer);
        self.buffer.extend_from_slice(&tag);
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        self.number += 1;
        self.failed = false;
        Ok(())
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        if self.buffer.len() >= CHUNK_LEN && !content.is_empty() {
            self.seal_chunk(false)?;
        }
        let taken = content.len().min(CHUNK_LEN - self.buffer.len());
        self.buffer.extend_from_slice(&content[..taken]);
        Ok(taken)
    }

    /// Flushes what is sealed. The chunk at hand stays in memory: a chunk is sealed once.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> std::fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedWriter").field("number", &self.number).finish_non_exhaustive()
    }
}
