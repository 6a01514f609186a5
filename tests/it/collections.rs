//! A reader who sees some collections only: what the others hold changes nothing for them.
//!
//! Called by: cargo test. Talks to: HTTP of one server per test.
//! Invariants: the same question before and after has the same answer, to the score.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::people::Browser;
use crate::harness::{Home, find, fixture, sources, wait_for};

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

/// Limits the reader `limited` to one collection.
fn limit_to(owner: &Browser<'_>, collection: &str) {
    let collections = owner.get("/api/v1/tenants/demo/collections").json();
    let id = find(&collections["collections"], "name", collection)["id"].clone();
    let settings = json!({ "role": "reader", "collections": [id] });
    assert_eq!(owner.put("/api/v1/tenants/demo/members/limited", &settings).status, 200);
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
    limit_to(&server.sign_in("owner"), "open");
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

#[test]
fn text_read_by_ocr_says_so_to_a_limited_reader_too_and_only_in_sight() {
    let home = Home::new();
    home.member("owner", "owner");
    home.user("limited", &[]);
    let server = home.serve();
    // Both hold the same page as a picture.
    let added = [("open", "mixed.pdf"), ("hidden", "letter.gif")];
    for (collection, name) in added {
        let path = fixture("ocr").join(name);
        let path = path.to_str().unwrap();
        home.run(&["add", "demo", "--no-wait", "--collection", collection, path]);
    }
    wait_for("the pictures to be read", || {
        let read = |name: &str| home.item(name)["reason"] == "ocr";
        added.iter().all(|(_, name)| read(name)).then_some(())
    });
    server.settle();
    let owner = server.sign_in("owner");
    limit_to(&owner, "open");
    let limited = server.sign_in("limited");
    let search = |reader: &Browser<'_>, query: &str| {
        let path = format!("/api/v1/tenants/demo/search?mode=keyword&q={query}");
        let answer = reader.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let mark = |answer: &Value, source: &str| {
        let result = find(&answer["results"], "source", source);
        let passage = &result["passages"][0];
        (passage["page"].clone(), passage["ocr"].clone(), passage["ocr_confidence"].clone())
    };
    let (whole, seen) = (search(&owner, "troublemakers"), search(&limited, "troublemakers"));
    assert_eq!((sources(&whole).len(), sources(&seen)), (2, vec!["mixed.pdf".to_owned()]));
    let shown = mark(&seen, "mixed.pdf");
    assert_eq!(shown, mark(&whole, "mixed.pdf"));
    assert_eq!((&shown.0, &shown.1), (&json!(2), &json!(true)), "{seen:#}");
    assert!(shown.2.as_u64().is_some_and(|sure| sure > 80), "{seen:#}");
    let typed = search(&limited, "otters");
    assert_eq!(mark(&typed, "mixed.pdf"), (json!(1), json!(false), Value::Null), "{typed:#}");

    let question = json!({ "question": "Who do we see genius in, the crazy ones?" });
    let answer = limited.post("/api/v1/tenants/demo/ask", &question);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let citations = answer["citations"].as_array().unwrap();
    assert!(
        citations.iter().any(|citation| citation["ocr"] == true
            && citation["ocr_confidence"].as_u64().is_some_and(|sure| sure > 80)),
        "{answer:#}"
    );
    assert!(citations.iter().all(|citation| citation["source"] == "mixed.pdf"), "{answer:#}");
    let ledger = limited.get("/api/v1/tenants/demo/ledger").json();
    let items = ledger["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["reason"]), (1, &json!("ocr")), "{ledger:#}");
}

/// Two hundred words, of which those from `start` to `end` are others.
fn variant(start: u32, end: u32) -> String {
    let word = |at: u32| match (start..end).contains(&at) {
        true => format!("other{at} "),
        false => format!("heron{} ", at.wrapping_mul(2_654_435_761) % 1000),
    };
    (0..200).map(word).collect()
}

#[test]
fn documents_that_only_one_out_of_sight_makes_alike_stay_apart_for_a_limited_reader() {
    let home = Home::new();
    home.member("owner", "owner");
    home.user("limited", &[]);
    let of = |id: &str, start, end| (id.to_owned(), variant(start, end));
    let apart = [of("first", 0, 12), of("last", 188, 200)];
    add(&home, "open", apart.clone().into_iter());
    let server = home.serve();
    let owner = server.sign_in("owner");
    limit_to(&owner, "open");
    let limited = server.sign_in("limited");
    let shown = |reader: &Browser<'_>| {
        let answer =
            reader.get("/api/v1/tenants/demo/search?mode=keyword&q=heron44+heron509").json();
        let results = answer["results"].as_array().unwrap();
        let mut shown: Vec<(String, usize)> = results
            .iter()
            .map(|result| {
                let source = result["source"].as_str().unwrap().to_owned();
                (source, result["also_similar"].as_array().map_or(0, Vec::len))
            })
            .collect();
        shown.sort();
        shown
    };
    let alone = [("first".to_owned(), 0), ("last".to_owned(), 0)];
    assert_eq!(shown(&limited), alone);
    add(&home, "hidden", [of("between", 0, 0)].into_iter());
    server.settle();
    let whole = shown(&owner);
    assert!(whole.len() == 1 && whole[0].1 == 2, "they are one group: {whole:?}");
    assert_eq!(shown(&limited), alone);
    // What is alike by itself is shown as such.
    add(&home, "open", apart.into_iter().chain([of("copy", 0, 11)]));
    server.settle();
    let seen = shown(&limited);
    assert_eq!(seen.iter().map(|(_, similar)| similar).sum::<usize>(), 1, "{seen:?}");
    assert_eq!(seen.len(), 2);
}
