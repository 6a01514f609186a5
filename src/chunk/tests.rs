//! Tests of chunking.
//!
//! Called by: the test runner. Talks to: nothing.
//! Invariants: none.

use proptest::prelude::*;

use super::*;

/// One token per run of letters or digits and per other visible character.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        match spans.last_mut() {
            Some(last)
                if c.is_alphanumeric()
                    && last.1 == at
                    && text[last.0..last.1].chars().all(char::is_alphanumeric) =>
            {
                last.1 = end;
            }
            _ if c.is_whitespace() => {}
            _ => spans.push((at, end)),
        }
    }
    spans
}

fn paragraph(text: &str) -> Block {
    Block::new(BlockKind::Paragraph, text)
}

fn heading(level: u8, text: &str) -> Block {
    Block::new(BlockKind::Heading { level }, text)
}

#[test]
fn a_short_document_is_one_chunk() {
    let split = split(&[paragraph("One sentence. And another.")], 50, &words);
    assert_eq!(split.chunks.len(), 1);
    assert_eq!(split.chunks[0].text, "One sentence. And another.");
}

#[test]
fn cuts_fall_between_sentences() {
    let text = "First sentence has six words here. Second sentence has six words too.";
    let split = split(&[paragraph(text)], 8, &words);
    let texts: Vec<&str> = split.chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    assert_eq!(texts, ["First sentence has six words here.", "Second sentence has six words too."]);
}

#[test]
fn a_heading_starts_a_chunk_and_names_its_path() {
    let blocks = [
        heading(1, "Report"),
        paragraph("Some words that fill the first section well enough to stand."),
        heading(2, "Results"),
        paragraph("Other words that make up the second section of the report."),
    ];
    let split = split(&blocks, 24, &words);
    assert_eq!(split.chunks.len(), 2);
    assert_eq!(split.chunks[0].headings, ["Report"]);
    assert_eq!(split.chunks[1].headings, ["Report", "Results"]);
    assert!(split.chunks[1].text.starts_with("Results"));
    assert_eq!(split.headings[1].1, "Results");
}

#[test]
fn pages_are_kept_and_empty_pages_counted() {
    let mut blocks =
        [paragraph("Page one text, long enough to be a chunk."), paragraph("Page three text.")];
    blocks[0].page = Some(1);
    blocks[1].page = Some(3);
    let split = split(&blocks, 10, &words);
    assert_eq!(split.page_starts.len(), 3);
    assert_eq!(split.chunks.last().and_then(|chunk| chunk.page), Some(3));
}

#[test]
fn sheets_are_cited_by_their_names() {
    let mut blocks =
        [heading(1, "Costs"), paragraph("a | 1"), heading(1, "Staff"), paragraph("b | 2")];
    for (number, block) in (2_u32..).zip(&mut blocks) {
        block.page = Some(number / 2);
    }
    let split = split(&blocks, 50, &words).without_pages();
    let paths: Vec<_> =
        split.chunks.iter().map(|chunk| (&chunk.headings[..], chunk.page)).collect();
    assert_eq!(paths, [(&["Costs".to_owned()][..], None), (&["Staff".to_owned()][..], None)]);
    assert!(split.page_starts.is_empty());
}

#[test]
fn a_chunk_of_a_sheet_names_the_cells_it_shows() {
    let cells = |range: &str| {
        Some(SheetCells { sheet: Some("Costs".to_owned()), range: range.parse().unwrap() })
    };
    let kind = || BlockKind::Table { rows: Vec::new(), header: true, data: None };
    let table = |text: &str, range| Block { cells: cells(range), ..Block::new(kind(), text) };
    let blocks = [
        heading(1, "Costs"),
        table("item | sum\ndesk | 1\nlamp | 2\nsofa | 3", "B2:C5"),
        // The header is repeated and the rows are others.
        table("item | sum\ntent | 4\nwood | 5", "B6:C7"),
        Block { cells: cells("E9"), ..paragraph("Comment on E9: paid") },
    ];
    let split = split(&blocks, 10, &words);
    let shown: Vec<(&str, String)> = split
        .chunks
        .iter()
        .map(|chunk| {
            let cells = chunk.cells.as_ref().map(ToString::to_string).unwrap_or_default();
            (chunk.text.as_str(), cells)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("Costs\n\nitem | sum\ndesk | 1\nlamp | 2", "Costs B2:C4".to_owned()),
            ("sofa | 3\n\nitem | sum\ntent | 4", "Costs B5:C6".to_owned()),
            ("wood | 5\n\nComment on E9: paid", "Costs B7:E9".to_owned()),
        ]
    );
}

#[test]
fn a_word_longer_than_the_budget_does_not_loop() {
    let text = "x ".repeat(100);
    let split = split(&[paragraph(&text)], 7, &words);
    assert!(split.chunks.iter().all(|chunk| chunk.tokens <= 7));
    assert_eq!(split.chunks.iter().map(|chunk| chunk.tokens).sum::<u32>(), 100);
}

#[test]
fn what_a_mail_repeats_and_its_signature_are_in_chunks_of_their_own() {
    let mut blocks = [
        heading(1, "Mine"),
        paragraph("My own words."),
        paragraph("> Words of another."),
        paragraph("> And of a third."),
        paragraph("More of mine."),
        paragraph("Ann, +49 30 1234"),
    ];
    blocks[2].kind = BlockKind::QuotedReply;
    blocks[3].kind = BlockKind::QuotedReply;
    blocks[5].kind = BlockKind::Signature;
    let split = split(&blocks, 50, &words);
    let found: Vec<(&str, Voice, usize)> = split
        .chunks
        .iter()
        .map(|chunk| (chunk.text.as_str(), chunk.voice, chunk.headings.len()))
        .collect();
    let quoted = "> Words of another.\n\n> And of a third.";
    assert_eq!(
        found,
        [
            ("Mine\n\nMy own words.", Voice::Own, 1),
            (quoted, Voice::Quoted, 0),
            ("More of mine.", Voice::Own, 1),
            ("Ann, +49 30 1234", Voice::Signature, 0),
        ]
    );
    assert!(split.text.contains("Words of another.") && split.text.ends_with("1234"));
    assert_eq!(split.length_chars, split.text.chars().count() as u64);
    let second = &split.chunks[1];
    assert_eq!(&split.text[second.start_byte..second.end_byte], second.text);
}

proptest! {
    #[test]
    fn chunks_are_exact_slices_that_cover_all_visible_text(
        texts in proptest::collection::vec("[a-zäöü🙂 .\\n!?]{0,80}", 0..8),
        budget in 1_usize..30,
    ) {
        let blocks: Vec<Block> = texts.iter().map(|text| paragraph(text)).collect();
        let split = split(&blocks, budget, &words);
        prop_assert_eq!(split.length_chars, split.text.chars().count() as u64);
        let chars: Vec<char> = split.text.chars().collect();
        let mut last_end = 0;
        let mut seen = String::new();
        for chunk in &split.chunks {
            prop_assert_eq!(&split.text[chunk.start_byte..chunk.end_byte], chunk.text.as_str());
            let sliced: String =
                chars[chunk.start_char as usize..chunk.end_char as usize].iter().collect();
            prop_assert_eq!(&sliced, &chunk.text);
            prop_assert!(chunk.start_byte >= last_end);
            prop_assert!(chunk.tokens as usize <= budget);
            last_end = chunk.end_byte;
            seen.extend(chunk.text.chars().filter(|c| !c.is_whitespace()));
        }
        let visible: String = split.text.chars().filter(|c| !c.is_whitespace()).collect();
        prop_assert_eq!(seen, visible);
    }
}
