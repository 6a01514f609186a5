//! Two tenants at work at the same time: neither ever sees anything of the other.
//!
//! Called by: cargo test, and for longer by `make soak`. Talks to: one server over HTTP.
//! Invariants: every answer of every kind is looked through for the other tenant's words.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Home, Server};

/// A word that only one tenant's documents, names and questions have.
const WORDS: [(&str, &str); 2] = [("demo", "amaranthword"), ("other", "celadonword")];

/// How long both are kept busy; `make soak` sets another time.
fn duration() -> Duration {
    let seconds = std::env::var("CAIRN_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

#[test]
fn two_tenants_under_load_never_see_a_word_of_each_other() {
    // Limits would only make the load smaller.
    let home = Home::new();
    home.run(&["tenant", "create", "other"]);
    for tenant in ["demo", "other"] {
        home.run(&["tenant", "tier", tenant, "enterprise"]);
    }
    let server = home.serve();
    let until = Instant::now() + duration();
    let failed = AtomicBool::new(false);
    let answers = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for (own, foreign) in [(0, 1), (1, 0)] {
            for worker in 0..2 {
                let (server, failed, answers) = (&server, &failed, &answers);
                scope.spawn(move || {
                    let caller = Caller::new(server, own, foreign);
                    let mut round = 0;
                    while Instant::now() < until && !failed.load(Ordering::Relaxed) {
                        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            caller.round(worker, round)
                        }));
                        match seen {
                            Ok(count) => answers.fetch_add(count, Ordering::Relaxed),
                            Err(panic) => {
                                failed.store(true, Ordering::Relaxed);
                                std::panic::resume_unwind(panic);
                            }
                        };
                        round += 1;
                    }
                });
            }
        }
    });
    let answers = answers.into_inner();
    eprintln!("{answers} answers held nothing foreign");
    assert!(answers > 100, "only {answers} answers were looked at");
}

struct Caller<'a> {
    server: &'a Server<'a>,
    tenant: &'static str,
    word: &'static str,
    foreign: &'static str,
    foreign_tenant: &'static str,
    key: String,
}

impl<'a> Caller<'a> {
    fn new(server: &'a Server<'a>, own: usize, foreign: usize) -> Self {
        let (tenant, word) = WORDS[own];
        let (foreign_tenant, foreign) = WORDS[foreign];
        Self { server, tenant, word, foreign, foreign_tenant, key: server.key(tenant) }
    }

    /// Adds, searches, asks, lists; and knocks at the other tenant's door. Answers looked at.
    fn round(&self, worker: u32, round: u32) -> u64 {
        let name = format!("{}-{worker}-{round}.txt", self.word);
        let text =
            format!("Note {round} of worker {worker}: the {} is on shelf {round}.", self.word);
        let base = format!("/api/v1/tenants/{}", self.tenant);
        let question = json!({ "question": format!("On which shelf is the {}?", self.foreign) });
        let requests = [
            ("POST", format!("{base}/documents?source={name}"), text.into_bytes()),
            ("GET", format!("{base}/search?q={}&limit=50", self.word), Vec::new()),
            ("GET", format!("{base}/search?q={}&limit=50", "shelf"), Vec::new()),
            ("GET", format!("{base}/search?q={}&mode=vector", "shelf"), Vec::new()),
            ("POST", format!("{base}/ask"), question.to_string().into_bytes()),
            ("GET", format!("{base}/ledger?limit=50"), Vec::new()),
            ("GET", format!("{base}/documents?limit=50&order=newest"), Vec::new()),
            ("GET", "/api/v1/tenants".to_owned(), Vec::new()),
        ];
        let mut looked_at = 0;
        for (method, path, body) in requests {
            let answer = self.server.with_key(&self.key, method, &path, &body);
            assert!(
                matches!(answer.status, 200 | 202 | 429),
                "{method} {path}: {} {}",
                answer.status,
                answer.text()
            );
            // The question itself names the foreign word and is repeated in its answer.
            let body = answer.text().replace(&question["question"].to_string(), "");
            assert!(!body.contains(self.foreign), "{method} {path} tells {}", self.foreign);
            looked_at += 1;
        }
        let foreign = format!("/api/v1/tenants/{}/search?q={}", self.foreign_tenant, self.foreign);
        let refused = self.server.with_key(&self.key, "GET", &foreign, b"");
        assert_eq!(refused.status, 404, "{}", refused.text());
        assert!(!refused.text().contains(self.foreign), "{}", refused.text());
        looked_at + 1
    }
}
