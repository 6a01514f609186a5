//! HTML: the readable part of a page as headings, paragraphs, lists, tables, quotes and code.
//!
//! Called by: `extract`, `markdown` and `mail` for HTML inside their formats. Talks to: `scraper`
//! for the tree, `html::xhtml` for pages that are XML, `html::tree` for walking it, `html::facts` for
//! title, author and date.
//! Invariants: the walk is iterative and no state grows with nesting depth beyond a counter, so
//! no page can exhaust the stack; scripts, styles, navigation and hidden elements are not seen.
//!
//! Why two passes: whether a table holds data or lays out a page is known only after its end,
//! and mail and old pages are mostly layout tables, whose cells must read as paragraphs.

mod facts;
mod tree;
mod voices;
mod xhtml;

use scraper::{Html, Node};

pub(super) use self::facts::declared_charset;
use self::tree::{Step, TableShape, Walk};
use self::voices::{OwnWords, Voices};
use super::ExtractLimits;
use super::charset::{declared_in, decode_whole};
use super::clean::one_line;
use super::emit::{Output, Stop};
use super::exports;
use super::grid::Grid;
use super::rows::RowGroups;
use super::source::Source;
use crate::types::BlockKind;

const XHTML: &str = "application/xhtml+xml";

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    name: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let declared = declared_in(media_type).or_else(|| declared_charset(&bytes));
    let text = decode_whole(&bytes, declared, out);
    drop(bytes);
    let said = media_type.is_some_and(|media_type| media_type.starts_with(XHTML));
    let named = [".xhtml", ".xht"].iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
    let mut page = if said || named || xhtml::is_declared(&text) {
        Html::parse_document(&xhtml::with_end_tags(&text))
    } else {
        Html::parse_document(&text)
    };
    exports::prepare(&text, &mut page, out)?;
    drop(text);
    facts::collect(&page, out);
    walk(&page, None, out)
}

/// Emits the blocks of HTML found inside another format; its title and author do not count.
pub(super) fn fragment(html: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    if xhtml::is_declared(html) {
        return chapter(html, out);
    }
    walk(&Html::parse_document(html), None, out)
}

/// The same for a page that is XML, whether it says so or not.
pub(super) fn chapter(xhtml: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    walk(&Html::parse_document(&xhtml::with_end_tags(xhtml)), None, out)
}

/// Emits the blocks of a mail's HTML, with what it repeats of others told apart. A mail that says
/// nothing else passes on what it repeats, which then are its words.
pub(super) fn mail(html: &str, is_forward: bool, out: &mut Output<'_>) -> Result<(), Stop> {
    let page = Html::parse_document(html);
    let own = own_words(&page, is_forward, out.limits())?;
    walk(&page, Some(Voices::new(is_forward || !own.found())), out)
}

/// True where the mail's own words are in tables, under headings or in lists.
pub(super) fn has_structure(
    html: &str,
    is_forward: bool,
    limits: &ExtractLimits,
) -> Result<bool, Stop> {
    Ok(own_words(&Html::parse_document(html), is_forward, limits)?.are_structured())
}

fn own_words(page: &Html, is_forward: bool, limits: &ExtractLimits) -> Result<OwnWords, Stop> {
    let mut own = OwnWords::default();
    match walk(page, Some(Voices::new(is_forward)), &mut Output::within(limits, &mut own)) {
        Ok(()) | Err(Stop::Full) => Ok(own),
        Err(stop) => Err(stop),
    }
}

/// The words of a mail's HTML as its reader sees them, markup and all that is hidden left out.
pub(super) fn seen_text(html: &str) -> String {
    let page = Html::parse_document(html);
    let (mut text, mut in_title) = (String::new(), false);
    for step in Walk::new(&page) {
        let (node, enters) = match step {
            Step::Enter(node) => (node, true),
            Step::Leave(node) => (node, false),
        };
        match node.value() {
            Node::Text(words) if enters && !in_title => text.push_str(words),
            Node::Element(element) if element.name() == "title" => in_title = enters,
            Node::Element(element) if element.name() == "br" || is_block(element.name()) => {
                text.push('\n');
            }
            _ => {}
        }
    }
    text
}

fn walk(page: &Html, voices: Option<Voices>, out: &mut Output<'_>) -> Result<(), Stop> {
    let shapes = tree::table_shapes(page);
    let mut reader = Reader::new(out, &shapes);
    reader.voices = voices;
    for step in Walk::new(page) {
        match step {
            Step::Enter(node) => match node.value() {
                Node::Text(text) => reader.text(text),
                Node::Element(element) => {
                    reader.change_voice(element, Voices::enter)?;
                    reader.open(element)?;
                }
                _ => {}
            },
            Step::Leave(node) => {
                if let Node::Element(element) = node.value() {
                    reader.close(element.name())?;
                    reader.change_voice(element, Voices::leave)?;
                }
            }
        }
    }
    reader.flush()
}

/// Lists and tables in a cell of data, of which only separators are left.
#[derive(Default)]
struct Cell {
    /// The text ends with an item of a list.
    after_item: bool,
    /// Tables open in the cell.
    tables: u32,
    /// Of the innermost of them: has it had a row, and the row a cell.
    rows: bool,
    cells: bool,
}

struct Reader<'r, 'o> {
    out: &'r mut Output<'o>,
    /// One entry per visible table, in document order.
    shapes: &'r [TableShape],
    next_table: usize,
    text: String,
    heading: Option<u8>,
    preformatted: u32,
    quotes: u32,
    /// One entry per open list: is it ordered.
    lists: Vec<bool>,
    item_open: bool,
    /// One entry per open table: is it one of data. What is in a cell of data counts for none.
    tables: Vec<bool>,
    groups: Option<RowGroups>,
    grid: Grid,
    /// Columns and rows that the open cell spans.
    span: (usize, usize),
    /// What is open inside a cell of data.
    cell: Cell,
    in_title: bool,
    /// Who speaks, in a mail.
    voices: Option<Voices>,
}

impl<'r, 'o> Reader<'r, 'o> {
    fn new(out: &'r mut Output<'o>, shapes: &'r [TableShape]) -> Self {
        Self {
            out,
            shapes,
            next_table: 0,
            text: String::new(),
            heading: None,
            preformatted: 0,
            quotes: 0,
            lists: Vec::new(),
            item_open: false,
            tables: Vec::new(),
            groups: None,
            grid: Grid::default(),
            span: (1, 1),
            cell: Cell::default(),
            in_title: false,
            voices: None,
        }
    }

    /// Ends the block at hand where `element` is the border of what a mail repeats.
    fn change_voice(
        &mut self,
        element: &scraper::node::Element,
        change: fn(&mut Voices, &scraper::node::Element),
    ) -> Result<(), Stop> {
        if self.voices.is_some() && voices::is_border(element) {
            self.flush()?;
            if let Some(voices) = &mut self.voices {
                change(voices, element);
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            return;
        }
        if self.preformatted > 0 && self.groups.is_none() {
            self.text.push_str(text);
            return;
        }
        self.cell.after_item &= text.trim().is_empty();
        // Only ASCII white space collapses in HTML; a no-break space stays.
        for c in text.chars() {
            if !c.is_ascii_whitespace() {
                self.text.push(c);
            } else if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
    }

    fn open(&mut self, element: &scraper::node::Element) -> Result<(), Stop> {
        let name = element.name();
        match name {
            "title" => self.in_title = true,
            "br" => self.text.push('\n'),
            "img" => {
                if let Some(alt) = element.attr("alt").filter(|alt| !alt.trim().is_empty()) {
                    self.text(&format!(" {alt} "));
                }
            }
            "table" => self.open_table()?,
            "td" | "th" if self.groups.is_some() && self.cell.tables == 0 => {
                let span = |name| element.attr(name).and_then(|n| n.trim().parse().ok());
                self.span = (span("colspan").unwrap_or(1), span("rowspan").unwrap_or(1));
                self.cell = Cell::default();
                self.text.clear();
            }
            _ if self.groups.is_some() => self.open_in_cell(name)?,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush()?;
                self.heading = Some(name.as_bytes()[1] - b'0');
            }
            "ul" | "ol" | "menu" => {
                self.flush()?;
                self.lists.push(name == "ol");
            }
            "li" => {
                self.flush()?;
                self.item_open = true;
            }
            "blockquote" => {
                self.flush()?;
                self.quotes += 1;
            }
            "pre" | "listing" | "textarea" => {
                self.flush()?;
                self.preformatted += 1;
            }
            _ if is_block(name) => self.flush()?,
            _ => {}
        }
        Ok(())
    }

    /// Separates what begins inside a cell of data from what is in it already.
    fn open_in_cell(&mut self, name: &str) -> Result<(), Stop> {
        match name {
            "li" if self.cell.after_item => self.separate("; "),
            "td" | "th" if self.cell.cells => self.separate(", "),
            "td" | "th" => self.cell.cells = true,
            "tr" if self.cell.tables > 0 && self.cell.rows => {
                self.cell.cells = false;
                self.separate("; ");
            }
            "tr" if self.cell.tables > 0 => {
                self.cell.rows = true;
                self.flush()?;
            }
            _ if is_block(name) || is_flattened(name) => self.flush()?,
            _ => {}
        }
        Ok(())
    }

    fn separate(&mut self, separator: &str) {
        self.text.truncate(self.text.trim_end().len());
        if !self.text.is_empty() {
            self.text.push_str(separator);
        }
    }

    fn close(&mut self, name: &str) -> Result<(), Stop> {
        let is_nested = self.cell.tables > 0;
        match name {
            "title" => self.in_title = false,
            "table" => self.close_table()?,
            "tr" if !is_nested => {
                if let Some(groups) = &mut self.groups {
                    let row = self.grid.end_row();
                    if row.iter().any(|cell| !cell.is_empty()) {
                        groups.push(row, self.out)?;
                    }
                }
            }
            "td" | "th" if self.groups.is_some() && !is_nested => {
                let cell = std::mem::take(&mut self.text);
                self.grid.cell(cell.trim(), self.span.0, self.span.1);
            }
            "caption" if self.groups.is_some() && !is_nested => {
                let caption = std::mem::take(&mut self.text);
                if let Some(groups) = &mut self.groups {
                    groups.caption(&caption);
                }
                self.out.paragraph(&caption)?;
            }
            _ if self.groups.is_some() => {
                if !matches!(name, "tr" | "td" | "th") && (is_block(name) || is_flattened(name)) {
                    self.flush()?;
                }
                self.cell.after_item |= name == "li";
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.flush()?,
            "ul" | "ol" | "menu" => {
                self.flush()?;
                self.lists.pop();
            }
            "li" => {
                self.flush()?;
                self.item_open = false;
            }
            "blockquote" => {
                self.flush()?;
                self.quotes = self.quotes.saturating_sub(1);
            }
            "pre" | "listing" | "textarea" => {
                self.flush()?;
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            _ if is_block(name) => self.flush()?,
            _ => {}
        }
        Ok(())
    }

    fn open_table(&mut self) -> Result<(), Stop> {
        self.flush()?;
        let shape = self.shapes.get(self.next_table).copied().unwrap_or_default();
        self.next_table += 1;
        if self.groups.is_some() {
            self.cell.tables += 1;
            (self.cell.rows, self.cell.cells) = (false, false);
            self.tables.push(false);
            return Ok(());
        }
        let repeated = self.voices.as_ref().is_some_and(Voices::is_repeating);
        let holds_data = shape.holds_data() && !repeated;
        self.tables.push(holds_data);
        if holds_data {
            self.groups = Some(RowGroups::new(shape.has_header()));
            self.grid = Grid::default();
        }
        Ok(())
    }

    fn close_table(&mut self) -> Result<(), Stop> {
        if self.cell.tables > 0 {
            self.cell.tables -= 1;
            self.tables.pop();
            return self.flush();
        }
        if self.tables.pop() == Some(true)
            && let Some(groups) = self.groups.take()
        {
            self.text.clear();
            return groups.finish(self.out);
        }
        self.flush()
    }

    /// Ends the block being gathered. Inside a cell of data, blocks only separate words.
    fn flush(&mut self) -> Result<(), Stop> {
        if self.groups.is_some() {
            if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push('\n');
            }
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let heading = self.heading.take();
        if text.trim().is_empty() {
            return Ok(());
        }
        if let Some(kind) = self.voices.as_mut().and_then(|voices| voices.kind_of(&text)) {
            let lines: Vec<&str> =
                text.lines().map(|line| line.trim_matches([' ', '\t'])).collect();
            return self.out.block(&kind, &lines.join("\n"), None);
        }
        if let Some(level) = heading {
            return self.out.block(&BlockKind::Heading { level }, &one_line(&text), None);
        }
        let kind = match self.lists.last() {
            _ if self.preformatted > 0 => BlockKind::Code,
            Some(&ordered) if self.item_open => {
                self.item_open = false;
                let depth = u8::try_from(self.lists.len() - 1).unwrap_or(u8::MAX);
                BlockKind::ListItem { depth, ordered }
            }
            _ if self.quotes > 0 => BlockKind::Quote,
            _ => BlockKind::Paragraph,
        };
        if kind == BlockKind::Code {
            return self.out.block(&kind, &text, None);
        }
        let lines: Vec<&str> = text.lines().map(|line| line.trim_matches([' ', '\t'])).collect();
        self.out.block(&kind, &lines.join("\n"), None)
    }
}

/// Elements that are blocks of their own kind outside of tables.
fn is_flattened(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "menu",
        "li",
        "blockquote",
        "pre",
        "listing",
        "textarea",
    ];
    NAMES.contains(&name)
}

/// Elements that begin and end a line of their own.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "aside"
            | "address"
            | "body"
            | "html"
            | "center"
            | "figure"
            | "figcaption"
            | "details"
            | "summary"
            | "dl"
            | "dt"
            | "dd"
            | "fieldset"
            | "legend"
            | "form"
            | "hr"
            | "caption"
            | "thead"
            | "tbody"
            | "tfoot"
            | "tr"
            | "td"
            | "th"
            | "option"
    )
}

#[cfg(test)]
mod tests;
