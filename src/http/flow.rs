//! Bodies that hold something open as long as they are read.
//!
//! Called by: handlers that stream what a tenant holds. Talks to: nothing.
//! Invariants: a body that nobody takes anything of for a while is given up, and with it what it
//! reads from: keys of a tenant would stay in memory otherwise, however it was locked. The connection
//! cannot tell: over HTTP/2 it stays busy while one of its streams stands still.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes of a piece.
pub(super) const PIECE: usize = 256 << 10;
/// Pieces that wait to be taken.
const DEPTH: usize = 2;
/// How long the next piece waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// A body of these pieces, for as long as it is read.
pub(super) fn flowing<E: Into<axum::BoxError> + Send + 'static>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> Body {
    Body::from_stream(ReceiverStream::new(pumped(pieces, PATIENCE)))
}

fn pumped<E: Send + 'static>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    patience: Duration,
) -> mpsc::Receiver<Result<Bytes, E>> {
    let (send, receive) = mpsc::channel(DEPTH);
    tokio::spawn(async move {
        let mut pieces = Box::pin(pieces);
        while let Some(piece) = pieces.next().await {
            // Dropped in the middle, the body ends short of its length, which its reader notices.
            if !matches!(tokio::time::timeout(patience, send.send(piece)).await, Ok(Ok(()))) {
                return;
            }
        }
    });
    receive
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn what_nobody_takes_lets_go_of_what_it_reads_from() {
        let held = Arc::new(());
        let source = held.clone();
        let pieces = stream::repeat_with(move || {
            let _held = &source;
            Ok::<_, Infallible>(Bytes::from_static(b"piece"))
        });
        let mut body = pumped(pieces, Duration::from_millis(20));
        for _ in 0..1000 {
            assert!(body.recv().await.is_some());
        }
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut left = 0;
        while body.recv().await.is_some() {
            left += 1;
        }
        assert!(left <= DEPTH, "what waited, and no more");
    }
}
