//! Checks on the site's own certificate before it is served.
//!
//! Called by: `tls`. Talks to: nothing.
//! Invariants: what passes can be served: the key belongs to the certificate, each certificate
//! is valid now, and each is signed by the one after it. Whether it covers every name is a
//! warning only, since a site may serve some names through something else.

use std::time::Duration;

use jiff::Timestamp;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::SiteError;
use super::authority::RENEWAL;
use super::chain::{Chain, PrivateKey};
use super::listener::provider;
use crate::config::Host;

/// Joins a certificate and its key to what TLS serves.
///
/// # Errors
/// `UnknownKey`, `KeyMismatch`, `NotFirst`.
pub(super) fn certify(chain: &Chain, key: &PrivateKey) -> Result<CertifiedKey, SiteError> {
    let loaded = provider()
        .key_provider
        .load_private_key(key.to_loadable()?)
        .map_err(SiteError::UnknownKey)?;
    let fits = |certificates: &[_]| {
        let certified = CertifiedKey::new(certificates.to_vec(), loaded.clone());
        // A kind of key that cannot be compared is not thereby wrong.
        let unknown =
            |error: &Error| matches!(error, Error::InconsistentKeys(InconsistentKeys::Unknown));
        certified.keys_match().or_else(|error| if unknown(&error) { Ok(()) } else { Err(error) })
    };
    if fits(chain.certificates()).is_err() {
        let all = chain.certificates();
        let other = all.iter().position(|one| fits(std::slice::from_ref(one)).is_ok());
        return Err(match other {
            Some(at) => SiteError::NotFirst { position: at + 1 },
            None => SiteError::KeyMismatch,
        });
    }
    Ok(CertifiedKey::new(chain.certificates().to_vec(), loaded))
}

/// Checks a certificate and its key, and joins them.
///
/// # Errors
/// The first reason not to serve it.
pub(super) fn check(
    chain: &Chain,
    key: &PrivateKey,
    now: Timestamp,
) -> Result<CertifiedKey, SiteError> {
    let certified = certify(chain, key)?;
    for (at, facts) in chain.facts().iter().enumerate() {
        let (position, not_before, not_after) = (at + 1, facts.not_before, facts.not_after);
        if now > not_after {
            return Err(SiteError::Expired { position, not_after });
        }
        if now < not_before {
            return Err(SiteError::NotYetValid { position, not_before });
        }
    }
    if !chain.first().for_servers {
        return Err(SiteError::NotForServers);
    }
    check_order(chain, now)?;
    Ok(certified)
}

fn check_order(chain: &Chain, now: Timestamp) -> Result<(), SiteError> {
    let facts = chain.facts();
    if let Some(at) = facts.windows(2).position(|pair| pair[0].issuer != pair[1].subject) {
        return Err(SiteError::ChainOrder { position: at + 2 });
    }
    let [server, issuers @ .., last] = chain.certificates() else {
        // Alone, it can be checked only by those who have its issuer.
        return Ok(());
    };
    let mut roots = RootCertStore::empty();
    roots.add(last.clone()).map_err(SiteError::ChainBroken)?;
    let server = ParsedCertificate::try_from(server).map_err(SiteError::ChainBroken)?;
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    verify_server_cert_signed_by_trust_anchor(
        &server,
        &roots,
        issuers,
        UnixTime::since_unix_epoch(now),
        provider().signature_verification_algorithms.all,
    )
    .map_err(SiteError::ChainBroken)
}

/// What the admin should know of a certificate that is served all the same.
pub(super) fn warnings(chain: &Chain, hosts: &[Host], now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    let uncovered: Vec<String> =
        hosts.iter().filter(|host| !chain.first().covers(host)).map(ToString::to_string).collect();
    if !uncovered.is_empty() {
        warnings.push(format!(
            "the certificate is not made out to {}: browsers refuse those names",
            uncovered.join(", ")
        ));
    }
    for facts in chain.facts() {
        let left = facts.time_left(now);
        if left.is_negative() {
            warnings.push(format!("{} ended on {}", facts.subject, facts.not_after));
        } else if left < RENEWAL {
            let days = left.as_hours() / 24;
            warnings.push(format!("{} ends on {}, in {days} days", facts.subject, facts.not_after));
        }
        if now < facts.not_before {
            warnings.push(format!(
                "by this machine's clock ({now}) {} is valid from {} on only",
                facts.subject, facts.not_before
            ));
        }
    }
    warnings
}
