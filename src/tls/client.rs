//! TLS as a client, to a server of the site whose certificate the site vouches for.
//!
//! Called by: `sources::imap`, which opens the connection. Talks to: the operating system's list
//! of authorities.
//! Invariants: without trust there is no connection; a certificate that was given itself is
//! trusted as it is, one that an authority signed only for the name that was connected to. ring is
//! the one provider.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::chain::Chain;
use super::{SiteError, TlsError, listener};
use crate::config::Host;

/// Where Debian and others keep the authorities of the machine, the site's own among them.
const SYSTEM_AUTHORITIES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A connection under TLS.
pub type ClientStream = tokio_rustls::client::TlsStream<TcpStream>;

/// What it takes to speak TLS with one server.
pub struct ClientTls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ClientTls {
    /// Trust in the certificates of a PEM text, or without one in the authorities of this machine.
    /// Blocks.
    ///
    /// # Errors
    /// When the text holds no certificate, or there is nothing to trust.
    pub fn new(host: &Host, trusted: Option<&str>) -> Result<Self, TlsError> {
        let name = match host {
            Host::Ip(ip) => ServerName::from(*ip),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| TlsError::Setup(rustls::Error::General("no host name".to_owned())))?,
        };
        let given = match trusted {
            Some(pem) => Chain::parse(pem)?.certificates().to_vec(),
            None => Vec::new(),
        };
        let provider = listener::provider();
        let mut roots = RootCertStore::empty();
        if trusted.is_some() {
            roots.add_parsable_certificates(given.iter().cloned());
        } else {
            roots.add_parsable_certificates(system_authorities());
        }
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let verifier = Verifier { given, by_authority: by_authority.ok(), provider };
        if verifier.given.is_empty() && verifier.by_authority.is_none() {
            return Err(SiteError::NoCertificate.into());
        }
        let config = ClientConfig::builder_with_provider(verifier.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), name })
    }

    /// Does the handshake on a connection.
    ///
    /// # Errors
    /// When the server's certificate is not trusted, or it does not speak TLS.
    pub async fn wrap(&self, stream: TcpStream) -> io::Result<ClientStream> {
        TlsConnector::from(self.config.clone()).connect(self.name.clone(), stream).await
    }
}

fn system_authorities() -> Vec<CertificateDer<'static>> {
    SYSTEM_AUTHORITIES
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .flat_map(|pem| {
            CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect::<Vec<_>>()
        })
        .collect()
}

/// Trusts given certificates as they are, and those that an authority signed for the name.
#[derive(Debug)]
struct Verifier {
    given: Vec<CertificateDer<'static>>,
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.given.iter().any(|given| given == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.by_authority {
            Some(verifier) => verifier.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
