//! Tests of the worker's loop on frames in memory.

use super::*;
use crate::extract::testing::limits;
use crate::types::ExtractedDocument;

fn frame(command: Command) -> Vec<u8> {
    let (kind, payload) = command.encode().expect("serialisable");
    let mut wire = Vec::new();
    write_frame(&mut wire, kind, &payload).expect("within limits");
    wire
}

fn document(name: &str, pieces: &[&[u8]]) -> Vec<u8> {
    let request = ExtractRequest {
        name: name.to_owned(),
        media_type: None,
        format: None,
        passwords: Default::default(),
        limits: limits(),
    };
    let mut wire = frame(Command::Begin(request));
    for piece in pieces {
        wire.extend(frame(Command::Data(piece.to_vec())));
    }
    wire.extend(frame(Command::End));
    wire
}

fn answers(wire: &[u8]) -> (Vec<Event>, Result<(), ProtocolError>) {
    let mut output = Vec::new();
    let result = serve(wire, &mut output, None);
    let mut input = output.as_slice();
    let mut events = Vec::new();
    while let Some((kind, payload)) = read_frame(&mut input).expect("whole frames") {
        events.push(Event::decode(kind, payload).expect("an event"));
    }
    (events, result)
}

fn done(event: &Event) -> &ExtractedDocument {
    match event {
        Event::Done(document) => document,
        other => panic!("not done: {other:?}"),
    }
}

#[test]
fn several_documents_are_answered_one_after_the_other() {
    let mut wire = document("a.txt", &[b"one\n\nt", b"wo"]);
    wire.extend(document("b.bin", &[b"\0asm\x01\0\0\0", &[0; 5000]]));
    wire.extend(document("empty", &[]));
    wire.extend(document("c.txt", &[b"", b"three"]));
    let (events, result) = answers(&wire);
    result.expect("the input closes between documents");
    assert_eq!(events.len(), 7, "{events:?}");
    assert!(matches!(&events[1], Event::Block(block) if block.text == "two"));
    assert_eq!(done(&events[2]).media_type, "text/plain");
    assert!(
        matches!(&events[3], Event::Failed(f) if f.code == ExtractFailureCode::UnsupportedType)
    );
    assert!(matches!(&events[4], Event::Failed(f) if f.code == ExtractFailureCode::EmptyFile));
    assert!(matches!(&events[5], Event::Block(block) if block.text == "three"));
}

#[test]
fn children_are_framed_between_begin_and_end() {
    let mbox: &[u8] = b"From a@b Mon Jan  1 10:00:00 2024\nSubject: s\n\nHi\n";
    let (events, result) = answers(&document("inbox", &[mbox]));
    result.expect("a good stream");
    assert!(matches!(&events[0], Event::ChildBegin(header) if header.name == "message-000001"));
    assert!(matches!(&events[1], Event::ChildData(bytes) if bytes == b"Subject: s\n\nHi\n"));
    assert_eq!(events[2], Event::ChildEnd);
    assert!(done(&events[3]).container);
}

#[test]
fn a_stream_that_breaks_off_or_is_out_of_order_ends_the_worker() {
    let whole = document("a.txt", &[b"some text"]);
    let (events, result) = answers(&whole[..whole.len() - 3]);
    assert!(result.is_err());
    assert!(!events.iter().any(|event| matches!(event, Event::Done(_))), "{events:?}");
    let (_, result) = answers(&frame(Command::End));
    assert!(matches!(result, Err(ProtocolError::OutOfPlace { kind: Kind::End })));
}
