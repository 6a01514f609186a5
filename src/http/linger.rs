//! What a client still sends once it is answered is read and thrown away, so that it gets to read
//! the answer.
//!
//! Called by: the router. Talks to: nothing.
//! Invariants: the answer never waits for it; what is read is bounded in bytes and in time; a client
//! that waits for a word before it sends its body is given none.
//! Why: closing a connection with bytes unread resets it, and a reset takes an answer back that the
//! client has not read yet. Somebody who uploads too much would see a broken connection, and never
//! why.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::http::{Version, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;

/// Most that is read of one request after its answer.
const MOST_BYTES: usize = 1 << 30;
/// Longest time that is spent on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers a request and lets its client finish.
pub(super) async fn linger(request: Request, next: Next) -> Response {
    // Later versions end one stream and leave the connection as it is, and a caller in this
    // process has no connection.
    let over_network = request.extensions().get::<ConnectInfo<SocketAddr>>().is_some();
    let needless = !over_network || request.version() >= Version::HTTP_2;
    if needless || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let asked = !parts.headers.contains_key(header::EXPECT);
    let rest = Rest { body: Some(body.into_data_stream()), asked };
    next.run(Request::from_parts(parts, Body::from_stream(rest))).await
}

/// A body whose rest is thrown away when nobody wants it any more.
struct Rest {
    /// `None` once it has come to its end.
    body: Option<BodyDataStream>,
    /// False while the client waits to be asked for it.
    asked: bool,
}

impl Stream for Rest {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.asked = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let polled = body.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|_| self.asked)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(discard(body));
        }
    }
}

async fn discard(mut body: BodyDataStream) {
    let discarded = async {
        let mut left = MOST_BYTES;
        while let Some(Ok(bytes)) = body.next().await {
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                return;
            }
        }
    };
    // A client that goes on for longer is cut off.
    let _ = tokio::time::timeout(PATIENCE, discarded).await;
}
