//! Tests of the frames: what is written is read back, and what is not a frame is refused.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::types::{BlockKind, CellRange, ExtractFailureCode, FormatHint, SheetCells, TablePart};

fn command() -> impl Strategy<Value = Command> {
    let limits = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>()).prop_map(
        |(max_text_bytes, max_parse_bytes, max_children, max_child_bytes, max_total_bytes)| {
            crate::extract::ExtractLimits {
                max_text_bytes,
                max_parse_bytes,
                max_children,
                max_child_bytes,
                max_total_bytes,
            }
        },
    );
    let format = option::of(prop_oneof![
        Just(FormatHint::DocumentsJsonl),
        Just(FormatHint::DocumentJson),
        Just(FormatHint::Text),
        (any::<u32>(), any::<u32>())
            .prop_map(|(page, width)| FormatHint::PdfPicture { page, width }),
    ]);
    prop_oneof![
        (any::<u64>(), any::<u64>()).prop_map(|(memory_limit_bytes, cpu_seconds)| {
            Command::Hello(WorkerSettings { memory_limit_bytes, cpu_seconds })
        }),
        (
            (any::<String>(), option::of(any::<String>()), any::<u64>()),
            format,
            vec("[^\\pC]{1,9}", 0..3),
            limits
        )
            .prop_map(|((name, media_type, length), format, passwords, limits)| {
                let passwords = passwords.into();
                let request = ExtractRequest { name, media_type, format, passwords, limits };
                Command::Begin(Opening { request, length })
            }),
        vec(any::<u8>(), 0..2000).prop_map(Command::Data),
        Just(Command::End),
        Just(Command::Part),
    ]
}

fn kind() -> impl Strategy<Value = BlockKind> {
    prop_oneof![
        any::<u8>().prop_map(|level| BlockKind::Heading { level }),
        Just(BlockKind::Paragraph),
        (any::<u8>(), any::<bool>())
            .prop_map(|(depth, ordered)| BlockKind::ListItem { depth, ordered }),
        Just(BlockKind::Quote),
        Just(BlockKind::QuotedReply),
        Just(BlockKind::Signature),
        Just(BlockKind::Code),
        (vec(vec(any::<String>(), 0..4), 0..4), any::<bool>(), option::of(part()))
            .prop_map(|(rows, header, data)| BlockKind::Table { rows, header, data }),
    ]
}

fn part() -> impl Strategy<Value = TablePart> {
    let text = || option::of(any::<String>());
    (any::<u32>(), text(), text(), vec("[a-z]{0,4}", 0..4))
        .prop_map(|(number, name, caption, kinds)| TablePart { number, name, caption, kinds })
}

fn cells() -> impl Strategy<Value = SheetCells> {
    let cell = || (any::<u32>(), 0..16_384_u32);
    (option::of(any::<String>()), cell(), cell()).prop_map(|(sheet, one, other)| {
        // Rows are counted from one in names.
        let range = CellRange::new((one.0 / 2, one.1), (other.0 / 2, other.1));
        SheetCells { sheet, range }
    })
}

fn event() -> impl Strategy<Value = Event> {
    let facts = vec((any::<String>(), any::<String>()), 0..4);
    prop_oneof![
        (option::of(any::<u32>()), any::<bool>()).prop_map(|(landlock_abi, seccomp)| {
            Event::Ready(Confinement { landlock_abi, seccomp })
        }),
        (kind(), any::<String>(), option::of(any::<u32>()), option::of(cells()))
            .prop_map(|(kind, text, page, cells)| Event::Block(Block { kind, text, page, cells })),
        (any::<String>(), any::<bool>(), option::of(any::<String>()), option::of(any::<u32>()))
            .prop_map(|(name, absolute, media_type, changed)| {
                let file_date =
                    changed.and_then(|at| jiff::Timestamp::from_second(i64::from(at)).ok());
                let format = None;
                Event::ChildBegin(ChildHeader { name, absolute, media_type, format, file_date })
            }),
        vec(any::<u8>(), 0..2000).prop_map(Event::ChildData),
        Just(Event::ChildEnd),
        (any::<u64>(), any::<u64>()).prop_map(|(at, length)| Event::Wanted(Wanted { at, length })),
        (any::<String>(), option::of(any::<u64>()), facts).prop_map(|(title, at, facts)| {
            Event::Done(Box::new(ExtractedDocument {
                title: Some(title),
                truncated_at: at,
                metadata: facts.into_iter().collect::<BTreeMap<_, _>>(),
                ..ExtractedDocument::default()
            }))
        }),
        any::<String>().prop_map(|message| {
            let code = ExtractFailureCode::Malformed;
            Event::Failed(ExtractFailure { code, message, media_type: None })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn commands_survive_the_wire(commands in vec(command(), 0..8)) {
        let mut wire = Vec::new();
        for command in &commands {
            let (kind, payload) = command.clone().encode().expect("serialisable");
            write_frame(&mut wire, kind, &payload).expect("within limits");
        }
        let mut input = wire.as_slice();
        let mut read = Vec::new();
        while let Some((kind, payload)) = read_frame(&mut input).expect("a frame") {
            read.push(Command::decode(kind, payload).expect("a command"));
        }
        prop_assert_eq!(read, commands);
    }

    #[test]
    fn events_survive_the_wire(events in vec(event(), 0..8)) {
        let mut wire = Vec::new();
        for event in &events {
            let (kind, payload) = event.clone().encode().expect("serialisable");
            write_frame(&mut wire, kind, &payload).expect("within limits");
        }
        let mut input = wire.as_slice();
        let mut read = Vec::new();
        while let Some((kind, payload)) = read_frame(&mut input).expect("a frame") {
            read.push(Event::decode(kind, payload).expect("an event"));
        }
        prop_assert_eq!(read, events);
    }

    #[test]
    fn noise_is_an_error_or_a_frame_but_never_a_panic(noise in vec(any::<u8>(), 0..200)) {
        let mut input = noise.as_slice();
        while let Ok(Some((kind, payload))) = read_frame(&mut input) {
            drop(Event::decode(kind, payload));
        }
    }
}

#[test]
fn a_frame_that_claims_too_much_is_refused_before_it_is_read() {
    let mut huge = u32::MAX.to_le_bytes().to_vec();
    huge.push(Kind::Data as u8);
    assert!(matches!(
        read_frame(&mut huge.as_slice()),
        Err(ProtocolError::TooLong { kind: Kind::Data, .. })
    ));
    let end = [1, 0, 0, 0, Kind::End as u8, 0];
    assert!(matches!(read_frame(&mut &end[..]), Err(ProtocolError::TooLong { .. })));
    let unknown = [0, 0, 0, 0, 200];
    assert!(matches!(read_frame(&mut &unknown[..]), Err(ProtocolError::UnknownKind { kind: 200 })));
}

#[test]
fn a_frame_cut_short_or_garbled_is_an_error() {
    let cut = [4, 0, 0, 0, Kind::Data as u8, 1, 2];
    assert!(matches!(read_frame(&mut &cut[..]), Err(ProtocolError::Io(_))));
    assert!(matches!(
        Event::decode(Kind::Done, b"{".to_vec()),
        Err(ProtocolError::Garbled { kind: Kind::Done, .. })
    ));
    assert!(matches!(
        Event::decode(Kind::Begin, b"{}".to_vec()),
        Err(ProtocolError::OutOfPlace { kind: Kind::Begin })
    ));
}

#[test]
fn the_largest_block_fits_into_a_frame() {
    let cell = "\u{1f}".repeat(crate::extract::MAX_BLOCK_TEXT);
    let kind = BlockKind::Table { rows: vec![vec![cell.clone()]], header: false, data: None };
    let block = Block { page: Some(1), ..Block::new(kind, cell) };
    let (kind, payload) = Event::Block(block).encode().expect("serialisable");
    write_frame(&mut Vec::new(), kind, &payload).expect("within limits");
}
