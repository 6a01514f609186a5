//! Walking the tree of a page without recursion, and what its tables are for.
//!
//! Called by: `html`, `html::facts`. Talks to: `scraper`.
//! Invariants: hidden elements are not visited, nor is anything inside them; every walk of the
//! same page visits the same nodes in the same order.

use std::ops::Deref;

use scraper::node::Element;
use scraper::{ElementRef, Html, Node};

/// A node of the tree; `scraper` does not name the type itself.
pub(super) type TreeNode<'p> = <ElementRef<'p> as Deref>::Target;

/// One step of a walk.
#[derive(Clone, Copy)]
pub(super) enum Step<'p> {
    Enter(TreeNode<'p>),
    Leave(TreeNode<'p>),
}

/// Visits the visible nodes of a page, each before and after its children.
pub(super) struct Walk<'p> {
    next: Option<Step<'p>>,
}

impl<'p> Walk<'p> {
    pub(super) fn new(page: &'p Html) -> Self {
        Self { next: Some(Step::Enter(page.tree.root())) }
    }
}

impl<'p> Iterator for Walk<'p> {
    type Item = Step<'p>;

    fn next(&mut self) -> Option<Step<'p>> {
        let step = self.next?;
        self.next = match step {
            Step::Enter(node) => match first_visible(node.first_child()) {
                Some(child) => Some(Step::Enter(child)),
                None => Some(Step::Leave(node)),
            },
            Step::Leave(node) => match first_visible(node.next_sibling()) {
                Some(sibling) => Some(Step::Enter(sibling)),
                None => node.parent().map(Step::Leave),
            },
        };
        Some(step)
    }
}

fn first_visible(mut node: Option<TreeNode<'_>>) -> Option<TreeNode<'_>> {
    while let Some(candidate) = node {
        match candidate.value() {
            Node::Element(element) if is_hidden(element) => node = candidate.next_sibling(),
            _ => return Some(candidate),
        }
    }
    None
}

/// True for what a reader of the page does not see or does not read: code, controls, navigation.
fn is_hidden(element: &Element) -> bool {
    const UNSEEN: [&str; 17] = [
        "script", "style", "noscript", "template", "nav", "svg", "canvas", "iframe", "object",
        "embed", "audio", "video", "button", "select", "input", "map", "dialog",
    ];
    const CHROME: [&str; 5] = ["navigation", "search", "menu", "menubar", "toolbar"];
    if UNSEEN.contains(&element.name()) {
        return true;
    }
    element.attrs().any(|(name, value)| match name {
        "hidden" => true,
        "aria-hidden" => value.eq_ignore_ascii_case("true"),
        "role" => CHROME.iter().any(|role| value.eq_ignore_ascii_case(role)),
        "style" => {
            let style: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            let style = style.to_ascii_lowercase();
            style.contains("display:none") || style.contains("visibility:hidden")
        }
        _ => false,
    })
}

/// What is known about one table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TableShape {
    rows: u32,
    widest: u32,
    /// Rows of which a cell is a header.
    headed_rows: u32,
    headers_in_first_row: u32,
    cells_in_first_row: u32,
    /// It has a caption, or a part that is named its head.
    announced: bool,
    /// It says that it lays out a page, or is nested as only such tables are.
    layout: bool,
    /// What pages are made of: headings, further tables.
    page_like: bool,
    /// Lists or code.
    listed: bool,
    /// Rows differ in how many columns they have.
    uneven: bool,
    /// Text of the longest cell, in bytes.
    longest_cell: usize,
}

/// A cell with more text than this and headings or tables in it is a part of a page.
const LONG_CELL: usize = 8 * 1024;

impl TableShape {
    /// Data has rows and columns. A table with headings or further tables inside lays out a page,
    /// unless it names its columns or rows.
    pub(super) fn holds_data(self) -> bool {
        if self.layout || self.rows < 2 || self.widest < 2 {
            return false;
        }
        if self.page_like {
            return self.names_what_it_holds() && self.longest_cell <= LONG_CELL;
        }
        !self.listed || self.names_what_it_holds() || (self.rows >= 3 && !self.uneven)
    }

    pub(super) fn has_header(self) -> bool {
        self.cells_in_first_row > 0 && self.headers_in_first_row == self.cells_in_first_row
    }

    fn names_what_it_holds(self) -> bool {
        let columns = self.has_header() && self.cells_in_first_row >= 2;
        self.announced || columns || self.headed_rows * 2 > self.rows
    }
}

/// A table whose end is not reached.
struct OpenTable {
    index: usize,
    /// Cells and columns of its current row.
    cells: u32,
    columns: u32,
    /// Columns of its first row.
    first_columns: Option<u32>,
    row_is_headed: bool,
    in_header_cell: bool,
    /// Text of its current cell, in bytes.
    text: usize,
}

/// The shape of every visible table, in document order.
pub(super) fn table_shapes(page: &Html) -> Vec<TableShape> {
    let mut shapes = Shapes::default();
    for step in Walk::new(page) {
        match step {
            Step::Enter(node) => match node.value() {
                Node::Element(element) => shapes.enter(element),
                Node::Text(text) => shapes.text(text.trim().len()),
                _ => {}
            },
            Step::Leave(node) => {
                if let Node::Element(element) = node.value() {
                    shapes.leave(element.name());
                }
            }
        }
    }
    shapes.found
}

#[derive(Default)]
struct Shapes {
    found: Vec<TableShape>,
    open: Vec<OpenTable>,
}

impl Shapes {
    fn enter(&mut self, element: &Element) {
        let name = element.name();
        if name == "table" {
            return self.enter_table(element);
        }
        let Some(table) = self.open.last_mut() else {
            return;
        };
        let shape = &mut self.found[table.index];
        match name {
            "tr" => {
                shape.rows += 1;
                (table.cells, table.columns, table.row_is_headed) = (0, 0, false);
            }
            "td" | "th" => {
                let span = element.attr("colspan").and_then(|span| span.trim().parse::<u32>().ok());
                table.cells += 1;
                table.columns = table.columns.saturating_add(span.unwrap_or(1).clamp(1, 1000));
                table.in_header_cell = name == "th";
                table.text = 0;
                shape.widest = shape.widest.max(table.cells);
                if table.in_header_cell && !table.row_is_headed {
                    table.row_is_headed = true;
                    shape.headed_rows += 1;
                }
                if shape.rows <= 1 {
                    shape.cells_in_first_row += 1;
                    shape.headers_in_first_row += u32::from(name == "th");
                }
            }
            "caption" | "thead" => shape.announced = true,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "article" => shape.page_like = true,
            "ul" | "ol" | "pre" => shape.listed = true,
            _ => {}
        }
    }

    fn enter_table(&mut self, element: &Element) {
        if let Some(outer) = self.open.last() {
            let shape = &mut self.found[outer.index];
            shape.page_like = true;
            // Some mails are laid out by header cells in the place of others.
            shape.layout |= outer.in_header_cell;
        }
        if let [.., outermost, _] = self.open.as_slice() {
            self.found[outermost.index].layout = true;
        }
        let layout = element.attr("role").is_some_and(|r| r == "presentation" || r == "none");
        self.open.push(OpenTable {
            index: self.found.len(),
            cells: 0,
            columns: 0,
            first_columns: None,
            row_is_headed: false,
            in_header_cell: false,
            text: 0,
        });
        self.found.push(TableShape { layout, ..TableShape::default() });
    }

    fn text(&mut self, bytes: usize) {
        if let Some(table) = self.open.last_mut() {
            table.text = table.text.saturating_add(bytes);
            let shape = &mut self.found[table.index];
            shape.longest_cell = shape.longest_cell.max(table.text);
        }
    }

    fn leave(&mut self, name: &str) {
        match name {
            "table" => {
                // What is in a table is in the cell around it, too.
                let inside = self.open.pop().map_or(0, |table| {
                    let shape = &self.found[table.index];
                    shape.longest_cell.saturating_mul(shape.rows.max(1) as usize)
                });
                self.text(inside);
            }
            "tr" => {
                if let Some(table) = self.open.last_mut() {
                    let first = *table.first_columns.get_or_insert(table.columns);
                    self.found[table.index].uneven |= first != table.columns;
                }
            }
            _ => {}
        }
    }
}
