//! How often an answer is given where there is none, and withheld where there is one.
//!
//! Called by: `bench`. Talks to: the running server.
//! Invariants: the questions are split by a digest of their id; the constants in the product were
//! chosen on one half, and only the other half is reported.

use std::io::Write;

use serde_json::{Value, json};

use crate::harness::{Server, fixture};
use crate::report::Report;

/// A question and whether the set holds an answer.
struct Question {
    id: String,
    text: String,
    answerable: bool,
    kind: &'static str,
}

/// Asks answerable and unanswerable questions of `set` and reports both error rates.
pub fn measure(
    report: &mut Report,
    server: &Server<'_>,
    key: &str,
    set: &str,
    answers_file: Option<&str>,
) {
    let mut questions = match set {
        "scifact" => scifact_claims(),
        _ => queries(set).into_iter().map(|(id, text)| own(id, text)).collect(),
    };
    let other = if set == "scifact" { "hotpot30" } else { "scifact" };
    let foreign = queries(other).into_iter().take(60);
    questions.extend(foreign.map(|(id, text)| Question {
        id: format!("{other}-{id}"),
        text,
        answerable: false,
        kind: "about another collection",
    }));
    let mut file = answers_file
        .map(|path| std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap());
    let (mut wrong, mut asked) = ([[0_u32; 2]; 2], [[0_u32; 2]; 2]);
    let mut by_kind: std::collections::BTreeMap<&str, [u32; 2]> = std::collections::BTreeMap::new();
    for question in &questions {
        let answer = ask(server, key, &question.text);
        let found = answer["found"].as_bool().unwrap();
        let held_out = usize::from(is_held_out(&question.id));
        let class = usize::from(question.answerable);
        asked[held_out][class] += 1;
        if found != question.answerable {
            wrong[held_out][class] += 1;
        }
        if held_out == 1 {
            let counts = by_kind.entry(question.kind).or_default();
            counts[0] += u32::from(found != question.answerable);
            counts[1] += 1;
        }
        if let Some(file) = &mut file {
            let evidence = &answer["evidence"];
            let value = |name: &str| evidence[name].as_f64().unwrap();
            writeln!(
                file,
                "{set},{},{},{},{held_out},{},{},{},{},{}",
                question.id,
                question.kind,
                class,
                value("sentence_similarity"),
                value("passage_similarity"),
                value("coverage"),
                value("keyword_deviations"),
                value("vector_deviations"),
            )
            .unwrap();
        }
    }
    let rate = |class: usize| {
        let (wrong, asked) = (wrong[1][class], asked[1][class].max(1));
        format!("{:.1} % of {asked}", 100.0 * f64::from(wrong) / f64::from(asked))
    };
    report.row(format!("{set}: answer withheld where there is one (held-out half)"), rate(1));
    report.row(format!("{set}: answer given where there is none (held-out half)"), rate(0));
    for (kind, [wrong, asked]) in by_kind {
        report.row(format!("{set}: wrong on questions {kind}"), format!("{wrong} of {asked}"));
    }
}

fn own(id: String, text: String) -> Question {
    Question { id, text, answerable: true, kind: "with an answer" }
}

fn is_held_out(id: &str) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(id.as_bytes())[0] & 1 == 1
}

fn ask(server: &Server<'_>, key: &str, question: &str) -> Value {
    let body = json!({ "question": question }).to_string();
    let response = server.with_key(key, "POST", "/api/v1/tenants/demo/ask", body.as_bytes());
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn queries(set: &str) -> Vec<(String, String)> {
    std::fs::read_to_string(fixture(&format!("{set}/queries.jsonl")))
        .unwrap()
        .lines()
        .map(|line| {
            let query: Value = serde_json::from_str(line).unwrap();
            (query["_id"].as_str().unwrap().to_owned(), query["text"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// Claims of the validation set: those with a gold evidence sentence can be answered, those whose
/// cited abstracts say nothing about them cannot.
fn scifact_claims() -> Vec<Question> {
    let mut reader = csv::Reader::from_path(fixture("scifact/claims_validation.csv")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    reader
        .records()
        .map(Result::unwrap)
        .filter(|record| seen.insert(record[0].to_owned()))
        .map(|record| {
            let answerable = !record[2].is_empty();
            Question {
                id: record[0].to_owned(),
                text: record[1].to_owned(),
                answerable,
                kind: if answerable {
                    "with an answer"
                } else {
                    "near the topic, without an answer"
                },
            }
        })
        .collect()
}
