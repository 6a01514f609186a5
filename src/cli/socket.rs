//! HTTP over the running server's local socket.
//!
//! Called by: `cli::client`. Talks to: `<home>/cairn.sock`.
//! Invariants: a connection carries one request at a time and is used again only after its answer
//! was read to the end; requests are streamed, and answers are read whole unless asked for as they
//! come.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("no connection to {}", path.display())]
    Connect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the connection to the server broke")]
    Exchange(#[source] hyper::Error),
}

/// Connections to one server.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    idle: Mutex<Vec<SendRequest<Body>>>,
}

impl Socket {
    /// Connects, so that a missing or stale socket file is known before anything is sent.
    ///
    /// # Errors
    /// The operating system's: `NotFound` and `ConnectionRefused` mean that no server runs.
    pub async fn connect(path: &Path) -> Result<Self, SocketError> {
        let first = dial(path).await?;
        Ok(Self { path: path.to_owned(), idle: Mutex::new(vec![first]) })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the server cannot be reached or goes away meanwhile.
    pub async fn exchange(&self, request: Request<Body>) -> Result<Response<Bytes>, SocketError> {
        let mut sender = self.sender().await?;
        let mut request = request;
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("cairn"));
        let answer = sender.send_request(request).await.map_err(SocketError::Exchange)?;
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(SocketError::Exchange)?.to_bytes();
        if parts.status.is_success() {
            self.lock().push(sender);
        }
        Ok(Response::from_parts(parts, bytes))
    }

    /// Sends a request and gives the answer as it comes, over a connection of its own.
    ///
    /// # Errors
    /// When the server cannot be reached or goes away before it answers.
    pub async fn open(&self, request: Request<Body>) -> Result<Response<Body>, SocketError> {
        let mut sender = dial(&self.path).await?;
        let mut request = request;
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("cairn"));
        let answer = sender.send_request(request).await.map_err(SocketError::Exchange)?;
        Ok(answer.map(|body| {
            // The connection lasts as long as somebody may send over it.
            let pieces = Body::new(body).into_data_stream().map(move |piece| {
                let _ = &sender;
                piece
            });
            Body::from_stream(pieces)
        }))
    }

    async fn sender(&self) -> Result<SendRequest<Body>, SocketError> {
        loop {
            let idle = self.lock().pop();
            match idle {
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return Ok(sender);
                    }
                }
                None => return dial(&self.path).await,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Body>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn dial(path: &Path) -> Result<SendRequest<Body>, SocketError> {
    let stream = UnixStream::connect(path)
        .await
        .map_err(|source| SocketError::Connect { path: path.to_owned(), source })?;
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(SocketError::Exchange)?;
    // What goes wrong on the connection reaches the request that was waiting on it.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use futures::stream;
    use tokio::net::UnixListener;

    use super::*;

    fn post_to(path: &str, body: Body) -> Request<Body> {
        Request::post(path).body(body).unwrap()
    }

    #[tokio::test]
    async fn streamed_requests_are_answered_and_the_connection_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cairn.sock");
        let router = Router::new().route("/echo", post(|body: Bytes| async move { body }));
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });

        let socket = Socket::connect(&path).await.unwrap();
        for _ in 0..3 {
            let pieces = stream::iter(["ab", "cd"].map(Ok::<_, io::Error>));
            let request = post_to("/echo", Body::from_stream(pieces));
            let answer = socket.exchange(request).await.unwrap();
            assert_eq!(answer.body(), "abcd");
            assert_eq!(socket.lock().len(), 1);
        }
        let mut opened = socket.open(post_to("/echo", Body::from("ef"))).await.unwrap();
        assert_eq!(opened.body_mut().collect().await.unwrap().to_bytes(), "ef");
        assert_eq!(socket.lock().len(), 1);
        let missing = socket.exchange(post_to("/absent", Body::empty())).await.unwrap();
        assert_eq!(missing.status(), 404);
    }

    #[tokio::test]
    async fn a_socket_file_without_a_server_refuses_the_connection() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cairn.sock");
        drop(UnixListener::bind(&path).unwrap());
        let error = Socket::connect(&path).await.unwrap_err();
        let SocketError::Connect { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    }
}
