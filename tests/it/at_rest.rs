//! What lies on the disk: nothing that people typed, named or dropped can be read there.
//!
//! Called by: cargo test. Talks to: the built binary, then every byte below the home and the
//! temporary directories.
//! Invariants: only the drop folder, whose files are clear by nature, is left out of the scan.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use crate::harness::{Home, Server, wait_for};

/// Words that occur nowhere else, each planted in another place.
const FILE_NAME: &str = "quartzmarkername";
const CONTENT: &str = "zephyrmarkercontent";
const QUERY: &str = "opalmarkerquery";
const QUESTION: &str = "jaspermarkerquestion";
const TENANT: &str = "berylmarkertenant";
const USER: &str = "onyxmarkeruser";
const COLLECTION: &str = "garnetmarkercollection";
const MARKERS: [&str; 7] = [FILE_NAME, CONTENT, QUERY, QUESTION, TENANT, USER, COLLECTION];

#[test]
fn no_name_text_query_or_user_is_readable_on_disk_after_indexing_and_a_crash() {
    let home = Home::with_config("[search]\nexact_rows_limit = 1000\n");
    home.run(&["tenant", "create", TENANT]);
    home.run(&["user", "add", USER]);
    {
        let server = home.serve();
        fill(&home);
        let show = wait_for("the vector index", || {
            let show = home.json(&["tenant", "show", TENANT]);
            (show["vectors"]["index"] == "ivf").then_some(show)
        });
        assert!(show["vectors"]["rows"].as_u64().unwrap() > 1000, "{show:#}");
        let found = home.json(&["search", TENANT, QUERY]);
        assert!(found["results"].is_array());
        let found = home.json(&["search", TENANT, CONTENT]);
        assert!(!found["results"].as_array().unwrap().is_empty(), "{found:#}");
        home.json(&["ask", TENANT, &format!("Where is the {QUESTION}?")]);
        // While everything is open and written ahead.
        assert_unreadable(&home, "while the server runs");
        upload_while_dying(&home, server);
    }
    assert_unreadable(&home, "after kill -9");
    {
        let server = home.serve();
        wait_for("the ledger to settle", || {
            (home.json(&["ledger", TENANT])["waiting"] == 0).then_some(())
        });
        drop(server);
    }
    assert_unreadable(&home, "after the restart");
}

/// More than a thousand passages, one of them under a name that gives itself away.
fn fill(home: &Home) {
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join(format!("{FILE_NAME}.txt"));
    std::fs::write(&named, format!("The {CONTENT} lies in the {FILE_NAME} drawer.")).unwrap();
    home.run(&["add", TENANT, named.to_str().unwrap(), "--collection", COLLECTION]);
    let lines: String = (0..1100)
        .map(|n| format!("{{\"_id\":\"{FILE_NAME}-{n}\",\"text\":\"Entry {n} of {CONTENT}.\"}}\n"))
        .collect();
    let corpus = dir.path().join("corpus.jsonl");
    std::fs::write(&corpus, lines).unwrap();
    home.run(&["add", TENANT, "--documents-jsonl", corpus.to_str().unwrap()]);
}

/// Kills the server in the middle of an ingest.
fn upload_while_dying(home: &Home, server: Server<'_>) {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..40 {
        let path = dir.path().join(format!("{FILE_NAME}-late-{n}.md"));
        let paragraph = format!("# {CONTENT} {n}\n\nMore about the {CONTENT}.\n\n");
        std::fs::write(path, paragraph.repeat(50)).unwrap();
    }
    home.run(&["add", TENANT, dir.path().to_str().unwrap(), "--no-wait"]);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let status = wait_for("the server to die", || {
        std::fs::read_to_string(format!("/proc/{}/stat", server.pid()))
            .map_or(Some("gone".to_owned()), |stat| stat.contains(") Z ").then_some(stat))
    });
    assert!(!status.is_empty());
    let _: Option<i32> = std::process::ExitStatus::from_raw(9).signal();
}

fn assert_unreadable(home: &Home, when: &str) {
    let mut files = Vec::new();
    collect(home.path(), &mut files);
    for dir in ["/dev/shm", "/tmp"] {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            // Whatever the appliance makes outside its home carries its name.
            if entry.file_name().to_string_lossy().contains("cairn") {
                collect(&entry.path(), &mut files);
            }
        }
    }
    assert!(files.len() > 10, "nothing to look at: {files:?}");
    for path in files {
        for marker in MARKERS {
            let name = path.to_string_lossy().to_lowercase();
            assert!(!name.contains(marker), "{when}: the name {name} tells {marker}");
        }
        let Ok(mut file) = std::fs::File::open(&path) else { continue };
        let mut bytes = Vec::new();
        if file.read_to_end(&mut bytes).is_err() {
            continue;
        }
        bytes.make_ascii_lowercase();
        for marker in MARKERS {
            let wide: Vec<u8> = marker.bytes().flat_map(|byte| [byte, 0]).collect();
            for pattern in [marker.as_bytes(), &wide] {
                assert!(
                    !holds(&bytes, pattern),
                    "{when}: {} holds {marker} in the clear",
                    path.display()
                );
            }
        }
    }
}

fn holds(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.windows(pattern.len()).any(|window| window == pattern)
}

/// Regular files below a directory, drop folders left out.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return };
    if meta.is_file() {
        files.push(path.to_owned());
    } else if meta.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_name() != "inbox" {
                collect(&entry.path(), files);
            }
        }
    }
}
