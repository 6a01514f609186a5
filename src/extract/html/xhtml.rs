//! XHTML made readable for a reader of HTML: elements that close themselves get an end tag.
//!
//! Called by: `html`. Talks to: nothing.
//! Invariants: one pass, no recursion; a page that says nothing of XML is left as it is; what is
//! inside scripts, style sheets and comments is not touched.
//!
//! Why: in HTML the slash of `<title/>` or `<script src="a.js"/>` counts for nothing, so that the
//! element stays open and takes the rest of the page with it. In XML it is all there is of it.

use std::borrow::Cow;

use crate::extract::clean::prefix;

/// How far into a page its root element is looked for.
const DECLARATION_WITHIN: usize = 8192;
const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
/// Elements that HTML closes on its own.
const VOID: [&str; 18] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input",
    "keygen", "link", "meta", "param", "source", "track", "wbr",
];
/// Elements whose content is no markup.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

/// True where a page says that it is XML.
pub(super) fn is_declared(page: &str) -> bool {
    let page = page.trim_start_matches('\u{feff}').trim_start();
    if page.starts_with("<?xml") {
        return true;
    }
    let head = prefix(page, DECLARATION_WITHIN);
    let root = head.find("<html").map(|at| &head[at..]);
    let tag = root.and_then(|root| root.split_once('>')).map(|(tag, _)| tag);
    tag.is_some_and(|tag| tag.contains(NAMESPACE))
}

/// The page with an end tag for every element that closes itself, and with the text of its CDATA
/// sections as text.
pub(super) fn with_end_tags(page: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(start) = page[at..].find('<').map(|found| at + found) {
        let rest = &page[start..];
        if let Some(text) = rest.strip_prefix("<![CDATA[") {
            let (text, end) = match text.find("]]>") {
                Some(length) => (&text[..length], start + 9 + length + 3),
                None => (text, page.len()),
            };
            out.push_str(&page[copied..start]);
            escape(text, &mut out);
            (copied, at) = (end, end);
            continue;
        }
        let Some(tag) = Tag::at(rest) else {
            at = start + length_of_other(rest);
            continue;
        };
        let end = start + tag.length;
        let lower = tag.name.to_ascii_lowercase();
        at = end;
        if !tag.closes_itself {
            if RAW.contains(&lower.as_str()) {
                at = end + raw_length(&page[end..], &lower);
            }
        } else if !VOID.contains(&lower.as_str()) {
            // Without the slash and the bracket behind it.
            out.push_str(&page[copied..end - 2]);
            out.push_str("></");
            out.push_str(tag.name);
            out.push('>');
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(page);
    }
    out.push_str(&page[copied..]);
    Cow::Owned(out)
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
}

/// Length of a comment, an instruction, an end tag, or a lone bracket that begins `rest`.
fn length_of_other(rest: &str) -> usize {
    let ends_with = |end: &str| rest.find(end).map_or(rest.len(), |at| at + end.len());
    if rest.starts_with("<!--") {
        ends_with("-->")
    } else if rest.starts_with("<!") || rest.starts_with("<?") || rest.starts_with("</") {
        ends_with(">")
    } else {
        1
    }
}

/// How much of `rest` belongs to an element whose content is no markup.
fn raw_length(rest: &str, name: &str) -> usize {
    let mut at = 0;
    while let Some(found) = rest[at..].find("</") {
        at += found + 2;
        let end = rest.as_bytes().get(at..at + name.len());
        if end.is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes())) {
            return at - 2;
        }
    }
    rest.len()
}

/// A start tag.
struct Tag<'p> {
    name: &'p str,
    length: usize,
    closes_itself: bool,
}

/// Where in a tag a byte stands.
#[derive(Clone, Copy)]
enum Place {
    Between,
    BeforeValue,
    Unquoted,
    Quoted(u8),
}

impl<'p> Tag<'p> {
    /// The start tag that begins `rest`, if one does and it has an end.
    fn at(rest: &'p str) -> Option<Self> {
        let bytes = rest.as_bytes();
        if !bytes.get(1)?.is_ascii_alphabetic() {
            return None;
        }
        let ends_name = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>');
        let name = &rest[1..rest.find(ends_name)?];
        let mut place = Place::Between;
        let mut slash = false;
        for (at, byte) in bytes.iter().enumerate().skip(1 + name.len()) {
            place = match (place, byte) {
                (Place::Quoted(quote), byte) if *byte == quote => Place::Between,
                (Place::Quoted(quote), _) => Place::Quoted(quote),
                (_, b'>') => {
                    let closes_itself = slash && matches!(place, Place::Between);
                    return Some(Self { name, length: at + 1, closes_itself });
                }
                (Place::Between, b'=') => Place::BeforeValue,
                (Place::BeforeValue, b'"' | b'\'') => Place::Quoted(*byte),
                (Place::BeforeValue, byte) if byte.is_ascii_whitespace() => Place::BeforeValue,
                (Place::BeforeValue, _) => Place::Unquoted,
                (Place::Unquoted, byte) if byte.is_ascii_whitespace() => Place::Between,
                (same, _) => same,
            };
            slash = *byte == b'/';
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{is_declared, with_end_tags};

    #[test]
    fn elements_that_close_themselves_get_an_end_tag() {
        for (page, expected) in [
            ("<title/>x", "<title></title>x"),
            ("<script src=\"a.js\" />x", "<script src=\"a.js\" ></script>x"),
            ("a<br/>b<img src='x>y' alt='/'/>", "a<br/>b<img src='x>y' alt='/'/>"),
            ("<a href=http://x/>y</a>", "<a href=http://x/>y</a>"),
            ("<!-- <p/> --><p/>", "<!-- <p/> --><p></p>"),
            ("<script>a('<p/>')</script><p/>", "<script>a('<p/>')</script><p></p>"),
            ("1 < 2 <p", "1 < 2 <p"),
            ("<p><![CDATA[a < b]]></p>", "<p>a &lt; b</p>"),
            ("<SVG:Rect x='1'/>", "<SVG:Rect x='1'></SVG:Rect>"),
        ] {
            assert_eq!(with_end_tags(page), expected, "{page}");
        }
    }

    #[test]
    fn a_page_is_xml_where_it_says_so() {
        assert!(is_declared("\u{feff}<?xml version='1.0'?><html>"));
        assert!(is_declared("<!DOCTYPE html><html xmlns=\"http://www.w3.org/1999/xhtml\">"));
        assert!(!is_declared("<html xmlns=\"http://www.w3.org/TR/REC-html40\"><p/>"));
        assert!(!is_declared("<html><p>http://www.w3.org/1999/xhtml</p>"));
    }
}
