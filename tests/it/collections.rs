//! A reader who sees some collections only: what the others hold changes nothing for them.
//!
//! Called by: cargo test. Talks to: HTTP of one server per test.
//! Invariants: the same question before and after has the same answer, to the score.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::people::Browser;
use crate::harness::{Home, find, sources, wait_for};

/// A corpus of one collection, as JSON Lines in a file.
fn add(home: &Home, collection: &str, documents: impl Iterator<Item = (String, String)>) {
    let mut lines = String::new();
    for (id, text) in documents {
        writeln!(lines, "{}", json!({ "_id": id, "text": text })).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("{collection}.jsonl"));
    std::fs::write(&path, lines).unwrap();
    let path = path.to_str().unwrap();
    home.run(&["add", "demo", "--documents-jsonl", path, "--collection", collection]);
}

const QUERIES: [&str; 3] =
    ["heron reeds", "who waits for frogs by the water", "\"heron stands\" dam"];

/// What a reader is shown for every query in every mode.
fn answers(reader: &Browser<'_>) -> Vec<Value> {
    let ask = |mode: &str, query: &str| {
        let query = query.replace(' ', "+").replace('"', "%22");
        let answer = reader.get(&format!("/api/v1/tenants/demo/search?mode={mode}&q={query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let modes = ["keyword", "vector", "hybrid"];
    modes.iter().flat_map(|mode| QUERIES.iter().map(|query| ask(mode, query))).collect()
}

/// The scores of documents and of their passages, in order.
fn scores(answer: &Value) -> Vec<f64> {
    let results = answer["results"].as_array().unwrap().iter();
    results
        .flat_map(|result| {
            let passages = result["passages"].as_array().unwrap().iter();
            let own = [&result["score"]].into_iter();
            own.chain(passages.map(|passage| &passage["score"]))
                .map(|score| score.as_f64().unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn what_a_limited_reader_finds_depends_on_nothing_out_of_sight() {
    let home = Home::new();
    home.member("owner", "owner");
    home.member("reader", "reader");
    home.user("limited", &[]);
    let shown = [
        ("heron", "A heron stands in the reeds and waits for frogs."),
        ("pair", "One heron, another heron."),
        ("reeds", "Reeds grow by the water, and more reeds where the frogs are."),
        ("ibex", "An ibex climbs the dam for its salt."),
    ];
    add(&home, "open", shown.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())));
    let server = home.serve();
    let owner = server.sign_in("owner");
    let collections = owner.get("/api/v1/tenants/demo/collections").json();
    let open = find(&collections["collections"], "name", "open")["id"].clone();
    let settings = json!({ "role": "reader", "collections": [open] });
    assert_eq!(owner.put("/api/v1/tenants/demo/members/limited", &settings).status, 200);
    let (limited, reader) = (server.sign_in("limited"), server.sign_in("reader"));
    let embedded = || {
        wait_for("the vectors", || {
            let answer = reader.get("/api/v1/tenants/demo/search?mode=vector&q=heron").json();
            (answer["notices"] == json!([])).then_some(())
        });
    };
    embedded();
    let (before, whole_before) = (answers(&limited), answers(&reader));
    assert!(before.iter().all(|answer| sources(answer).len() >= 2), "{before:#?}");

    // More than either leg of a search looks at, and all of it nearer than anything in sight.
    let hidden = (0..1500).map(|n| {
        let text = format!("Herons, frogs and reeds by the water of the dam, sighting {n}.");
        (format!("hidden-{n}"), text)
    });
    add(&home, "hidden", hidden);
    embedded();
    let (after, whole_after) = (answers(&limited), answers(&reader));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(sources(before), sources(after), "{}", before["query"]);
        assert_eq!(before["notices"], after["notices"]);
        for (one, other) in scores(before).iter().zip(scores(after)) {
            assert!((one - other).abs() < 1e-6, "{one} became {other}: {before:#}\n{after:#}");
        }
    }
    // Whoever sees everything finds the newcomers: this test can fail.
    for (before, after) in whole_before.iter().zip(&whole_after) {
        assert_ne!(sources(before), sources(after));
    }
}
