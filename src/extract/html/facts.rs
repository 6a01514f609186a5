//! What a page says about itself: encoding, title, author, date, language.
//!
//! Called by: `html`. Talks to: `scraper`, `encoding_rs`.
//! Invariants: nothing here fails; a page without a head simply says nothing.

use encoding_rs::{Encoding, UTF_8};
use scraper::node::Element;
use scraper::{Html, Node};

use super::tree::{Step, Walk};
use crate::extract::date::read_date;
use crate::extract::emit::Output;
use crate::extract::people::is_nobody;

/// How far into a page its encoding may be declared.
const DECLARATION_WITHIN: usize = 4096;

/// The encoding named in the first bytes of a page (`<meta charset=…>` or an XML declaration).
pub(in crate::extract) fn declared_charset(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(DECLARATION_WITHIN)];
    let head: String = head.iter().map(|b| char::from(b.to_ascii_lowercase())).collect();
    let mut rest = head.as_str();
    while let Some(at) = ["charset", "encoding"].iter().filter_map(|key| rest.find(key)).min() {
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start().trim_start_matches(['"', '\'']);
        let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c));
        let label = &value[..end.unwrap_or(value.len())];
        if let Some(encoding) = Encoding::for_label_no_replacement(label.as_bytes()) {
            // A page that could be read this far is not UTF-16, whatever it says.
            return Some(if encoding.is_ascii_compatible() { encoding } else { UTF_8 });
        }
    }
    None
}

/// Fills in the document's facts.
pub(super) fn collect(page: &Html, out: &mut Output<'_>) {
    let mut title = String::new();
    let mut first_heading = None;
    // Text goes to the title or first heading that is open.
    let mut inside: Option<&'static str> = None;
    for step in Walk::new(page) {
        match step {
            Step::Enter(node) => match node.value() {
                Node::Text(text) => match inside {
                    Some("title") => title.push_str(text),
                    Some(_) => first_heading.get_or_insert_with(String::new).push_str(text),
                    None => {}
                },
                Node::Element(element) => match element.name() {
                    "title" if title.is_empty() => inside = Some("title"),
                    "h1" if first_heading.is_none() => inside = Some("h1"),
                    "html" => out.fact("lang", element.attr("lang").unwrap_or_default()),
                    "meta" => meta(element, out),
                    _ => {}
                },
                _ => {}
            },
            Step::Leave(node) => {
                let name = node.value().as_element().map(Element::name);
                if inside.is_some() && name == inside {
                    inside = None;
                }
            }
        }
    }
    out.title(&title);
    out.title(&first_heading.unwrap_or_default());
}

fn meta(element: &Element, out: &mut Output<'_>) {
    let content = element.attr("content").unwrap_or_default().trim();
    let name = element.attr("name").or_else(|| element.attr("property")).unwrap_or_default();
    if content.is_empty() {
        return;
    }
    match name.to_ascii_lowercase().as_str() {
        "author" | "dc.creator" | "dcterms.creator" if !is_nobody(content) => out.author(content),
        "date"
        | "dc.date"
        | "dcterms.date"
        | "dcterms.created"
        | "dc.date.issued"
        | "article:published_time"
        | "pubdate" => {
            out.written(read_date(content));
        }
        "description" | "dc.description" | "og:description" => out.fact("description", content),
        "keywords" => out.fact("keywords", content),
        "generator" => out.fact("generator", content),
        _ => {}
    }
}
