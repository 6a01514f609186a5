//! Tests of the reader of `winmail.dat`, on files built here.
//!
//! Called by: the test runner. Talks to: `extract` through its public surface.
//! Invariants: none.

use super::*;
use crate::extract::testing::{Found, run};

fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("tests are short");
    [&[1][..], &u32::from(kind).to_le_bytes(), &length.to_le_bytes(), data, &[0, 0]].concat()
}

fn property(number: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("tests are short");
    let filling = vec![0; value.len().wrapping_neg() % 4];
    [
        &kind.to_le_bytes()[..],
        &number.to_le_bytes(),
        &1_u32.to_le_bytes(),
        &length.to_le_bytes(),
        value,
        &filling,
    ]
    .concat()
}

/// A property that has a name and a number for its value.
fn named() -> Vec<u8> {
    [&3_u16.to_le_bytes()[..], &0x8001_u16.to_le_bytes(), &[7; 16], &[0; 4], &[9; 4], &[5; 4]]
        .concat()
}

fn list(properties: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(properties.len()).expect("tests are short");
    [count.to_le_bytes().to_vec(), properties.concat()].concat()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn file(attributes: &[Vec<u8>]) -> Vec<u8> {
    [SIGNATURE.to_vec(), vec![1, 0], attributes.concat()].concat()
}

fn packed() -> Vec<u8> {
    let inner = file(&[attribute(BODY, b"Words of the mail inside.\0")]);
    let object = [vec![3; 16], inner].concat();
    file(&[
        attribute(CODE_PAGE, &1252_u64.to_le_bytes()),
        attribute(
            PROPERTIES,
            &list(&[
                named(),
                property(SUBJECT, WIDE, &wide("The plan")),
                property(HTML, BINARY, b"<p>The pangolin clause</p>"),
            ]),
        ),
        attribute(ATTACHMENT, &[0; 14]),
        attribute(ATTACHED_TITLE, b"OFFER~1.TXT\0"),
        attribute(ATTACHED_DATA, b"An offer."),
        attribute(
            ATTACHED_PROPERTIES,
            &list(&[property(FILE_NAME, WIDE, &wide("Offer of May.txt"))]),
        ),
        attribute(ATTACHMENT, &[0; 14]),
        attribute(ATTACHED_TITLE, b"Inner\0"),
        attribute(ATTACHED_PROPERTIES, &list(&[property(CONTENT, OBJECT, &object)])),
    ])
}

fn children(found: &Found) -> Vec<(&str, &[u8])> {
    found.children.iter().map(|(header, bytes)| (header.name.as_str(), &bytes[..])).collect()
}

#[test]
fn the_body_and_the_files_of_a_packed_mail_are_taken_out() {
    let found = run("winmail.dat", &packed());
    assert_eq!(found.document.media_type, TNEF);
    assert_eq!(found.document.title.as_deref(), Some("The plan"));
    assert_eq!(found.texts(), ["The pangolin clause"]);
    let found = children(&found);
    assert_eq!(found[0], ("attachment-1/Offer of May.txt", &b"An offer."[..]));
    assert_eq!(found[1].0, "attachment-2/Inner");
    assert_eq!(run("Inner", found[1].1).texts(), ["Words of the mail inside."]);
}

#[test]
fn a_packed_mail_that_breaks_off_yields_what_stands_before() {
    let whole = packed();
    for length in 4..whole.len() {
        assert!(run("winmail.dat", &whole[..length]).children.len() <= 2, "{length}");
    }
    let cut = run("winmail.dat", &whole[..whole.len() - 3]);
    assert_eq!(children(&cut)[0].1, b"An offer.");
    assert_eq!(cut.document.warnings.len(), 1);
}
