//! Tests of archives: what is in them comes out under harmless names, bombs end early.

use std::io::{self, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;

use crate::extract::testing::{Found, extract_from, limits, run, try_run_file};
use crate::extract::{
    ExtractLimits, ExtractRequest, ExtractSink, Passwords, RandomAccess, extract, extract_file,
    refusal,
};
use crate::types::{Block, ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/fixtures/archives/extractcode").join(name)).expect("a fixture")
}

fn robust(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/fixtures/robust/extractcode").join(name)).expect("a fixture")
}

/// Counts what comes out, and keeps why something did not.
#[derive(Default)]
struct Counted {
    files: u64,
    bytes: u64,
    refused: Vec<(String, ExtractFailure)>,
}

impl ExtractSink for Counted {
    fn block(&mut self, _: Block) -> io::Result<()> {
        Ok(())
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.bytes += count as u64,
                Err(error) => {
                    let failure = refusal(&error).expect("a child's own failure").clone();
                    self.refused.push((header.name.clone(), failure));
                    return Ok(());
                }
            }
        }
        self.files += 1;
        Ok(())
    }
}

fn count(
    name: &str,
    input: &mut dyn Read,
    passwords: &[&str],
    limits: ExtractLimits,
) -> (Counted, Result<ExtractedDocument, ExtractFailure>) {
    let mut counted = Counted::default();
    let outcome = extract(&request(name, passwords, limits), input, &mut counted);
    (counted, outcome)
}

fn request(name: &str, passwords: &[&str], limits: ExtractLimits) -> ExtractRequest {
    let passwords: Vec<String> = passwords.iter().map(|word| (*word).to_owned()).collect();
    ExtractRequest {
        name: name.to_owned(),
        media_type: None,
        format: None,
        passwords: Passwords::from(passwords),
        limits,
    }
}

fn counted(name: &str, passwords: &[&str]) -> (Counted, Result<ExtractedDocument, ExtractFailure>) {
    count(name, &mut fixture(name).as_slice(), passwords, limits())
}

fn names(found: &Found) -> Vec<&str> {
    found.children.iter().map(|(header, _)| header.name.as_str()).collect()
}

#[test]
fn names_that_point_outside_stay_inside() {
    for name in ["zip-slip-win.zip", "tar_absolute.tar", "7zip_relative.7z", "dup_names.zip"] {
        let found = run(name, &fixture(name));
        let names = names(&found);
        assert!(!names.is_empty(), "{name}");
        for shown in &names {
            let outside = shown.starts_with('/') || shown.split('/').any(|step| step == "..");
            assert!(!outside && !shown.contains(['\\', ':']), "{name}: {shown}");
            assert_eq!(names.iter().filter(|other| *other == shown).count(), 1, "{name}: {shown}");
        }
    }
}

#[test]
fn links_are_listed_and_not_followed() {
    let (counted, outcome) = counted("symlink.tar.gz", &[]);
    assert!(outcome.expect("readable").container);
    assert!(!counted.refused.is_empty());
    for (_, failure) in counted.refused {
        assert_eq!(failure.code, ExtractFailureCode::UnsupportedType);
    }
}

#[test]
fn a_locked_archive_asks_for_its_password_and_opens_with_it() {
    for (name, password) in [("zip_password_nexb.zip", "nexb"), ("7zip_password.7z", "nexb")] {
        let failure = counted(name, &[]).1.expect_err("locked");
        assert_eq!(failure.code, ExtractFailureCode::PasswordRequired, "{name}");
        let failure = counted(name, &["wrong"]).1.expect_err("locked");
        assert_eq!(failure.code, ExtractFailureCode::PasswordRequired, "{name}");
        assert!(failure.message.contains("another password"), "{}", failure.message);
        let (opened, outcome) = counted(name, &["wrong", password]);
        outcome.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert!(opened.files > 0 && opened.refused.is_empty(), "{name}: {:?}", opened.refused);
    }
}

#[test]
fn a_locked_zip_too_large_to_be_held_opens_with_its_password() {
    for name in ["aes256.zip", "aes128_stored.zip", "traditional.zip", "traditional_stored.zip"] {
        let path = Path::new("tests/fixtures/archives/locked").join(name);
        let bytes = std::fs::read(path).expect("a fixture");
        for limit in [100, 1 << 20] {
            let small = ExtractLimits { max_parse_bytes: limit, ..limits() };
            let failure = count(name, &mut bytes.as_slice(), &[], small).1.expect_err("locked");
            assert_eq!(failure.code, ExtractFailureCode::PasswordRequired, "{name}");
            let (_, outcome) = count(name, &mut bytes.as_slice(), &["wrong", "not"], small);
            let failure = outcome.expect_err("locked");
            assert_eq!(failure.code, ExtractFailureCode::PasswordRequired, "{name}");
            let (opened, outcome) = count(name, &mut bytes.as_slice(), &["wrong", "cairn"], small);
            outcome.unwrap_or_else(|failure| panic!("{name}: {failure}"));
            assert_eq!((opened.files, opened.bytes), (3, 60 + 70_000 + 30), "{name}, {limit}");
            assert!(opened.refused.is_empty(), "{name}: {:?}", opened.refused);
        }
    }
}

/// What is in a file that can be read in any order, of which little may be held.
fn count_file(
    bytes: &[u8],
    passwords: &[&str],
    limits: ExtractLimits,
) -> (Counted, Result<ExtractedDocument, ExtractFailure>) {
    let file = RandomAccess::new(io::Cursor::new(bytes.to_vec()));
    let mut counted = Counted::default();
    let outcome = extract_file(&request("a.zip", passwords, limits), file, &mut counted);
    (counted, outcome)
}

#[test]
fn a_locked_zip_whose_lengths_stand_behind_its_files_opens_by_its_directory() {
    let locked = Path::new("tests/fixtures/archives/locked");
    let streamed = std::fs::read(locked.join("traditional_streamed.zip")).expect("a fixture");
    let mut sealed = std::fs::read(locked.join("aes256.zip")).expect("a fixture");
    // As if it had been written into a pipe.
    let starts = (0..sealed.len()).filter(|at| sealed[*at..].starts_with(b"PK\x03\x04"));
    for at in starts.collect::<Vec<_>>() {
        sealed[at + 6] |= 8;
        sealed[at + 14..at + 26].fill(0);
    }
    for (bytes, expected) in [(streamed, 61 + 3_000 + 2_304), (sealed, 60 + 70_000 + 30)] {
        for limit in [1_000, 1 << 20] {
            let small = ExtractLimits { max_parse_bytes: limit, ..limits() };
            let failure = count_file(&bytes, &["wrong"], small).1.expect_err("locked");
            assert_eq!(failure.code, ExtractFailureCode::PasswordRequired);
            let (opened, outcome) = count_file(&bytes, &["wrong", "cairn"], small);
            outcome.expect("readable");
            assert_eq!((opened.files, opened.bytes), (3, expected), "{limit}");
            assert!(opened.refused.is_empty(), "{:?}", opened.refused);
        }
        let cut = &bytes[..bytes.len() - 100];
        let (opened, outcome) = count_file(cut, &["cairn"], limits());
        assert!(outcome.is_err());
        assert!(opened.refused[0].1.message.contains("directory"), "{:?}", opened.refused);
    }
}

#[test]
fn archives_too_large_to_be_held_are_read_where_they_lie() {
    // The directory of a zip file fits into the one and not into the other.
    for held in [200, 900] {
        let small = ExtractLimits { max_parse_bytes: held, ..limits() };
        for name in ["7zip_relative.7z", "dup_names.zip", "zip-slip-win.zip", "basic.zip"] {
            let whole = run(name, &fixture(name));
            let found = try_run_file(name, small, fixture(name)).expect("readable");
            let files = |found: Found| -> Vec<(String, Vec<u8>)> {
                found.children.into_iter().map(|(header, body)| (header.name, body)).collect()
            };
            assert_eq!(files(found), files(whole), "{name}, {held}");
        }
    }
    let small = ExtractLimits { max_parse_bytes: 200, ..limits() };
    for password in ["wrong", "nexb"] {
        let (opened, outcome) = count_file(&fixture("7zip_password.7z"), &[password], small);
        assert_eq!(outcome.is_ok(), password == "nexb");
        assert_eq!(opened.files > 0, password == "nexb");
    }
}

#[test]
fn a_changed_byte_of_a_locked_file_is_found_in_a_zip_read_as_it_comes() {
    for name in ["aes256.zip", "traditional.zip"] {
        let path = Path::new("tests/fixtures/archives/locked").join(name);
        let mut bytes = std::fs::read(path).expect("a fixture");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let small = ExtractLimits { max_parse_bytes: 100, ..limits() };
        let (opened, outcome) = count(name, &mut bytes.as_slice(), &["cairn"], small);
        // A file that no longer unpacks may look like one with another password.
        let other = outcome.err().map(|failure| failure.code);
        assert!(opened.files < 3, "{name}: {other:?}");
    }
}

#[test]
fn what_is_broken_says_so_and_what_is_whole_comes_out() {
    for name in ["zip_broken.zip", "broken.tar.gz", "basic.rar"] {
        let failure = counted(name, &[]).1.expect_err(name);
        assert!(!failure.message.is_empty());
    }
    for name in ["zip_trailing_data.zip", "tarred_bzipped.tbz", "nested_tars.tar.gz", "basic.zip"] {
        let (counted, outcome) = counted(name, &[]);
        outcome.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert!(counted.files > 0, "{name}");
    }
    let found = run("notes.txt.bz2", &fixture("single_file_not_tarred.bz2"));
    assert_eq!(names(&found), ["notes.txt"]);
}

#[test]
fn what_was_appended_to_a_compressed_file_does_not_cost_it() {
    let bytes = robust("archive/bz2/single_file_trailing_data.bz2");
    assert_eq!(run("notes.txt.bz2", &bytes).children[0].1, b"somedata\n");
}

#[test]
fn a_package_of_software_is_an_archive() {
    let bytes = robust("archive/zip/exceptionhero.javascript.1.0.5.nupkg");
    let found = run("a.nupkg", &bytes);
    assert_eq!(found.document.media_type, "application/zip");
    assert!(found.document.container && found.children.len() > 3);
}

/// A tar archive of the given headers and contents, with the mark of no known tar.
fn old_tar(entries: &[(u8, &str, &str, &[u8])], mark: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (kind, folder, name, body) in entries {
        let mut block = [0_u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..107].copy_from_slice(b"0000644");
        block[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
        block[136..147].copy_from_slice(format!("{:011o}", 1_336_280_000).as_bytes());
        block[148..156].fill(b' ');
        block[156] = *kind;
        block[257..257 + mark.len()].copy_from_slice(mark);
        block[345..345 + folder.len()].copy_from_slice(folder.as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(block);
        tar.extend(*body);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[test]
fn long_names_are_whole_under_the_mark_of_any_tar() {
    let long = format!("{}end.txt", "folder/".repeat(30));
    let noted = [long.as_bytes(), b"\0"].concat();
    let cut = &long[..100];
    let mut attributes = format!("{} path=posix.txt\n", 18).into_bytes();
    attributes.extend(b"20 mtime=1336280000\n");
    for mark in [&b"ustar\0\0\0"[..], b"ustar  \0", b"ustar\x0000"] {
        let bytes = old_tar(
            &[
                (b'g', "", "pax_global_header", b"24 comment=abcdefghijkl\n"),
                (b'L', "", "././@LongLink", &noted),
                (b'0', "", cut, b"long"),
                (b'x', "", "PaxHeader", &attributes),
                (b'0', "", "short", b"posix"),
                (0, "", "old/", b""),
                (0, "", "old/last.txt", b"last"),
            ],
            mark,
        );
        let found = run("a.tar", &bytes);
        assert_eq!(names(&found), [long.as_str(), "posix.txt", "old/last.txt"], "{mark:?}");
        assert_eq!(found.children[0].1, b"long");
    }
    let bytes = old_tar(&[(b'0', "some/folder", "a.txt", b"a")], b"ustar\0\0\0");
    assert_eq!(names(&run("a.tar", &bytes)), ["some/folder/a.txt"]);
}

#[test]
fn files_keep_the_time_of_their_last_change() {
    let mut packed =
        flate2::GzBuilder::new().mtime(1_336_280_000).write(Vec::new(), Compression::fast());
    packed.write_all(b"words").expect("memory");
    let gzip = packed.finish().expect("memory");
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let changed = zip::DateTime::from_date_and_time(2012, 5, 6, 4, 53, 20).expect("a date");
    let options = SimpleFileOptions::default();
    writer.start_file("a.txt", options.last_modified_time(changed)).expect("memory");
    writer.write_all(b"words").expect("memory");
    let unknown = zip::DateTime::default();
    writer.start_file("b.txt", options.last_modified_time(unknown)).expect("memory");
    let zip = writer.finish().expect("memory").into_inner();
    let tar = old_tar(&[(b'0', "", "a.txt", b"a")], b"ustar\x0000");
    for (name, bytes) in [("a.txt.gz", &gzip), ("a.zip", &zip), ("a.tar", &tar)] {
        let found = run(name, bytes);
        let date = found.children[0].0.file_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2012-05-06T04:53:20Z"), "{name}");
    }
    let found = run("a.zip", &zip);
    assert_eq!(found.children[1].0.file_date, None);
    let small = ExtractLimits { max_parse_bytes: 10, ..limits() };
    let found = extract_from("a.zip", None, small, &mut zip.as_slice()).expect("readable");
    assert!(found.children[0].0.file_date.is_some() && found.children[1].0.file_date.is_none());
    let found = run("a.7z", &fixture("7zip_relative.7z"));
    assert!(found.children.iter().any(|(header, _)| header.file_date.is_some()));
}

/// Zeros without end, up to a length.
fn zeros(length: u64) -> impl Read {
    io::repeat(0).take(length)
}

#[test]
fn a_zip_that_fills_disks_ends_early() {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for number in 0..10_u8 {
        let options = SimpleFileOptions::default();
        writer.start_file(format!("{number}.bin"), options).expect("memory");
        io::copy(&mut zeros(40 << 20), &mut writer).expect("memory");
    }
    let bomb = writer.finish().expect("memory").into_inner();
    let (counted, outcome) = count("bomb.zip", &mut bomb.as_slice(), &[], limits());
    assert!(counted.bytes < 300 << 20, "{}", counted.bytes);
    assert_eq!(counted.files + counted.refused.len() as u64, 10, "every file is listed");
    assert_eq!(counted.refused[0].1.code, ExtractFailureCode::TooLarge);
    assert!(outcome.is_ok());
}

#[test]
fn a_compressed_file_that_fills_disks_ends_early() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    io::copy(&mut zeros(400 << 20), &mut packed).expect("memory");
    let bomb = packed.finish().expect("memory");
    let large = ExtractLimits { max_child_bytes: 8 << 30, ..limits() };
    let (counted, outcome) = count("bomb.gz", &mut bomb.as_slice(), &[], large);
    assert!(counted.bytes < 300 << 20, "{}", counted.bytes);
    assert_eq!(outcome.expect_err("a bomb").code, ExtractFailureCode::TooLarge);
}

#[test]
fn a_zip_too_large_to_be_held_is_read_as_it_comes() {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for name in ["a.txt", "folder/b.txt"] {
        writer.start_file(name, SimpleFileOptions::default()).expect("memory");
        writer.write_all(name.repeat(500).as_bytes()).expect("memory");
    }
    let bytes = writer.finish().expect("memory").into_inner();
    let small = ExtractLimits { max_parse_bytes: 100, ..limits() };
    let (counted, outcome) = count("large.zip", &mut bytes.as_slice(), &[], small);
    outcome.expect("readable");
    assert_eq!((counted.files, counted.bytes), (2, 500 * (5 + 12)));
}
