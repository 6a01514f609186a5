//! A source of bytes that can be read from the start again, as long as little was read.
//!
//! Called by: `extraction::pool`. Talks to: nothing.
//! Invariants: at most `MAX_KEPT` bytes are held; once more was read, `rewind` says no and
//! nothing is held any more.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

const MAX_KEPT: usize = 8 * 1024 * 1024;

/// Wraps a source; keeps what was read only after `remember`.
pub(super) struct Replay<'s> {
    source: &'s mut (dyn AsyncRead + Send + Unpin),
    kept: Vec<u8>,
    at: usize,
    remembering: bool,
}

impl<'s> Replay<'s> {
    pub(super) fn new(source: &'s mut (dyn AsyncRead + Send + Unpin)) -> Self {
        Self { source, kept: Vec::new(), at: 0, remembering: false }
    }

    /// Starts keeping; to be called before the first read.
    pub(super) fn remember(&mut self) {
        self.remembering = true;
    }

    /// Goes back to the start, if everything read so far is still there.
    pub(super) fn rewind(&mut self) -> bool {
        if self.remembering {
            self.at = 0;
        }
        self.remembering
    }
}

impl AsyncRead for Replay<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = &this.kept[this.at..];
        if !left.is_empty() {
            let count = left.len().min(out.remaining());
            out.put_slice(&left[..count]);
            this.at += count;
            return Poll::Ready(Ok(()));
        }
        let before = out.filled().len();
        ready!(Pin::new(&mut *this.source).poll_read(context, out))?;
        let fresh = &out.filled()[before..];
        if this.remembering && this.kept.len() + fresh.len() <= MAX_KEPT {
            this.kept.extend_from_slice(fresh);
            this.at = this.kept.len();
        } else {
            this.remembering = false;
            this.kept = Vec::new();
            this.at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_small_source_is_read_twice() {
        let mut source: &[u8] = b"some bytes";
        let mut replay = Replay::new(&mut source);
        replay.remember();
        let mut first = [0; 4];
        replay.read_exact(&mut first).await.expect("memory does not fail");
        assert!(replay.rewind());
        let mut all = String::new();
        replay.read_to_string(&mut all).await.expect("memory does not fail");
        assert_eq!(all, "some bytes");
        assert!(replay.rewind());
    }

    #[tokio::test]
    async fn a_large_source_is_read_once_and_not_kept() {
        let bytes = vec![7; MAX_KEPT + 1];
        let mut source = bytes.as_slice();
        let mut replay = Replay::new(&mut source);
        replay.remember();
        let mut all = Vec::new();
        replay.read_to_end(&mut all).await.expect("memory does not fail");
        assert_eq!(all.len(), bytes.len());
        assert!(!replay.rewind());
        assert!(replay.kept.is_empty());
    }
}
