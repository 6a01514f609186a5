//! Certificates made, renewed, replaced and refused, with a clock that is moved by hand.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use x509_parser::time::ASN1Time;

use super::*;
use crate::clock::ManualClock;
use crate::crypto::SecretKey;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    keyring: Arc<Keyring>,
}

impl Bench {
    fn new() -> Self {
        let start: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(start)),
            keyring: keyring(),
        }
    }

    fn home(&self) -> Home {
        Home { path: self.dir.path().to_owned() }
    }

    fn open(&self, config: &str) -> Tls {
        let server: ServerConfig = toml::from_str(config).unwrap();
        prepare(&self.home(), &server, Some(self.keyring.clone()), self.clock.clone())
    }

    fn now(&self) -> Timestamp {
        crate::clock::Clock::now(&*self.clock)
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.home().tls_path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::new("system", 1, [(1, SecretKey::generate().unwrap())]))
}

fn shown(tls: &Tls) -> (CertificateFacts, Option<Authority>) {
    let shown = tls.show().unwrap();
    (shown.certificate.expect("a certificate"), shown.authority)
}

/// What a client with `root` installed says to the certificate in use.
fn verify(tls: &Tls, root: &str, host: &str, now: Timestamp) -> Result<(), rustls::Error> {
    let in_use = tls.in_use.read().unwrap();
    let chain = &in_use.as_ref().unwrap().chain;
    let mut roots = rustls::RootCertStore::empty();
    let root = Chain::parse(root).unwrap();
    roots.add(root.certificates()[0].clone()).unwrap();
    let server = ParsedCertificate::try_from(&chain.certificates()[0])?;
    rustls::client::verify_server_cert_signed_by_trust_anchor(
        &server,
        &roots,
        &chain.certificates()[1..],
        UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().unsigned_abs())),
        listener::provider().signature_verification_algorithms.all,
    )?;
    let host = ServerName::try_from(host).unwrap();
    rustls::client::verify_server_name(&server, &host)
}

#[test]
fn a_new_home_gets_an_authority_and_a_certificate_that_a_client_accepts() {
    let bench = Bench::new();
    let tls = bench.open("names = ['cairn.lan', '10.0.0.5', '::1']");
    let (server, authority) = shown(&tls);
    let authority = authority.unwrap();
    assert_eq!(server.names, ["cairn.lan", "10.0.0.5", "::1"]);
    assert_eq!(server.issuer, authority.facts.subject);
    assert_eq!(server.fingerprint_sha256.len(), 32 * 3 - 1);
    for host in ["cairn.lan", "10.0.0.5", "::1"] {
        verify(&tls, &authority.pem, host, bench.now()).unwrap();
    }
    verify(&tls, &authority.pem, "other.lan", bench.now()).unwrap_err();
    let days =
        |facts: &CertificateFacts| facts.not_after.duration_since(facts.not_before).as_hours() / 24;
    assert!(days(&server) <= 825, "{server:?}");
    assert!((3650..=3652).contains(&days(&authority.facts)), "{:?}", authority.facts);
    // Opened again, both are still the same.
    let again = bench.open("names = ['cairn.lan', '10.0.0.5', '::1']");
    assert_eq!(shown(&again).0, server);
    assert_eq!(shown(&again).1.unwrap().facts, authority.facts);
    assert_eq!(tls.show().unwrap().warnings, Vec::<String>::new());
}

#[test]
fn private_keys_lie_sealed_and_are_the_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let tls = bench.open("");
    let cipher = cipher(bench.keyring.clone());
    for role in [Role::Authority, Role::Server] {
        let chain = tls.store.chain(role).unwrap().unwrap();
        let key = tls.store.key(role, &chain, &cipher).unwrap();
        assert!(key.expose().len() > 100);
        for name in bench.files() {
            let path = bench.home().tls_path().join(name);
            let bytes = fs::read(&path).unwrap();
            // The secret scalar of a P-256 key in PKCS #8 lies at 36.
            let secret = &key.expose()[36..68];
            assert!(!bytes.windows(32).any(|window| window == secret), "{}", path.display());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    assert_eq!(bench.files().len(), 6, "authority, server and door");
    let mode = fs::metadata(bench.home().tls_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_certificate_is_renewed_before_it_ends_and_the_authority_stays() {
    let bench = Bench::new();
    let tls = bench.open("");
    let (first, authority) = shown(&tls);
    bench.clock.advance(DAY * 790);
    tls.refresh().unwrap();
    assert_eq!(shown(&tls).0, first, "34 days are left");
    bench.clock.advance(DAY * 5);
    tls.refresh().unwrap();
    let (second, same) = shown(&tls);
    let authority = authority.unwrap();
    assert_ne!(second.fingerprint_sha256, first.fingerprint_sha256);
    assert_eq!(same.unwrap().facts, authority.facts);
    verify(&tls, &authority.pem, "localhost", bench.now()).unwrap();
    assert_eq!(bench.files().len(), 6, "no key of the old one stays: {:?}", bench.files());
}

#[test]
fn other_names_need_another_certificate() {
    let bench = Bench::new();
    let first = shown(&bench.open("names = ['a.lan', 'b.lan']")).0;
    assert_eq!(shown(&bench.open("names = ['b.lan:8443', 'a.lan']")).0, first, "the same hosts");
    let tls = bench.open("names = ['a.lan', 'c.lan']");
    let (second, authority) = shown(&tls);
    assert_eq!(second.names, ["a.lan", "c.lan"]);
    verify(&tls, &authority.unwrap().pem, "c.lan", bench.now()).unwrap();
}

#[test]
fn a_wrong_clock_costs_neither_the_authority_nor_a_good_certificate() {
    let bench = Bench::new();
    let (server, authority) = shown(&bench.open(""));
    let authority = authority.unwrap();
    // A dead battery: the clock starts in 1970.
    bench.clock.advance(SignedDuration::from_secs(-bench.now().as_second()));
    let early = bench.open("");
    assert_eq!(shown(&early).0, server);
    assert!(matches!(early.renew(Renewal::default()), Err(TlsError::AuthorityNotValid { .. })));
    assert!(early.show().unwrap().warnings[0].contains("clock"));
    // A typing error: the clock stands in 2099.
    bench.clock.advance(SignedDuration::from_secs(4_070_908_800));
    let late = bench.open("");
    assert_eq!(shown(&late).1.unwrap().facts, authority.facts);
    // Right again, all is as it was.
    bench.clock.advance(SignedDuration::from_secs(
        authority.facts.not_before.as_second() - 4_070_908_800 + 2 * 86_400,
    ));
    let right = bench.open("");
    verify(&right, &authority.pem, "localhost", bench.now()).unwrap();
}

#[test]
fn an_authority_that_ends_is_replaced_only_when_asked() {
    let bench = Bench::new();
    let tls = bench.open("");
    let authority = shown(&tls).1.unwrap();
    bench.clock.advance(DAY * 3600);
    tls.refresh().unwrap();
    let (server, same) = shown(&tls);
    assert_eq!(same.unwrap().facts, authority.facts);
    assert_eq!(server.not_after, authority.facts.not_after, "never longer than its authority");
    assert!(tls.show().unwrap().warnings.iter().any(|line| line.contains("--new-authority")));
    tls.refresh().unwrap();
    assert_eq!(shown(&tls).0, server, "not made anew every hour for nothing");
    tls.renew(Renewal { new_authority: true, own: false }).unwrap();
    let (_, next) = shown(&tls);
    let next = next.unwrap();
    assert_ne!(next.facts.subject, authority.facts.subject);
    verify(&tls, &next.pem, "localhost", bench.now()).unwrap();
    verify(&tls, &authority.pem, "localhost", bench.now()).unwrap_err();
}

/// An authority of the site with an intermediate, as companies have them.
struct Site {
    root: (String, CertificateParams, KeyPair),
    issuing: (String, CertificateParams, KeyPair),
}

fn params(name: &str, from: Timestamp, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let time = |at: Timestamp| ASN1Time::from_timestamp(at.as_second()).unwrap().to_datetime();
    params.not_before = time(from);
    params.not_after = time(from + DAY * i32::try_from(days).unwrap());
    params
}

impl Site {
    fn new(from: Timestamp) -> Self {
        let authority = |name: &str| {
            let mut params = params(name, from - HOUR, 1000);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            (params, KeyPair::generate().unwrap())
        };
        let (root, root_key) = authority("Site root");
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let (issuing, issuing_key) = authority("Site issuing");
        let issuer = Issuer::from_params(&root, &root_key);
        let issuing_pem = issuing.signed_by(&issuing_key, &issuer).unwrap().pem();
        Self { root: (root_pem, root, root_key), issuing: (issuing_pem, issuing, issuing_key) }
    }

    fn server(&self, name: &str, from: Timestamp, days: i64) -> (String, String) {
        let mut params = params(name, from, days);
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.issuing.1, &self.issuing.2);
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }
}

#[test]
fn the_sites_own_certificate_is_served_until_the_admin_goes_back() {
    let bench = Bench::new();
    let config = "names = ['cairn.corp']";
    let tls = bench.open(config);
    let own = shown(&tls).0;
    let site = Site::new(bench.now());
    let (certificate, key) = site.server("cairn.corp", bench.now() - HOUR, 90);
    // As some tools write it: the key in the same file as the chain.
    let chain = format!("subject=x\n{certificate}{key}{}", site.issuing.0);
    tls.import(&chain, &key).unwrap();
    verify(&tls, &site.root.0, "cairn.corp", bench.now()).unwrap();
    assert_eq!(tls.show().unwrap().source, Some(Source::Imported));
    assert!(tls.show().unwrap().authority.is_none());
    let stored = fs::read_to_string(bench.home().tls_path().join("site.crt")).unwrap();
    assert!(!stored.contains("PRIVATE KEY"), "{stored}");

    let again = bench.open(config);
    verify(&again, &site.root.0, "cairn.corp", bench.now()).unwrap();
    assert!(matches!(again.renew(Renewal::default()), Err(TlsError::SiteInUse)));
    again.renew(Renewal { own: true, new_authority: false }).unwrap();
    assert_eq!(again.show().unwrap().source, Some(Source::Cairn));
    assert_ne!(shown(&again).0, own);
    assert!(!bench.files().iter().any(|name| name.starts_with("site")), "{:?}", bench.files());
}

#[test]
fn a_certificate_that_cannot_serve_is_refused_and_the_old_one_stays() {
    let bench = Bench::new();
    let tls = bench.open("names = ['cairn.corp']");
    let before = shown(&tls).0;
    let now = bench.now();
    let site = Site::new(now);
    let (good, key) = site.server("cairn.corp", now - HOUR, 90);
    let (expired, expired_key) = site.server("cairn.corp", now - DAY * 100, 90);
    let (future, future_key) = site.server("cairn.corp", now + DAY, 90);
    let (_, other_key) = site.server("cairn.corp", now - HOUR, 90);
    let mut for_clients = params("cairn.corp", now - HOUR, 90);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (for_clients, client_key) = site.sign(&for_clients);
    let impostor = Site::new(now);
    let issuing = &site.issuing.0;
    let broken = good.replacen("MII", "MIJ", 1);
    let cases: [(String, &str, &str); 11] = [
        (String::new(), &key, "no certificate"),
        (good.clone(), "", "no private key"),
        (good.clone(), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "passphrase"),
        (good.clone(), &other_key, "does not belong"),
        (format!("{issuing}{good}"), &key, "must come first"),
        (expired, &expired_key, "ended on"),
        (future, &future_key, "valid from"),
        (for_clients, &client_key, "not meant for servers"),
        (format!("{good}{}{issuing}", site.root.0), &key, "certificate 2 of the chain"),
        (format!("{good}{}", impostor.issuing.0), &key, "signatures"),
        (broken, &key, "cannot be read"),
    ];
    for (certificate, key, expected) in cases {
        let refused = tls.import(&certificate, key).unwrap_err();
        assert_eq!(refused.code(), crate::error::ErrorCode::InvalidRequest, "{expected}");
        assert!(refused.to_string().contains(expected), "{expected}: {refused}");
    }
    assert_eq!(shown(&tls).0, before);
    assert_eq!(bench.files().len(), 6);
    tls.import(&format!("{good}{issuing}{}", site.root.0), &key).unwrap();
}

#[test]
fn a_name_that_the_certificate_does_not_cover_is_a_warning() {
    let bench = Bench::new();
    let tls = bench.open("names = ['cairn.corp', 'www.lab.corp', 'deep.www.lab.corp']");
    let site = Site::new(bench.now());
    let mut wild = params("cairn.corp", bench.now() - HOUR, 20);
    for name in ["CAIRN.corp", "*.lab.corp"] {
        wild.subject_alt_names.push(rcgen::SanType::DnsName(name.try_into().unwrap()));
    }
    let (certificate, key) = site.sign(&wild);
    tls.import(&certificate, &key).unwrap();
    let warnings = tls.show().unwrap().warnings.join("\n");
    assert!(warnings.contains("not made out to deep.www.lab.corp:"), "{warnings}");
    assert!(warnings.contains("in 19 days"), "{warnings}");
}

#[test]
fn a_configured_certificate_needs_no_key_ring_and_is_read_again_when_it_changes() {
    let bench = Bench::new();
    let site = Site::new(bench.now());
    let put = |days: i64| {
        let (certificate, key) = site.server("cairn.corp", bench.now() - HOUR, days);
        fs::write(bench.dir.path().join("c.pem"), &certificate).unwrap();
        fs::write(bench.dir.path().join("k.pem"), key).unwrap();
        Chain::parse(&certificate).unwrap().first().clone()
    };
    let path = |name: &str| bench.dir.path().join(name).display().to_string();
    let server: ServerConfig = toml::from_str(&format!(
        "certificate = '{}'\nprivate_key = '{}'",
        path("c.pem"),
        path("k.pem")
    ))
    .unwrap();
    let first = put(90);
    let tls = prepare(&bench.home(), &server, None, bench.clock.clone());
    assert_eq!(shown(&tls).0, first);
    let second = put(200);
    tls.renew(Renewal::default()).unwrap();
    assert_eq!(shown(&tls).0, second);
    // One that ended does not replace one that is good, but is served where there is no other.
    let ended = put(0);
    assert!(matches!(tls.refresh(), Err(TlsError::Site(SiteError::Expired { .. }))));
    assert_eq!(shown(&tls).0, second);
    assert!(matches!(tls.import("", ""), Err(TlsError::Configured)));
    let fresh = prepare(&bench.home(), &server, None, bench.clock.clone());
    assert_eq!(shown(&fresh).0, ended);
}

#[test]
fn a_sealed_appliance_has_a_certificate_once_the_key_ring_comes() {
    let bench = Bench::new();
    let first = shown(&bench.open("")).0;
    let sealed = prepare(&bench.home(), &ServerConfig::default(), None, bench.clock.clone());
    let door = sealed.show().unwrap().certificate.unwrap();
    assert_ne!(door.fingerprint_sha256, first.fingerprint_sha256);
    assert_eq!(door.issuer, first.issuer, "a browser that trusts the authority trusts the door");
    assert!(matches!(sealed.renew(Renewal::default()), Err(TlsError::Sealed)));
    sealed.listener().unwrap();
    // The wrong ring changes nothing.
    assert!(matches!(sealed.adopt(keyring()), Err(TlsError::OpenKey { .. })));
    assert_eq!(sealed.show().unwrap().certificate.unwrap(), door);
    sealed.adopt(bench.keyring.clone()).unwrap();
    assert_eq!(shown(&sealed).0, first);
}

#[test]
fn a_lost_or_damaged_door_is_made_anew_by_the_next_open_appliance() {
    let bench = Bench::new();
    bench.open("");
    let sealed = || prepare(&bench.home(), &ServerConfig::default(), None, bench.clock.clone());
    let door = || bench.files().into_iter().find(|name| name.starts_with("door-")).unwrap();
    fs::write(bench.home().tls_path().join(door()), b"dust").unwrap();
    assert!(!sealed().has_certificate());
    bench.open("");
    assert!(sealed().has_certificate());
    fs::remove_file(bench.home().tls_path().join("door.crt")).unwrap();
    assert!(!sealed().has_certificate());
    bench.open("");
    assert!(sealed().has_certificate());
}

#[test]
fn a_lost_or_damaged_server_key_is_made_anew_and_a_damaged_authority_is_an_error() {
    let bench = Bench::new();
    let first = shown(&bench.open("")).0;
    let find = |start: &str| {
        let name = bench.files().into_iter().find(|name| name.starts_with(start)).unwrap();
        bench.home().tls_path().join(name)
    };
    fs::write(find("server-"), b"dust").unwrap();
    let tls = bench.open("");
    let second = shown(&tls).0;
    assert_ne!(second.fingerprint_sha256, first.fingerprint_sha256);
    fs::remove_file(find("server-")).unwrap();
    assert_ne!(shown(&bench.open("")).0.fingerprint_sha256, second.fingerprint_sha256);
    fs::write(find("ca-"), b"dust").unwrap();
    let tls = bench.open("");
    assert!(tls.has_certificate(), "the server's own is still good");
    let error = tls.renew(Renewal::default()).unwrap_err();
    assert!(matches!(error, TlsError::OpenKey { .. }), "{error}");
    fs::write(find("ca.crt"), b"dust").unwrap();
    let tls = bench.open("");
    assert!(!tls.has_certificate());
    assert!(matches!(tls.refresh(), Err(TlsError::Damaged { .. })));
}

#[test]
fn nothing_is_made_where_tls_is_off() {
    let bench = Bench::new();
    let tls = bench.open("tls = 'off'");
    assert!(!bench.home().tls_path().exists());
    assert!(matches!(tls.listener(), Err(TlsError::Off)));
    assert!(matches!(tls.import("", ""), Err(TlsError::Off)));
    assert!(matches!(tls.renew(Renewal::default()), Err(TlsError::Off)));
    let shown = tls.show().unwrap();
    assert!(!shown.on && shown.certificate.is_none());
}

#[test]
fn a_replaced_certificate_is_what_the_next_handshake_gets() {
    let bench = Bench::new();
    let tls = bench.open("names = ['localhost']");
    let config = tls.listener().unwrap();
    let root = shown(&tls).1.unwrap().pem;
    let first = handshake(&config, &root, bench.now());
    tls.renew(Renewal::default()).unwrap();
    let second = handshake(&config, &root, bench.now());
    assert_ne!(first, second);
    assert_eq!(second.len(), 1, "the server's alone: clients have the authority");
}

/// A client's clock that stands still.
#[derive(Debug)]
struct At(Timestamp);

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// The certificates that a client which trusts `root` is shown, without any socket.
fn handshake(server: &ListenerConfig, root: &str, now: Timestamp) -> Vec<CertificateDer<'static>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(Chain::parse(root).unwrap().certificates()[0].clone()).unwrap();
    let provider = listener::provider();
    let config = rustls::ClientConfig::builder_with_details(provider, Arc::new(At(now)))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = rustls::ServerConnection::new(server.clone()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    client.peer_certificates().unwrap().to_vec()
}

#[test]
fn debug_of_a_private_key_shows_nothing() {
    let key = PrivateKey::from_der(vec![7; 40]);
    assert_eq!(format!("{key:?}"), "PrivateKey(…)");
}
