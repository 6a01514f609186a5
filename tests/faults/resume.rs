//! An upload in pieces and a stream of records whose server is killed on the way.
//!
//! Called by: cargo test. Talks to: a server over HTTP.
//! Invariants: an offset that was acknowledged is never taken back; whatever is sent again, one
//! document comes of it, with the bytes that were sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::{Home, PATIENCE, Server};
use crate::load::{await_death, blobs, has_died, key, settled};

const UPLOADS: &str = "/api/v1/tenants/demo/uploads";
const PIECE: usize = 40_000;
const PIECES: usize = 4;

/// A request to a server that may die at any moment; head and body of a complete answer.
fn request(
    address: &str,
    key: &str,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> Option<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Authorization: Bearer {key}\r\nTus-Resumable: 1.0.0\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    Some((head, answer[split + 4..].to_vec()))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn offset(head: &str) -> usize {
    header(head, "upload-offset").expect("an offset").parse().unwrap()
}

fn patch(address: &str, key: &str, location: &str, from: usize, all: &[u8]) -> Option<String> {
    let headers = [
        ("Upload-Offset", from.to_string()),
        ("Content-Type", "application/offset+octet-stream".to_owned()),
    ];
    let piece = &all[from..all.len().min(from + PIECE)];
    request(address, key, "PATCH", location, &headers, piece).map(|(head, _)| head)
}

fn killed_at(point: &str, pass: u32) {
    let home = Home::new();
    let key = key(&home);
    let plan = format!("kill:{point}:{pass}");
    let all: Vec<u8> = (0..)
        .flat_map(|n: u32| {
            format!("Line {n} of {plan}, {}.\n", n.wrapping_mul(2_654_435_761)).into_bytes()
        })
        .take(PIECE * PIECES)
        .collect();
    let length = all.len().to_string();
    let mut acknowledged = 0;
    let location;
    {
        let server = Server::start(&home, &[("CAIRN_FAULTS", &plan)]);
        // "long.txt"
        let headers =
            [("Upload-Length", length), ("Upload-Metadata", "filename bG9uZy50eHQ=".to_owned())];
        let (head, _) = request(&server.address, &key, "POST", UPLOADS, &headers, b"").unwrap();
        location = header(&head, "location").expect("where to send it").to_owned();
        while !has_died(&server) && acknowledged < all.len() {
            match patch(&server.address, &key, &location, acknowledged, &all) {
                Some(head) => acknowledged = offset(&head),
                None => break,
            }
        }
        await_death(&server, &plan);
    }
    let server = home.serve();
    let (head, _) = request(&server.address, &key, "HEAD", &location, &[], b"").unwrap();
    let mut at = offset(&head);
    assert!(at >= acknowledged, "{plan}: {at} bytes, {acknowledged} were acknowledged");
    // The last piece that was sent is sent again, as a client that heard nothing may.
    let again = patch(&server.address, &key, &location, acknowledged.min(all.len() - 1), &all);
    assert!(again.is_some());
    let (head, _) = request(&server.address, &key, "HEAD", &location, &[], b"").unwrap();
    at = at.max(offset(&head));
    let mut last = head;
    while at < all.len() {
        last = patch(&server.address, &key, &location, at, &all).unwrap();
        at = offset(&last);
    }
    let document = header(&last, "x-cairn-document").expect("the document it became").to_owned();
    let ledger = settled(&server);
    assert_eq!(ledger["received"], 1, "{plan}: {ledger:#}");
    assert_eq!(ledger["indexed"], 1, "{plan}: {ledger:#}");
    assert_eq!(ledger["items"][0]["document_id"], document.as_str(), "{plan}");
    let path = format!("/api/v1/tenants/demo/documents/{document}/content");
    let (_, original) = request(&server.address, &key, "GET", &path, &[], b"").unwrap();
    assert!(original == all, "{plan}: the original is not what was sent");
    drop(server);
    // What a crash left over is swept at the next start.
    let server = home.serve();
    crate::harness::wait_for("parts that nobody names to go", || {
        (blobs(home.path()).len() == 1).then_some(())
    });
    drop(server);
}

#[test]
fn an_upload_in_pieces_outlives_kills_between_and_within_its_pieces() {
    for (point, passes) in
        [("blob_written", [1, 3, 5]), ("blob_stored", [2, 4, 5]), ("accepted", [1; 3])]
    {
        for (at, pass) in passes.iter().enumerate() {
            if passes[..at].contains(pass) {
                continue;
            }
            killed_at(point, *pass);
        }
    }
}

/// Opens a stream of records and sends them until `acks` of them are acknowledged, then kills the
/// server; the documents of those, with the words that each must hold.
fn streamed(home: &Home, key: &str, kind: &str, acks: usize) -> Vec<(String, String)> {
    let server = home.serve();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /api/v1/tenants/demo/ingest/stream HTTP/1.1\r\nHost: {}\r\n\
         Authorization: Bearer {key}\r\nContent-Type: {kind}\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut acknowledged = Vec::new();
    let mut sent = 0;
    while acknowledged.len() < acks {
        while sent < acknowledged.len() + 20 {
            let words = format!("entry{sent} of the night watch");
            let line = match kind {
                "text/plain" => format!("{words}\n"),
                _ => format!("{{\"text\":\"{words}\"}}\n"),
            };
            let chunk = format!("{:x}\r\n{line}\r\n", line.len());
            stream.write_all(chunk.as_bytes()).unwrap();
            sent += 1;
        }
        let mut answer = String::new();
        assert!(answers.read_line(&mut answer).unwrap() > 0, "the stream ended");
        if !answer.starts_with('{') {
            continue;
        }
        let answer: Value = serde_json::from_str(&answer).unwrap();
        if answer.get("outcome").is_some() {
            let seq = answer["seq"].as_u64().unwrap();
            assert_eq!(seq as usize, acknowledged.len() + 1, "acknowledged in order");
            let document = answer["document"].as_str().unwrap().to_owned();
            acknowledged.push((document, format!("entry{} of the night watch", seq - 1)));
        }
    }
    // Dropping the server is `kill -9`.
    acknowledged
}

#[test]
fn what_a_stream_acknowledged_is_there_after_a_kill() {
    for (kind, acks) in [("application/x-ndjson", 37), ("text/plain", 60)] {
        let home = Home::new();
        let key = key(&home);
        let acknowledged = streamed(&home, &key, kind, acks);
        let server = home.serve();
        let ledger = settled(&server);
        assert_eq!(ledger["failed"], 0, "{ledger:#}");
        for (document, words) in acknowledged {
            let path = format!("/api/v1/tenants/demo/documents/{document}/text");
            let (head, text) = request(&server.address, &key, "GET", &path, &[], b"").unwrap();
            assert!(head.contains(" 200 "), "{kind}: {words}: {head}");
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(text.contains(&words), "{kind}: {words} is not in {text}");
        }
    }
}
