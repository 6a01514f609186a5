//! Tests of one exchange, with a worker made of frames in memory.

use async_trait::async_trait;
use tokio::io::duplex;
use tokio::sync::watch;

use super::*;
use crate::extract::protocol::{Wanted, write_frame};
use crate::extraction::sending::Sending;
use crate::types::{
    BlockKind, ExtractFailure, ExtractFailureCode, ExtractedDocument, SheetCells, TablePart,
};

/// Keeps whole bodies, or leaves them unread.
#[derive(Default)]
struct Kept {
    unread: bool,
    bodies: Vec<(String, Result<Vec<u8>, io::ErrorKind>)>,
}

#[async_trait]
impl ChildSink for Kept {
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        if !self.unread {
            let read = body.read_to_end(&mut bytes).await.map_err(|error| error.kind());
            self.bodies.push((header.name, read.map(|_| bytes)));
        }
        Ok(())
    }
}

fn wire(events: Vec<Event>) -> Vec<u8> {
    let mut wire = Vec::new();
    for event in events {
        let (kind, payload) = event.encode().expect("serialisable");
        write_frame(&mut wire, kind, &payload).expect("within limits");
    }
    wire
}

fn paragraph(text: &str) -> Event {
    Event::Block(Block::new(BlockKind::Paragraph, text))
}

fn table(number: u32, kinds: &str) -> Event {
    let kinds = vec![kinds.to_owned()];
    let data = Some(TablePart { number, kinds, ..TablePart::default() });
    let kind = BlockKind::Table { rows: vec![vec!["1".to_owned()]], header: false, data };
    Event::Block(Block::new(kind, "1"))
}

fn cells(sheet: &str) -> Event {
    let range = "A1".parse().expect("a cell");
    let cells = Some(SheetCells { sheet: Some(sheet.to_owned()), range });
    Event::Block(Block { cells, ..Block::new(BlockKind::Paragraph, "1") })
}

fn child(name: &str, absolute: bool) -> Event {
    Event::ChildBegin(ChildHeader {
        name: name.to_owned(),
        absolute,
        media_type: None,
        format: None,
        file_date: None,
    })
}

fn done() -> Event {
    Event::Done(Box::default())
}

fn failed(message: &str) -> Event {
    let code = ExtractFailureCode::Malformed;
    Event::Failed(ExtractFailure { code, message: message.to_owned(), media_type: None })
}

fn fact(key: &str, value: &str) -> Event {
    let metadata = [(key.to_owned(), value.to_owned())].into();
    Event::Done(Box::new(ExtractedDocument { metadata, ..ExtractedDocument::default() }))
}

fn limits() -> ExtractLimits {
    ExtractLimits {
        max_text_bytes: 100,
        max_children: 2,
        max_child_bytes: 10,
        ..ExtractLimits::default()
    }
}

async fn receive(events: Vec<Event>, sink: &mut Kept) -> Result<Extraction, Loss> {
    let wire = wire(events);
    let mut input = wire.as_slice();
    Receiver::new(&mut input, limits(), Duration::from_secs(5), false).run(sink).await
}

#[tokio::test]
async fn blocks_and_children_arrive_in_order() {
    let mut sink = Kept::default();
    let events = vec![
        paragraph("one"),
        child("a", false),
        Event::ChildData(b"he".to_vec()),
        Event::ChildData(b"llo".to_vec()),
        Event::ChildEnd,
        child("b", false),
        Event::ChildEnd,
        paragraph("two"),
        done(),
    ];
    let document = receive(events, &mut sink).await.expect("an answer").expect("a document");
    let texts: Vec<&str> = document.blocks.iter().map(|block| block.text.as_str()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(
        sink.bodies,
        [("a".to_owned(), Ok(b"hello".to_vec())), ("b".to_owned(), Ok(vec![]))]
    );
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_passed_over() {
    let mut sink = Kept { unread: true, ..Kept::default() };
    let mut events = vec![child("a", false)];
    events.extend((0..10).map(|_| Event::ChildData(vec![1])));
    events.extend([Event::ChildEnd, paragraph("after"), done()]);
    let document = receive(events, &mut sink).await.expect("an answer").expect("a document");
    assert_eq!(document.blocks.len(), 1);
}

#[tokio::test]
async fn a_worker_that_dies_in_a_body_does_not_leave_it_looking_whole() {
    let mut sink = Kept::default();
    let events = vec![child("a", false), Event::ChildData(b"half".to_vec())];
    assert!(matches!(receive(events, &mut sink).await, Err(Loss::Ended)));
    assert_eq!(sink.bodies, [("a".to_owned(), Err(io::ErrorKind::UnexpectedEof))]);
}

#[tokio::test]
async fn what_a_worker_may_not_say_is_refused() {
    let long = || Event::ChildData(vec![0; 11]);
    let three = || vec![Event::ChildEnd, child("x", false)];
    for events in [
        vec![paragraph(&"x".repeat(101)), done()],
        vec![paragraph("zero\0byte"), done()],
        vec![table(0, "n")],
        vec![table(1, "nn")],
        vec![table(1, "N")],
        vec![cells(&"x".repeat(5000))],
        vec![cells("zero\0byte")],
        vec![child("", false)],
        vec![failed(&"x".repeat(5000))],
        vec![failed("zero\0byte")],
        vec![fact("key", &"x".repeat(100_000))],
        vec![fact("zero\0byte", "value")],
        vec![child("other/document", true)],
        vec![child("a", false), long(), Event::ChildEnd, done()],
        [vec![child("x", false)], three(), three()].concat(),
    ] {
        let lost = receive(events.clone(), &mut Kept::default()).await;
        assert!(matches!(lost, Err(Loss::Misbehaved(_))), "{events:?}");
    }
    let layers = crate::extract::protocol::Confinement { landlock_abi: None, seccomp: false };
    for events in [
        vec![Event::Ready(layers)],
        vec![Event::ChildEnd],
        vec![Event::ChildData(vec![1])],
        vec![child("a", false), paragraph("inside")],
    ] {
        let lost = receive(events.clone(), &mut Kept::default()).await;
        assert!(matches!(lost, Err(Loss::Protocol(_))), "{events:?}");
    }
}

#[tokio::test]
async fn the_files_own_fault_is_an_answer() {
    let failure = ExtractFailure {
        code: ExtractFailureCode::PasswordRequired,
        message: "locked".to_owned(),
        media_type: None,
    };
    let answer = receive(vec![Event::Failed(failure.clone())], &mut Kept::default()).await;
    assert_eq!(answer.expect("an answer"), Err::<ExtractedDocument, _>(failure));
}

#[tokio::test]
async fn silence_ends_in_time() {
    let (mut ours, _theirs) = duplex(64);
    let mut receiver = Receiver::new(&mut ours, limits(), Duration::from_millis(20), false);
    assert!(matches!(receiver.run(&mut Kept::default()).await, Err(Loss::TimedOut)));
}

#[tokio::test]
async fn a_part_is_asked_for_between_events_and_only_where_there_are_any() {
    let wanted = |at, length| Event::Wanted(Wanted { at, length });
    let events =
        || vec![paragraph("one"), wanted(5, 1), child("a", false), Event::ChildEnd, done()];
    assert!(matches!(receive(events(), &mut Kept::default()).await, Err(Loss::Protocol(_))));
    for (length, good) in [(6, true), (5, false)] {
        let (_stop, stopped) = watch::channel(false);
        let mut source = io::Cursor::new(vec![0; length]);
        let (_sending, parts) = Sending::new(&mut source, length as u64, stopped);
        let wire = wire(events());
        let mut input = wire.as_slice();
        let receiver = Receiver::new(&mut input, limits(), Duration::from_secs(5), false);
        let outcome = receiver.with_parts(parts).run(&mut Kept::default()).await;
        match outcome {
            Ok(Ok(_)) => assert!(good),
            Err(Loss::Misbehaved(_)) => assert!(!good),
            other => panic!("{other:?}"),
        }
    }
}
