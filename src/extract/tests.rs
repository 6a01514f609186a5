//! Tests of `extract` that belong to no single format.

use std::io::{self, Read};

use super::testing::{extract_from, limits, run};
use super::{ExtractLimits, ExtractRequest, ExtractSink, extract};
use crate::types::{Block, BlockKind, ChildHeader, ExtractFailureCode};

#[test]
fn an_empty_file_says_so() {
    let failure = extract_from("a.txt", None, limits(), &mut &b""[..]).expect_err("empty");
    assert_eq!(failure.code, ExtractFailureCode::EmptyFile);
}

#[test]
fn a_type_without_a_reader_is_named() {
    let bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0";
    let failure = extract_from("a.png", None, limits(), &mut &bytes[..]).expect_err("an image");
    assert_eq!(failure.code, ExtractFailureCode::UnsupportedType);
    assert_eq!(failure.media_type.as_deref(), Some("image/png"));
    assert!(failure.message.contains("image/png"));
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
