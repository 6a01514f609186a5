//! Tests of the walk over real folders.
//!
//! Called by: nothing. Talks to: the file system.
//! Invariants: every test has a folder of its own.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

use super::*;

fn sources(found: &Found) -> Vec<&str> {
    found.entries.iter().map(|entry| entry.source.as_str()).collect()
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("reports/2024")).unwrap();
    fs::write(dir.path().join("reports/2024/a.pdf"), "abc").unwrap();
    fs::write(dir.path().join("reports/.hidden"), "").unwrap();
    fs::write(dir.path().join("reports/z.txt"), "z").unwrap();
    dir
}

#[test]
fn sources_are_relative_to_the_parent_of_the_given_folder() {
    let dir = tree();
    let found = walk(&[dir.path().join("reports/")], false, None);
    assert_eq!(sources(&found), ["reports/.hidden", "reports/2024/a.pdf", "reports/z.txt"]);
    assert_eq!(found.entries[1].size_bytes, Some(3));
    assert!(found.entries[1].file_date.is_some());
    assert!(found.errors.is_empty() && found.skipped.is_empty());
}

#[test]
fn a_single_file_has_its_name_as_source_and_a_prefix_comes_before_it() {
    let dir = tree();
    let file = dir.path().join("reports/2024/a.pdf");
    assert_eq!(sources(&walk(std::slice::from_ref(&file), false, None)), ["a.pdf"]);
    assert_eq!(sources(&walk(&[file], false, Some("legal/"))), ["legal/a.pdf"]);
}

#[test]
fn a_folder_named_by_dots_has_the_name_of_the_folder_meant() {
    let dir = tree();
    let found = walk(&[dir.path().join("reports/2024/..")], false, None);
    assert_eq!(sources(&found), ["reports/.hidden", "reports/2024/a.pdf", "reports/z.txt"]);
}

#[test]
fn links_inside_a_folder_are_reported_and_taken_in_only_on_request() {
    let dir = tree();
    symlink("/etc/hostname", dir.path().join("reports/2024/link")).unwrap();
    symlink("z.txt", dir.path().join("reports/y.txt")).unwrap();
    symlink("..", dir.path().join("reports/2024/up")).unwrap();
    let reports = dir.path().join("reports");
    let found = walk(std::slice::from_ref(&reports), false, None);
    assert_eq!(found.entries.len(), 3);
    let skipped: Vec<&str> = found.skipped.iter().map(|skip| skip.source.as_str()).collect();
    assert_eq!(skipped, ["reports/2024/link", "reports/2024/up", "reports/y.txt"]);

    let found = walk(&[reports], true, None);
    assert!(sources(&found).contains(&"reports/y.txt"));
    let back: Vec<&str> = found.skipped.iter().map(|skip| skip.source.as_str()).collect();
    assert_eq!(back, ["reports/2024/up"], "a link that leads back must not loop");
}

#[test]
fn a_link_that_is_named_itself_is_followed_under_its_own_name() {
    let dir = tree();
    symlink("reports", dir.path().join("latest")).unwrap();
    let found = walk(&[dir.path().join("latest")], false, None);
    assert_eq!(sources(&found), ["latest/.hidden", "latest/2024/a.pdf", "latest/z.txt"]);
}

#[test]
fn what_is_missing_or_no_file_is_told_and_the_rest_still_found() {
    let dir = tree();
    symlink("nowhere", dir.path().join("reports/broken")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("reports/s")).unwrap();
    let paths = [dir.path().join("absent.pdf"), dir.path().join("reports")];
    let found = walk(&paths, true, None);
    assert_eq!(found.entries.len(), 3);
    let errors: Vec<&str> = found.errors.iter().map(|error| error.source.as_str()).collect();
    assert_eq!(errors, [paths[0].to_str().unwrap(), "reports/broken"]);
    assert_eq!(
        found.skipped,
        [NotSent { source: "reports/s".to_owned(), error: "not a regular file".to_owned() }]
    );
}

#[test]
fn two_files_never_share_a_source_and_the_second_is_an_error() {
    let dir = tree();
    fs::create_dir(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("other/z.txt"), "other").unwrap();
    let first = dir.path().join("reports/z.txt");
    let paths = [first.clone(), first, dir.path().join("other/z.txt")];
    let found = walk(&paths, false, None);
    assert_eq!(sources(&found), ["z.txt"]);
    assert_eq!(found.skipped.len(), 1);
    assert_eq!(found.errors.len(), 1);
}

#[test]
fn names_that_are_not_text_are_escaped_and_stay_apart() {
    let name = |bytes: &[u8]| name_text(&OsString::from_vec(bytes.to_vec()));
    assert_eq!(name(b"caf\xe9 100%.txt"), "caf%E9 100%25.txt");
    assert_eq!(name("100%\n\u{202e}.txt".as_bytes()), "100%\n\u{202e}.txt");
    assert_ne!(name(b"\xff%FE"), name(b"%FF\xfe"));
}
