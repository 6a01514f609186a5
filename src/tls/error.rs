//! What can go wrong with certificates, in words that an admin can act on.
//!
//! Called by: `tls`, `app`, `appliance`. Talks to: nothing.
//! Invariants: no variant carries key material; `Display` never repeats its source.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::error::ErrorCode;

/// A certificate could not be made, read, taken in or served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS is switched off: set tls = \"auto\" under [server] in cairn.toml")]
    Off,
    #[error(
        "the appliance is sealed: private keys can be neither read nor stored until it is unsealed"
    )]
    Sealed,
    #[error(
        "the site's own certificate is in use: import a newer one, or renew with `--own` to go \
         back to a certificate of Cairn's own authority"
    )]
    SiteInUse,
    #[error(
        "certificate and private_key under [server] in cairn.toml name the certificate: replace \
         those files and run `cairn tls renew`"
    )]
    Configured,
    #[error("by this machine's clock the authority is valid from {not_before} to {not_after} only")]
    AuthorityNotValid { not_before: Timestamp, not_after: Timestamp },
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error("{what} {}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the private key {} does not open with the system key", path.display())]
    OpenKey { path: PathBuf, source: io::Error },
    #[error("{} is damaged", path.display())]
    Damaged { path: PathBuf, source: SiteError },
    #[error("make a certificate")]
    Make(#[source] rcgen::Error),
    #[error("a time lies outside what a certificate can say")]
    Time,
    #[error("set up TLS")]
    Setup(#[source] rustls::Error),
}

impl TlsError {
    /// The public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Site(_) => ErrorCode::InvalidRequest,
            Self::Off | Self::SiteInUse | Self::Configured | Self::AuthorityNotValid { .. } => {
                ErrorCode::Conflict
            }
            Self::Sealed => ErrorCode::NotReady,
            _ => ErrorCode::Internal,
        }
    }
}

/// Why a certificate and its private key are not taken.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("there is no certificate in the PEM text (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("certificate {position} of the chain cannot be read")]
    Unreadable { position: usize },
    #[error("there is no private key in the PEM text (-----BEGIN PRIVATE KEY-----)")]
    NoPrivateKey,
    #[error(
        "the private key is protected by a passphrase: remove it first, for example with \
         `openssl pkey -in site.key -out open.key`"
    )]
    EncryptedKey,
    #[error(
        "the private key is of a kind that TLS here does not use: RSA, P-256, P-384 or Ed25519"
    )]
    UnknownKey(#[source] rustls::Error),
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    #[error(
        "the server's certificate must come first in the chain: the private key belongs to \
         certificate {position}"
    )]
    NotFirst { position: usize },
    #[error("certificate {position} of the chain ended on {not_after}")]
    Expired { position: usize, not_after: Timestamp },
    #[error(
        "certificate {position} of the chain is valid from {not_before} on: check the clock too"
    )]
    NotYetValid { position: usize, not_before: Timestamp },
    #[error("the certificate is not meant for servers (extended key usage)")]
    NotForServers,
    #[error(
        "certificate {position} of the chain is not the issuer of the one before it: the order is \
         server, then each issuer in turn"
    )]
    ChainOrder { position: usize },
    #[error("the signatures of the chain do not hold")]
    ChainBroken(#[source] rustls::Error),
}
