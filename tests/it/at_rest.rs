//! What lies on the disk: nothing that people typed, named or dropped can be read there.
//!
//! Called by: cargo test. Talks to: the built binary, then every byte of the places where a server
//! writes: its home, its temporary directory, files it has open without a name, and whatever
//! appears in the temporary directories of the machine meanwhile.
//! Invariants: only the drop folder, whose files are clear by nature, is left out of the scan.

use std::collections::HashSet;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{Home, Server, wait_for};

/// Words that occur nowhere else, not even in another run of this test, each planted in another
/// place.
struct Markers {
    file_name: String,
    content: String,
    query: String,
    question: String,
    tenant: String,
    user: String,
    collection: String,
}

impl Markers {
    fn new() -> Self {
        // The last digits are random.
        let run: String = uuid::Uuid::now_v7().simple().to_string()[24..]
            .bytes()
            .map(|digit| char::from(b'a' + digit % 26))
            .collect();
        let word = |stem: &str| format!("{stem}{run}");
        Self {
            file_name: word("quartzmarker"),
            content: word("zephyrmarker"),
            query: word("opalmarker"),
            question: word("jaspermarker"),
            tenant: word("berylmarker"),
            user: word("onyxmarker"),
            collection: word("garnetmarker"),
        }
    }

    fn all(&self) -> [&str; 7] {
        let Self { file_name, content, query, question, tenant, user, collection } = self;
        [file_name, content, query, question, tenant, user, collection]
    }

    /// The marker that bytes hold, as text of one or two bytes a letter, in any case.
    fn in_bytes(&self, bytes: &[u8]) -> Option<&str> {
        let patterns: Vec<(&str, Vec<u8>)> = self
            .all()
            .into_iter()
            .flat_map(|marker| {
                let wide = marker.bytes().flat_map(|byte| [byte, 0]).collect();
                [(marker, marker.as_bytes().to_vec()), (marker, wide)]
            })
            .collect();
        // One pass, for speed: most bytes begin no marker.
        let mut begins = [false; 256];
        for (_, pattern) in &patterns {
            begins[usize::from(pattern[0])] = true;
            begins[usize::from(pattern[0].to_ascii_uppercase())] = true;
        }
        let starts = bytes.iter().enumerate().filter(|(_, byte)| begins[usize::from(**byte)]);
        for (at, _) in starts {
            let rest = &bytes[at..];
            let found = patterns.iter().find(|(_, pattern)| {
                rest.get(..pattern.len()).is_some_and(|head| head.eq_ignore_ascii_case(pattern))
            });
            if let Some((marker, _)) = found {
                return Some(marker);
            }
        }
        None
    }
}

/// Where temporary files of everybody go.
const PUBLIC: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// More than that is read of no file that may be a stranger's.
const MOST_OF_A_STRANGER: u64 = 16 << 20;

/// Everything a test of this module scans.
struct Scene {
    home: Home,
    markers: Markers,
    /// The temporary directory that servers are given, in memory where the machine allows it.
    scratch: TempDir,
    /// What was in the public directories before.
    before: HashSet<PathBuf>,
}

impl Scene {
    fn new() -> Self {
        let home = Home::with_config("[search]\nexact_rows_limit = 1000\n");
        let builder = |dir: &str| tempfile::Builder::new().prefix("at-rest-").tempdir_in(dir);
        let scratch = builder("/dev/shm").or_else(|_| builder("/tmp")).unwrap();
        Self { home, markers: Markers::new(), scratch, before: public_entries().collect() }
    }

    fn serve(&self) -> Server<'_> {
        Server::start(&self.home, &[("TMPDIR", self.scratch.path().to_str().unwrap())])
    }

    /// More than a thousand passages, one of them under a name that gives itself away.
    fn fill(&self) {
        let Markers { file_name, content, tenant, collection, .. } = &self.markers;
        let dir = self.dropped();
        let named = dir.path().join(format!("{file_name}.txt"));
        std::fs::write(&named, format!("The {content} lies in the {file_name} drawer.")).unwrap();
        let path = named.to_str().unwrap();
        self.home.run(&["add", tenant, path, "--collection", collection]);
        let lines: String = (0..1100)
            .map(|n| {
                format!("{{\"_id\":\"{file_name}-{n}\",\"text\":\"Entry {n} of {content}.\"}}\n")
            })
            .collect();
        let corpus = dir.path().join("corpus.jsonl");
        std::fs::write(&corpus, lines).unwrap();
        self.home.run(&["add", tenant, "--documents-jsonl", corpus.to_str().unwrap()]);
    }

    /// Kills the server in the middle of an ingest.
    fn upload_while_dying(&self, server: Server<'_>) {
        let Markers { file_name, content, tenant, .. } = &self.markers;
        let dir = self.dropped();
        for n in 0..40 {
            let path = dir.path().join(format!("{file_name}-late-{n}.md"));
            let paragraph = format!("# {content} {n}\n\nMore about the {content}.\n\n");
            std::fs::write(path, paragraph.repeat(50)).unwrap();
        }
        self.home.run(&["add", tenant, dir.path().to_str().unwrap(), "--no-wait"]);
        // Dropping a server kills it with the signal that cannot be caught.
        drop(server);
    }

    /// A directory for what people drop, which is theirs and no place of the appliance.
    fn dropped(&self) -> TempDir {
        tempfile::tempdir_in(self.home.path().parent().unwrap()).unwrap()
    }

    fn assert_unreadable(&self, server: Option<&Server<'_>>, when: &str) {
        let mut files = Vec::new();
        collect(self.home.path(), &mut files);
        assert!(files.len() > 10, "nothing to look at: {files:?}");
        collect(self.scratch.path(), &mut files);
        for path in files {
            self.assert_nothing_in(&path, &path, u64::MAX, when);
        }
        if let Some(server) = server {
            for process in family(server.pid()) {
                self.look_at_open_files(process, when);
            }
        }
        let mut appeared = Vec::new();
        let own = self.home.path().parent().unwrap();
        for entry in public_entries().filter(|entry| !self.before.contains(entry)) {
            if entry != own && entry != self.scratch.path() {
                collect(&entry, &mut appeared);
            }
        }
        for path in appeared {
            self.assert_nothing_in(&path, &path, MOST_OF_A_STRANGER, when);
        }
    }

    /// What a process has open: files without a name as well, which no listing shows.
    fn look_at_open_files(&self, process: u32, when: &str) {
        let entries = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
        for entry in entries.flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let name = target.to_string_lossy().into_owned();
            if !name.starts_with('/') || name.starts_with("/memfd:") {
                continue;
            }
            let places = [self.home.path().parent().unwrap(), self.scratch.path()];
            let ours = places.iter().any(|place| target.starts_with(place));
            let public = PUBLIC.iter().any(|place| target.starts_with(place));
            assert!(ours || !public, "{when}: the server has {name} open, which is not its own");
            if name.ends_with(" (deleted)") {
                self.assert_nothing_in(&entry.path(), &target, u64::MAX, when);
            }
        }
    }

    fn assert_nothing_in(&self, path: &Path, shown: &Path, most: u64, when: &str) {
        let shown = shown.to_string_lossy();
        let named = self.markers.in_bytes(shown.as_bytes());
        assert!(named.is_none(), "{when}: the name {shown} tells {named:?}");
        // What has gone meanwhile holds nothing.
        let Ok(file) = std::fs::File::open(path) else { return };
        let regular = file.metadata().is_ok_and(|meta| meta.is_file());
        let mut bytes = Vec::new();
        if !regular || file.take(most).read_to_end(&mut bytes).is_err() {
            return;
        }
        let found = self.markers.in_bytes(&bytes);
        assert!(found.is_none(), "{when}: {shown} holds {found:?} in the clear");
    }
}

#[test]
fn no_name_text_query_or_user_is_readable_on_disk_after_indexing_and_a_crash() {
    let scene = Scene::new();
    let (home, markers) = (&scene.home, &scene.markers);
    home.run(&["tenant", "create", &markers.tenant]);
    home.run(&["user", "add", &markers.user]);
    {
        let server = scene.serve();
        scene.fill();
        let show = wait_for("the vector index", || {
            let show = home.json(&["tenant", "show", &markers.tenant]);
            (show["vectors"]["index"] == "ivf").then_some(show)
        });
        assert!(show["vectors"]["rows"].as_u64().unwrap() > 1000, "{show:#}");
        let found = home.json(&["search", &markers.tenant, &markers.query]);
        assert!(found["results"].is_array());
        let found = home.json(&["search", &markers.tenant, &markers.content]);
        assert!(!found["results"].as_array().unwrap().is_empty(), "{found:#}");
        home.json(&["ask", &markers.tenant, &format!("Where is the {}?", markers.question)]);
        // While everything is open and written ahead.
        scene.assert_unreadable(Some(&server), "while the server runs");
        scene.upload_while_dying(server);
    }
    scene.assert_unreadable(None, "after kill -9");
    {
        let server = scene.serve();
        wait_for("the ledger to settle", || {
            (home.json(&["ledger", &markers.tenant])["waiting"] == 0).then_some(())
        });
        scene.assert_unreadable(Some(&server), "after the restart");
    }
    scene.assert_unreadable(None, "at the end");
}

#[test]
fn the_scan_finds_what_is_there_to_be_found() {
    let scene = Scene::new();
    let marker = &scene.markers.content;
    let wide: Vec<u8> = marker.to_uppercase().bytes().flat_map(|byte| [byte, 0]).collect();
    for bytes in [format!("..{marker}..").into_bytes(), [b"\0".as_slice(), &wide].concat()] {
        assert_eq!(scene.markers.in_bytes(&bytes), Some(marker.as_str()));
    }
    assert_eq!(scene.markers.in_bytes(&marker.as_bytes()[1..]), None);
    let planted = scene.scratch.path().join("spill");
    std::fs::write(&planted, marker).unwrap();
    let scanned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scene.assert_unreadable(None, "with a marker planted");
    }));
    assert!(scanned.is_err());
}

/// A process and those it has started.
fn family(of: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        parents.extend(parent.map(|parent: u32| (pid, parent)));
    }
    let mut family = vec![of];
    let mut at = 0;
    while at < family.len() {
        let children = parents.iter().filter(|(_, parent)| *parent == family[at]);
        family.extend(children.map(|(pid, _)| *pid).collect::<Vec<_>>());
        at += 1;
    }
    family
}

/// What is directly in the public temporary directories and belongs to this user.
fn public_entries() -> impl Iterator<Item = PathBuf> {
    let own = rustix::process::getuid().as_raw();
    let entries = PUBLIC.into_iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten());
    entries
        .flatten()
        .filter(move |entry| entry.metadata().is_ok_and(|meta| meta.uid() == own))
        .map(|entry| entry.path())
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
