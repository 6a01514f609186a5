//! The embedding model: checked, missing, damaged, and the same every time.
//!
//! Called by: cargo test. Talks to: the command line and HTTP.
//! Invariants: without a model, what needs one fails with one code and the rest goes on.

use std::process::Output;

use serde_json::Value;

use crate::harness::{Home, assert_adds_up, find, root, sources, wait_for};

const WITHOUT_MODEL: &str = "[inference]\nmodel_dir = \"/nonexistent\"\n";

/// The error that a command with `--json` printed.
fn error_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_doctor_shows_runtime_processor_model_and_golden_vectors() {
    let home = Home::new();
    let report = home.json(&["doctor"]);
    for name in ["version", "onnx_runtime", "cpu_features", "model", "golden_vectors", "extraction"]
    {
        let check = find(&report["checks"], "name", name);
        assert_eq!(check["ok"], true, "{check:#}");
        assert!(check["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{check:#}");
    }
    let detail = |name: &str| find(&report["checks"], "name", name)["detail"].to_string();
    assert!(detail("model").contains("MiniLM") && detail("model").contains("384"));
    assert!(detail("golden_vectors").contains("cosine"), "{}", detail("golden_vectors"));
    let printed = home.run(&["doctor"]);
    assert!(printed.contains("golden_vectors") && !printed.contains("FAILED"), "{printed}");
    let status = home.json(&["status"]);
    assert_eq!(status["model"]["state"], "ready", "{status:#}");
    assert_eq!(status["model"]["dimension"], 384);
}

#[test]
fn without_a_model_words_still_find_and_meaning_fails_plainly() {
    let home = Home::with_config(WITHOUT_MODEL);
    let added = home.add_text("note.txt", "The ibex climbs the dam for its salt.");
    assert_eq!(added["accepted"], 1, "{added:#}");
    let item = home.item("note.txt");
    let expected = (&"indexed".into(), &"no_vectors".into());
    assert_eq!((&item["state"], &item["reason"]), expected, "{item:#}");
    {
        let server = home.serve();
        let key = server.key("demo");
        let status = home.json(&["status"]);
        assert_eq!(status["model"]["state"], "missing", "{status:#}");
        assert!(!status["notices"].as_array().unwrap().is_empty(), "{status:#}");
        let found = home.search("ibex", "keyword");
        assert_eq!(sources(&found), ["note.txt"]);
        assert_eq!(found["results"][0]["has_vectors"], false);

        for arguments in [
            ["search", "demo", "ibex", "--mode", "vector", "--json"].as_slice(),
            &["search", "demo", "ibex", "--mode", "hybrid", "--json"],
            &["search", "demo", "ibex", "--json"],
            &["ask", "demo", "Where does the ibex climb?", "--json"],
        ] {
            let output = home.output(arguments);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            assert_eq!(error_of(&output)["code"], "vectors_unavailable", "{arguments:?}");
        }
        let question = br#"{"question":"Where does the ibex climb?"}"#;
        for (method, path, body) in [
            ("GET", "search?q=ibex&mode=vector", &b""[..]),
            ("GET", "search?q=ibex&mode=hybrid", b""),
            ("GET", "search?q=ibex", b""),
            ("POST", "ask", question),
        ] {
            let path = format!("/api/v1/tenants/demo/{path}");
            let response = server.with_key(&key, method, &path, body);
            assert_eq!(response.status, 503, "{path}: {}", response.text());
            assert_eq!(response.json()["code"], "vectors_unavailable", "{path}");
        }
        let metrics = server.anonymous("GET", "/metrics", b"").text();
        assert!(metrics.contains("cairn_model_ready 0"), "{metrics}");
        let doctor = home.output(&["doctor", "--json"]);
        assert_eq!(doctor.status.code(), Some(1));
    }

    // With the model back the vectors are made up for, unasked.
    std::fs::write(home.path().join("cairn.toml"), "").unwrap();
    let server = home.serve();
    wait_for("the vectors", || home.item("note.txt")["reason"].is_null().then_some(()));
    assert_adds_up(&server.settle());
    for mode in ["vector", "hybrid"] {
        let found = home.search("a goat on a wall licks minerals", mode);
        assert_eq!(sources(&found), ["note.txt"], "{mode}");
        assert_eq!(found["results"][0]["has_vectors"], true, "{mode}");
    }
}

#[test]
fn a_model_with_one_changed_byte_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = root().join("models/all-MiniLM-L6-v2");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let config = format!("[inference]\nmodel_dir = \"{}\"\n", dir.path().display());
    let home = Home::with_config(&config);
    let state = home.json(&["status"])["model"]["state"].clone();
    assert_eq!(state, "ready", "an unchanged copy works");
    for file in ["tokenizer.json", "model.onnx"] {
        let path = dir.path().join(file);
        let good = std::fs::read(&path).unwrap();
        let mut bytes = good.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let model = home.json(&["status"])["model"].clone();
        assert_eq!(model["state"], "failed", "{model:#}");
        assert!(model["detail"].as_str().unwrap().contains(file), "{model:#}");
        let output = home.output(&["search", "demo", "x", "--mode", "vector", "--json"]);
        assert_eq!(error_of(&output)["code"], "vectors_unavailable");
        std::fs::write(&path, good).unwrap();
    }
    std::fs::remove_file(dir.path().join("model.onnx")).unwrap();
    let model = home.json(&["status"])["model"].clone();
    assert_eq!(model["state"], "missing", "{model:#}");
}

#[test]
fn vectors_and_scores_are_the_same_in_every_process() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("notes");
    std::fs::create_dir(&folder).unwrap();
    for (number, text) in [
        "The ferry crosses the strait twice a day.",
        "Bread dough rests under a damp cloth.",
        "The committee postponed its vote on the bridge.",
    ]
    .iter()
    .enumerate()
    {
        std::fs::write(folder.join(format!("{number}.txt")), text).unwrap();
    }
    home.add(&[&folder]);
    let scores = || -> Vec<(String, Value)> {
        let found = home.search("boats over the water", "vector");
        let results = found["results"].as_array().unwrap().iter();
        results
            .map(|result| {
                let source = result["source"].as_str().unwrap().to_owned();
                (source, result["score_parts"]["vector"].clone())
            })
            .collect()
    };
    let first = scores();
    assert_eq!(first[0].0, "notes/0.txt", "{first:?}");
    assert!(first.iter().all(|(_, score)| score.is_number()), "{first:?}");
    assert_eq!(scores(), first, "in a second process");
    // Vectors made anew from the text, in another home, are the same too.
    let other = Home::new();
    other.add(&[&folder]);
    let found = other.search("boats over the water", "vector");
    assert_eq!(found["results"][0]["score_parts"]["vector"], first[0].1);
}
