//! Where parsers put what they find: blocks, children, facts about the document.
//!
//! Called by: the parsers of `extract`. Talks to: the caller's `ExtractSink`.
//! Invariants: every text that leaves is clean and at most `MAX_BLOCK_TEXT` long; the texts
//! together stay within `max_text_bytes`; facts are bounded, so the final frame is small.
//!
//! Why the document is filled here and not returned by parsers: a parser that runs into the text
//! limit ends with `Stop::Full`, and what it learned before must not be lost.

use std::io::{self, Read};

use super::clean::{break_point, clean, one_line, prefix, shorten, size};
use super::date::{Written, shown_offset};
use super::{ExtractLimits, ExtractRequest, ExtractSink};
use crate::types::{
    Block, BlockKind, ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument,
    SheetCells, TablePart,
};

/// Longest text of one block in bytes; longer ones are cut into several.
pub const MAX_BLOCK_TEXT: usize = 64 * 1024;
/// Most blocks of one document.
pub const MAX_BLOCKS: u64 = 1_000_000;
/// Most pages of one document that are read by OCR.
pub const MAX_OCR_PAGES: usize = 5000;
const MAX_FACTS: usize = 200;
const MAX_KEY: usize = 100;
const MAX_VALUE: usize = 4 * 1024;
const MAX_AUTHORS: usize = 100;
const MAX_NAME: usize = 500;
const MAX_WARNINGS: usize = 50;
/// The fact that says in which offset from UTC the document's own date is written.
const UTC_OFFSET: &str = "utc_offset";

/// Why a parser ends before the end of its file.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file cannot be read.
    Failure(ExtractFailure),
    /// The receiving side is gone.
    Sink(io::Error),
    /// The bytes of the file do not arrive.
    Input(io::Error),
    /// A limit is reached; what was found so far stands.
    Full,
}

impl Stop {
    /// The file's own fault, as a sentence.
    pub(super) fn failure(code: ExtractFailureCode, message: impl Into<String>) -> Self {
        Self::Failure(ExtractFailure { code, message: message.into(), media_type: None })
    }

    /// Shorthand for a file that breaks the rules of its format.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::failure(ExtractFailureCode::Malformed, message)
    }
}

/// Where in its document a block stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Page, slide or sheet, counted from 1.
    pub(super) page: Option<u32>,
    /// The cells it shows.
    pub(super) cells: Option<SheetCells>,
}

impl From<Option<u32>> for Place {
    fn from(page: Option<u32>) -> Self {
        Self { page, cells: None }
    }
}

/// Collects one document and passes its blocks and children on.
pub(super) struct Output<'a> {
    /// What is known about the document; its blocks stay empty.
    pub(super) document: ExtractedDocument,
    limits: &'a ExtractLimits,
    passwords: &'a [String],
    sink: &'a mut dyn ExtractSink,
    text_bytes: u64,
    blocks: u64,
    children: u32,
    tables: u32,
}

impl<'a> Output<'a> {
    pub(super) fn new(request: &'a ExtractRequest, sink: &'a mut dyn ExtractSink) -> Self {
        Self { passwords: &request.passwords, ..Self::within(&request.limits, sink) }
    }

    /// For text inside a file that is open already.
    pub(super) fn within(limits: &'a ExtractLimits, sink: &'a mut dyn ExtractSink) -> Self {
        Self {
            document: ExtractedDocument::default(),
            limits,
            passwords: &[],
            sink,
            text_bytes: 0,
            blocks: 0,
            children: 0,
            tables: 0,
        }
    }

    /// Bytes of text emitted so far.
    pub(super) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Bytes of text that may still be emitted.
    pub(super) fn room(&self) -> u64 {
        self.limits.max_text_bytes.saturating_sub(self.text_bytes)
    }

    /// The limits of this extraction.
    pub(super) fn limits(&self) -> &'a ExtractLimits {
        self.limits
    }

    /// What may open the file, where it is locked.
    pub(super) fn passwords(&self) -> &'a [String] {
        self.passwords
    }

    pub(super) fn paragraph(&mut self, text: &str) -> Result<(), Stop> {
        self.block(&BlockKind::Paragraph, text, None)
    }

    /// Emits a block; blank ones are dropped, long ones are cut into several of the same kind.
    pub(super) fn block(
        &mut self,
        kind: &BlockKind,
        text: &str,
        page: Option<u32>,
    ) -> Result<(), Stop> {
        self.block_at(kind, text, &page.into())
    }

    /// The same of a block that may show certain cells.
    pub(super) fn block_at(
        &mut self,
        kind: &BlockKind,
        text: &str,
        place: &Place,
    ) -> Result<(), Stop> {
        let cleaned = clean(text);
        let keep_indent = matches!(kind, BlockKind::Code);
        let mut rest =
            if keep_indent { cleaned.trim_end().trim_start_matches('\n') } else { cleaned.trim() };
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(break_point(rest, MAX_BLOCK_TEXT));
            self.emit(kind.clone(), piece.trim_end(), place)?;
            rest = if keep_indent { tail } else { tail.trim_start() };
        }
        Ok(())
    }

    /// Begins a table that is kept as data; its number.
    pub(super) fn begin_table(&mut self) -> u32 {
        self.tables = self.tables.saturating_add(1);
        self.tables
    }

    /// Emits rows as one table block. Rows too long for a block become paragraphs.
    pub(super) fn table(
        &mut self,
        rows: Vec<Vec<String>>,
        header: bool,
        place: &Place,
        data: Option<TablePart>,
    ) -> Result<(), Stop> {
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| row.iter().map(|cell| clean(cell).trim().to_owned()).collect())
            .collect();
        let lines: Vec<String> = rows.iter().map(|row| row_line(row)).collect();
        let length: usize = lines.iter().map(|line| line.len() + 1).sum();
        // Cells may be far longer than their line, which has its white space collapsed.
        let cells: usize = rows.iter().flatten().map(|cell| cell.len() + 9).sum();
        if lines.iter().all(String::is_empty) {
            return Ok(());
        }
        let too_long = length > MAX_BLOCK_TEXT || cells > 2 * MAX_BLOCK_TEXT;
        if too_long || length as u64 > self.room() {
            if too_long && data.is_some() {
                self.warn("A row of a table is too long to be kept as data; its text is");
            }
            let kind = BlockKind::Paragraph;
            let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
            return (0..count).zip(&lines).try_for_each(|(at, line)| {
                let cells = place.cells.clone();
                let row = |cells: SheetCells| SheetCells {
                    range: cells.range.lines(at, at, count),
                    ..cells
                };
                let place = Place { page: place.page, cells: cells.map(row) };
                self.block_at(&kind, line, &place)
            });
        }
        self.emit(BlockKind::Table { rows, header, data }, &lines.join("\n"), place)
    }

    /// Passes a file found inside this one on. `Stop::Full` once there are too many.
    ///
    /// The receiver may leave `body` unread.
    pub(super) fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> Result<(), Stop> {
        if self.children >= self.limits.max_children {
            let limit = self.limits.max_children;
            self.warn(format!("Only the first {limit} files inside this one were taken"));
            return Err(Stop::Full);
        }
        self.children += 1;
        let mut capped =
            Capped { inner: body, left: self.limits.max_child_bytes, cut: false, broken: false };
        let passed = self.sink.child(header, &mut capped);
        let (cut, broken) = (capped.cut, capped.broken);
        match passed {
            Ok(()) => {}
            // The receiver does not list what is refused.
            Err(error) if broken && refusal(&error).is_some() => self.warn(error.to_string()),
            Err(error) if broken => return Err(Stop::Input(error)),
            Err(error) => return Err(Stop::Sink(error)),
        }
        if cut {
            let limit = size(self.limits.max_child_bytes);
            self.warn(format!("Only the first {limit} of {} were taken", header.name));
        }
        Ok(())
    }

    /// Lists a file that is inside this one and not taken, with the reason.
    pub(super) fn refuse(
        &mut self,
        header: &ChildHeader,
        failure: ExtractFailure,
    ) -> Result<(), Stop> {
        self.child(header, &mut Refused(Some(failure)))
    }

    /// Notes a page whose text, if it has any, is in a picture. Pages come in order.
    pub(super) fn needs_ocr(&mut self, page: u32) {
        let pages = &mut self.document.ocr_pages;
        if pages.len() < MAX_OCR_PAGES {
            pages.push(page);
        } else {
            self.warn(format!("Only the first {MAX_OCR_PAGES} pages with pictures are looked at"));
        }
    }

    /// Notes something that could not be read.
    pub(super) fn warn(&mut self, sentence: impl AsRef<str>) {
        if self.document.warnings.len() < MAX_WARNINGS {
            self.document.warnings.push(shorten(&one_line(sentence.as_ref()), MAX_NAME));
        }
    }

    /// Records a fact; empty values are dropped, the first value of a key stays.
    pub(super) fn fact(&mut self, key: &str, value: &str) {
        let value = clean(value);
        let value = value.trim();
        let key = shorten(&one_line(key), MAX_KEY);
        if value.is_empty() || key.is_empty() || self.document.metadata.len() >= MAX_FACTS {
            return;
        }
        self.document.metadata.entry(key).or_insert_with(|| shorten(value, MAX_VALUE));
    }

    /// Sets the title unless there is one already.
    pub(super) fn title(&mut self, title: &str) {
        let title = one_line(title);
        if self.document.title.is_none() && !title.is_empty() {
            self.document.title = Some(shorten(&title, MAX_NAME));
        }
    }

    pub(super) fn author(&mut self, author: &str) {
        let author = shorten(&one_line(author), MAX_NAME);
        let authors = &mut self.document.authors;
        if !author.is_empty() && authors.len() < MAX_AUTHORS && !authors.contains(&author) {
            authors.push(author);
        }
    }

    /// Sets the date the document gives itself, unless it has one.
    pub(super) fn written(&mut self, date: Option<Written>) {
        if let Some(date) = date.filter(|_| self.document.content_date.is_none()) {
            self.rewritten(date);
        }
    }

    /// Sets it in place of the one there is.
    pub(super) fn rewritten(&mut self, date: Written) {
        self.document.content_date = Some(date.at);
        let facts = &mut self.document.metadata;
        match date.offset {
            Some(offset) => facts.insert(UTC_OFFSET.to_owned(), shown_offset(offset)),
            None => facts.remove(UTC_OFFSET),
        };
    }

    fn emit(&mut self, kind: BlockKind, text: &str, place: &Place) -> Result<(), Stop> {
        if text.is_empty() {
            return Ok(());
        }
        if self.blocks >= MAX_BLOCKS {
            self.warn(format!("Only the first {MAX_BLOCKS} paragraphs were kept"));
            return Err(Stop::Full);
        }
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let kept = prefix(text, room);
        if !kept.is_empty() {
            self.text_bytes += kept.len() as u64;
            self.blocks += 1;
            let Place { page, cells } = place.clone();
            let block = Block { kind, text: kept.to_owned(), page, cells };
            self.sink.block(block).map_err(Stop::Sink)?;
        }
        if kept.len() < text.len() {
            let limit = size(self.limits.max_text_bytes);
            self.warn(format!("Only the first {limit} of text were kept"));
            return Err(Stop::Full);
        }
        Ok(())
    }
}

/// The name or caption of a table.
pub(super) fn label(text: &str) -> Option<String> {
    let text = one_line(text);
    (!text.is_empty()).then(|| shorten(&text, MAX_NAME))
}

/// A table row on one line.
pub(super) fn row_line(row: &[String]) -> String {
    let cells: Vec<String> = row.iter().map(|cell| one_line(cell)).collect();
    if cells.iter().all(String::is_empty) {
        return String::new();
    }
    cells.join(" | ")
}

/// Why the body of a child ends in this error, where the child alone is to be refused for it.
pub fn refusal(error: &io::Error) -> Option<&ExtractFailure> {
    error.get_ref()?.downcast_ref()
}

/// The body of a child that is refused.
struct Refused(Option<ExtractFailure>);

impl Read for Refused {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), |failure| Err(io::Error::other(failure)))
    }
}

/// A child's bytes, cut at a limit; remembers whether the cut or the file ended them.
struct Capped<'b> {
    inner: &'b mut dyn Read,
    left: u64,
    cut: bool,
    broken: bool,
}

impl Read for Capped<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.cut {
            return Ok(0);
        }
        let mut probe = [0_u8; 1];
        let target = if self.left == 0 {
            &mut probe[..]
        } else {
            let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
            &mut out[..want]
        };
        let count = self.inner.read(target).inspect_err(|_| self.broken = true)?;
        if self.left == 0 {
            self.cut = count > 0;
            return Ok(0);
        }
        self.left -= count as u64;
        Ok(count)
    }
}
