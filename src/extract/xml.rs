//! XML as a small tree: what office formats, feeds and data files are made of.
//!
//! Called by: `office`, `epub`, `markup` readers of `extract`. Talks to: `quick-xml`, `charset`.
//! Invariants: entities are never expanded, neither from inside the document type nor from
//! outside; depth and number of nodes are bounded; a document that breaks off keeps what came
//! before and says so in `damage`.
//!
//! Why a tree in one arena: readers look back and forth (styles, merged cells, positions), and
//! a node is 24 bytes, so that the largest part that is read at all stays in memory.

use std::collections::HashMap;

use encoding_rs::Encoding;
use quick_xml::NsReader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::charset::StreamDecoder;
use super::emit::Stop;
use crate::types::ExtractFailureCode;

/// Deepest nesting; readers may recurse over it.
const MAX_DEPTH: usize = 256;
const MAX_NODES: usize = 6_000_000;
const MAX_NAMES: usize = 20_000;
/// Marks the absence of a node, and the name of a text node.
const NONE: u32 = u32::MAX;

struct Node {
    name: u32,
    space: u32,
    first_child: u32,
    next: u32,
    /// Attributes of an element, characters of a text.
    start: u32,
    len: u32,
}

struct Attribute {
    name: u32,
    start: u32,
    len: u32,
}

/// A parsed document.
pub(super) struct Xml {
    nodes: Vec<Node>,
    attributes: Vec<Attribute>,
    text: String,
    names: Vec<Box<str>>,
    damage: Option<String>,
}

/// An element of a document.
#[derive(Clone, Copy)]
pub(super) struct Element<'x> {
    xml: &'x Xml,
    at: u32,
}

/// What an element holds.
#[derive(Clone, Copy)]
pub(super) enum Content<'x> {
    Element(Element<'x>),
    Text(&'x str),
}

impl Xml {
    /// Parses the bytes of a document or of a part of one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Stop> {
        let mut decoder = StreamDecoder::new(declared_encoding(bytes));
        let mut text = String::new();
        decoder.push(bytes, true, &mut text);
        Self::parse_text(&text)
    }

    pub(super) fn parse_text(text: &str) -> Result<Self, Stop> {
        Builder::new().run(text.trim_start_matches('\u{feff}').trim_start())
    }

    /// The outermost element.
    pub(super) fn root(&self) -> Option<Element<'_>> {
        let at = self.nodes.iter().position(|node| node.name != NONE)?;
        Some(Element { xml: self, at: u32::try_from(at).ok()? })
    }

    /// Why the document could not be read to its end.
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    fn name(&self, at: u32) -> &str {
        self.names.get(at as usize).map_or("", |name| name)
    }

    fn slice(&self, start: u32, len: u32) -> &str {
        self.text.get(start as usize..(start as usize + len as usize)).unwrap_or_default()
    }
}

impl<'x> Element<'x> {
    fn node(self) -> &'x Node {
        &self.xml.nodes[self.at as usize]
    }

    /// Name without prefix.
    pub(super) fn name(self) -> &'x str {
        self.xml.name(self.node().name)
    }

    /// Address of the name space, or the prefix where it is not declared.
    pub(super) fn space(self) -> &'x str {
        self.xml.name(self.node().space)
    }

    pub(super) fn is(self, name: &str) -> bool {
        self.name() == name
    }

    /// Attributes with their names as written.
    pub(super) fn attributes(self) -> impl Iterator<Item = (&'x str, &'x str)> {
        let node = self.node();
        let range = node.start as usize..node.start as usize + node.len as usize;
        let list = self.xml.attributes.get(range).unwrap_or_default();
        list.iter().map(move |a| (self.xml.name(a.name), self.xml.slice(a.start, a.len)))
    }

    /// Value of an attribute by its name without prefix.
    pub(super) fn attr(self, local: &str) -> Option<&'x str> {
        self.attributes()
            .find(|(name, _)| name.rsplit(':').next() == Some(local))
            .map(|(_, value)| value)
    }

    /// Value of an attribute that has a prefix, such as `r:id` beside `id`.
    pub(super) fn prefixed(self, local: &str) -> Option<&'x str> {
        self.attributes()
            .find(|(name, _)| name.split_once(':').is_some_and(|(_, rest)| rest == local))
            .map(|(_, value)| value)
    }

    pub(super) fn contents(self) -> impl Iterator<Item = Content<'x>> {
        let mut next = self.node().first_child;
        std::iter::from_fn(move || {
            let node = self.xml.nodes.get(next as usize)?;
            let at = next;
            next = node.next;
            Some(if node.name == NONE {
                Content::Text(self.xml.slice(node.start, node.len))
            } else {
                Content::Element(Element { xml: self.xml, at })
            })
        })
    }

    pub(super) fn children(self) -> impl Iterator<Item = Element<'x>> {
        self.contents().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    pub(super) fn child(self, name: &str) -> Option<Element<'x>> {
        self.children().find(|child| child.is(name))
    }

    /// The element at the end of a chain of children.
    pub(super) fn at(self, path: &[&str]) -> Option<Element<'x>> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// Everything below, in document order.
    pub(super) fn descendants(self) -> impl Iterator<Item = Element<'x>> {
        let mut open: Vec<u32> = vec![self.node().first_child];
        std::iter::from_fn(move || {
            loop {
                let at = *open.last()?;
                let Some(node) = self.xml.nodes.get(at as usize) else {
                    open.pop();
                    continue;
                };
                if let Some(last) = open.last_mut() {
                    *last = node.next;
                }
                if node.name != NONE {
                    open.push(node.first_child);
                    return Some(Element { xml: self.xml, at });
                }
            }
        })
    }

    pub(super) fn descendant(self, name: &str) -> Option<Element<'x>> {
        self.descendants().find(|element| element.is(name))
    }

    /// All characters inside, without any separation.
    pub(super) fn text(self) -> String {
        let mut text = String::new();
        self.push_text(&mut text);
        text
    }

    fn push_text(self, text: &mut String) {
        for content in self.contents() {
            match content {
                Content::Text(piece) => text.push_str(piece),
                Content::Element(element) => element.push_text(text),
            }
        }
    }
}

/// The encoding an XML declaration names. UTF-16 is told by its mark, and a declaration that
/// could be read as ASCII is not UTF-16.
fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(200)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = std::str::from_utf8(head.strip_prefix(b"<?xml")?.split(|b| *b == b'>').next()?);
    let declaration = head.ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let label = value.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?;
    Encoding::for_label_no_replacement(label.as_bytes()).filter(|e| e.is_ascii_compatible())
}

struct Builder {
    xml: Xml,
    known: HashMap<Box<str>, u32>,
    /// Each open element with its last child so far.
    open: Vec<(u32, u32)>,
    last_root: u32,
}

impl Builder {
    fn new() -> Self {
        let xml = Xml {
            nodes: Vec::new(),
            attributes: Vec::new(),
            text: String::new(),
            names: Vec::new(),
            damage: None,
        };
        Self { xml, known: HashMap::new(), open: Vec::new(), last_root: NONE }
    }

    fn run(mut self, text: &str) -> Result<Xml, Stop> {
        let mut reader = NsReader::from_str(text);
        let config = reader.config_mut();
        config.check_end_names = true;
        config.allow_dangling_amp = true;
        loop {
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    self.xml.damage = Some(error.to_string());
                    break;
                }
            };
            match event {
                Event::Start(start) => self.element(&start, &reader, true)?,
                Event::Empty(start) => self.element(&start, &reader, false)?,
                Event::End(_) => {
                    self.open.pop();
                }
                Event::Text(piece) => self.text(&piece.xml10_content())?,
                Event::CData(piece) => self.text(&piece.xml10_content())?,
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::Eof => {
                    if !self.open.is_empty() {
                        self.xml.damage = Some("it ends before its elements do".to_owned());
                    }
                    break;
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        Ok(self.xml)
    }

    fn element(
        &mut self,
        start: &BytesStart<'_>,
        reader: &NsReader<&[u8]>,
        opens: bool,
    ) -> Result<(), Stop> {
        if opens && self.open.len() >= MAX_DEPTH {
            return Err(Stop::malformed(format!(
                "The XML inside is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        let (space, local) = reader.resolver().resolve_element(start.name());
        let space = match space {
            ResolveResult::Bound(space) => self.intern(space.into_inner())?,
            ResolveResult::Unknown(prefix) => self.intern(&prefix)?,
            ResolveResult::Unbound => self.intern("")?,
        };
        let name = self.intern(local.into_inner())?;
        let first = self.xml.attributes.len();
        for attribute in start.attributes().with_checks(false).flatten() {
            let name = self.intern(attribute.key.into_inner())?;
            let value = unescape(&attribute.value);
            let value = value.as_deref().unwrap_or(&attribute.value);
            let at = position(self.xml.text.len())?;
            self.xml.text.push_str(value);
            let len = position(value.len())?;
            self.xml.attributes.push(Attribute { name, start: at, len });
        }
        let count = position(self.xml.attributes.len() - first)?;
        let at = self.push(name, space, position(first)?, count)?;
        if opens {
            self.open.push((at, NONE));
        }
        Ok(())
    }

    fn text(&mut self, piece: &str) -> Result<(), Stop> {
        if piece.is_empty() || self.open.is_empty() {
            return Ok(());
        }
        let start = position(self.xml.text.len())?;
        let len = position(piece.len())?;
        self.xml.text.push_str(piece);
        let last = self.open.last().map_or(NONE, |(_, last)| *last);
        if let Some(node) = self.xml.nodes.get_mut(last as usize)
            && node.name == NONE
            && node.start + node.len == start
        {
            node.len += len;
            return Ok(());
        }
        self.push(NONE, NONE, start, len).map(|_| ())
    }

    /// Characters by number and the five names every document knows; all others stay out.
    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Stop> {
        if let Ok(Some(c)) = reference.resolve_char_ref() {
            return self.text(c.encode_utf8(&mut [0; 4]));
        }
        let known = match &**reference {
            "lt" => "<",
            "gt" => ">",
            "amp" => "&",
            "apos" => "'",
            "quot" => "\"",
            "nbsp" => "\u{a0}",
            _ => return Ok(()),
        };
        self.text(known)
    }

    fn push(&mut self, name: u32, space: u32, start: u32, len: u32) -> Result<u32, Stop> {
        if self.xml.nodes.len() >= MAX_NODES {
            return Err(Stop::failure(
                ExtractFailureCode::TooLarge,
                format!("The XML inside has more than {MAX_NODES} elements"),
            ));
        }
        let at = position(self.xml.nodes.len())?;
        self.xml.nodes.push(Node { name, space, first_child: NONE, next: NONE, start, len });
        let before = match self.open.last_mut() {
            Some((_, last)) => std::mem::replace(last, at),
            None => std::mem::replace(&mut self.last_root, at),
        };
        if let Some(sibling) = self.xml.nodes.get_mut(before as usize) {
            sibling.next = at;
        } else if let Some((parent, _)) = self.open.last() {
            self.xml.nodes[*parent as usize].first_child = at;
        }
        Ok(at)
    }

    fn intern(&mut self, name: &str) -> Result<u32, Stop> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        if self.xml.names.len() >= MAX_NAMES {
            return Err(Stop::malformed("The XML inside has too many different names"));
        }
        let at = position(self.xml.names.len())?;
        self.xml.names.push(name.into());
        self.known.insert(name.into(), at);
        Ok(at)
    }
}

fn position(at: usize) -> Result<u32, Stop> {
    u32::try_from(at).ok().filter(|at| *at != NONE).ok_or_else(|| {
        Stop::failure(ExtractFailureCode::TooLarge, "The XML inside is larger than 4 GiB")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Xml {
        Xml::parse(text.as_bytes()).expect("small enough")
    }

    #[test]
    fn elements_attributes_and_text_are_found_by_their_local_names() {
        let xml = parse(
            "<?xml version='1.0'?><a:x xmlns:a='urn:a' id='1' a:id='2'>one &amp; <b>two</b><![CDATA[<c>]]>&#252;</a:x>",
        );
        let root = xml.root().expect("a root");
        assert_eq!((root.name(), root.space()), ("x", "urn:a"));
        assert_eq!((root.attr("id"), root.prefixed("id")), (Some("1"), Some("2")));
        assert_eq!(root.text(), "one & two<c>ü");
        assert_eq!(root.child("b").map(Element::text).as_deref(), Some("two"));
        assert!(xml.damage().is_none());
    }

    #[test]
    fn entities_of_the_document_type_are_not_expanded() {
        let xml = parse(
            "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY f SYSTEM 'file:///etc/passwd'>]><x>[&a;&f;]</x>",
        );
        assert_eq!(xml.root().expect("a root").text(), "[]");
    }

    #[test]
    fn a_document_that_breaks_off_keeps_its_start() {
        let xml = parse("<x><p>one</p><p>two");
        assert_eq!(xml.root().expect("a root").text(), "onetwo");
        assert!(xml.damage().is_some());
        let xml = parse("<x><p>one</p></y>");
        assert!(xml.damage().is_some());
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        assert!(Xml::parse("<a>".repeat(100_000).as_bytes()).is_err());
    }
}
