//! Uploads that go on where they broke off, by a client of the tus protocol written here.
//!
//! Called by: cargo test. Talks to: a server over its TCP port.
//! Invariants: what the server acknowledged of an upload is what it has afterwards.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use sha2::{Digest, Sha256};

use crate::harness::{Home, Response, Server, find, wait_for};

const UPLOADS: &str = "/api/v1/tenants/demo/uploads";

/// Base 64 with padding, as tus clients write it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (at, byte)| bits | (u32::from(*byte) << (16 - 8 * at)));
        for at in 0..4 {
            let letter = LETTERS[((bits >> (18 - 6 * at)) & 63) as usize];
            out.push(if at <= group.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// A client of the protocol.
struct Client<'a> {
    server: &'a Server<'a>,
    key: String,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server<'a>, tenant: &str) -> Self {
        Self { server, key: server.key(tenant) }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let authorization = format!("Bearer {}", self.key);
        let mut all = vec![("Authorization", authorization.as_str()), ("Tus-Resumable", "1.0.0")];
        all.extend(headers);
        self.server.request(method, path, &all, body)
    }

    fn create(&self, name: &str, length: usize) -> Response {
        let metadata =
            format!("filename {},filetype {}", base64(name.as_bytes()), base64(b"text/plain"));
        let length = length.to_string();
        let headers = [("Upload-Length", length.as_str()), ("Upload-Metadata", &metadata)];
        self.send("POST", UPLOADS, &headers, b"")
    }

    fn begin(&self, name: &str, length: usize) -> String {
        let created = self.create(name, length);
        assert_eq!(created.status, 201, "{}", created.text());
        assert_eq!(created.header("tus-resumable").as_deref(), Some("1.0.0"));
        created.header("location").expect("where to send it")
    }

    fn patch(&self, location: &str, offset: usize, bytes: &[u8]) -> Response {
        self.patch_with(location, offset, bytes, &[])
    }

    fn patch_with(
        &self,
        location: &str,
        offset: usize,
        bytes: &[u8],
        more: &[(&str, &str)],
    ) -> Response {
        let offset = offset.to_string();
        let mut headers = vec![
            ("Upload-Offset", offset.as_str()),
            ("Content-Type", "application/offset+octet-stream"),
        ];
        headers.extend(more);
        self.send("PATCH", location, &headers, bytes)
    }

    fn offset(&self, location: &str) -> usize {
        let head = self.send("HEAD", location, &[], b"");
        assert_eq!(head.status, 200, "{}", head.head);
        head.header("upload-offset").unwrap().parse().unwrap()
    }

    /// Sends a piece and breaks the connection after `sent` bytes of it.
    fn break_off(&self, location: &str, offset: usize, bytes: &[u8], sent: usize) {
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        let head = format!(
            "PATCH {location} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Tus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n\
             Content-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
            self.server.address,
            self.key,
            bytes.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&bytes[..sent]).unwrap();
        stream.flush().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        stream.shutdown(Shutdown::Both).unwrap();
    }
}

/// Text that does not repeat.
fn text(lines: usize) -> Vec<u8> {
    (0..lines)
        .map(|n| format!("Entry {n} of the lighthouse log, {}.\n", n * 7919 % 9973))
        .collect::<String>()
        .into_bytes()
}

#[test]
fn an_upload_in_pieces_becomes_one_document_with_the_bytes_sent() {
    let home = Home::new();
    let server = home.serve();
    let client = Client::new(&server, "demo");
    let content = text(5000);
    let location = client.begin("logs/lighthouse.txt", content.len());
    assert_eq!(client.offset(&location), 0);
    let mut offset = 0;
    let mut last = None;
    for piece in content.chunks(content.len() / 3) {
        let answer = client.patch(&location, offset, piece);
        assert_eq!(answer.status, 204, "{}", answer.text());
        offset += piece.len();
        assert_eq!(answer.header("upload-offset"), Some(offset.to_string()));
        assert!(answer.header("upload-expires").unwrap().ends_with("GMT"));
        last = Some(answer);
    }
    let document = last.unwrap().header("x-cairn-document").expect("the document it became");
    // Asking again, and sending the last piece again, changes nothing.
    let head = client.send("HEAD", &location, &[], b"");
    assert_eq!(head.header("x-cairn-document"), Some(document.clone()));
    assert_eq!(head.header("upload-length"), Some(content.len().to_string()));
    assert!(head.header("upload-metadata").unwrap().starts_with("filename "));
    assert_eq!(client.patch(&location, offset - 10, &content[offset - 10..]).status, 409);
    let again = client.patch(&location, offset, b"");
    assert_eq!(again.header("x-cairn-document"), Some(document.clone()));

    let ledger = server.settle();
    assert_eq!((&ledger["received"], &ledger["indexed"]), (&1.into(), &1.into()), "{ledger:#}");
    let item = find(&ledger["items"], "source", "logs/lighthouse.txt");
    assert_eq!(item["document_id"], document.as_str());
    let path = format!("/api/v1/tenants/demo/documents/{document}/content");
    let original = client.send("GET", &path, &[], b"");
    assert_eq!(Sha256::digest(&original.body), Sha256::digest(&content));
    // A document stays when its upload goes.
    assert_eq!(client.send("DELETE", &location, &[], b"").status, 204);
    assert_eq!(client.send("HEAD", &location, &[], b"").status, 404);
    assert_eq!(home.ledger()["indexed"], 1);
    assert_eq!(blob_files(&home), 1, "only the original is left");
}

/// Files in place in the blob directories of the home.
fn blob_files(home: &Home) -> usize {
    fn files(dir: &std::path::Path) -> usize {
        std::fs::read_dir(dir).map_or(0, |entries| {
            entries
                .flatten()
                .map(|entry| {
                    let path = entry.path();
                    let name = entry.file_name().into_string().unwrap();
                    if path.is_dir() { files(&path) } else { usize::from(name.len() == 64) }
                })
                .sum()
        })
    }
    std::fs::read_dir(home.path().join("tenants"))
        .unwrap()
        .flatten()
        .map(|tenant| files(&tenant.path().join("blobs")))
        .sum()
}

#[test]
fn a_broken_connection_keeps_what_came_and_the_rest_follows() {
    let home = Home::new();
    let server = home.serve();
    let client = Client::new(&server, "demo");
    let content = text(40_000);
    let location = client.begin("broken.txt", content.len());
    client.break_off(&location, 0, &content, content.len() / 2);
    let offset = wait_for("what came to be kept", || {
        let offset = client.offset(&location);
        (offset > 0).then_some(offset)
    });
    assert!(offset <= content.len() / 2, "{offset}");
    let answer = client.patch(&location, offset, &content[offset..]);
    assert_eq!(answer.status, 204, "{}", answer.text());
    let document = answer.header("x-cairn-document").unwrap();
    let path = format!("/api/v1/tenants/demo/documents/{document}/content");
    assert_eq!(client.send("GET", &path, &[], b"").body, content);
    assert!(!shows(home.path(), b"Entry 17 of the lighthouse log"), "parts are sealed");
}

fn shows(dir: &std::path::Path, text: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return shows(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text)
    })
}

#[test]
fn what_the_protocol_refuses_is_refused_and_changes_nothing() {
    let home = Home::new();
    let server = home.serve();
    let client = Client::new(&server, "demo");
    let options = client.send("OPTIONS", UPLOADS, &[], b"");
    assert_eq!(options.status, 204);
    assert_eq!(options.header("tus-version").as_deref(), Some("1.0.0"));
    let extensions = options.header("tus-extension").unwrap();
    for extension in ["creation", "creation-with-upload", "expiration", "termination", "checksum"] {
        assert!(extensions.contains(extension), "{extensions}");
    }
    let content = b"The keeper lit the lamp at dusk.";
    let location = client.begin("lamp.txt", content.len());
    let version = server.request(
        "HEAD",
        &location,
        &[("Authorization", &format!("Bearer {}", client.key)), ("Tus-Resumable", "0.2.2")],
        b"",
    );
    assert_eq!((version.status, version.header("tus-version").as_deref()), (412, Some("1.0.0")));
    assert_eq!(client.patch(&location, 3, &content[3..]).status, 409, "a wrong offset");
    let sum = format!("sha256 {}", base64(&Sha256::digest(b"other")));
    let answer = client.patch_with(&location, 0, content, &[("Upload-Checksum", &sum)]);
    assert_eq!(answer.status, 460, "a wrong checksum");
    let answer = client.patch_with(&location, 0, content, &[("Upload-Checksum", "md5 YQ==")]);
    assert_eq!(answer.status, 400, "another algorithm");
    let typed = client.send("PATCH", &location, &[("Upload-Offset", "0")], content);
    assert_eq!(typed.status, 415, "another type");
    assert_eq!(client.offset(&location), 0, "nothing was kept");
    let overridden = |method: &str| {
        let headers = [
            ("X-HTTP-Method-Override", method),
            ("Upload-Offset", "0"),
            ("Content-Type", "application/offset+octet-stream"),
        ];
        client.send("POST", &location, &headers, b"")
    };
    assert_eq!((overridden("PATCH").status, overridden("PUT").status), (204, 405));
    let longer = client.patch(&location, 0, &[content.as_slice(), b" And more."].concat());
    assert_eq!(longer.status, 400, "more than was announced");
    let offset = client.offset(&location);
    let sum = format!("sha256 {}", base64(&Sha256::digest(&content[offset..])));
    let answer =
        client.patch_with(&location, offset, &content[offset..], &[("Upload-Checksum", &sum)]);
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert!(answer.header("x-cairn-document").is_some());

    assert_eq!(client.create("", 5).status, 400, "no name");
    assert_eq!(client.send("POST", UPLOADS, &[("Upload-Length", "x")], b"").status, 400);
    let absent = format!("{UPLOADS}/01890a5d-ac96-774b-bcce-b302099a8057");
    assert_eq!(client.send("HEAD", &absent, &[], b"").status, 404);
    home.run(&["tenant", "create", "other"]);
    let other = Client::new(&server, "other");
    let foreign = location.replace(&home_id(&home, "demo"), "other");
    assert_eq!(other.send("HEAD", &foreign, &[], b"").status, 404, "another tenant's upload");
    assert_eq!(other.send("HEAD", &location, &[], b"").status, 404, "another tenant");
}

fn home_id(home: &Home, tenant: &str) -> String {
    home.json(&["tenant", "show", tenant])["id"].as_str().unwrap().to_owned()
}

#[test]
fn limits_are_told_before_anything_is_sent() {
    let home = Home::new();
    home.run(&[
        "tenant",
        "tier",
        "demo",
        "--limit",
        "upload_bytes=1000",
        "--limit",
        "stored_bytes=1500",
        "--limit",
        "requests_per_second=none",
    ]);
    let server = home.serve();
    let client = Client::new(&server, "demo");
    assert_eq!(client.create("large.txt", 1001).status, 413);
    client.begin("first.txt", 900);
    let second = client.create("second.txt", 900);
    assert_eq!(second.status, 507, "the first has announced its room: {}", second.text());
    assert_eq!(second.json()["code"], "quota_stored_bytes");
    let third = client.begin("third.txt", 500);
    // An empty file is all here at once, and so is one that is sent with its creation.
    let created = client.create("empty.txt", 0);
    assert!(created.header("x-cairn-document").is_some(), "{}", created.head);
    assert_eq!(client.send("DELETE", &third, &[], b"").status, 204);
    let name = format!("filename {}", base64(b"whole.txt"));
    let headers = [
        ("Upload-Length", "19"),
        ("Upload-Metadata", name.as_str()),
        ("Content-Type", "application/offset+octet-stream"),
    ];
    let created = client.send("POST", UPLOADS, &headers, b"A gull on the rail.");
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.header("upload-offset").as_deref(), Some("19"));
    assert!(created.header("x-cairn-document").is_some(), "{}", created.head);
    for number in 0..99 {
        let created = client.create(&format!("{number}.txt"), 1);
        assert_eq!(created.status, 201, "{number}: {}", created.text());
    }
    let one_more = client.create("one-more.txt", 1);
    assert_eq!((one_more.status, one_more.json()["code"].clone()), (429, "quota_uploads".into()));
}

#[test]
fn two_writers_of_one_upload_never_mix() {
    let home = Home::new();
    let server = home.serve();
    let client = Client::new(&server, "demo");
    let content = text(1000);
    let location = client.begin("contested.txt", content.len());
    // The first goes silent in the middle and keeps its connection.
    let mut silent = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
        server.address,
        client.key,
        content.len()
    );
    silent.write_all(head.as_bytes()).unwrap();
    silent.write_all(&content[..1000]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let offset = client.offset(&location);
    assert_eq!(offset, 1000, "whoever asks is told all that came");
    let answer = client.patch(&location, offset, &content[offset..]);
    assert_eq!(answer.status, 204, "{}", answer.text());
    let document = answer.header("x-cairn-document").unwrap();
    let path = format!("/api/v1/tenants/demo/documents/{document}/content");
    assert_eq!(client.send("GET", &path, &[], b"").body, content);
}
