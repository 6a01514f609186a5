//! Tests of embedded files, most of them put into a real document.
//!
//! Called by: the test runner. Talks to: nothing.
//! Invariants: none.

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::*;
use crate::extract::testing::{Found, limits, run};

const DOCUMENT: &[u8] =
    include_bytes!("../../../../tests/fixtures/formats/docling/legacy_sample.doc");

/// Puts streams into a compound file, or into a new one.
fn with_streams(file: Option<&[u8]>, streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = match file {
        Some(bytes) => CompoundFile::open(Cursor::new(bytes.to_vec())),
        None => CompoundFile::create(Cursor::new(Vec::new())),
    }
    .expect("a compound file");
    for (path, bytes) in streams {
        let (storage, _) = path.rsplit_once('/').expect("a path");
        if !storage.is_empty() {
            file.create_storage_all(storage).expect("a storage");
        }
        file.create_stream(path).and_then(|mut stream| stream.write_all(bytes)).expect("a stream");
    }
    file.flush().expect("memory");
    file.into_inner().into_inner()
}

/// A file as it is kept after it was dropped into a document.
fn dropped(label: &str, bytes: &[u8]) -> Vec<u8> {
    let path = format!("C:\\Users\\ann\\{label}\0");
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("short").to_le_bytes();
    [
        &[2, 0][..],
        label.as_bytes(),
        &[0],
        path.as_bytes(),
        &[0, 0, 3, 0],
        &length(path.as_bytes()),
        path.as_bytes(),
        &length(bytes),
        bytes,
    ]
    .concat()
}

fn native(data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len()).expect("short").to_le_bytes()[..], data].concat()
}

fn names(found: &Found) -> Vec<&str> {
    found.children.iter().map(|(header, _)| header.name.as_str()).collect()
}

#[test]
fn objects_of_a_word_document_become_files_of_their_own() {
    let mut own = open(DOCUMENT).expect("a document");
    let mut streams: Vec<(String, Vec<u8>)> = vec![
        ("/ObjectPool/_1/\u{1}Ole10Native".to_owned(), native(&dropped("notes.txt", b"Words"))),
        ("/ObjectPool/_2/Package".to_owned(), b"PK\x03\x04".to_vec()),
        ("/ObjectPool/_3/Equation Native".to_owned(), vec![1; 40]),
        // A form control.
        ("/ObjectPool/_7/contents".to_owned(), vec![1; 40]),
        // A link to a file elsewhere.
        ("/ObjectPool/_4/\u{1}Ole".to_owned(), vec![1; 20]),
        ("/ObjectPool/_5/\u{1}Ole10Native".to_owned(), native(b"BM, a picture as it is")),
    ];
    for name in ["WordDocument", "1Table", "0Table", "Data"] {
        if let Some(bytes) = stream(&mut own, &format!("/{name}"), DOCUMENT.len()) {
            streams.push((format!("/ObjectPool/_6/{name}"), bytes));
        }
    }
    let streams: Vec<(&str, &[u8])> =
        streams.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let found = run("a.doc", &with_streams(Some(DOCUMENT), &streams));
    assert_eq!(
        names(&found),
        [
            "embedded-1/notes.txt",
            "embedded-2/embedded.bin",
            "embedded-3/embedded.bin",
            "embedded-4/document.doc"
        ]
    );
    assert_eq!(found.children[0].1, b"Words");
    assert_eq!(found.children[2].1, b"BM, a picture as it is");
    assert_eq!(found.texts(), run("a.doc", DOCUMENT).texts());
    let inner = run("document.doc", &found.children[3].1);
    assert_eq!(inner.texts(), found.texts(), "the document inside is the same");
    assert_eq!(found.document.warnings.len(), 1, "{:?}", found.document.warnings);
    assert!(found.document.warnings[0].starts_with("2 embedded objects hold no file"));
}

#[test]
fn objects_of_a_workbook_are_found_beside_its_cells() {
    let workbook = include_bytes!("../../../../tests/fixtures/formats/docling/legacy_sample.xls");
    let package = dropped("plan.pdf", b"%PDF-1.4");
    let streams: [(&str, &[u8]); 2] = [
        ("/MBD0001F2A3/\u{1}Ole10Native", &native(&package)),
        ("/MBD0001F2A4/CONTENTS", b"%PDF-1.7"),
    ];
    let found = run("a.xls", &with_streams(Some(workbook), &streams));
    assert_eq!(names(&found), ["embedded-1/plan.pdf", "embedded-2/embedded.bin"]);
    assert!(found.blocks.len() > 1, "its cells are read");
}

/// What is passed on from records of a presentation, and what is warned of.
fn slides(records: &[u8]) -> Found {
    let bytes = with_streams(None, &[("/PowerPoint Document", records)]);
    let (limits, mut found) = (limits(), Found::default());
    let mut out = Output::within(&limits, &mut found);
    of_slides(&bytes, &mut out).expect("records");
    let document = std::mem::take(&mut out.document);
    Found { document, ..found }
}

fn stored(instance: u16, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short").to_le_bytes();
    [&(instance << 4).to_le_bytes()[..], &STORED_OBJECT.to_le_bytes(), &length, data].concat()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory");
    native(&packed.finish().expect("memory"))
}

#[test]
fn objects_of_a_presentation_are_found_among_its_records() {
    let package = native(&dropped("a.txt", b"Words"));
    let wrapper = with_streams(None, &[("/\u{1}Ole10Native", &package)]);
    let macros = with_streams(None, &[("/VBA/dir", b"macros")]);
    let records = [
        stored(0, &wrapper),
        stored(1, &compressed(&wrapper)),
        stored(1, &compressed(DOCUMENT)),
        stored(0, &macros),
        stored(1, b"damaged"),
        stored(0, &wrapper)[..40].to_vec(),
    ];
    let found = slides(&records.concat());
    assert_eq!(names(&found), ["embedded-1/a.txt", "embedded-2/a.txt", "embedded-3/document.doc"]);
    assert_eq!(found.children[1].1, b"Words");
    assert_eq!(found.document.warnings.len(), 1, "{:?}", found.document.warnings);
}

#[test]
fn objects_that_swell_are_not_unpacked_beyond_what_is_left() {
    let (limits, mut found) = (limits(), Found::default());
    let mut out = Output::within(&limits, &mut found);
    let mut objects = Objects { bytes: 1000, ..Objects::new(&mut out) };
    assert_eq!(objects.inflated(&compressed(&[7; 600])).len(), 600);
    assert!(objects.inflated(&compressed(&[7; 600])).is_empty());
    objects.report();
    assert!(out.document.warnings[0].contains("too large together"));
}

/// The data of an object in Rich Text.
fn rich_object(program: &str, native_data: &[u8]) -> Vec<u8> {
    let program = format!("{program}\0");
    [
        &[1, 5, 0, 0, 2, 0, 0, 0][..],
        &native(program.as_bytes()),
        &[0; 8],
        &native(native_data),
        // How it is shown.
        &[1, 5, 0, 0, 0, 0, 0, 0],
    ]
    .concat()
}

fn digits(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = pairs.chunks(32).map(<[String]>::concat).collect();
    lines.join("\r\n")
}

#[test]
fn objects_in_rich_text_become_files_whatever_way_they_are_written() {
    let package = rich_object("Package", &dropped("a.txt", b"Words"));
    let document = rich_object("Word.Document.8", DOCUMENT);
    let binary = package.len();
    let mut text = format!(
        "{{\\rtf1 Before{{\\object\\objemb{{\\*\\objclass Package}}{{\\*\\objdata {}}}\
         {{\\result shown}}}}\\par {{\\object{{\\*\\objdata {}}}}}\
         {{\\object\\objemb{{\\*\\objdata 0105}}}}{{\\object{{\\*\\objdata\\bin{binary} ",
        digits(&package),
        digits(&document),
    )
    .into_bytes();
    text.extend(&package);
    text.extend(b"}}After\\par}");
    let found = run("a.rtf", &text);
    assert_eq!(names(&found), ["embedded-1/a.txt", "embedded-2/document.doc", "embedded-3/a.txt"]);
    assert_eq!(found.children[1].1, DOCUMENT);
    assert_eq!(found.texts(), ["Beforeshown", "After"]);
    assert_eq!(found.document.warnings.len(), 1, "{:?}", found.document.warnings);
}

#[test]
fn cut_and_senseless_objects_hold_no_file() {
    let whole = rich_object("Package", &dropped("a.txt", b"Words"));
    for end in 0..whole.len() {
        // Whatever comes of it, nothing goes wrong.
        let _ = rich_text_file(&whole[..end]);
        let _ = native_file(&whole[..end]);
    }
    let linked = [&[1, 5, 0, 0, 1, 0, 0, 0][..], &whole[8..]].concat();
    assert!(rich_text_file(&linked).is_none());
    assert!(
        native_file(&[0xff; 64]).is_some_and(|(name, bytes)| name.is_none() && bytes.len() == 60)
    );
    assert!(native_file(&[0; 4]).is_none());
}
