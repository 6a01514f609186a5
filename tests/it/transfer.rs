//! A tenant carried from one appliance to another: nothing missing, nothing changed, and nothing
//! left of what was refused.
//!
//! Called by: cargo test. Talks to: the command line and HTTP of two homes.
//! Invariants: the two homes share nothing but the archive.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::people::{Browser, PASSWORD};
use crate::harness::{Home, Server, assert_adds_up, sources, wait_for};

const PASSPHRASE: &str = "seven words that nobody else would guess";
/// A word in a document and nowhere else.
const MARKER: &str = "zyzzyva";

/// Files that both sides of a transfer see: the archive, and the passphrase.
struct Stick {
    dir: tempfile::TempDir,
}

impl Stick {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The arguments that name the passphrase.
    fn passphrase(&self) -> [String; 2] {
        ["--passphrase-file".to_owned(), text(&self.path("passphrase"))]
    }

    /// Exports `demo`; the report of the command.
    fn export(&self, home: &Home, name: &str) -> Value {
        let (to, [option, file]) = (text(&self.path(name)), self.passphrase());
        home.json(&["tenant", "export", "demo", "--to", &to, &option, &file])
    }

    /// Imports an archive, whatever comes of it.
    fn import(&self, home: &Home, archive: &Path, more: &[&str]) -> std::process::Output {
        let (archive, [option, file]) = (text(archive), self.passphrase());
        let mut args = vec!["tenant", "import", &archive, &option, &file, "--json"];
        args.extend(more);
        home.output(&args)
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn succeeded(output: &std::process::Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A home without any tenant.
fn empty_home() -> Home {
    let home = Home::new();
    home.run(&["tenant", "delete", "demo", "--yes"]);
    home
}

/// Puts documents of several kinds and fates into `demo`.
fn fill(home: &Home) {
    home.add_text("lease.txt", "The lease of the lighthouse ends on 31 March 2027.");
    home.add_text("copy.txt", "The lease of the lighthouse ends on 31 March 2027.");
    home.add_text("note.md", &format!("# Birds\n\nThe {MARKER} is a weevil, the heron is a bird."));
    home.add_text("gone.txt", "This one is removed before the export.");
    home.add_text("revised.txt", "The first draft of the treaty.");
    home.add_text("revised.txt", "The second draft of the treaty of the heron.");
    home.add_text("empty.bin", "\u{1}\u{2}\u{3}\u{0}\u{0}not a document");
    home.run(&["remove", "demo", "gone.txt"]);
    home.run(&["tenant", "rename", "demo", "demo"]);
}

/// Everything of a ledger that is not a moment in time.
fn ledger(home: &Home) -> Value {
    let mut ledger = home.ledger();
    assert_adds_up(&ledger);
    let items = ledger["items"].take();
    let mut items = items.as_array().unwrap().clone();
    items.sort_by_key(|item| item["id"].as_str().unwrap().to_owned());
    let totals =
        ["received", "indexed", "duplicate", "unsupported", "failed", "superseded", "deleted"];
    let totals = totals.map(|name| (name.to_owned(), ledger[name].clone()));
    json!({ "totals": totals.into_iter().collect::<serde_json::Map<_, _>>(), "items": items })
}

/// Results of searches in every mode by source, with their scores and so their order left out:
/// full text counts what was removed until it is merged away, which moves nearly equal ones.
fn answers(home: &Home) -> Vec<Value> {
    let mut answers = Vec::new();
    for query in ["lease lighthouse", MARKER, "heron", "treaty draft", "removed"] {
        for mode in ["keyword", "vector", "hybrid"] {
            let found = home.search(query, mode);
            let results = found["results"].as_array().unwrap().iter().map(|result| {
                let passages = result["passages"].as_array().unwrap().iter();
                let passages: Vec<Value> = passages
                    .map(|passage| json!([passage["text"], passage["start"], passage["end"]]))
                    .collect();
                json!([result["document_id"], result["source"], result["title"], passages])
            });
            let mut results: Vec<Value> = results.collect();
            results.sort_by_key(|result| result[1].as_str().unwrap().to_owned());
            answers.push(json!([query, mode, results]));
        }
    }
    answers
}

/// What lies in a home of tenants and their keys.
fn left(home: &Home) -> Vec<String> {
    let mut left: Vec<String> = ["tenants", "keys"]
        .iter()
        .flat_map(|dir| std::fs::read_dir(home.path().join(dir)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    left
}

/// True where a file below `dir` holds a word in the clear.
fn shows(dir: &Path, word: &str) -> bool {
    std::process::Command::new("grep").args(["-raqi", word]).arg(dir).status().unwrap().success()
}

fn verify(home: &Home) -> Value {
    home.json(&["audit", "verify", "demo"])
}

#[test]
fn a_tenant_is_the_same_on_the_other_appliance() {
    let (stick, old, new) = (Stick::new(), Home::new(), empty_home());
    fill(&old);
    let (before, found) = (ledger(&old), answers(&old));
    let report = stick.export(&old, "demo.cairn");
    let archive = stick.path("demo.cairn");
    assert_eq!(report["bytes"], std::fs::metadata(&archive).unwrap().len());
    assert!(!shows(stick.dir.path(), MARKER), "an archive is sealed");
    let signer = report["signer"].as_str().unwrap();

    let imported = succeeded(&stick.import(&new, &archive, &["--signer", signer]));
    assert_eq!((&imported["name"], &imported["signer"]), (&json!("demo"), &report["signer"]));
    let server = new.serve();
    wait_for("the indexes", || (new.ledger()["waiting"] == 0).then_some(()));
    assert_eq!(ledger(&new), before);
    assert_eq!(answers(&new), found);
    assert!(!shows(&new.path().join("tenants"), MARKER));

    // Originals came byte for byte, and the new one is a tenant like any other.
    let original = old.search(MARKER, "keyword")["results"][0]["document_id"].clone();
    let path = format!("/api/v1/tenants/demo/documents/{}/content", original.as_str().unwrap());
    let key = server.key("demo");
    let content = server.with_key(&key, "GET", &path, b"");
    assert!(content.text().contains(MARKER), "{}", content.text());
    new.add_text("later.txt", "Written after the move, about a kingfisher.");
    assert_eq!(sources(&new.search("kingfisher", "keyword")), ["later.txt"]);
}

#[test]
fn the_audit_trail_goes_on_as_one_chain() {
    let (stick, old, new) = (Stick::new(), Home::new(), empty_home());
    fill(&old);
    stick.export(&old, "demo.cairn");
    let came = old.run(&["audit", "export", "demo"]);
    // What the old appliance wrote after the export is not in the archive.
    let snapshot: Vec<&str> =
        came.lines().take_while(|line| !line.contains("\"tenant.export\"")).collect();
    assert!(snapshot.len() > 5);

    succeeded(&stick.import(&new, &stick.path("demo.cairn"), &[]));
    let verdict = verify(&new);
    assert_eq!(verdict["ok"], true, "{verdict:#}");
    let went = new.run(&["audit", "export", "demo"]);
    let went: Vec<&str> = went.lines().collect();
    assert_eq!(went[..snapshot.len()], snapshot);
    let import: Value = serde_json::from_str(went[snapshot.len()]).unwrap();
    assert_eq!(import["action"], "tenant.import");
    assert_eq!(import["sequence"], snapshot.len() as u64 + 1);
    let first: Value = serde_json::from_str(went[0]).unwrap();
    assert_eq!(import["scope"], first["scope"], "one chain under one name");
    // Both appliances say what left and what came.
    for (home, action) in [(&old, "tenant.export"), (&new, "tenant.import")] {
        let entries = home.json(&["audit", "list", "--action", action]);
        assert_eq!(entries["entries"][0]["result"], "ok", "{entries:#}");
    }
    // And it goes on from there: also the next move finds it sound.
    stick.export(&new, "again.cairn");
    let third = empty_home();
    succeeded(&stick.import(&third, &stick.path("again.cairn"), &[]));
    assert_eq!(verify(&third)["ok"], true);
    let last = third.run(&["audit", "export", "demo"]);
    assert_eq!(last.lines().filter(|line| line.contains("\"tenant.import\"")).count(), 2);
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let (stick, old, new) = (Stick::new(), Home::new(), empty_home());
    fill(&old);
    stick.export(&old, "demo.cairn");
    let archive = stick.path("demo.cairn");
    let bytes = std::fs::read(&archive).unwrap();
    let before = left(&new);
    let refused = |what: &str, output: std::process::Output, says: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(said.contains(says), "{what}: {said}");
        assert_eq!(left(&new), before, "{what} leaves something behind");
    };
    let fingerprint = "0".repeat(64);
    refused(
        "another signer",
        stick.import(&new, &archive, &["--signer", &fingerprint]),
        "signed by",
    );
    refused("no fingerprint", stick.import(&new, &archive, &["--signer", "abc"]), "64 hexadecimal");
    for part in [1, 2, 3] {
        let at = bytes.len() * part / 4;
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = stick.write("changed.cairn", &changed);
        refused("a flipped bit", stick.import(&new, &changed, &[]), "damaged");
        let cut = stick.write("cut.cairn", &bytes[..at]);
        refused("a cut", stick.import(&new, &cut, &[]), "cut short");
    }
    let cut = stick.write("cut.cairn", &bytes[..bytes.len() - 1]);
    refused("a cut of one byte", stick.import(&new, &cut, &[]), "cut short");
    let other = stick.write("other.pdf", &b"%PDF-1.7 and whatever else may follow\n".repeat(40));
    refused("no archive", stick.import(&new, &other, &[]), "no archive");
    stick.write("passphrase", b"another passphrase that is long enough\n");
    refused("a wrong passphrase", stick.import(&new, &archive, &[]), "passphrase does not open");
    stick.write("passphrase", format!("{PASSPHRASE}\n").as_bytes());
    let tried = new.json(&["audit", "list", "--action", "tenant.import", "--limit", "50"]);
    let tried = tried["entries"].as_array().unwrap();
    assert!(tried.len() >= 8 && tried.iter().all(|entry| entry["result"] == "refused"));

    // The same over a server, which goes on.
    let server = new.serve();
    let cut = stick.write("cut.cairn", &bytes[..bytes.len() / 2]);
    refused("a cut, at a server", stick.import(&new, &cut, &[]), "cut short");
    succeeded(&stick.import(&new, &archive, &[]));
    server.settle();
    let taken = stick.import(&new, &archive, &[]);
    assert_eq!(taken.status.code(), Some(1), "the name is taken");
    succeeded(&stick.import(&new, &archive, &["--name", "second", "--tier", "casual"]));
    assert_eq!(new.json(&["tenant", "show", "second"])["tier"], "casual");
}

#[test]
fn an_export_needs_a_good_passphrase_a_new_file_and_the_right_to_it() {
    let (stick, home) = (Stick::new(), Home::new());
    home.add_text("a.txt", "Some text to keep.");
    home.member("owner", "owner");
    home.member("reader", "reader");
    home.user("admin", &["--role", "admin"]);
    stick.write("passphrase", b"short\n");
    let (to, [option, file]) = (text(&stick.path("demo.cairn")), stick.passphrase());
    let export = || home.output(&["tenant", "export", "demo", "--to", &to, &option, &file]);
    let refused = export();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("too short"));
    assert_eq!(std::fs::read_dir(stick.dir.path()).unwrap().count(), 1, "nothing was written");
    stick.write("demo.cairn", b"mine");
    stick.write("passphrase", PASSPHRASE.as_bytes());
    assert_eq!(export().status.code(), Some(1));
    assert_eq!(std::fs::read(stick.path("demo.cairn")).unwrap(), b"mine");

    let server = home.serve();
    let ask = |browser: &Browser<'_>| {
        let body = json!({ "passphrase": PASSPHRASE });
        browser.post("/api/v1/tenants/demo/export", &body)
    };
    for (name, status) in [("reader", 404), ("admin", 404), ("owner", 200)] {
        let answer = ask(&server.sign_in(name));
        assert_eq!(answer.status, status, "{name} with {PASSWORD}");
        if status == 200 {
            let name = answer.header("content-disposition").unwrap();
            assert!(name.contains("demo.cairn"), "{name}");
            assert_eq!(answer.header("x-cairn-signer").unwrap().len(), 64);
            assert!(answer.body.starts_with(b"age-encryption.org/v1"));
            // What a browser saves is the same archive.
            let archive = stick.write("browser.cairn", &answer.body);
            let other = empty_home();
            succeeded(&stick.import(&other, &archive, &[]));
        }
    }
    assert!(leaving(&home).is_empty(), "{:?}", leaving(&home));
}

/// Copies of a catalogue that lie in a home.
fn leaving(home: &Home) -> Vec<PathBuf> {
    let tenants = std::fs::read_dir(home.path().join("tenants")).unwrap().flatten();
    tenants
        .flat_map(|tenant| std::fs::read_dir(tenant.path()).unwrap().flatten())
        .map(|entry| entry.path())
        .filter(|path| text(path).contains("leaving-"))
        .collect()
}

#[test]
fn a_reader_that_goes_away_ends_the_export_and_the_next_one_works() {
    let (stick, home) = (Stick::new(), Home::new());
    // More than what the connection takes without being read.
    let long: String =
        (0..2_000_000_u32).map(|n| format!("{:08x} ", n.wrapping_mul(2_654_435_761))).collect();
    home.run(&["tenant", "create", "big"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.bin");
    std::fs::write(&path, long.as_bytes()).unwrap();
    let server = home.serve();
    home.run(&["add", "demo", "--no-wait", path.to_str().unwrap()]);
    let key = home.json(&["apikey", "create", "demo", "--name", "export", "--role", "owner"]);
    let key = key["key"].as_str().unwrap();
    begin_and_leave(&server, key);
    wait_for("the export to end", || leaving(&home).is_empty().then_some(()));
    stick.export(&home, "demo.cairn");
    let failed = home.json(&["audit", "list", "demo", "--action", "tenant.export"]);
    let results: Vec<&str> = failed["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["ok", "failed", "ok"], "newest first");
}

/// Asks for an archive, reads its beginning and closes the connection.
fn begin_and_leave(server: &Server<'_>, key: &str) {
    use std::io::{Read, Write};
    let body = json!({ "passphrase": PASSPHRASE }).to_string();
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    let request = format!(
        "POST /api/v1/tenants/demo/export HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
}
