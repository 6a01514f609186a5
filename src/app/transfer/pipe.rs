//! Between a thread that reads or writes an archive and the connection it goes over.
//!
//! Called by: `app::transfer`. Talks to: nothing.
//! Invariants: a few pieces are in memory, whoever is slower; a writer whose reader takes nothing
//! for some time fails, so that nobody keeps a tenant's originals held by not reading.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Bytes handed over at a time.
const PIECE: usize = 256 << 10;
/// Pieces on their way.
const DEPTH: usize = 4;
/// How long a writer waits for room.
const PATIENCE: Duration = Duration::from_secs(120);

/// What goes through: bytes, or why there are no more.
pub(super) type Piece = io::Result<Bytes>;

/// The two ends of a way.
pub(super) fn channel() -> (mpsc::Sender<Piece>, mpsc::Receiver<Piece>) {
    mpsc::channel(DEPTH)
}

/// The end that a thread writes to.
pub(super) struct PipeWriter {
    gathered: BytesMut,
    sender: mpsc::Sender<Piece>,
    runtime: Handle,
}

impl PipeWriter {
    pub(super) fn new(sender: mpsc::Sender<Piece>, runtime: Handle) -> Self {
        Self { gathered: BytesMut::with_capacity(PIECE), sender, runtime }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = self.gathered.split().freeze();
        let sent = tokio::time::timeout(PATIENCE, self.sender.send(Ok(piece)));
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads any more")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads")),
        }
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..taken]);
        if self.gathered.len() == PIECE {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// The end that a thread reads from.
pub(super) struct PipeReader {
    piece: Bytes,
    receiver: mpsc::Receiver<Piece>,
}

impl PipeReader {
    pub(super) fn new(receiver: mpsc::Receiver<Piece>) -> Self {
        Self { piece: Bytes::new(), receiver }
    }
}

impl Read for PipeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(out.len());
        self.piece.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_one_thread_writes_another_reads() {
        let (sender, receiver) = channel();
        let written: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let runtime = Handle::current();
        let sent = written.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = PipeWriter::new(sender, runtime);
            sent.chunks(777).try_for_each(|chunk| writer.write_all(chunk))?;
            writer.flush()
        });
        let reading = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            PipeReader::new(receiver).read_to_end(&mut read).map(|_| read)
        });
        writing.await.unwrap().unwrap();
        assert!(reading.await.unwrap().unwrap() == written);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_writer_learns_that_its_reader_went_away() {
        let (sender, receiver) = channel();
        drop(receiver);
        let runtime = Handle::current();
        let writing = tokio::task::spawn_blocking(move || {
            PipeWriter::new(sender, runtime).write_all(&vec![0; 2 * PIECE])
        });
        let refused = writing.await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }
}
