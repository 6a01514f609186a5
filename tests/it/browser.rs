//! The page in a real browser.
//!
//! Called by: cargo test. Talks to: a server, Node and Chromium through `tests/browser/smoke.mjs`.
//! Invariants: a machine without Node or Chromium fails this test and is told what is missing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::people::PASSWORD;
use crate::harness::{Home, root};

const PATIENCE: Duration = Duration::from_secs(300);

/// The Node that set-up chose: the host's, or the one in the cache.
fn node() -> PathBuf {
    let script = root().join("installer/node");
    let output = Command::new(&script).output().unwrap();
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let node = Path::new(&folder).join("node");
    assert!(
        output.status.success() && node.is_file(),
        "Node is missing; `make setup` fetches it: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    node
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("CHROMIUM").map_or("/usr/bin/chromium".into(), PathBuf::from);
    assert!(
        path.is_file(),
        "no browser at {}: install the package chromium or set CHROMIUM",
        path.display()
    );
    path
}

#[test]
fn a_person_can_upload_search_read_and_ask_in_the_browser() {
    let (node, chromium) = (node(), chromium());
    let library = root().join("assets/dashboard/node_modules/playwright-core");
    assert!(library.is_dir(), "playwright-core is missing; `make setup-test` installs it");
    let home = Home::new();
    let server = home.serve();
    home.member("ada", "owner");

    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("smoke.log");
    let file = File::create(&log).unwrap();
    let mut smoke = Command::new(node)
        .arg(root().join("tests/browser/smoke.mjs"))
        .env("BASE_URL", format!("http://{}", server.address))
        .env("USER_NAME", "ada")
        .env("USER_PASSWORD", PASSWORD)
        .env("TENANT", "demo")
        .env("CHROMIUM", chromium)
        .env("HOME", dir.path())
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = smoke.try_wait().unwrap() {
            break Some(status);
        }
        if started.elapsed() > PATIENCE {
            let _ = smoke.kill();
            let _ = smoke.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let said = std::fs::read_to_string(&log).unwrap();
    let status = status.unwrap_or_else(|| panic!("not finished after {PATIENCE:?}:\n{said}"));
    assert!(status.success(), "the browser test ended with {status}:\n{said}");
}
