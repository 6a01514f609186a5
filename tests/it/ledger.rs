//! The ledger and the life of a document: duplicates, revisions, removal, retry, rebuild.
//!
//! Called by: cargo test. Talks to: the command line and HTTP of one server per test.
//! Invariants: whatever a test does, the totals still add up afterwards.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Home, Server, assert_adds_up, find, fixture, sources, wait_for};

/// Writes `text` under `dir`, making folders on the way.
fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The document of a source, in full.
fn detail(server: &Server<'_>, key: &str, source: &str) -> Value {
    let id = server.home.item(source)["document_id"].clone();
    let path = format!("/api/v1/tenants/demo/documents/{}", id.as_str().unwrap());
    let response = server.with_key(key, "GET", &path, b"");
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

/// Items of a source, oldest first.
fn items_of(ledger: &Value, source: &str) -> Vec<Value> {
    let items = ledger["items"].as_array().unwrap();
    items.iter().filter(|item| item["source"] == source).cloned().collect()
}

/// Sources that a keyword search finds.
fn found(home: &Home, query: &str) -> Vec<String> {
    sources(&home.search(query, "keyword"))
}

fn mail(number: u32, body: &str) -> String {
    format!(
        "From ann@example.org Thu Jan  1 00:00:00 2026\nFrom: Ann <ann@example.org>\n\
         To: ben@example.org\nSubject: Note {number}\n\
         Date: Thu, {number:02} Jan 2026 10:00:00 +0000\n\n{body}\n\n"
    )
}

#[test]
fn the_same_bytes_under_another_path_are_a_duplicate_that_search_names() {
    let home = Home::new();
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a/report.txt", "The quokka census counted nine animals.");
    write(dir.path(), "b/copy.txt", "The quokka census counted nine animals.");
    home.add(&[&dir.path().join("a")]);
    let second = home.add(&[&dir.path().join("b")]);
    assert_eq!(second["duplicate"], 1, "{second:#}");
    assert_eq!(second["items"][0]["reason"], "same_content", "{second:#}");

    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 2);
    assert_eq!((&ledger["indexed"], &ledger["duplicate"]), (&1.into(), &1.into()));
    for mode in ["keyword", "vector", "hybrid"] {
        let response = home.search("quokka census", mode);
        assert_eq!(sources(&response), ["a/report.txt"], "{mode}");
        assert_eq!(response["results"][0]["also_at"], serde_json::json!(["b/copy.txt"]), "{mode}");
    }
    let key = server.key("demo");
    let copy = detail(&server, &key, "b/copy.txt");
    assert_eq!(copy["state"], "duplicate");
    assert_eq!(copy["also_at"], serde_json::json!(["a/report.txt"]), "{copy:#}");
}

#[test]
fn an_unchanged_file_is_not_indexed_again() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let text = "Lighthouse keepers logged the fog signal every hour.";
    home.add_text("log.txt", text);
    server.settle();
    let before = detail(&server, &key, "log.txt");
    let rows = home.json(&["tenant", "show", "demo"])["vectors"]["rows"].clone();

    let again = home.add_text("log.txt", text);
    assert_eq!(again["unchanged"], 1, "{again:#}");
    assert_eq!(again["accepted"], 0, "{again:#}");
    let ledger = home.ledger();
    assert_eq!(ledger["waiting"], 0, "nothing was queued");
    assert_eq!(assert_adds_up(&ledger), 2);
    let items = items_of(&ledger, "log.txt");
    assert_eq!((&items[0]["state"], &items[0]["revision"]), (&"indexed".into(), &1.into()));
    assert_eq!(
        (&items[1]["state"], &items[1]["reason"]),
        (&"duplicate".into(), &"unchanged".into())
    );
    assert_eq!(detail(&server, &key, "log.txt"), before);
    assert_eq!(home.json(&["tenant", "show", "demo"])["vectors"]["rows"], rows);
}

#[test]
fn a_changed_file_is_a_new_revision_that_hides_the_old_text_everywhere() {
    let home = Home::new();
    let server = home.serve();
    home.add_text("plan.txt", "The expedition crosses the glacier with huskies in May.");
    home.add_text("other.txt", "Tax forms are due in the spring.");
    assert_eq!(found(&home, "huskies"), ["plan.txt"]);
    home.add_text("plan.txt", "The expedition crosses the desert with camels in October.");

    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 3);
    assert_eq!((&ledger["superseded"], &ledger["indexed"]), (&1.into(), &2.into()));
    let items = items_of(&ledger, "plan.txt");
    assert_eq!((&items[0]["state"], &items[0]["revision"]), (&"superseded".into(), &1.into()));
    assert_eq!((&items[1]["state"], &items[1]["revision"]), (&"indexed".into(), &2.into()));
    assert_eq!(items[0]["document_id"], items[1]["document_id"]);

    assert_eq!(found(&home, "huskies"), Vec::<String>::new());
    assert_eq!(found(&home, "camels"), ["plan.txt"]);
    for mode in ["vector", "hybrid"] {
        let response = home.search("crossing the glacier with huskies", mode);
        let times = sources(&response).iter().filter(|source| *source == "plan.txt").count();
        assert!(times <= 1, "{mode}: {:?}", sources(&response));
        let text = response["results"].to_string();
        assert!(!text.contains("huskies"), "{mode}: {text}");
    }
    // The old revision leaves the vector table too.
    wait_for("the old vectors to go", || {
        (home.json(&["tenant", "show", "demo"])["vectors"]["rows"] == 2).then_some(())
    });
}

#[test]
fn a_removed_document_is_gone_at_once_and_what_was_in_it_too() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let dir = tempfile::tempdir().unwrap();
    let text = mail(1, "The boiler room flooded.") + &mail(2, "The plumber fixed the valve.");
    write(dir.path(), "archive.mbox", &text);
    home.add(&[&dir.path().join("archive.mbox")]);
    home.add_text("keep.txt", "The valve catalogue stays.");
    server.settle();
    assert_eq!(found(&home, "valve").len(), 2);

    let container = home.item("archive.mbox")["document_id"].clone();
    let path = format!("/api/v1/tenants/demo/documents/{}", container.as_str().unwrap());
    let removed = server.with_key(&key, "DELETE", &path, b"");
    assert_eq!((removed.status, removed.json()["deleted"].clone()), (200, 3.into()));
    // No waiting here: the very next search must not show it.
    for mode in ["keyword", "vector", "hybrid"] {
        let query = "/api/v1/tenants/demo/search?q=plumber%20valve%20boiler&mode=";
        let response = server.with_key(&key, "GET", &format!("{query}{mode}"), b"").json();
        let shown = sources(&response);
        assert!(shown.iter().all(|source| source == "keep.txt"), "{mode}: {shown:?}");
    }
    assert_eq!(server.with_key(&key, "GET", &path, b"").status, 404);
    assert_eq!(server.with_key(&key, "DELETE", &path, b"").status, 404);

    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 4);
    assert_eq!((&ledger["deleted"], &ledger["indexed"]), (&3.into(), &1.into()));
    // What was removed may come back.
    home.add(&[&dir.path().join("archive.mbox")]);
    assert_eq!(found(&home, "plumber").len(), 1);
    assert_adds_up(&server.settle());
}

#[test]
fn a_duplicate_takes_over_when_the_holder_of_its_bytes_is_removed() {
    let home = Home::new();
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    for name in ["a/x.txt", "b/y.txt", "c/z.txt"] {
        write(dir.path(), name, "Otters crack shells on flat stones.");
        home.add(&[&dir.path().join(&name[..1])]);
    }
    server.settle();
    assert_eq!(home.json(&["remove", "demo", "a/x.txt"])["deleted"], 1);
    assert!(!found(&home, "otters").contains(&"a/x.txt".to_owned()));
    let response = wait_for("the heir to be indexed", || {
        let ledger = home.ledger();
        let response = home.search("otters", "vector");
        (ledger["waiting"] == 0 && sources(&response) == ["b/y.txt"]).then_some(response)
    });
    assert_eq!(response["results"][0]["also_at"], serde_json::json!(["c/z.txt"]));
    let ledger = home.ledger();
    assert_eq!(assert_adds_up(&ledger), 3);
    assert_eq!(find(&ledger["items"], "source", "a/x.txt")["state"], "deleted");
    assert_eq!(find(&ledger["items"], "source", "b/y.txt")["state"], "indexed");
    assert_eq!(find(&ledger["items"], "source", "c/z.txt")["state"], "duplicate");

    // The last two go as well; then nothing names the bytes any more.
    home.json(&["remove", "demo", "b/y.txt"]);
    home.json(&["remove", "demo", "c/z.txt"]);
    server.settle();
    assert_eq!(found(&home, "otters"), Vec::<String>::new());
    wait_for("the blob to go", || {
        (home.json(&["tenant", "show", "demo"])["bytes"]["blobs"] == 0).then_some(())
    });
}

#[test]
fn what_failed_is_tried_again_on_request_and_only_that() {
    let home = Home::with_config("[ingest]\nmax_parse_bytes = 1000\n");
    {
        let server = home.serve();
        home.add(&[&fixture("pdf/pypdf/crazyones.pdf")]);
        home.add_text("fine.txt", "This one was read at once.");
        let ledger = server.settle();
        let failed = find(&ledger["items"], "source", "crazyones.pdf");
        assert_eq!((&failed["state"], &failed["reason"]), (&"failed".into(), &"too_large".into()));
        let refused = home.output(&["retry", "demo", "fine.txt"]);
        assert_eq!(refused.status.code(), Some(1), "an indexed document is not tried again");
        assert_eq!(home.json(&["retry", "demo", "crazyones.pdf"])["retried"], 1);
        let again = server.settle();
        assert_eq!(assert_adds_up(&again), 2);
        assert_eq!(again["failed"], 1, "nothing has changed, so it fails again");
    }
    std::fs::write(home.path().join("cairn.toml"), "").unwrap();
    let server = home.serve();
    assert_eq!(home.json(&["retry", "demo"])["retried"], 1);
    let ledger = server.settle();
    assert_eq!(assert_adds_up(&ledger), 2);
    assert_eq!(ledger["indexed"], 2, "{ledger:#}");
    assert_eq!(found(&home, "troublemakers"), ["crazyones.pdf"]);
    assert_eq!(home.json(&["retry", "demo"])["retried"], 0);
}

/// What a reader sees of a response, in an order that ties do not change.
fn seen(response: &Value) -> Vec<(i64, String, Value)> {
    let mut seen: Vec<(i64, String, Value)> = response["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let score = (result["score"].as_f64().unwrap() * 1e4).round() as i64;
            let passages: Vec<Value> = result["passages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|passage| serde_json::json!([passage["start"], passage["end"]]))
                .collect();
            let source = result["source"].as_str().unwrap().to_owned();
            (-score, source, Value::Array(passages))
        })
        .collect();
    seen.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    seen
}

#[test]
fn a_rebuild_gives_the_results_of_before() {
    let home = Home::new();
    let server = home.serve();
    home.add(&[&fixture("documents/docling"), &fixture("pdf/pypdf/crazyones.pdf")]);
    home.add_text("revised.txt", "An older text about ducks and ponds.");
    home.add_text("revised.txt", "A newer text about ducks, ponds and reeds.");
    let before = server.settle();
    assert_adds_up(&before);
    let queries = ["ducks in ponds", "\"crazy ones\"", "index of the customers", "Lorem ipsum"];
    let ask_all = || -> Vec<Vec<(i64, String, Value)>> {
        let modes = ["keyword", "vector", "hybrid"];
        let pairs = queries.iter().flat_map(|query| modes.iter().map(move |mode| (query, mode)));
        pairs.map(|(query, mode)| seen(&home.search(query, mode))).collect()
    };
    let expected = ask_all();
    assert!(expected.iter().filter(|results| !results.is_empty()).count() >= 8);
    for projection in ["fulltext", "vectors", "all"] {
        let queued = home.json(&["rebuild", "demo", "--projection", projection]);
        assert!(queued["queued"].as_u64().unwrap() > 5, "{queued:#}");
        let after = server.settle();
        for total in ["received", "indexed", "failed", "unsupported", "superseded", "duplicate"] {
            assert_eq!(after[total], before[total], "{projection}: {total}");
        }
        assert_adds_up(&after);
        for (found, expected) in ask_all().iter().zip(&expected) {
            assert_eq!(found, expected, "after rebuilding {projection}");
        }
    }
}

#[test]
fn a_container_added_again_with_one_message_less_loses_that_message_only() {
    let home = Home::new();
    let server = home.serve();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.mbox");
    let bodies = [
        mail(1, "The walrus sleeps on the ice."),
        mail(2, "The heron waits in the reeds."),
        mail(3, "The badger digs under the oak."),
    ];
    std::fs::write(&path, bodies.concat()).unwrap();
    home.add(&[&path]);
    assert_eq!(found(&home, "walrus").len(), 1);

    // The last one goes: the others keep their places.
    std::fs::write(&path, bodies[..2].concat()).unwrap();
    home.add(&[&path]);
    let ledger = server.settle();
    assert_adds_up(&ledger);
    assert_eq!(found(&home, "badger"), Vec::<String>::new());
    assert_eq!((found(&home, "walrus").len(), found(&home, "heron").len()), (1, 1));

    // The first one goes: all others move up by one place.
    std::fs::write(&path, bodies[1..].concat()).unwrap();
    home.add(&[&path]);
    let ledger = server.settle();
    assert_adds_up(&ledger);
    assert_eq!(found(&home, "walrus"), Vec::<String>::new());
    assert_eq!((found(&home, "heron").len(), found(&home, "badger").len()), (1, 1));
    for mode in ["vector", "hybrid"] {
        let text = home.search("a walrus asleep on ice", mode)["results"].to_string();
        assert!(!text.contains("walrus"), "{mode}: {text}");
    }
    let key = server.key("demo");
    let container = detail(&server, &key, "archive.mbox");
    assert_eq!((&container["revision"], &container["children"]), (&3.into(), &2.into()));
}
