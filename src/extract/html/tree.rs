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
    headers_in_first_row: u32,
    cells_in_first_row: u32,
    layout: bool,
}

impl TableShape {
    /// Data has rows and columns; a table with headings or further tables inside lays out a page.
    pub(super) fn holds_data(self) -> bool {
        !self.layout && self.rows >= 2 && self.widest >= 2
    }

    pub(super) fn has_header(self) -> bool {
        self.cells_in_first_row > 0 && self.headers_in_first_row == self.cells_in_first_row
    }
}

/// The shape of every visible table, in document order.
pub(super) fn table_shapes(page: &Html) -> Vec<TableShape> {
    let mut shapes: Vec<TableShape> = Vec::new();
    // Index of each open table and the number of cells in its current row.
    let mut open: Vec<(usize, u32)> = Vec::new();
    for step in Walk::new(page) {
        match step {
            Step::Enter(node) => {
                if let Node::Element(element) = node.value() {
                    enter(element, &mut shapes, &mut open);
                }
            }
            Step::Leave(node) => {
                if node.value().as_element().is_some_and(|element| element.name() == "table") {
                    open.pop();
                }
            }
        }
    }
    shapes
}

fn enter(element: &Element, shapes: &mut Vec<TableShape>, open: &mut Vec<(usize, u32)>) {
    let name = element.name();
    if name == "table" {
        if let Some((outer, _)) = open.last() {
            shapes[*outer].layout = true;
        }
        let layout = element.attr("role").is_some_and(|r| r == "presentation" || r == "none");
        open.push((shapes.len(), 0));
        shapes.push(TableShape { layout, ..TableShape::default() });
        return;
    }
    let Some((index, cells)) = open.last_mut() else {
        return;
    };
    let shape = &mut shapes[*index];
    match name {
        "tr" => {
            shape.rows += 1;
            *cells = 0;
        }
        "td" | "th" => {
            *cells += 1;
            shape.widest = shape.widest.max(*cells);
            if shape.rows <= 1 {
                shape.cells_in_first_row += 1;
                shape.headers_in_first_row += u32::from(name == "th");
            }
        }
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "pre" | "article" => {
            shape.layout = true;
        }
        _ => {}
    }
}
