//! The network listener: TLS or plain HTTP, and the hourly look at the certificate.
//!
//! Called by: `appliance`. Talks to: the network, `tls`.
//! Invariants: every request carries its peer's address (`ConnectInfo`), one over TLS the mark
//! `OverTls` as well; somebody who speaks plain HTTP to a TLS port is told so and gets no further.

use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::crowd::{Crowd, Seated};
use super::gate::Gate;
use super::hardening;
use crate::app::blocking;
use crate::clock::SystemClock;
use crate::config::{Home, ServerConfig};
use crate::crypto::Keyring;
use crate::error::chain;
use crate::http;
use crate::tls::{Issued, ListenerConfig, Tls, TlsError};

/// A peer that has not said what it wants by then is disconnected.
const FIRST_WORD: Duration = Duration::from_secs(30);

/// A connection on which no further request begins by then is closed.
const NEXT_REQUEST: Duration = Duration::from_secs(75);

/// Makes what a home still lacks in certificates, and says what that was; what goes wrong is
/// logged. Blocks.
pub(super) fn prepare(home: &Home, server: &ServerConfig, keyring: Arc<Keyring>) -> Vec<Issued> {
    crate::tls::prepare(home, server, Some(keyring), Arc::new(SystemClock)).take_issued()
}

/// How often the certificate is looked at.
const LOOK: Duration = Duration::from_secs(3600);

/// First byte of every TLS connection: a handshake record.
const HANDSHAKE: u8 = 22;

/// What a client reads that speaks plain HTTP to a TLS port.
const USE_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 35\r\nConnection: close\r\n\r\nThis port speaks TLS: use https://\n";

/// A bound address, ready to serve.
pub(super) struct Listener {
    listener: TcpListener,
    tls: Option<ListenerConfig>,
    handle: Handle<SocketAddr>,
}

impl Listener {
    /// Wraps a bound address in TLS, unless the configuration switches that off.
    pub(super) fn new(certificate: &Tls, listener: TcpListener) -> Result<Self, TlsError> {
        let tls = if certificate.is_on() { Some(certificate.listener()?) } else { None };
        if tls.is_some() && !certificate.has_certificate() {
            tracing::warn!("there is no certificate yet: connections are refused until there is");
        }
        Ok(Self { listener, tls, handle: Handle::new() })
    }

    /// Ends the server from outside.
    pub(super) fn handle(&self) -> Handle<SocketAddr> {
        self.handle.clone()
    }

    /// Serves until the handle says stop.
    pub(super) async fn serve(self, router: Router) -> io::Result<()> {
        let crowd = Crowd::new(hardening::open_files());
        let _watch = crowd.watch();
        let mut server = Server::<SocketAddr>::from_listener(self.listener)
            .handle(self.handle)
            .first_request_timeout(FIRST_WORD)
            .accept_error_handler(|peer: Option<&SocketAddr>, error: &io::Error| {
                tracing::debug!(?peer, "a connection was not accepted: {error}");
            });
        // Also counts from the end of a request to the next one.
        server.http_builder().http1().header_read_timeout(NEXT_REQUEST);
        match self.tls {
            Some(config) => {
                let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config));
                let router = http::over_tls(router);
                server
                    .acceptor(acceptor.acceptor(TlsOnly(crowd)))
                    .serve(router.into_make_service_with_connect_info::<SocketAddr>())
                    .await
            }
            None => {
                server
                    .acceptor(Plain(crowd))
                    .serve(router.into_make_service_with_connect_info::<SocketAddr>())
                    .await
            }
        }
    }
}

/// Takes connections as they are.
#[derive(Clone)]
struct Plain(Crowd);

impl<S: Send + 'static> Accept<TcpStream, S> for Plain {
    type Stream = Seated;
    type Service = S;
    type Future = Ready<io::Result<(Seated, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.0.seat(stream).map(|seated| (seated, service)))
    }
}

/// Looks at what a peer sends first, before TLS does.
#[derive(Clone)]
struct TlsOnly(Crowd);

impl<S: Send + 'static> Accept<TcpStream, S> for TlsOnly {
    type Stream = Seated;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Seated, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let seated = self.0.seat(stream);
        Box::pin(async move {
            let mut stream = seated?;
            let mut first = [0];
            let seen = tokio::time::timeout(FIRST_WORD, stream.stream().peek(&mut first)).await??;
            if seen == 0 || first[0] == HANDSHAKE {
                return Ok((stream, service));
            }
            if first[0].is_ascii_uppercase() {
                // Closing with a request unread would take back the answer.
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await?;
                stream.write_all(USE_TLS).await?;
                stream.shutdown().await?;
            }
            Err(io::Error::new(io::ErrorKind::InvalidData, "the peer does not speak TLS"))
        })
    }
}

/// Looks after the certificate while the server runs.
pub(super) struct Renewals(JoinHandle<()>);

impl Renewals {
    pub(super) fn start(gate: Arc<Gate>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let certificate = gate.tls();
                match blocking(move || Ok(certificate.refresh()?)).await {
                    Ok(()) | Err(crate::app::Error::Tls(TlsError::Sealed)) => {}
                    Err(error) => {
                        tracing::warn!("the certificate was not looked after: {}", chain(&error));
                    }
                }
                gate.note_certificates().await;
            }
        }))
    }

    pub(super) fn stop(self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_to_plain_http_is_a_whole_answer() {
        let text = std::str::from_utf8(USE_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
        assert!(body.contains("use https://"), "{body}");
    }
}
