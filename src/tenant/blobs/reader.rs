//! A blob being read: decrypted piece by piece, off the async threads.
//!
//! Called by: `app::index` (into the reading process), `app::documents` (downloads),
//! `tenant::handle` (archives). Talks to: one sealed file.
//! Invariants: no byte is handed out before its chunk was authenticated; a reader that came to
//! the end has compared the digest, so a blob put in another's place is an error and not content;
//! memory is bounded by one piece; nothing is handed out once the tenant was closed.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::JoinHandle;

use crate::crypto::{SealedReader, hex};
use crate::tenant::latch::Latch;

/// Content decrypted at a time.
const PIECE: u64 = 256 << 10;

/// The content of a blob, as an [`AsyncRead`].
#[derive(Debug)]
pub struct BlobReader {
    /// `None` while a piece is being read, and for good once that failed.
    source: Option<Source>,
    reading: Option<JoinHandle<io::Result<(Source, Bytes)>>>,
    piece: Bytes,
    size_bytes: u64,
}

/// What travels to the blocking pool and back with every piece.
#[derive(Debug)]
struct Source {
    file: SealedReader,
    latch: Latch,
    digest: Sha256,
    expected: String,
    at: u64,
}

impl Source {
    /// Reads the next piece, which is empty at the end. Blocks.
    fn next(mut self) -> io::Result<(Self, Bytes)> {
        self.latch.check()?;
        let until = self.file.len().min(self.at + PIECE);
        let piece = self.file.read_at(self.at..until)?;
        self.digest.update(&piece);
        self.at = until;
        if self.at == self.file.len() && hex(&self.digest.clone().finalize()) != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the content is not what its digest says",
            ));
        }
        Ok((self, piece.into()))
    }
}

impl BlobReader {
    /// Starts reading, with the first piece at hand. Blocks.
    pub(super) fn open(file: SealedReader, latch: Latch, digest: &str) -> io::Result<Self> {
        let size_bytes = file.len();
        let source =
            Source { file, latch, digest: Sha256::new(), expected: digest.to_owned(), at: 0 };
        let (source, piece) = source.next()?;
        Ok(Self { source: Some(source), reading: None, piece, size_bytes })
    }

    /// Bytes of content.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Gets the next piece, which stays empty at the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reading.is_none() {
            match self.source.take() {
                Some(source) if source.at < source.file.len() => {
                    self.reading = Some(tokio::task::spawn_blocking(move || source.next()));
                }
                Some(at_the_end) => self.source = Some(at_the_end),
                None => return Poll::Ready(Err(io::Error::other("an earlier read failed"))),
            }
        }
        if let Some(reading) = &mut self.reading {
            let read = ready!(Pin::new(reading).poll(context));
            self.reading = None;
            let (source, piece) = read.map_err(io::Error::other)??;
            (self.source, self.piece) = (Some(source), piece);
        }
        Poll::Ready(Ok(()))
    }
}

/// The content of a blob for a thread that may block, as a [`Read`].
#[derive(Debug)]
pub struct BlobStream {
    /// `None` once a read has failed.
    source: Option<Source>,
    piece: Bytes,
    size_bytes: u64,
}

impl BlobStream {
    /// Starts reading, with the first piece at hand. Blocks.
    pub(super) fn open(file: SealedReader, latch: Latch, digest: &str) -> io::Result<Self> {
        let BlobReader { source, piece, size_bytes, .. } = BlobReader::open(file, latch, digest)?;
        Ok(Self { source, piece, size_bytes })
    }

    /// Bytes of content.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Read for BlobStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            let failed = || io::Error::other("an earlier read failed");
            let source = self.source.take().ok_or_else(failed)?;
            if source.at < source.file.len() {
                let (source, piece) = source.next()?;
                (self.source, self.piece) = (Some(source), piece);
            } else {
                self.source = Some(source);
            }
        }
        let count = self.piece.len().min(out.len());
        self.piece.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

impl AsyncRead for BlobReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.piece.is_empty() {
            ready!(this.poll_piece(context))?;
        }
        let count = this.piece.len().min(out.remaining());
        out.put_slice(&this.piece[..count]);
        this.piece.advance(count);
        Poll::Ready(Ok(()))
    }
}
