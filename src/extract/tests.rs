//! Tests of `extract` that belong to no single format.

use std::io::{self, Read};

use super::testing::{extract_from, limits, run, run_as, try_run};
use super::{ExtractLimits, ExtractRequest, ExtractSink, extract};
use crate::types::{Block, BlockKind, ChildHeader, ExtractFailureCode, FormatHint};

#[test]
fn an_empty_file_says_so() {
    let failure = extract_from("a.txt", None, limits(), &mut &b""[..]).expect_err("empty");
    assert_eq!(failure.code, ExtractFailureCode::EmptyFile);
}

#[test]
fn a_type_without_a_reader_is_named() {
    let bytes = b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\x0e\0\0\x10\x0a\xc4\x42\xf0\0\0\0\0\0\0\0\0";
    let failure = extract_from("a.flac", None, limits(), &mut &bytes[..]).expect_err("music");
    assert_eq!(failure.code, ExtractFailureCode::UnsupportedType);
    assert_eq!(failure.media_type.as_deref(), Some("audio/x-flac"));
    assert!(failure.message.contains("audio/x-flac"));
}

fn ocr_fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ocr/");
    std::fs::read(folder.to_owned() + name).unwrap()
}

#[test]
fn pages_that_are_pictures_are_named_and_those_with_text_are_read() {
    let mixed = run("mixed.pdf", &ocr_fixture("mixed.pdf"));
    assert_eq!(mixed.document.ocr_pages, [2]);
    let pages: Vec<Option<u32>> = mixed.blocks.iter().map(|block| block.page).collect();
    assert!(pages.contains(&Some(1)) && pages.contains(&Some(3)) && !pages.contains(&Some(2)));
    assert_eq!(run("x", &ocr_fixture("two-pages.tiff")).document.ocr_pages, [1, 2]);
    for name in
        ["letter.png", "letter.jpg", "letter.webp", "letter.gif", "letter.bmp", "letter.pbm"]
    {
        let picture = run(name, &ocr_fixture(name));
        assert_eq!(picture.document.ocr_pages, [1], "{name}");
        assert_eq!(picture.document.metadata["width"], "1700", "{name}");
    }
    assert_eq!(run("x", &ocr_fixture("icon.png")).document.ocr_pages, [0; 0]);
}

#[test]
fn pages_are_drawn_in_grey_and_no_larger_than_allowed() {
    let pages = |first, count| FormatHint::PdfPages { first, count };
    let drawn = run_as("mixed.pdf", pages(2, 9), &ocr_fixture("mixed.pdf"));
    let names: Vec<&str> = drawn.children.iter().map(|(header, _)| header.name.as_str()).collect();
    assert_eq!(names, ["page-2.pgm", "page-3.pgm"]);
    let (_, picture) = &drawn.children[0];
    assert!(picture.starts_with(b"P5\n2550 1650\n255\n"), "{:?}", &picture[..20]);
    assert_eq!(picture.len(), b"P5\n2550 1650\n255\n".len() + 2550 * 1650);
    let dark = picture.iter().filter(|pixel| **pixel < 100).count();
    assert!((20_000..400_000).contains(&dark), "{dark} dark pixels");
    assert!(drawn.blocks.is_empty());
    let vast = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
         2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 14400 9000000]>>endobj\n\
         trailer<</Root 1 0 R>>\n%%EOF\n";
    let drawn = run_as("vast.pdf", pages(1, 1), vast.as_bytes());
    assert!(drawn.children.iter().all(|(_, picture)| picture.len() <= 25_100_000));
}

#[test]
fn a_page_is_shown_in_colour_no_wider_than_wanted_and_allowed() {
    let mixed = ocr_fixture("mixed.pdf");
    let size = |page, width| {
        let found = run_as("mixed.pdf", FormatHint::PdfPicture { page, width }, &mixed);
        assert!(found.blocks.is_empty());
        let (header, picture) = found.children.first()?;
        assert_eq!(header.name, format!("page-{page}.png"));
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
        let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        Some((side(16), side(20)))
    };
    let (width, height) = size(1, 800).expect("a page");
    assert_eq!(width, 800);
    assert!((1000..1200).contains(&height), "{height}");
    assert_eq!(size(2, 1_000_000).map(|size| size.0), Some(1600));
    assert_eq!(size(1, 0).map(|size| size.0), Some(100));
    assert_eq!(size(4, 800), None);
    assert_eq!(size(0, 800), None);
}

#[test]
fn a_file_too_large_to_be_held_is_refused_with_its_type() {
    let limits = ExtractLimits { max_parse_bytes: 10, ..limits() };
    let html = b"<!doctype html><p>more than ten bytes";
    let failure = extract_from("a", None, limits, &mut &html[..]).expect_err("too large");
    assert_eq!(failure.code, ExtractFailureCode::TooLarge);
    assert_eq!(failure.media_type.as_deref(), Some("text/html"));
}

#[test]
fn a_limit_cuts_the_text_at_a_character_and_says_where() {
    let limits = ExtractLimits { max_text_bytes: 5, ..limits() };
    let found = extract_from("a.md", None, limits, &mut "ääää".as_bytes()).expect("text");
    assert_eq!(found.texts(), ["ää"]);
    assert_eq!(found.document.truncated_at, Some(4));
    assert_eq!(found.document.warnings.len(), 1);
}

/// A receiver that breaks.
struct Broken;

impl ExtractSink for Broken {
    fn block(&mut self, _: Block) -> io::Result<()> {
        panic!("a parser bug");
    }

    fn child(&mut self, _: &ChildHeader, _: &mut dyn Read) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_panic_becomes_a_failure() {
    let request = ExtractRequest {
        name: "a.txt".to_owned(),
        media_type: None,
        format: None,
        passwords: Default::default(),
        limits: limits(),
    };
    let failure = extract(&request, &mut &b"text"[..], &mut Broken).expect_err("broken");
    assert_eq!(failure.code, ExtractFailureCode::Malformed);
    assert!(failure.message.contains("a parser bug"));
    assert_eq!(failure.media_type.as_deref(), Some("text/plain"));
}

#[test]
fn a_receiver_that_is_gone_ends_the_reading() {
    let request = ExtractRequest {
        name: "inbox".to_owned(),
        media_type: None,
        format: None,
        passwords: Default::default(),
        limits: limits(),
    };
    let mbox = b"From a@b Mon Jan  1 10:00:00 2024\nSubject: s\n\nHi\n";
    let failure = extract(&request, &mut &mbox[..], &mut Broken).expect_err("broken");
    assert_eq!(failure.code, ExtractFailureCode::WorkerCrashed);
}

#[test]
fn long_blocks_are_cut_and_controls_removed() {
    let found = run("a.md", format!("a\0b\u{7} {}", "word ".repeat(40_000)).as_bytes());
    assert!(found.blocks.len() >= 3);
    assert!(found.texts()[0].starts_with("ab word"));
    assert!(found.blocks.iter().all(|block| block.kind == BlockKind::Paragraph));
}

#[test]
fn a_file_that_cannot_be_read_says_what_can_be_done() {
    let picture = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let archive = b"Rar!\x1a\x07\x01\0\0\0\0\0";
    for (name, bytes, advice) in
        [("a.heic", &picture[..], "as JPEG or PNG"), ("a.rar", archive, "zip or 7z")]
    {
        let failure = try_run(name, bytes).expect_err("not read");
        assert_eq!(failure.code, ExtractFailureCode::UnsupportedType);
        assert!(failure.message.contains(advice), "{failure}");
    }
}
