//! What the listener needs: a rustls configuration whose certificate can be replaced while it
//! serves.
//!
//! Called by: `tls`, `appliance`. Talks to: nothing.
//! Invariants: a handshake takes the certificate that is current when it starts; open connections
//! keep theirs; without a certificate handshakes are refused. ring is the one provider.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::TlsError;

/// Protocols offered, the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A rustls configuration, ready to accept connections.
pub type ListenerConfig = Arc<rustls::ServerConfig>;

/// The certificate that new connections get.
#[derive(Debug, Default)]
pub(super) struct Current(RwLock<Option<Arc<CertifiedKey>>>);

impl Current {
    pub(super) fn set(&self, certified: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certified));
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The provider of this process, installed on first use.
pub(super) fn provider() -> Arc<CryptoProvider> {
    if let Some(provider) = CryptoProvider::get_default() {
        return provider.clone();
    }
    // Another thread may have been faster; then its provider is the same.
    let _ = ring::default_provider().install_default();
    CryptoProvider::get_default().map_or_else(|| Arc::new(ring::default_provider()), Arc::clone)
}

/// TLS 1.2 and 1.3 with the certificate that is current.
///
/// # Errors
/// Never with ring; a provider without fitting cipher suites would be named here.
pub(super) fn config(current: Arc<Current>) -> Result<ListenerConfig, TlsError> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}
