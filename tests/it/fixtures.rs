//! The borrowed test data is what its README says it is.
//!
//! Called by: cargo test. Talks to: `tests/fixtures` only.
//! Invariants: every folder with a `SHA256SUMS` lists each of its files, and each still matches.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a fixture folder can be read") {
        let path = entry.expect("a readable folder entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn sha256(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Sha256::digest(&bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string");
        hex
    })
}

#[test]
fn borrowed_test_data_matches_its_checksums() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files = Vec::new();
    files_below(&root, &mut files);
    let lists: Vec<&PathBuf> = files.iter().filter(|file| file.ends_with("SHA256SUMS")).collect();
    assert!(lists.len() >= 7, "only {} checksum lists under {}", lists.len(), root.display());
    for list in lists {
        let folder = list.parent().expect("a list lies in a folder");
        let mut listed = BTreeSet::from([list.clone()]);
        for line in fs::read_to_string(list).expect("a checksum list can be read").lines() {
            let (sum, name) = line.split_once("  ").expect("a line is `sum  name`");
            let path = folder.join(name);
            assert_eq!(sha256(&path), sum, "{} has changed", path.display());
            listed.insert(path);
        }
        for file in files.iter().filter(|file| file.starts_with(folder)) {
            assert!(listed.contains(file), "{} is not in {}", file.display(), list.display());
        }
    }
}
