//! Transport encryption as a client sees it: a real handshake, names, replaced certificates.
//!
//! Called by: cargo test. Talks to: a server over its TCP port, with rustls as the client.
//! Invariants: a client trusts the authority that `cairn tls ca` prints and nothing else.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::harness::{Home, PATIENCE, Response, Server};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts the certificates of a PEM text.
fn trusting(pem: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A connection after its handshake, or why there is none.
fn connect(server: &Server<'_>, config: ClientConfig, name: &str) -> std::io::Result<Stream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(&server.address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn get(mut stream: Stream, host: &str, path: &str) -> Response {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Response::parse(&answer)
}

/// A request on a connection that stays open.
fn health(stream: &mut Stream, host: &str) {
    stream.write_all(format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"{\"status\":\"ok\"}") {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the connection ended: {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
}

fn presented(stream: &Stream) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

fn authority(home: &Home) -> String {
    home.run(&["tls", "ca"])
}

/// A certificate of the site for 127.0.0.1, signed by nobody else, in two files.
fn site_certificate(dir: &Path) -> (PathBuf, PathBuf, String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let pem = params.self_signed(&key).unwrap().pem();
    let (certificate_path, key_path) = (dir.join("site.pem"), dir.join("site.key"));
    fs::write(&certificate_path, &pem).unwrap();
    fs::write(&key_path, key.serialize_pem()).unwrap();
    (certificate_path, key_path, pem, key)
}

fn import(home: &Home, certificate: &Path, key: &Path) -> std::process::Output {
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    home.output(&["tls", "import", "--certificate", certificate, "--key", key, "--json"])
}

/// Every regular file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_server_that_is_told_nothing_speaks_tls_with_a_certificate_of_its_own_authority() {
    let home = Home::with_tls("");
    let server = home.serve();
    let root = authority(&home);
    for name in ["127.0.0.1", "localhost"] {
        let port = server.address.rsplit(':').next().unwrap();
        let stream = connect(&server, trusting(&root), name).unwrap();
        let answer = get(stream, &format!("{name}:{port}"), "/health");
        assert_eq!(answer.status, 200, "{answer:?}");
        let strict = answer.header("strict-transport-security").unwrap();
        assert!(strict.contains("max-age="), "{strict}");
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'self'"));
        assert_eq!(answer.header("server"), None);
    }
    connect(&server, trusting(&root), "other.example").unwrap_err();
    // Somebody who has not installed the authority is warned.
    let stranger = Home::with_tls("");
    connect(&server, trusting(&authority(&stranger)), "127.0.0.1").unwrap_err();
    // Old and new clients, with HTTP/2 where they know it.
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = connect(&server, config, "127.0.0.1").unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    }
    let link = home.json(&["link"])["link"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("https://{}/#/setup/", server.address)), "{link}");
}

#[test]
fn plain_http_on_the_tls_port_is_told_to_use_https_and_gets_nothing_else() {
    let home = Home::with_tls("");
    let server = home.serve();
    let answer = server.anonymous("GET", "/health", b"");
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("use https://"), "{answer:?}");
    // What is neither is cut off, and the server goes on.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[0, 1, 2, 3]).unwrap();
    let mut nothing = Vec::new();
    let _ = stream.read_to_end(&mut nothing);
    assert_eq!(nothing, b"");
    let stream = connect(&server, trusting(&authority(&home)), "127.0.0.1").unwrap();
    assert_eq!(get(stream, &server.address, "/health").status, 200);
}

#[test]
fn plain_http_is_refused_where_others_reach_it_unless_the_admin_says_so() {
    let home = Home::with_tls("");
    let refused = home.output(&["serve", "--tls", "off", "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("insecure_http"), "{said}");
    let plain = Home::new();
    let server = plain.serve();
    let answer = server.anonymous("GET", "/health", b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("strict-transport-security"), None);
    assert!(!plain.path().join("tls").exists(), "no certificate is made for plain HTTP");
    assert_eq!(server.anonymous("GET", "/ca.crt", b"").status, 404);
    assert_eq!(plain.output(&["tls", "ca"]).status.code(), Some(3));
}

#[test]
fn a_rebound_name_reaches_no_handler_over_tls_or_without() {
    let home = Home::with_tls("[server]\nnames = ['127.0.0.1', 'cairn.test']\n");
    let server = home.serve();
    let root = authority(&home);
    let port = server.address.rsplit(':').next().unwrap();
    let ask = |host: &str, path: &str| {
        get(connect(&server, trusting(&root), "cairn.test").unwrap(), host, path)
    };
    assert_eq!(ask(&format!("cairn.test:{port}"), "/health").status, 200);
    for host in [&format!("evil.example:{port}"), "cairn.test", "127.0.0.1:1", &"x".repeat(300)] {
        for path in ["/", "/health", "/api/v1/session", "/ca.crt", "/absent"] {
            let answer = ask(host, path);
            assert_eq!(answer.status, 421, "{host} {path}: {answer:?}");
            let problem = answer.json();
            assert_eq!(problem["code"], "host_not_allowed", "{problem:#}");
            assert!(problem["hint"].as_str().unwrap().contains("names"), "{problem:#}");
            assert_eq!(problem["request_id"].as_str().unwrap().len(), 36, "{problem:#}");
        }
    }
    let plain = Home::new();
    let server = plain.serve();
    let answer = server.request("GET", "/health", &[("Host", "evil.example")], b"");
    assert_eq!(answer.status, 421, "a second Host header does not help: {answer:?}");
    // The operator's socket needs no name.
    plain.run(&["status"]);
}

#[test]
fn the_name_in_an_http_2_request_counts_as_much_as_a_host_header() {
    use http_body_util::Empty;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let home = Home::new();
    let server = home.serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statuses = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut statuses = Vec::new();
        for host in [server.address.as_str(), "evil.example"] {
            let request = hyper::Request::get(format!("http://{host}/health"))
                .body(Empty::<&[u8]>::new())
                .unwrap();
            statuses.push(sender.send_request(request).await.unwrap().status().as_u16());
        }
        statuses
    });
    assert_eq!(statuses, [200, 421]);
}

#[test]
fn the_sites_own_certificate_is_taken_while_the_server_runs() {
    let home = Home::with_tls("");
    let server = home.serve();
    let root = authority(&home);
    let mut old = connect(&server, trusting(&root), "127.0.0.1").unwrap();
    health(&mut old, &server.address);
    let before = presented(&old);

    let dir = tempfile::tempdir().unwrap();
    let (certificate, key, pem, pair) = site_certificate(dir.path());
    let (_, other_key, ..) = site_certificate(tempfile::tempdir().unwrap().keep().as_path());
    let refused = import(&home, &certificate, &other_key);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not belong"));
    assert_eq!(presented(&connect(&server, trusting(&root), "127.0.0.1").unwrap()), before);

    let taken = import(&home, &certificate, &key);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let shown: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(shown["source"], "imported");
    assert!(shown["warnings"][0].as_str().unwrap().contains("localhost"), "{shown:#}");
    let new = connect(&server, trusting(&pem), "127.0.0.1").unwrap();
    assert_ne!(presented(&new), before);
    assert_eq!(get(new, &server.address, "/health").status, 200);
    connect(&server, trusting(&root), "127.0.0.1").unwrap_err();
    health(&mut old, &server.address);

    // The key that was given lies nowhere as it came.
    let text = pair.serialize_pem();
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    for path in files(home.path()) {
        let bytes = fs::read(&path).unwrap();
        assert!(!holds(&bytes, &pair.serialize_der()[36..68]), "{}", path.display());
        assert!(!holds(&bytes, &base64.as_bytes()[48..80]), "{}", path.display());
    }
    assert_eq!(home.output(&["tls", "ca"]).status.code(), Some(3));
    assert_eq!(home.output(&["tls", "renew"]).status.code(), Some(1));
    drop(server);

    // It is still there after a restart, and goes when the admin wants Cairn's again.
    let server = home.serve();
    connect(&server, trusting(&pem), "127.0.0.1").unwrap();
    let shown = home.json(&["tls", "renew", "--own"]);
    assert_eq!(shown["source"], "cairn");
    connect(&server, trusting(&root), "127.0.0.1").unwrap();
}

#[test]
fn private_keys_lie_sealed_but_for_that_of_the_door() {
    let home = Home::with_tls("");
    let server = home.serve();
    connect(&server, trusting(&authority(&home)), "127.0.0.1").unwrap();
    let tls = files(&home.path().join("tls"));
    let names: Vec<_> = tls.iter().filter(|path| path.extension().unwrap() == "key").collect();
    assert_eq!(names.len(), 3, "authority, server and door: {tls:?}");
    // What stands in a PKCS #8 key of the curve before the secret.
    let plain = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b];
    let mut clear = Vec::new();
    for path in files(home.path()) {
        let bytes = fs::read(&path).unwrap();
        if holds(&bytes, &plain) || holds(&bytes, b"PRIVATE KEY") {
            clear.push(path);
        }
    }
    let [door] = clear.as_slice() else { panic!("in the clear: {clear:?}") };
    let name = door.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("door-") && name.ends_with(".key"), "{name}");
    assert_eq!(fs::metadata(door).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn everybody_may_fetch_the_authority_and_only_admins_see_or_change_the_certificate() {
    let home = Home::with_tls("");
    let server = home.serve();
    let root = authority(&home);
    let open = || connect(&server, trusting(&root), "127.0.0.1").unwrap();
    let answer = get(open(), &server.address, "/ca.crt");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type").unwrap(), "application/x-x509-ca-cert");
    assert_eq!(answer.text(), root);
    assert_eq!(get(open(), &server.address, "/api/v1/tls").status, 401);
    let key = server.key("demo");
    let mut stream = open();
    let head = format!(
        "GET /api/v1/tls HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Authorization: Bearer {key}\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(Response::parse(&answer).status, 404);
}

#[test]
fn the_certificate_is_shown_with_its_names_fingerprint_and_last_day() {
    let home = Home::with_tls("");
    let shown = home.json(&["tls", "show"]);
    assert_eq!(shown["on"], true);
    assert_eq!(shown["source"], "cairn");
    let certificate = &shown["certificate"];
    assert_eq!(certificate["names"], shown["names"]);
    assert_eq!(certificate["issuer"], shown["authority"]["subject"]);
    assert_eq!(certificate["fingerprint_sha256"].as_str().unwrap().split(':').count(), 32);
    let printed = home.run(&["tls", "show"]);
    for part in [&certificate["fingerprint_sha256"], &certificate["not_after"]] {
        assert!(printed.contains(part.as_str().unwrap()), "{printed}");
    }
    let renewed = home.json(&["tls", "renew"]);
    assert_ne!(renewed["certificate"]["fingerprint_sha256"], certificate["fingerprint_sha256"]);
    assert_eq!(renewed["authority"], shown["authority"]);

    let ca = home.output(&["tls", "ca"]);
    let how = String::from_utf8_lossy(&ca.stderr).into_owned();
    for system in ["Windows", "macOS", "Debian", "Firefox", "/ca.crt"] {
        assert!(how.contains(system), "{how}");
    }
    let doctor = home.json(&["doctor"]);
    let check = crate::harness::find(&doctor["checks"], "name", "certificate");
    assert_eq!(check["ok"], true, "{check:#}");
}

#[test]
fn a_server_that_starts_sealed_is_reached_over_tls_by_who_trusts_the_authority() {
    let home = Home::with_tls("");
    let root = authority(&home);
    let key = home.path().with_file_name("home.kek.key");
    let away = key.with_extension("away");
    fs::rename(&key, &away).unwrap();
    let server = home.serve();
    let door = connect(&server, trusting(&root), "127.0.0.1").unwrap();
    let sealed_with = presented(&door);
    let seal = get(door, &server.address, "/api/v1/seal");
    assert_eq!((seal.status, seal.json()["sealed"].as_bool()), (200, Some(true)), "{seal:?}");
    let page = get(connect(&server, trusting(&root), "127.0.0.1").unwrap(), &server.address, "/");
    assert_eq!(page.status, 200, "the page that unseals: {page:?}");
    connect(&server, trusting(&root), "other.example").unwrap_err();

    fs::rename(&away, &key).unwrap();
    let body = b"{}";
    let mut stream = connect(&server, trusting(&root), "127.0.0.1").unwrap();
    let head = format!(
        "POST /api/v1/unseal HTTP/1.1\r\nHost: {0}\r\nOrigin: https://{0}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {1}\r\n\r\n",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let opened = Response::parse(&answer);
    assert_eq!(opened.json()["sealed"], false, "{opened:?}");
    let open = connect(&server, trusting(&root), "127.0.0.1").unwrap();
    assert_ne!(presented(&open), sealed_with, "the door serves the sealed state only");
    assert_eq!(get(open, &server.address, "/health").status, 200);
}
