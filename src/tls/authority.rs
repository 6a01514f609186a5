//! Cairn's own certificate authority and the server certificates it signs.
//!
//! Called by: `tls`. Talks to: the operating system's random source.
//! Invariants: a server certificate lasts no longer than clients accept (825 days) and never
//! longer than its authority; an authority is made once and replaced only when the admin asks,
//! because everybody who trusts it has installed it by hand.
//! Why: a wrong clock must not cost that trust. While the clock stands before the authority's
//! own beginning nothing is renewed at all: what is stored is right then and the clock is not.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SanType,
};
use sha2::{Digest, Sha256};
use x509_parser::time::ASN1Time;

use super::chain::{Chain, PrivateKey};
use super::{CertificateFacts, TlsError};
use crate::config::Host;
use crate::crypto::hex;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A certificate with less time left than this is renewed.
pub const RENEWAL: SignedDuration = SignedDuration::from_hours(30 * 24);
/// An authority with less time left than this is worth a word: people must install the next.
pub const AUTHORITY_NOTICE: SignedDuration = SignedDuration::from_hours(180 * 24);

const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(3650 * 24);
/// With the day it begins early: 825 days, what macOS and iOS accept at most.
const SERVER_LIFETIME: SignedDuration = SignedDuration::from_hours(824 * 24 - 1);
/// A client's clock may be this much behind ours.
const BEGINS_EARLY: SignedDuration = DAY;

/// Longest common name (RFC 5280), less what stands around a host in an authority's.
const MAX_COMMON_NAME: usize = 64;
const MAX_HOST_IN_NAME: usize = 36;

/// Makes an authority; `host` is for people who find it in a list.
///
/// # Errors
/// When there is no randomness.
pub(super) fn generate(host: &Host, now: Timestamp) -> Result<(Chain, PrivateKey), TlsError> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Make)?;
    // Two authorities of one machine must not be mistaken for each other.
    let mark = hex(&Sha256::digest(pair.public_key_raw())[..4]);
    let host: String = host.to_string().chars().take(MAX_HOST_IN_NAME).collect();
    let mut params = authority_params(&format!("Cairn authority of {host} {mark}"));
    set_validity(&mut params, before(now)?, after(now, AUTHORITY_LIFETIME)?)?;
    let certificate = params.self_signed(&pair).map_err(TlsError::Make)?;
    made(&certificate, &pair)
}

/// Makes a certificate for `hosts`, signed by the authority.
///
/// # Errors
/// `AuthorityNotValid`; when the authority's key is damaged.
pub(super) fn issue(
    authority: &Chain,
    authority_key: &PrivateKey,
    hosts: &[Host],
    now: Timestamp,
) -> Result<(Chain, PrivateKey), TlsError> {
    let facts = authority.first();
    let (not_before, not_after) = (facts.not_before, facts.not_after);
    if now < not_before || now >= not_after {
        return Err(TlsError::AuthorityNotValid { not_before, not_after });
    }
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Make)?;
    let mut params = CertificateParams::default();
    let ends = after(now, SERVER_LIFETIME)?.min(not_after);
    set_validity(&mut params, before(now)?.max(not_before), ends)?;
    params.subject_alt_names = hosts.iter().map(alternative_name).collect::<Result<_, _>>()?;
    let host: String = hosts
        .first()
        .map(ToString::to_string)
        .unwrap_or_default()
        .chars()
        .take(MAX_COMMON_NAME)
        .collect();
    params.distinguished_name = distinguished_name(&host);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    // The signature's issuer is written from these, so they repeat what `generate` wrote.
    let issuer_params = authority_params(facts.common_name.as_deref().unwrap_or_default());
    let issuer_key = KeyPair::try_from(authority_key.expose()).map_err(TlsError::Make)?;
    let issuer = Issuer::new(issuer_params, issuer_key);
    let certificate = params.signed_by(&pair, &issuer).map_err(TlsError::Make)?;
    made(&certificate, &pair)
}

/// True where the server's certificate should be made anew.
pub(super) fn is_due(
    authority: &CertificateFacts,
    server: &CertificateFacts,
    hosts: &[Host],
    now: Timestamp,
) -> bool {
    if now < authority.not_before || now >= authority.not_after {
        return false;
    }
    let ends_soon = server.time_left(now) < RENEWAL && server.not_after < authority.not_after;
    ends_soon
        || now < server.not_before
        || server.issuer != authority.subject
        || !server.is_for(hosts)
}

fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Cairn");
    name.push(DnType::CommonName, common_name);
    name
}

fn alternative_name(host: &Host) -> Result<SanType, TlsError> {
    match host {
        Host::Ip(ip) => Ok(SanType::IpAddress(*ip)),
        Host::Name(name) => name.as_str().try_into().map(SanType::DnsName).map_err(TlsError::Make),
    }
}

fn before(now: Timestamp) -> Result<Timestamp, TlsError> {
    now.checked_sub(BEGINS_EARLY).map_err(|_| TlsError::Time)
}

fn after(now: Timestamp, lifetime: SignedDuration) -> Result<Timestamp, TlsError> {
    now.checked_add(lifetime).map_err(|_| TlsError::Time)
}

fn set_validity(
    params: &mut CertificateParams,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<(), TlsError> {
    let time = |at: Timestamp| ASN1Time::from_timestamp(at.as_second()).map_err(|_| TlsError::Time);
    params.not_before = time(not_before)?.to_datetime();
    params.not_after = time(not_after)?.to_datetime();
    Ok(())
}

fn made(certificate: &Certificate, pair: &KeyPair) -> Result<(Chain, PrivateKey), TlsError> {
    let chain = Chain::parse(&certificate.pem())?;
    Ok((chain, PrivateKey::from_der(pair.serialize_der())))
}
