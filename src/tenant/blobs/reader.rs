//! A blob being read: decrypted piece by piece, off the async threads.
//!
//! Called by: `app::index` (into the reading process), `app::documents` (downloads),
//! `tenant::handle` (archives). Talks to: one sealed file.
//! Invariants: no byte is handed out before its chunk was authenticated; a reader that came to
//! the end has compared the digest, so a blob put in another's place is an error and not content;
//! one that is moved compares it before it goes on; memory is bounded by one piece; nothing is
//! handed out once the tenant was closed.

use std::io::{self, Read, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
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
    /// Where the first byte of `piece` stands, or of the piece that comes next.
    stands: u64,
    /// Where the next byte that is handed out stands.
    position: u64,
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
    /// The digest of all the content was compared.
    proved: bool,
}

impl Source {
    /// Reads the next piece, which is empty at the end. Blocks.
    fn next(mut self) -> io::Result<(Self, Bytes)> {
        self.latch.check()?;
        let until = self.file.len().min(self.at + PIECE);
        let piece = self.file.read_at(self.at..until)?;
        self.at = until;
        if !self.proved {
            self.digest.update(&piece);
            if self.at == self.file.len() {
                if hex(&self.digest.clone().finalize()) != self.expected {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the content is not what its digest says",
                    ));
                }
                self.proved = true;
            }
        }
        Ok((self, piece.into()))
    }

    /// Reads the piece at `at`, after the digest of all the content was compared. Blocks.
    fn piece_at(mut self, at: u64) -> io::Result<(Self, Bytes)> {
        while !self.proved {
            (self, _) = self.next()?;
        }
        self.at = at.min(self.file.len());
        self.next()
    }
}

impl BlobReader {
    /// Starts reading, with the first piece at hand. Blocks.
    pub(super) fn open(file: SealedReader, latch: Latch, digest: &str) -> io::Result<Self> {
        let size_bytes = file.len();
        let expected = digest.to_owned();
        let source = Source { file, latch, digest: Sha256::new(), expected, at: 0, proved: false };
        let (source, piece) = source.next()?;
        let source = Some(source);
        Ok(Self { source, reading: None, piece, stands: 0, position: 0, size_bytes })
    }

    /// Bytes of content.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Gets the next piece, which stays empty at the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reading.is_none() {
            let source = self.take_source()?;
            if source.at < source.file.len() {
                self.reading = Some(tokio::task::spawn_blocking(move || source.next()));
            } else {
                self.source = Some(source);
            }
        }
        self.poll_reading(context)
    }

    /// Begins to get the piece at the place it was moved to.
    fn poll_move(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A piece of the place it was moved away from may still be on its way.
        ready!(self.poll_reading(context))?;
        let (source, at) = (self.take_source()?, self.position);
        self.piece.clear();
        self.reading = Some(tokio::task::spawn_blocking(move || source.piece_at(at)));
        self.stands = at;
        Poll::Ready(Ok(()))
    }

    /// Waits for the piece that is being read, if any.
    fn poll_reading(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(reading) = &mut self.reading {
            let read = ready!(Pin::new(reading).poll(context));
            self.reading = None;
            let (source, piece) = read.map_err(io::Error::other)??;
            (self.source, self.piece) = (Some(source), piece);
        }
        Poll::Ready(Ok(()))
    }

    fn take_source(&mut self) -> io::Result<Source> {
        self.source.take().ok_or_else(|| io::Error::other("an earlier read failed"))
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
        if this.position != this.stands {
            ready!(this.poll_move(context))?;
        }
        if this.piece.is_empty() {
            ready!(this.poll_piece(context))?;
        }
        let count = this.piece.len().min(out.remaining());
        out.put_slice(&this.piece[..count]);
        this.piece.advance(count);
        this.position += count as u64;
        this.stands = this.position;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for BlobReader {
    fn start_seek(self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let this = self.get_mut();
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => this.size_bytes.checked_add_signed(by),
            SeekFrom::Current(by) => this.position.checked_add_signed(by),
        };
        this.position = wanted.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}
