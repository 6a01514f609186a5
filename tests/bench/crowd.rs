//! Many tenants on one machine: 500 of them at rest, and a small one beside a large one at work.
//!
//! Called by: `bench`. Talks to: the running server.
//! Invariants: tenants are made over HTTP, as an admin makes them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::crowd::{FEW, MANY, few_beside_many};
use crate::harness::{self, Home, Server};
use crate::report::Report;
use crate::{mebibytes, proc_status};

/// Tenants besides `demo`, which every home has.
const TENANTS: usize = 499;
/// Every how many of them a tenant gets files.
const WITH_FILES: usize = 100;
/// Times the list is asked for.
const LISTED: usize = 50;

/// Makes 500 tenants, starts anew with them, and lists them.
pub fn five_hundred(report: &mut Report) {
    let home = Home::new();
    home.user("admin", &["--role", "admin"]);
    {
        let server = home.serve();
        let admin = server.sign_in("admin");
        let mut taken: Vec<f64> = (0..TENANTS)
            .map(|number| {
                let started = Instant::now();
                let made = admin.post("/api/v1/tenants", &json!({ "name": name(number) }));
                assert_eq!(made.status, 201, "{}", made.text());
                milliseconds(started)
            })
            .collect();
        report.row("500 tenants: one made in, p50 / p95 / most (1 s wanted)", spread(&mut taken));
        for number in (0..TENANTS).step_by(WITH_FILES) {
            let text = format!("The ledger of tenant {number} is in the green cabinet.");
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("note.txt");
            std::fs::write(&path, text).unwrap();
            home.run(&["add", &name(number), path.to_str().unwrap()]);
        }
    }
    let started = Instant::now();
    let server = home.serve();
    harness::wait_for("the server to be ready", || {
        (server.anonymous("GET", "/ready", b"").status == 200).then_some(())
    });
    report.row(
        "500 tenants: start until ready (2 s wanted)",
        format!("{:.0} ms", milliseconds(started)),
    );
    at_rest(report, &server);
    let found = home.json(&["search", &name(WITH_FILES), "green cabinet"]);
    assert_eq!(harness::sources(&found).len(), 1, "{found:#}");
}

/// Memory once the start is over, and the list.
fn at_rest(report: &mut Report, server: &Server<'_>) {
    // After the start every tenant is put in order once, which opens and closes each.
    std::thread::sleep(Duration::from_secs(30));
    let resident = mebibytes(proc_status(server.pid(), "VmRSS"));
    report.row("500 tenants: resident memory idle (400 MiB wanted)", resident);
    let peak = mebibytes(proc_status(server.pid(), "VmHWM"));
    report.row("500 tenants: peak resident memory since the start", peak);
    let admin = server.sign_in("admin");
    let mut taken: Vec<f64> = (0..LISTED)
        .map(|_| {
            let started = Instant::now();
            let listed = admin.get("/api/v1/tenants?limit=1000");
            let spent = milliseconds(started);
            let tenants = listed.json()["tenants"].as_array().map_or(0, Vec::len);
            assert_eq!(tenants, TENANTS + 1, "{}", listed.text());
            spent
        })
        .collect();
    report.row("500 tenants: all listed in, p50 / p95 / most", spread(&mut taken));
}

/// The files of a small tenant, alone and beside a large one.
pub fn fairness(report: &mut Report) {
    let crowd = few_beside_many(&Home::new());
    report.row(
        format!("fairness: {FEW} files of one tenant, alone / beside {MANY} of another"),
        format!("{:.1} / {:.1} s", crowd.alone.as_secs_f64(), crowd.beside.as_secs_f64()),
    );
    report.row(
        format!("fairness: of the {MANY}, waiting when the {FEW} came / done before these were"),
        format!("{} / {}", crowd.queue, crowd.done_meanwhile),
    );
}

fn name(number: usize) -> String {
    format!("tenant-{number:03}")
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn spread(taken: &mut [f64]) -> String {
    taken.sort_by(f64::total_cmp);
    let at = |share: usize| taken[(taken.len() * share / 100).min(taken.len() - 1)];
    format!("{:.1} / {:.1} / {:.1} ms", at(50), at(95), at(100))
}
