//! The text inside one paragraph of an OpenDocument, and what hangs on it.
//!
//! Called by: `odf`. Talks to: `xml`.
//! Invariants: white space collapses as the format says; repeated spaces are bounded.

use crate::extract::xml::{Content, Element};

const MAX_SPACES: usize = 1_000;

/// What a paragraph holds.
#[derive(Default)]
pub(super) struct Inline<'x> {
    pub(super) text: String,
    /// Text boxes and tables anchored here; they are blocks of their own.
    pub(super) boxes: Vec<Element<'x>>,
    pub(super) notes: Vec<(String, Element<'x>)>,
    pub(super) comments: Vec<Element<'x>>,
    /// What pictures show, in the author's words.
    pub(super) descriptions: Vec<String>,
}

impl<'x> Inline<'x> {
    pub(super) fn of(paragraph: Element<'x>) -> Self {
        let mut inline = Self::default();
        inline.walk(paragraph);
        inline
    }

    fn walk(&mut self, element: Element<'x>) {
        for content in element.contents() {
            match content {
                Content::Text(text) => self.words(text),
                Content::Element(child) => self.child(child),
            }
        }
    }

    fn words(&mut self, text: &str) {
        for c in text.chars() {
            if !matches!(c, ' ' | '\t' | '\n' | '\r') {
                self.text.push(c);
            } else if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
    }

    fn child(&mut self, child: Element<'x>) {
        match child.name() {
            "s" => {
                let count = child.attr("c").and_then(|count| count.parse().ok()).unwrap_or(1);
                self.text.push_str(&" ".repeat(count.min(MAX_SPACES)));
            }
            "tab" => self.text.push('\t'),
            "line-break" => self.text.push('\n'),
            "note" => {
                let label = child.child("note-citation").map(Element::text).unwrap_or_default();
                self.text.push_str(&format!("[^{label}]"));
                if let Some(body) = child.child("note-body") {
                    self.notes.push((label, body));
                }
            }
            "annotation" => self.comments.push(child),
            "ruby" => {
                if let Some(base) = child.child("ruby-base") {
                    self.walk(base);
                }
            }
            "frame" | "custom-shape" | "rect" | "ellipse" | "g" | "text-box" | "polygon"
            | "path" | "line" | "connector" => self.shape(child),
            "hidden-text" | "tracked-changes" | "ruby-text" | "annotation-end" => {}
            _ => self.walk(child),
        }
    }

    fn shape(&mut self, shape: Element<'x>) {
        let described = shape.child("desc").or_else(|| shape.child("title"));
        if let Some(text) = described.map(Element::text).filter(|text| !text.trim().is_empty()) {
            self.descriptions.push(text);
        }
        for child in shape.children() {
            match child.name() {
                "text-box" | "table" => self.boxes.push(child),
                "frame" | "custom-shape" | "g" | "rect" | "ellipse" => self.shape(child),
                "p" | "h" | "list" => {
                    self.boxes.push(shape);
                    return;
                }
                _ => {}
            }
        }
    }
}

/// All text of an element, a paragraph per line.
pub(super) fn plain(element: Element<'_>) -> String {
    let mut lines = Vec::new();
    collect(element, &mut lines);
    lines.join("\n")
}

fn collect(element: Element<'_>, lines: &mut Vec<String>) {
    for child in element.children() {
        match child.name() {
            "p" | "h" => {
                let content = Inline::of(child);
                if !content.text.trim().is_empty() {
                    lines.push(content.text.trim().to_owned());
                }
                lines.extend(content.descriptions);
                content.boxes.into_iter().for_each(|inside| collect(inside, lines));
            }
            "tracked-changes" | "annotation" | "desc" | "title" => {}
            _ => collect(child, lines),
        }
    }
}
