//! What is refused so that nothing can be damaged: a second server on one home.
//!
//! Called by: cargo test. Talks to: the built binary.
//! Invariants: the first server does not notice.

use crate::harness::{Home, sources};

#[test]
fn a_second_server_on_the_same_home_is_refused() {
    let home = Home::new();
    let server = home.serve();
    home.add_text("note.txt", "The first server keeps the heron.");
    let second = home.output(&["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(4), "{said}");
    assert!(said.contains("another process holds"), "{said}");
    assert!(said.contains(home.path().to_str().unwrap()) && !said.contains("panicked"), "{said}");
    assert_eq!(server.anonymous("GET", "/ready", b"").status, 200);
    assert_eq!(sources(&home.search("heron", "hybrid")), ["note.txt"]);
}

#[test]
fn a_fault_plan_that_is_not_understood_is_refused() {
    let home = Home::new();
    for plan in ["explode:accepted:1", "kill:nowhere:1", "kill:accepted:soon"] {
        let mut serve = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        let output = serve.env("CAIRN_FAULTS", plan).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{plan}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("CAIRN_FAULTS"), "{plan}");
    }
}
