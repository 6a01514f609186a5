//! Tests of the worker's loop on frames in memory.

use std::io::{Seek, SeekFrom};

use super::*;
use crate::extract::ExtractRequest;
use crate::extract::protocol::{MAX_WANTED, Wanted};
use crate::extract::testing::limits;
use crate::types::ExtractedDocument;

/// Bytes written by the worker, which the test keeps a hand on.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pipes to a parent that says `wire`, whatever it is asked.
fn pipes(wire: &[u8]) -> (Pipes, Shared) {
    let output = Shared::default();
    let input = Box::new(io::Cursor::new(wire.to_vec()));
    (Pipes { input, output: Box::new(output.clone()) }, output)
}

fn events(output: &Shared) -> Vec<Event> {
    let output = output.0.borrow();
    let mut input = output.as_slice();
    let mut events = Vec::new();
    while let Some((kind, payload)) = read_frame(&mut input).expect("whole frames") {
        events.push(Event::decode(kind, payload).expect("an event"));
    }
    events
}

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
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut wire = frame(Command::Begin(Opening { request, length }));
    for piece in pieces {
        wire.extend(frame(Command::Data(piece.to_vec())));
    }
    wire.extend(frame(Command::End));
    wire
}

fn answers(wire: &[u8]) -> (Vec<Event>, Result<(), ProtocolError>) {
    let (pipes, output) = pipes(wire);
    let result = serve(pipes, None);
    (events(&output), result)
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
    let (_, result) = answers(&whole[..whole.len() - 3]);
    assert!(result.is_err());
    let (events, result) = answers(&whole[..whole.len() - 8]);
    assert!(result.is_err());
    assert!(!events.iter().any(|event| matches!(event, Event::Done(_))), "{events:?}");
    let (_, result) = answers(&frame(Command::End));
    assert!(matches!(result, Err(ProtocolError::OutOfPlace { kind: Kind::End })));
}

#[test]
fn a_file_is_sent_by_itself_until_a_part_of_it_is_asked_for() {
    let piece = MAX_WANTED as usize;
    let content: Vec<u8> = (0..3 * piece + 5).map(|at| (at % 251) as u8).collect();
    let part = |at: usize, end: usize| {
        let data = content[at..end].chunks(MAX_DATA).map(|data| Command::Data(data.to_vec()));
        std::iter::once(Command::Part).chain(data).flat_map(frame).collect::<Vec<u8>>()
    };
    let mut wire = frame(Command::Data(content[..1000].to_vec()));
    // On its way when the first part is asked for.
    wire.extend(frame(Command::Data(content[1000..2000].to_vec())));
    wire.extend(part(2 * piece, 3 * piece));
    wire.extend(part(3 * piece, content.len()));
    wire.extend(frame(Command::End));
    let (pipes, output) = pipes(&wire);
    let mut file = ParentsFile::new(Rc::new(RefCell::new(pipes)), content.len() as u64);
    let mut start = [0; 500];
    file.read_exact(&mut start).expect("sent by itself");
    assert!(content.starts_with(&start));
    assert_eq!(file.seek(SeekFrom::End(-1000)).expect("within"), content.len() as u64 - 1000);
    let mut end = Vec::new();
    file.read_to_end(&mut end).expect("asked for");
    assert_eq!(end, content[content.len() - 1000..]);
    file.seek(SeekFrom::Start(2 * MAX_WANTED + 7)).expect("within");
    let mut again = [0; 100];
    file.read_exact(&mut again).expect("kept");
    assert!(content[2 * piece + 7..].starts_with(&again));
    file.pass_over().expect("the end");
    let wanted = |at, length| Event::Wanted(Wanted { at, length });
    let asked = [wanted(2 * MAX_WANTED, MAX_WANTED), wanted(3 * MAX_WANTED, 5)];
    assert_eq!(events(&output), asked);
}

#[test]
fn a_parent_that_says_something_else_than_the_part_is_not_understood() {
    for wire in [frame(Command::End), frame(Command::Part), Vec::new()] {
        let (pipes, _) = pipes(&wire);
        let mut file = ParentsFile::new(Rc::new(RefCell::new(pipes)), 10_000);
        file.seek(SeekFrom::Start(10)).expect("within");
        assert!(file.read(&mut [0; 10]).is_err());
        assert!(file.failure().is_some());
    }
}
