//! Records over a request that stays open: acknowledged, found and related while it is.
//!
//! Called by: cargo test. Talks to: a server over its TCP port, the command line.
//! Invariants: every test reads the answer while the request goes on.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Home, PATIENCE, Server, sources, wait_for};

/// An open request.
struct Open {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Open {
    fn new(server: &Server<'_>, key: &str, tenant: &str, kind: &str, query: &str) -> Self {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /api/v1/tenants/{tenant}/ingest/stream{query} HTTP/1.1\r\nHost: {}\r\n\
             Authorization: Bearer {key}\r\nContent-Type: {kind}\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut status = String::new();
        answers.read_line(&mut status).unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line).unwrap();
        }
        Self { stream, answers }
    }

    fn json(server: &Server<'_>, key: &str) -> Self {
        Self::new(server, key, "demo", "application/x-ndjson", "")
    }

    fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.stream.write_all(chunk.as_bytes()).unwrap();
    }

    fn record(&mut self, value: &Value) {
        self.send(&format!("{value}\n"));
    }

    /// The next answer, whatever it says. Every answer is a chunk of its own or several are one.
    fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if line.trim() == "0" {
                return None;
            }
            // Sizes of chunks and their ends stand between.
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    }

    /// The next answer that has this field.
    fn next_with(&mut self, field: &str) -> Value {
        loop {
            let answer = self.next().unwrap_or_else(|| panic!("no {field} came"));
            if answer.get(field).is_some() {
                return answer;
            }
        }
    }

    fn acknowledged(&mut self) -> Value {
        self.next_with("outcome")
    }

    fn end(&mut self) {
        self.stream.write_all(b"0\r\n\r\n").unwrap();
    }
}

/// Waits until a keyword search finds `wanted`.
fn until_found(server: &Server<'_>, key: &str, wanted: &str) {
    wait_for(wanted, || {
        let path = format!("/api/v1/tenants/demo/search?q={wanted}&mode=keyword");
        let answer = server.with_key(key, "GET", &path, b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        (!sources(&answer.json()).is_empty()).then_some(())
    });
}

#[test]
fn records_are_found_while_the_request_is_open() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    // The first document of a process waits for its reader to start.
    home.add_text("before.txt", "Something to warm up with.");
    let mut open = Open::json(&server, &key);
    for (number, word) in ["quokka", "wombat", "numbat"].into_iter().enumerate() {
        open.record(&json!({
            "text": format!("The {word} was counted near the lighthouse."),
            "title": format!("Census {number}"), "date": "2024-03-01", "author": "Ann",
        }));
        let answer = open.acknowledged();
        assert_eq!(
            (&answer["seq"], &answer["outcome"]),
            (&(number + 1).into(), &"accepted".into())
        );
        until_found(&server, &key, word);
    }
    open.end();
    let end = open.next_with("end");
    assert_eq!(end["end"]["reason"], "complete");
    assert_eq!((&end["end"]["accepted"], &end["end"]["refused"]), (&3.into(), &0.into()));
    let found = home.search("wombat", "hybrid");
    assert_eq!(found["results"][0]["title"], "Census 1", "{found:#}");
    assert!(found["results"][0]["dates"]["content"].as_str().unwrap().starts_with("2024-03-01"));
}

#[test]
fn lines_of_text_grow_one_document_that_is_found_while_they_come() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.add_text("before.txt", "Something to warm up with.");
    let mut open = Open::new(&server, &key, "demo", "text/plain", "?source=logs/app");
    let mut documents = Vec::new();
    for (number, word) in ["pelican", "heron", "egret"].into_iter().enumerate() {
        open.send(&format!("10:0{number} a {word} landed\n"));
        let answer = open.acknowledged();
        assert_eq!((&answer["seq"], &answer["line"]), (&(number + 1).into(), &(number + 1).into()));
        documents.push(answer["document"].clone());
        until_found(&server, &key, word);
    }
    documents.dedup();
    assert_eq!(documents.len(), 1, "one running document");
    open.send("half a line");
    open.end();
    assert_eq!(open.next_with("end")["end"]["accepted"], 4);
    server.settle();
    let found = home.search("pelican egret", "keyword");
    assert_eq!(found["results"].as_array().unwrap().len(), 1, "{found:#}");
    assert!(found["results"][0]["source"].as_str().unwrap().starts_with("logs/app/"), "{found:#}");
    let text = server.with_key(
        &key,
        "GET",
        &format!("/api/v1/tenants/demo/documents/{}/text", documents[0].as_str().unwrap()),
        b"",
    );
    for word in ["pelican", "heron", "egret", "half a line"] {
        assert!(text.text().contains(word), "{}", text.text());
    }
}

#[test]
fn a_bad_line_is_told_by_its_number_and_the_rest_goes_on() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let mut open = Open::json(&server, &key);
    open.send("{\"text\":\"first\"}\n\n{broken\n{\"no\":\"text\"}\n");
    let long = "x".repeat(64 << 10);
    for _ in 0..17 {
        open.send(&long);
    }
    open.send("\n{\"text\":\"last\",\"source\":\"given/last.json\"}\n");
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let answer = open.next().expect("an answer for every line");
        if answer.get("related").is_none() {
            seen.push(answer);
        }
    }
    let numbers: Vec<(u64, u64)> = seen
        .iter()
        .map(|answer| (answer["seq"].as_u64().unwrap(), answer["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(numbers, [(1, 1), (2, 3), (3, 4), (4, 5), (5, 6)]);
    for refused in &seen[1..4] {
        assert_eq!(refused["error"]["code"], "invalid_request", "{refused}");
    }
    assert!(seen[3]["error"]["detail"].as_str().unwrap().contains("longer than"), "{}", seen[3]);
    assert_eq!(seen[4]["source"], "given/last.json");
    open.end();
    let end = open.next_with("end");
    assert_eq!((&end["end"]["accepted"], &end["end"]["refused"]), (&2.into(), &3.into()));
    let answer = server.request(
        "POST",
        "/api/v1/tenants/demo/ingest/stream",
        &[("Authorization", &format!("Bearer {key}")), ("Content-Type", "image/png")],
        b"",
    );
    assert_eq!(answer.status, 400);
}

#[test]
fn what_is_near_a_record_is_told_in_the_answer_and_to_watchers_of_its_tenant_alone() {
    let home = Home::new();
    home.run(&["tenant", "create", "other"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret.txt");
    std::fs::write(&path, "The diesel pump of the harbour station leaks oil.").unwrap();
    home.run(&["add", "other", path.to_str().unwrap()]);
    home.add_text(
        "pump.txt",
        "The diesel pump in the boiler house was replaced after an oil leak.",
    );
    home.add_text("cake.txt", "Beat the eggs with sugar until they are pale.");
    let server = home.serve();
    let (key, foreign) = (server.key("demo"), server.key("other"));
    let mut watcher = watch(&server, &key, "demo");
    let mut stranger = watch(&server, &foreign, "other");
    let mut open = Open::json(&server, &key);
    open.record(&json!({ "text": "Alarm: the diesel pump in the boiler house leaks oil again." }));
    let accepted = open.acknowledged();
    let related = open.next_with("related");
    assert_eq!(related["document"], accepted["document"]);
    let finds = related["related"].as_array().unwrap();
    assert_eq!(finds[0]["source"], "pump.txt", "{related:#}");
    assert!(finds[0]["passages"][0]["text"].as_str().unwrap().contains("diesel pump"));
    for find in finds {
        assert!(
            !["cake.txt", "secret.txt"].contains(&find["source"].as_str().unwrap()),
            "{find:#}"
        );
    }
    let event = watcher.event("related");
    assert_eq!(event["document"], accepted["document"]);
    assert_eq!(event["related"][0]["source"], "pump.txt", "{event:#}");
    let mut same = Open::new(&server, &foreign, "other", "application/x-ndjson", "");
    same.record(&json!({ "text": "The diesel pump leaks oil." }));
    let related = same.next_with("related");
    assert_eq!(related["related"].as_array().unwrap().len(), 1, "{related:#}");
    assert_eq!(related["related"][0]["source"], "secret.txt");
    let event = stranger.event("related");
    assert!(!event.to_string().contains("pump.txt"), "{event:#}");
}

#[test]
fn a_watcher_who_sees_one_collection_is_told_of_what_is_near_in_that_one_alone() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let put = |source: &str, collection: &str, text: &str| {
        let path =
            format!("/api/v1/tenants/demo/documents?source={source}&collection={collection}");
        assert_eq!(server.with_key(&key, "POST", &path, text.as_bytes()).status, 202);
    };
    home.member("owner", "owner");
    let owner = server.sign_in("owner");
    let collections = "/api/v1/tenants/demo/collections";
    let made: Vec<Value> = ["open", "closed"]
        .iter()
        .map(|name| owner.post(collections, &json!({ "name": name })).json()["id"].clone())
        .collect();
    // All the places among the nearest are taken by what the reader may not see.
    for number in 0..6 {
        let text = format!("The diesel pump in the boiler house leaks oil, says report {number}.");
        put(&format!("closed-{number}.txt"), "closed", &text);
    }
    put("open.txt", "open", "The diesel pump of the harbour was replaced after an oil leak.");
    server.settle();
    home.user("ann", &[]);
    let only = json!({ "role": "reader", "collections": [made[0]] });
    assert_eq!(owner.put("/api/v1/tenants/demo/members/ann", &only).status, 200);
    let who = format!("Cookie: {}", server.sign_in("ann").cookie);
    let mut watcher = watch_as(&server, &who, "demo");
    let mut unseen = Open::new(&server, &key, "demo", "application/x-ndjson", "?collection=closed");
    unseen.record(&json!({ "text": "The diesel pump in the boiler house leaks oil once more." }));
    assert!(unseen.next_with("related")["related"].as_array().is_some());
    let mut seen = Open::new(&server, &key, "demo", "application/x-ndjson", "?collection=open");
    seen.record(&json!({ "text": "Alarm: the diesel pump leaks oil." }));
    let document = seen.acknowledged()["document"].clone();
    let event = watcher.event("related");
    assert_eq!(event["document"], document, "the first event is of what is in sight: {event:#}");
    let sources: Vec<&str> = event["related"]
        .as_array()
        .unwrap()
        .iter()
        .map(|find| find["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, ["open.txt"], "{event:#}");
}

/// A reader of server-sent events.
struct Watcher(BufReader<TcpStream>);

fn watch(server: &Server<'_>, key: &str, tenant: &str) -> Watcher {
    watch_as(server, &format!("Authorization: Bearer {key}"), tenant)
}

fn watch_as(server: &Server<'_>, who: &str, tenant: &str) -> Watcher {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET /api/v1/tenants/{tenant}/events HTTP/1.1\r\nHost: {}\r\n{who}\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    Watcher(BufReader::new(stream))
}

impl Watcher {
    /// What still comes, to the end of the answer.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 || line.trim() == "0" {
                return rest;
            }
            rest.push_str(&line);
        }
    }

    /// The next event of a name.
    fn event(&mut self, name: &str) -> Value {
        let mut here = false;
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the events ended");
            if let Some(event) = line.strip_prefix("event: ") {
                here = event.trim() == name;
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| here) {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

#[test]
fn what_stays_open_ends_with_the_key_it_was_opened_with() {
    let home = Home::new();
    let server = home.serve();
    let made = home.json(&["apikey", "create", "demo", "--name", "for a day"]);
    let key = made["key"].as_str().unwrap();
    let mut watcher = watch(&server, key, "demo");
    watcher.event("ledger");
    let mut open = Open::json(&server, key);
    open.record(&json!({ "text": "A quokka was counted near the lighthouse." }));
    open.acknowledged();
    home.run(&["apikey", "revoke", "demo", made["id"].as_str().unwrap()]);
    open.record(&json!({ "text": "A wombat was counted near the lighthouse." }));
    let end = open.next_with("end");
    assert_eq!((&end["end"]["reason"], &end["end"]["accepted"]), (&json!("closed"), &json!(1)));
    // Something changes, of which this watcher is told no more.
    home.add_text("numbat.txt", "A numbat was counted near the lighthouse.");
    let rest = watcher.rest();
    assert!(!rest.contains("numbat"), "{rest}");
    assert_eq!(server.settle()["received"], 2);
}

#[test]
fn a_tenant_has_a_most_of_watchers_and_a_place_comes_free_when_one_goes() {
    let home = Home::new();
    home.run(&["tenant", "create", "other"]);
    for tenant in ["demo", "other"] {
        home.run(&["tenant", "tier", tenant, "--limit", "requests_per_second=none"]);
    }
    let server = home.serve();
    let (key, others) = (server.key("demo"), server.key("other"));
    let mut watchers: Vec<Watcher> = (0..128)
        .map(|_| {
            let mut watcher = watch(&server, &key, "demo");
            watcher.event("ledger");
            watcher
        })
        .collect();
    let full = server.with_key(&key, "GET", "/api/v1/tenants/demo/events", b"");
    assert_eq!((full.status, full.json()["code"].as_str()), (429, Some("quota_streams")));
    watch(&server, &others, "other").event("ledger");
    watchers.pop();
    wait_for("a place", || {
        let mut status = String::new();
        let mut watcher = watch(&server, &key, "demo");
        watcher.0.read_line(&mut status).unwrap();
        status.starts_with("HTTP/1.1 200").then_some(())
    });
}

#[test]
fn who_does_not_read_the_answers_is_not_read_from() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.run(&["tenant", "tier", "demo", "--limit", "requests_per_second=none"]);
    let mut open = Open::json(&server, &key);
    open.stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    let before = resident(server.pid());
    // Broken lines are answered at once, so only unread answers can hold this up.
    let line = format!("{{{}\n", "x".repeat(4000));
    let chunk = format!("{:x}\r\n{line}\r\n", line.len());
    let mut sent = 0_usize;
    let held_up = loop {
        match open.stream.write(chunk.as_bytes()) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break true;
            }
            Err(error) => panic!("{error}"),
        }
        if sent > 256 << 20 {
            break false;
        }
    };
    assert!(held_up, "{sent} bytes were read though nobody reads the answers");
    let after = resident(server.pid());
    assert!(after < before + (64 << 10), "{before} KiB, then {after} KiB");
    // The server serves others meanwhile, and forgets a stream whose sender is gone.
    home.add_text("meanwhile.txt", "Others are served.");
    open.stream.shutdown(Shutdown::Both).unwrap();
    drop(open);
    home.add_text("after.txt", "And afterwards.");
}

/// Resident memory of a process in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn lines_that_came_before_the_sender_went_are_kept() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let mut open = Open::new(&server, &key, "demo", "text/plain", "");
    open.send("the last kookaburra\nhalf of");
    std::thread::sleep(Duration::from_millis(300));
    open.stream.shutdown(Shutdown::Both).unwrap();
    until_found(&server, &key, "kookaburra");
    let mut rest = Vec::new();
    let _ = open.answers.read_to_end(&mut rest);
}

#[test]
fn the_command_line_sends_its_input_and_prints_what_is_near() {
    let home = Home::new();
    home.add_text(
        "pump.txt",
        "The diesel pump in the boiler house was replaced after an oil leak.",
    );
    let server = home.serve();
    let mut child = home
        .command(&["stream", "demo", "--source", "logs/boiler"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "the diesel pump in the boiler house leaks oil").unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("pump.txt: "), "{line}");
    drop(input);
    line.clear();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "1 line taken in, 0 refused\n");
    assert!(child.wait().unwrap().success());
    drop(server);
    // The same without a server, and as JSON.
    let run = home.output_with_input(
        &["stream", "demo", "--ndjson", "--json"],
        "{\"text\":\"one\"}\n{broken\n",
    );
    assert_eq!(run.status.code(), Some(1), "a line was refused");
    let lines: Vec<Value> = String::from_utf8(run.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().any(|line| line["outcome"] == "accepted"), "{lines:?}");
    assert_eq!(lines.last().unwrap()["end"]["refused"], 1, "{lines:?}");
}
