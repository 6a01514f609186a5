//! A tenant with very many documents beside one with few.
//!
//! Called by: the fairness test, `bench`. Talks to: a server of its own.
//! Invariants: both tenants have the same share; the few come when the queue of the many is long.

use std::time::{Duration, Instant};

use super::{Home, wait_for};

/// Documents of the large tenant, which come in one file.
pub const MANY: u64 = 20_000;
/// Files of the small tenant.
pub const FEW: u64 = 20;
/// Documents of the large tenant that wait when the small one's files come.
const QUEUE: u64 = 4_000;

/// How the small tenant fared.
pub struct Crowd {
    /// Time from adding the small tenant's files until they are found, nobody else at work.
    pub alone: Duration,
    /// The same beside the large tenant.
    pub beside: Duration,
    /// Documents of the large tenant that waited when the files came, and what was done of them by
    /// the time the small tenant had all of its own.
    pub queue: u64,
    pub done_meanwhile: u64,
    /// Documents of the large tenant that were done in all by then.
    pub done: u64,
}

/// Has the large tenant fill its queue, then the small one add its files, and waits for these.
pub fn few_beside_many(home: &Home) -> Crowd {
    for tenant in ["many", "few"] {
        home.run(&["tenant", "create", tenant]);
    }
    let _server = home.serve();
    let alone = add_few(home, "alone");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("register.jsonl");
    let line = |number| format!("{{\"_id\":\"{number}\",\"text\":\"Entry {number}.\"}}\n");
    std::fs::write(&path, (0..MANY).map(line).collect::<String>()).unwrap();
    home.run(&["add", "many", "--no-wait", "--documents-jsonl", path.to_str().unwrap()]);
    let queue = wait_for("a long queue", || Some(total(home, "waiting")).filter(|n| *n >= QUEUE));
    let before = total(home, "indexed");
    let beside = add_few(home, "beside");
    let done = total(home, "indexed");
    Crowd { alone, beside, queue, done_meanwhile: done - before, done }
}

/// A number of the large tenant.
fn total(home: &Home, state: &str) -> u64 {
    home.json(&["tenant", "show", "many"])["totals"][state].as_u64().unwrap()
}

/// Adds a folder of files to the small tenant; the time until all are found.
fn add_few(home: &Home, word: &str) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(word);
    std::fs::create_dir(&folder).unwrap();
    for number in 0..FEW {
        let text = format!("Note {number}, written {word}.");
        std::fs::write(folder.join(format!("{number}.txt")), text).unwrap();
    }
    let started = Instant::now();
    home.run(&["add", "few", folder.to_str().unwrap()]);
    started.elapsed()
}
