//! `make bench`: quality, speed, memory and disk on two public sets, in one table.
//!
//! Called by: `make bench` (release profile). Talks to: the built binary.
//! Invariants: every number is measured in this run; what was not measured says so. With
//! `--answers FILE` the evidence behind every answer is written as CSV, for calibration; `--set
//! NAME` measures one of the sets (`extraction`, `vectors`, `encryption` and `tenants` are among them).

mod answers;
mod crowd;
mod encryption;
mod extraction;
#[expect(dead_code, reason = "the tests use more of it than the benchmark")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod inference;
mod report;
mod vectors;

use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use harness::{Home, fixture};
use report::Report;
use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // Cargo asks every bench target to list its tests when it runs tests.
    if arguments.iter().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let answers_file = option("--answers");
    let only = option("--set");
    let mut report = Report::default();
    let wanted = |set: &str| only.as_deref().is_none_or(|only| only == set);
    if wanted("extraction") {
        extraction::measure(&mut report);
    }
    start_up(&mut report);
    for set in ["scifact", "hotpot30"] {
        if only.as_deref().is_some_and(|only| only != set) {
            continue;
        }
        measure_set(&mut report, set, answers_file.as_deref());
    }
    if wanted("vectors") {
        vectors::measure(&mut report);
    }
    if wanted("tenants") {
        crowd::five_hundred(&mut report);
        crowd::fairness(&mut report);
    }
    if wanted("encryption") {
        encryption::measure(&mut report);
    }
    report.print();
}

/// Time from starting the process until it answers, and what it holds then.
fn start_up(report: &mut Report) {
    let home = Home::new();
    let started = Instant::now();
    let server = home.serve();
    report.row("start-up until the port answers", format!("{} ms", started.elapsed().as_millis()));
    report.row("resident memory idle", mebibytes(proc_status(server.pid(), "VmRSS")));
}

fn measure_set(report: &mut Report, set: &str, answers_file: Option<&str>) {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let busy_before = metric(&server, "cairn_inference_busy_seconds_total");
    let evaluate = |extra: &[&str]| {
        let file = |name: &str| fixture(&format!("{set}/{name}")).display().to_string();
        let (corpus, queries, qrels) =
            (file("corpus.jsonl"), file("queries.jsonl"), file("qrels.tsv"));
        let mut arguments =
            vec!["eval", "demo", "--corpus", &corpus, "--queries", &queries, "--qrels", &qrels];
        arguments.extend_from_slice(extra);
        home.json(&arguments)
    };
    let bytes_in = std::fs::metadata(fixture(&format!("{set}/corpus.jsonl"))).unwrap().len();
    freshness(report, set, &home);
    stream_freshness(report, set, &home);
    let quality = evaluate(&[]);
    let seconds = quality["ingest"]["seconds"].as_f64().unwrap();
    let tenant = home.json(&["tenant", "show", "demo"]);
    let chunks = tenant["vectors"]["rows"].as_f64().unwrap();
    let documents = tenant["totals"]["indexed"].as_f64().unwrap();
    let busy = metric(&server, "cairn_inference_busy_seconds_total") - busy_before;
    let name = |what: &str| format!("{set}: {what}");
    for mode in ["keyword", "vector", "hybrid"] {
        let found = &quality[mode];
        report.row(
            name(&format!("{mode} nDCG@10 / Recall@100 / MRR")),
            format!(
                "{:.4} / {:.4} / {:.4}",
                found["ndcg_at_10"].as_f64().unwrap(),
                found["recall_at_100"].as_f64().unwrap(),
                found["mrr"].as_f64().unwrap()
            ),
        );
    }
    report.row(name("documents/s ingested"), format!("{:.1}", documents / seconds));
    report.row(name("chunks/s ingested"), format!("{:.1}", chunks / seconds));
    let raw = inference::seconds(&fixture(&format!("{set}/corpus.jsonl")));
    report.row(name("ingest wall time"), format!("{seconds:.1} s"));
    report.row(name("raw inference of the same chunks, same threads"), format!("{raw:.1} s"));
    report
        .row(name("ingest / raw inference (at most 1.25 wanted)"), format!("{:.2}", seconds / raw));
    report.row(
        name("time inside the model (all sessions) / wall time"),
        format!("{:.0} %", 100.0 * busy / seconds),
    );
    report.row(name("peak resident memory"), mebibytes(proc_status(server.pid(), "VmHWM")));
    report.row(name("bytes on disk per byte in, right after ingest"), stored(&tenant, bytes_in));
    for concurrency in ["1", "8"] {
        let timed = evaluate(&["--no-ingest", "--concurrency", concurrency]);
        for mode in ["keyword", "vector", "hybrid"] {
            report.row(
                name(&format!("{mode} p50 / p95 / p99 at concurrency {concurrency}")),
                latencies(&timed[mode]),
            );
        }
    }
    page_of_results(report, &server, &key, set);
    answers::measure(report, &server, &key, set, answers_file);
    // A round of upkeep comes every minute.
    std::thread::sleep(std::time::Duration::from_secs(65));
    let tenant = home.json(&["tenant", "show", "demo"]);
    report.row(name("bytes on disk per byte in, after upkeep"), stored(&tenant, bytes_in));
    drop(server);
    restart(report, set, &home);
}

/// Latency of the search that people make: hybrid, ten results with their passages.
fn page_of_results(report: &mut Report, server: &harness::Server<'_>, key: &str, set: &str) {
    let queries = std::fs::read_to_string(fixture(&format!("{set}/queries.jsonl"))).unwrap();
    let mut taken: Vec<f64> = queries
        .lines()
        .map(|line| {
            let query: Value = serde_json::from_str(line).unwrap();
            let text = query["text"].as_str().unwrap();
            let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let path = format!("/api/v1/tenants/demo/search?q={encoded}");
            let started = Instant::now();
            let answer = server.with_key(key, "GET", &path, b"");
            assert_eq!(answer.status, 200, "{}", answer.text());
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    let at = |share: usize| taken[(taken.len() * share / 100).min(taken.len() - 1)];
    report.row(
        format!(
            "{set}: hybrid search of ten results over HTTP, p50 / p95 / p99 (p95 of 30 ms wanted)"
        ),
        format!("{:.1} / {:.1} / {:.1} ms", at(50), at(95), at(99)),
    );
}

/// The same home opened again, with everything in it.
fn restart(report: &mut Report, set: &str, home: &Home) {
    let started = Instant::now();
    let server = home.serve();
    harness::wait_for("the server to be ready", || {
        (server.anonymous("GET", "/ready", b"").status == 200).then_some(())
    });
    let spent = started.elapsed().as_millis();
    report.row(format!("{set}: start until ready (1 s wanted)"), format!("{spent} ms"));
    // What the start itself needed is given back after a moment.
    std::thread::sleep(std::time::Duration::from_secs(10));
    report.row(
        format!("{set}: resident memory idle with the whole set (250 MiB wanted)"),
        mebibytes(proc_status(server.pid(), "VmRSS")),
    );
}

/// Time until a new text is found, on an idle machine.
fn freshness(report: &mut Report, set: &str, home: &Home) {
    for (mode, wanted) in [("keyword", "1 s"), ("vector", "5 s")] {
        let word = format!("zanzibar{mode}");
        let started = Instant::now();
        home.json(&["add", "demo", "--no-wait", &written(&word)]);
        harness::wait_for("the new text", || {
            let found = home.search(&word, mode);
            let sources = harness::sources(&found);
            sources.iter().any(|source| source.contains(&word)).then_some(())
        });
        let spent = started.elapsed().as_millis();
        report.row(
            format!("{set}: new text found by {mode} ({wanted} wanted)"),
            format!("{spent} ms, three commands included"),
        );
    }
}

/// Time until a record is found whose stream goes on.
fn stream_freshness(report: &mut Report, set: &str, home: &Home) {
    let word = "zanzibarstream";
    let mut stream = home
        .command(&["stream", "demo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut records = stream.stdin.take().unwrap();
    let started = Instant::now();
    writeln!(records, "The ship {word} sails at dawn.").unwrap();
    harness::wait_for("the record", || {
        let found = home.search(word, "keyword");
        (!harness::sources(&found).is_empty()).then_some(())
    });
    let spent = started.elapsed().as_millis();
    report.row(
        format!("{set}: record of an open stream found by keyword (2 s wanted)"),
        format!("{spent} ms, two commands included"),
    );
    drop(records);
    stream.wait().unwrap();
}

/// A small file that holds `word`.
fn written(word: &str) -> String {
    let path = std::env::temp_dir().join(format!("{word}.txt"));
    std::fs::write(&path, format!("The ship {word} sails at dawn.")).unwrap();
    path.display().to_string()
}

/// What a tenant takes on disk per byte of the corpus, in all and by store.
fn stored(tenant: &Value, bytes_in: u64) -> String {
    let share = |store: &str| tenant["bytes"][store].as_f64().unwrap() / bytes_in as f64;
    let stores = ["blobs", "catalogue", "fulltext", "vectors"].map(|store| (store, share(store)));
    let all: f64 = stores.iter().map(|(_, share)| share).sum();
    let by_store = stores.map(|(store, share)| format!("{store} {share:.2}")).join(", ");
    format!("{all:.2}: {by_store}")
}

fn latencies(timed: &Value) -> String {
    let ms = |name: &str| timed[name].as_f64().unwrap_or(f64::NAN);
    format!("{:.1} / {:.1} / {:.1} ms", ms("p50_ms"), ms("p95_ms"), ms("p99_ms"))
}

/// A field of `/proc/<pid>/status`, in bytes.
fn proc_status(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn metric(server: &harness::Server<'_>, name: &str) -> f64 {
    let text = server.anonymous("GET", "/metrics", b"").text();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
