//! What encryption costs: the product beside the same product with a cipher that passes through.
//!
//! Called by: `bench`. Talks to: two running servers, one of each build.
//! Invariants: both get the same documents and queries in the same order, one at a time and in
//! turns, each first as often as the other; a machine that slows down slows down both.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Home, Server, fixture};
use crate::report::Report;

/// Documents of the set that are used, and into how many parts they are cut.
const DOCUMENTS: usize = 2000;
const PARTS: usize = 8;
/// Times every query is asked.
const ROUNDS: usize = 2;

/// The build under test first, as everywhere here.
type Pair<T> = [T; 2];

/// Measures both builds; says so where the other one is not there.
pub fn measure(report: &mut Report) {
    let product = Path::new(env!("CARGO_BIN_EXE_cairn"));
    let pass_through = product.with_file_name("cairn-pass-through");
    if !pass_through.exists() {
        report.row("cost of encryption", "not measured: no build without it; run make bench");
        return;
    }
    let homes = [product, pass_through.as_path()].map(|program| {
        let home = Home::made_by(program, "[server]\ntls = \"off\"\n");
        // Limits would cap what is measured.
        home.run(&["tenant", "tier", "demo", "enterprise"]);
        home
    });
    let encrypts = |home: &Home| home.json(&["version"])["encrypts"].as_bool().unwrap();
    assert_eq!(
        homes.each_ref().map(encrypts),
        [true, false],
        "the builds are not what they are for"
    );
    let servers = homes.each_ref().map(Home::serve);
    ingest(report, &homes);
    let keys = servers.each_ref().map(|server| server.key("demo"));
    for mode in ["keyword", "vector", "hybrid"] {
        query(report, &servers, &keys, mode);
    }
}

fn ingest(report: &mut Report, homes: &Pair<Home>) {
    let dir = tempfile::tempdir().unwrap();
    let mut seconds = [0.0; 2];
    for (turn, part) in parts(dir.path()).iter().enumerate() {
        for which in order(turn) {
            let started = Instant::now();
            homes[which].run(&["add", "demo", "--documents-jsonl", part.to_str().unwrap()]);
            seconds[which] += started.elapsed().as_secs_f64();
        }
    }
    report.row(
        "ingest encrypted / passed through, ratio (at most 1.10 wanted)",
        format!("{:.1} / {:.1} s, {:.3}", seconds[0], seconds[1], seconds[0] / seconds[1]),
    );
}

/// The corpus cut into files.
fn parts(dir: &Path) -> Vec<PathBuf> {
    let corpus = std::fs::read_to_string(fixture("scifact/corpus.jsonl")).unwrap();
    let lines: Vec<&str> = corpus.lines().take(DOCUMENTS).collect();
    let cut = lines.chunks(lines.len().div_ceil(PARTS)).enumerate();
    cut.map(|(number, lines)| {
        let path = dir.join(format!("part-{number}.jsonl"));
        std::fs::write(&path, lines.join("\n")).unwrap();
        path
    })
    .collect()
}

fn query(report: &mut Report, servers: &Pair<Server<'_>>, keys: &Pair<String>, mode: &str) {
    let queries = std::fs::read_to_string(fixture("scifact/queries.jsonl")).unwrap();
    let paths: Vec<String> = queries.lines().map(|line| path_of(line, mode)).collect();
    // The first request pays for what is loaded on demand.
    for which in order(0) {
        timed(&servers[which], &keys[which], &paths[0]);
    }
    let mut taken: Pair<Vec<f64>> = [Vec::new(), Vec::new()];
    for (turn, path) in std::iter::repeat_n(&paths, ROUNDS).flatten().enumerate() {
        for which in order(turn) {
            taken[which].push(timed(&servers[which], &keys[which], path));
        }
    }
    for times in &mut taken {
        times.sort_by(f64::total_cmp);
    }
    let at = |share: usize| taken.each_ref().map(|times| times[(times.len() - 1) * share / 100]);
    for (share, wanted) in [(50, ""), (95, " (at most 1.15 wanted)")] {
        let [encrypted, passed] = at(share);
        report.row(
            format!("{mode} query p{share} encrypted / passed through, ratio{wanted}"),
            format!("{encrypted:.2} / {passed:.2} ms, {:.3}", encrypted / passed),
        );
    }
}

fn path_of(line: &str, mode: &str) -> String {
    let query: Value = serde_json::from_str(line).unwrap();
    let text = query["text"].as_str().unwrap();
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    format!("/api/v1/tenants/demo/search?q={encoded}&mode={mode}")
}

/// Milliseconds that a search takes.
fn timed(server: &Server<'_>, key: &str, path: &str) -> f64 {
    let started = Instant::now();
    let answer = server.with_key(key, "GET", path, b"");
    let spent = started.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.status, 200, "{}", answer.text());
    spent
}

/// Who goes first alternates.
fn order(turn: usize) -> Pair<usize> {
    if turn.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}
