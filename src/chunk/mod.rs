//! From blocks to the document's text and its chunks.
//!
//! Called by: `app::index`. Talks to: nothing; pure.
//! Invariants: chunks are disjoint, in order, each within the token budget and exactly the slice
//! of the text its offsets name; everything but white space is in some chunk, and
//! each chunk is in one voice: what a mail repeats of others is apart from its own words, and so is
//! its signature.
//! Why: chunks follow the structure that was extracted. A page starts a new chunk, a heading
//! does unless the one before is still tiny, and a cut falls between sentences wherever one fits, so a
//! passage reads as something a person wrote. A ready-made splitter would re-tokenise every
//! candidate span; here each block is tokenised once.

mod units;

use crate::types::{Block, BlockKind, Chunk, SheetCells, Voice};

use units::{Unit, split_units};

/// Byte spans of the tokens of a text, in order.
pub type TokenSpans<'a> = dyn Fn(&str) -> Vec<(usize, usize)> + 'a;

/// A document's text with everything cut from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkedText {
    pub text: String,
    pub length_chars: u64,
    pub chunks: Vec<Chunk>,
    /// Level, text and offset (in scalar values) of each heading.
    pub headings: Vec<(u8, String, u64)>,
    /// Offset (in scalar values) of the first character of each page, where there are pages.
    pub page_starts: Vec<u64>,
    /// Where the blocks that are tables stand.
    pub tables: Vec<BlockSpan>,
}

/// Where a block stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSpan {
    /// Its place among the blocks.
    pub block: usize,
    /// Offsets in scalar values.
    pub start: u64,
    pub end: u64,
}

impl ChunkedText {
    /// Takes the numbers of pages out, where they count what has a name: the sheets of a workbook
    /// are in the heading path, and nobody looks for their second page.
    pub fn without_pages(mut self) -> Self {
        self.page_starts.clear();
        self.chunks.iter_mut().for_each(|chunk| chunk.page = None);
        self
    }
}

/// Joins `blocks` into the document's text and cuts it into chunks of at most `budget` tokens.
pub fn split(blocks: &[Block], budget: usize, tokens: &TokenSpans<'_>) -> ChunkedText {
    let mut packer = Packer::new(budget);
    let mut previous: Option<&Block> = None;
    for (at, block) in blocks.iter().enumerate() {
        if block.text.trim().is_empty() {
            continue;
        }
        packer.separate(previous, block);
        let start = packer.out.length_chars;
        packer.block(block, tokens);
        if matches!(block.kind, BlockKind::Table { .. }) {
            let end = packer.out.length_chars;
            packer.out.tables.push(BlockSpan { block: at, start, end });
        }
        previous = Some(block);
    }
    packer.finish()
}

struct Packer {
    budget: usize,
    out: ChunkedText,
    /// Headings in force, by level.
    path: Vec<(u8, String)>,
    page: Option<u32>,
    open: Option<Open>,
}

/// The chunk being filled.
struct Open {
    start_byte: usize,
    end_byte: usize,
    start_char: u64,
    end_char: u64,
    tokens: usize,
    page: Option<u32>,
    cells: Option<SheetCells>,
    headings: Vec<String>,
    /// True while it holds nothing but headings.
    only_headings: bool,
    voice: Voice,
}

/// The lines of a block that shows cells, counted as its units come.
struct Lines<'a> {
    text: &'a str,
    cells: Option<&'a SheetCells>,
    count: u32,
    /// Where counting stands: a byte, and the line it is on.
    byte: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    fn of(block: &'a Block) -> Self {
        let cells = block.cells.as_ref();
        let count = if cells.is_some() { ends(&block.text).saturating_add(1) } else { 0 };
        Self { text: &block.text, cells, count, byte: 0, line: 0 }
    }

    /// The cells that a unit behind those before shows.
    fn cells(&mut self, unit: &Unit) -> Option<SheetCells> {
        let cells = self.cells?;
        let (first, last) = (self.line_at(unit.start_byte), self.line_at(unit.end_byte));
        Some(SheetCells { range: cells.range.lines(first, last, self.count), ..cells.clone() })
    }

    fn line_at(&mut self, byte: usize) -> u32 {
        self.line = self.line.saturating_add(ends(&self.text[self.byte..byte]));
        self.byte = byte;
        self.line
    }
}

/// Ends of lines in a text.
fn ends(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// How a unit stands in its document.
#[derive(Clone, Copy)]
struct Standing {
    base_byte: usize,
    base_char: u64,
    is_heading: bool,
    voice: Voice,
}

impl Packer {
    fn new(budget: usize) -> Self {
        Self {
            budget: budget.max(1),
            out: ChunkedText::default(),
            path: Vec::new(),
            page: None,
            open: None,
        }
    }

    fn separate(&mut self, previous: Option<&Block>, next: &Block) {
        let Some(previous) = previous else { return };
        let in_list = matches!(previous.kind, BlockKind::ListItem { .. })
            && matches!(next.kind, BlockKind::ListItem { .. });
        let separator = if in_list { "\n" } else { "\n\n" };
        self.out.text.push_str(separator);
        self.out.length_chars += separator.len() as u64;
    }

    fn block(&mut self, block: &Block, tokens: &TokenSpans<'_>) {
        if block.page.is_some() && block.page != self.page {
            self.turn_page(block.page);
        }
        let is_heading = if let BlockKind::Heading { level } = block.kind {
            self.enter_heading(level, block.text.trim());
            true
        } else {
            false
        };
        let voice = block.kind.voice();
        if self.open.as_ref().is_some_and(|open| open.voice != voice) {
            self.close();
        }
        let standing = Standing {
            base_byte: self.out.text.len(),
            base_char: self.out.length_chars,
            is_heading,
            voice,
        };
        self.out.text.push_str(&block.text);
        let units = split_units(&block.text, self.budget, tokens);
        let mut lines = Lines::of(block);
        for unit in &units {
            let cells = lines.cells(unit);
            self.unit(unit, standing, cells);
        }
        self.out.length_chars += block.text.chars().count() as u64;
    }

    fn turn_page(&mut self, page: Option<u32>) {
        // However short: a passage names one page, and that has to be the right one.
        self.close();
        self.page = page;
        let page = page.unwrap_or(1) as usize;
        // Pages without text start where the next one does.
        while self.out.page_starts.len() < page {
            self.out.page_starts.push(self.out.length_chars);
        }
    }

    fn enter_heading(&mut self, level: u8, text: &str) {
        if self.open.as_ref().is_some_and(|open| !open.only_headings) {
            self.close_unless_tiny();
        }
        self.path.retain(|(outer, _)| *outer < level);
        self.path.push((level, text.to_owned()));
        self.out.headings.push((level, text.to_owned(), self.out.length_chars));
    }

    fn unit(&mut self, unit: &Unit, standing: Standing, cells: Option<SheetCells>) {
        let Standing { base_byte, base_char, is_heading, voice } = standing;
        if self.open.as_ref().is_some_and(|open| open.tokens + unit.tokens > self.budget) {
            self.close();
        }
        let end_byte = base_byte + unit.end_byte;
        let end_char = base_char + unit.end_char;
        match &mut self.open {
            Some(open) => {
                open.end_byte = end_byte;
                open.end_char = end_char;
                open.tokens += unit.tokens;
                open.cells = match (open.cells.take(), cells) {
                    (Some(before), Some(cells)) => Some(before.with(&cells)),
                    (before, cells) => before.or(cells),
                };
                open.only_headings &= is_heading;
                if is_heading {
                    open.headings = self.path.iter().map(|(_, text)| text.clone()).collect();
                }
            }
            None => {
                self.open = Some(Open {
                    start_byte: base_byte + unit.start_byte,
                    end_byte,
                    start_char: base_char + unit.start_char,
                    end_char,
                    tokens: unit.tokens,
                    page: self.page,
                    cells,
                    // The headings are the author's, and only the author's words stand under them.
                    headings: match voice {
                        Voice::Own => self.path.iter().map(|(_, text)| text.clone()).collect(),
                        _ => Vec::new(),
                    },
                    only_headings: is_heading,
                    voice,
                });
            }
        }
    }

    /// Closes the open chunk at a structural border, unless it is too small to stand alone.
    fn close_unless_tiny(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.tokens * 4 >= self.budget) {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        self.out.chunks.push(Chunk {
            ordinal: self.out.chunks.len() as u32,
            start_byte: open.start_byte,
            end_byte: open.end_byte,
            start_char: open.start_char,
            end_char: open.end_char,
            page: open.page,
            cells: open.cells,
            headings: open.headings,
            text: self.out.text[open.start_byte..open.end_byte].to_owned(),
            tokens: open.tokens as u32,
            voice: open.voice,
        });
    }

    fn finish(mut self) -> ChunkedText {
        self.close();
        self.out
    }
}

#[cfg(test)]
mod tests;
