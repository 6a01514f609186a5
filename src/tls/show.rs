//! What a certificate says: for whom, by whom, until when, and its fingerprint.
//!
//! Called by: `tls`. Talks to: nothing.
//! Invariants: names are spelled as in the configuration, so that the two compare.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::SiteError;
use crate::config::{Host, HostPort};

/// Content of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CertificateFacts {
    pub subject: String,
    pub issuer: String,
    /// DNS names and IP addresses it is made out to.
    pub names: Vec<String>,
    #[schema(value_type = String)]
    pub not_before: Timestamp,
    #[schema(value_type = String)]
    pub not_after: Timestamp,
    /// SHA-256 over the certificate, as browsers show it.
    pub fingerprint_sha256: String,
    #[serde(skip)]
    pub(super) for_servers: bool,
    #[serde(skip)]
    pub(super) common_name: Option<String>,
}

impl CertificateFacts {
    /// Reads the certificate at `position` (from 1) of a chain.
    ///
    /// # Errors
    /// `Unreadable`.
    pub(super) fn read(der: &[u8], position: usize) -> Result<Self, SiteError> {
        let unreadable = || SiteError::Unreadable { position };
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
        let names = certificate.subject_alternative_name().map_err(|_| unreadable())?;
        let usage = certificate.extended_key_usage().map_err(|_| unreadable())?;
        let time = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| unreadable());
        if !rest.is_empty() {
            return Err(unreadable());
        }
        Ok(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names
                .map(|names| names.value.general_names.iter().filter_map(spelled).collect())
                .unwrap_or_default(),
            not_before: time(certificate.validity().not_before.timestamp())?,
            not_after: time(certificate.validity().not_after.timestamp())?,
            fingerprint_sha256: fingerprint(der),
            for_servers: usage.is_none_or(|usage| usage.value.server_auth || usage.value.any),
            common_name: certificate
                .subject()
                .iter_common_name()
                .next()
                .and_then(|name| name.as_str().ok())
                .map(str::to_owned),
        })
    }

    /// True where a client that asks for `host` accepts the name.
    pub fn covers(&self, host: &Host) -> bool {
        let asked = host.to_string();
        self.names.iter().any(|name| match (name.strip_prefix("*."), host) {
            // A star stands for exactly one label.
            (Some(parent), Host::Name(asked)) => {
                asked.split_once('.').is_some_and(|(_, rest)| rest == parent)
            }
            _ => *name == asked,
        })
    }

    /// True where it is made out to exactly these hosts.
    pub(super) fn is_for(&self, hosts: &[Host]) -> bool {
        let wanted: BTreeSet<String> = hosts.iter().map(ToString::to_string).collect();
        self.names.iter().cloned().collect::<BTreeSet<_>>() == wanted
    }

    /// Time until the end of its validity; negative once that is over.
    pub fn time_left(&self, now: Timestamp) -> SignedDuration {
        self.not_after.duration_since(now)
    }

    /// The fingerprint as plain lower-case hexadecimal, for the name of a file.
    pub(super) fn file_stem(&self) -> String {
        self.fingerprint_sha256.replace(':', "").to_ascii_lowercase()
    }
}

fn spelled(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(
            name.parse::<HostPort>()
                .map_or_else(|_| name.to_ascii_lowercase(), |name| name.host.to_string()),
        ),
        GeneralName::IPAddress(bytes) => {
            let ip = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            ip.ok().map(|ip| ip.to_canonical().to_string())
        }
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
