//! The local socket: the API for this machine's operator, without a secret.
//!
//! Called by: `appliance`. Talks to: a Unix socket in the home.
//! Invariants: only the owner of the process and root get in: the home is private, the socket is
//! private, and the kernel is asked who connects.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::serve::Listener;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// The socket of a held home.
pub(super) struct LocalSocket {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl LocalSocket {
    /// Binds the socket, replacing one that a dead process left; the caller holds the home.
    pub(super) fn open(path: &Path, router: Router) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(OperatorsOnly(listener), router).await {
                tracing::error!("the local socket failed: {error}");
            }
        });
        Ok(Self { path: path.to_owned(), task })
    }

    pub(super) fn close(self) {
        self.task.abort();
        // The next process replaces a leftover.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Drops connections of other users.
struct OperatorsOnly(UnixListener);

impl Listener for OperatorsOnly {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.0).await;
            let own = rustix::process::geteuid().as_raw();
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == own || peer.uid() == 0 => return (stream, address),
                Ok(peer) => {
                    tracing::warn!(
                        uid = peer.uid(),
                        "a connection to the local socket was refused"
                    );
                }
                Err(error) => {
                    tracing::warn!("a connection to the local socket has no peer: {error}");
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Listener::local_addr(&self.0)
    }
}
