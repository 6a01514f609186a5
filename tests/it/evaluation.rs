//! `cairn eval` on a small data set: quality by mode, and a second run that adds nothing.
//!
//! Called by: cargo test. Talks to: the command line.
//! Invariants: the floors are below what was measured by less than a changed ranking would cost.

use serde_json::Value;

use crate::harness::{Home, assert_adds_up, fixture};

/// Hybrid may fall behind keyword by no more than rounding.
const SLACK: f64 = 0.005;
const KEYWORD_FLOOR: f64 = 0.78;
const HYBRID_FLOOR: f64 = 0.80;
const VECTOR_FLOOR: f64 = 0.74;

fn evaluate(home: &Home) -> Value {
    let file = |name: &str| fixture("hotpot30").join(name).to_str().unwrap().to_owned();
    let (corpus, queries, qrels) = (file("corpus.jsonl"), file("queries.jsonl"), file("qrels.tsv"));
    home.json(&["eval", "demo", "--corpus", &corpus, "--queries", &queries, "--qrels", &qrels])
}

#[test]
fn hybrid_search_is_no_worse_than_words_alone_and_a_second_run_adds_nothing() {
    let home = Home::new();
    let server = home.serve();
    let scores = evaluate(&home);
    let ndcg = |mode: &str| scores[mode]["ndcg_at_10"].as_f64().unwrap();
    let (hybrid, keyword, vector) = (ndcg("hybrid"), ndcg("keyword"), ndcg("vector"));
    let line = format!("nDCG@10: hybrid {hybrid:.4}, keyword {keyword:.4}, vector {vector:.4}");
    eprintln!("{line}");
    assert!(hybrid >= keyword - SLACK, "{line}");
    assert!(keyword >= KEYWORD_FLOOR, "{line}");
    assert!(hybrid >= HYBRID_FLOOR, "{line}");
    assert!(vector >= VECTOR_FLOOR, "{line}");
    for mode in ["hybrid", "keyword", "vector"] {
        for field in ["recall_at_100", "mrr"] {
            let value = scores[mode][field].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{mode} {field}: {value}");
        }
        assert!(scores[mode]["p95_ms"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(scores["ingest"]["unchanged"], false, "{scores:#}");

    let before = server.settle();
    assert_adds_up(&before);
    assert_eq!(before["indexed"], 301, "300 documents and the file that holds them");
    let again = evaluate(&home);
    assert_eq!(again["ingest"]["unchanged"], true, "{again:#}");
    let after = server.settle();
    // The file itself was dropped once more; nothing was taken out of it.
    assert_eq!(assert_adds_up(&after), before["received"].as_u64().unwrap() + 1);
    assert_eq!(after["indexed"], before["indexed"]);
    for mode in ["hybrid", "keyword", "vector"] {
        assert_eq!(again[mode]["ndcg_at_10"], scores[mode]["ndcg_at_10"], "{mode}");
    }
}
