//! A certificate with its issuers, and a private key, as they come in PEM files.
//!
//! Called by: `tls`. Talks to: nothing.
//! Invariants: the text of a [`Chain`] holds certificates and nothing else, so that a private key
//! that stood in the same file is never stored with it; `Debug` of a key shows nothing.

use std::fmt;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{CertificateFacts, SiteError};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// One certificate or more, the server's first.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pem: String,
    certificates: Vec<CertificateDer<'static>>,
    facts: Vec<CertificateFacts>,
}

impl Chain {
    /// Reads all certificates of a PEM text.
    ///
    /// # Errors
    /// `NoCertificate`, `Unreadable`.
    pub(super) fn parse(text: &str) -> Result<Self, SiteError> {
        let pem = certificates_of(text);
        let mut certificates = Vec::new();
        let mut facts = Vec::new();
        for (at, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            let position = at + 1;
            let certificate = certificate.map_err(|_| SiteError::Unreadable { position })?;
            facts.push(CertificateFacts::read(&certificate, position)?);
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(SiteError::NoCertificate);
        }
        Ok(Self { pem, certificates, facts })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// What each certificate says, in the same order.
    pub(super) fn facts(&self) -> &[CertificateFacts] {
        &self.facts
    }

    /// What the server's own certificate says.
    pub(super) fn first(&self) -> &CertificateFacts {
        &self.facts[0]
    }
}

/// The certificate sections of a PEM text, everything between and around them left out.
fn certificates_of(text: &str) -> String {
    let mut pem = String::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        inside |= line == BEGIN;
        if inside {
            pem.push_str(line);
            pem.push('\n');
        }
        inside &= line != END;
    }
    pem
}

/// A private key in DER form.
#[derive(Clone)]
pub(super) struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// Reads the first private key of a PEM text.
    ///
    /// # Errors
    /// `NoPrivateKey`, `EncryptedKey`.
    pub(super) fn parse(text: &str) -> Result<Self, SiteError> {
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(SiteError::EncryptedKey);
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes());
        let key = key.map_err(|_| SiteError::NoPrivateKey)?;
        Ok(Self(Zeroizing::new(key.secret_der().to_vec())))
    }

    /// A key in DER form, as it was stored.
    pub(super) fn from_der(der: Vec<u8>) -> Self {
        Self(Zeroizing::new(der))
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The form that TLS loads.
    ///
    /// # Errors
    /// `NoPrivateKey` where the bytes are no private key.
    pub(super) fn to_loadable(&self) -> Result<PrivateKeyDer<'static>, SiteError> {
        PrivateKeyDer::try_from(self.0.to_vec()).map_err(|_| SiteError::NoPrivateKey)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}
