//! What a paragraph of a Word document is, by its style and its own properties.
//!
//! Called by: `docx`. Talks to: `xml`.
//! Invariants: chains of styles are followed at most `MAX_CHAIN` steps.
//!
//! Why by the style's stored name: built-in styles keep their English name in every language
//! of Word, while their ids differ.

use std::collections::HashMap;

use crate::extract::xml::{Element, Xml};

const MAX_CHAIN: usize = 20;

/// What a paragraph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    /// 1 (outermost) to 6.
    Heading(u8),
    Quote,
    Body,
}

#[derive(Default)]
struct Style {
    name: String,
    based_on: Option<String>,
    outline: Option<u8>,
    list: Option<String>,
    list_level: Option<u8>,
}

/// The styles of one document by id.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    pub(super) fn read(xml: Option<&Xml>) -> Self {
        let Some(root) = xml.and_then(Xml::root) else {
            return Self::default();
        };
        let styles = root.children().filter(|child| child.is("style")).map(|style| {
            let properties = style.child("pPr");
            let value = |name| style.child(name).and_then(|v| v.attr("val"));
            let read = Style {
                name: value("name").unwrap_or_default().to_lowercase(),
                based_on: value("basedOn").map(str::to_owned),
                outline: properties.and_then(outline),
                list: properties.and_then(list_id),
                list_level: properties.and_then(list_level),
            };
            (style.attr("styleId").unwrap_or_default().to_owned(), read)
        });
        Self(styles.collect())
    }

    /// The role of a paragraph with these properties.
    pub(super) fn role(&self, properties: Option<Element<'_>>) -> Role {
        let id = style_id(properties);
        for style in self.chain(id) {
            if let Some(role) = named(&style.name) {
                return role;
            }
        }
        let own = properties.and_then(outline);
        match own.or_else(|| self.chain(id).find_map(|style| style.outline)) {
            Some(level @ 0..=8) => Role::Heading((level + 1).min(6)),
            _ => Role::Body,
        }
    }

    /// The list a paragraph is an item of, and its level there.
    pub(super) fn list(&self, properties: Option<Element<'_>>) -> Option<(String, u8)> {
        let id = style_id(properties);
        let list = properties
            .and_then(list_id)
            .or_else(|| self.chain(id).find_map(|style| style.list.clone()))
            .filter(|list| list != "0")?;
        let level = properties
            .and_then(list_level)
            .or_else(|| self.chain(id).find_map(|style| style.list_level))
            .unwrap_or(0);
        Some((list, level.min(8)))
    }

    fn chain<'s>(&'s self, id: Option<&str>) -> impl Iterator<Item = &'s Style> {
        let mut next = id.and_then(|id| self.0.get(id));
        let steps = std::iter::from_fn(move || {
            let style = next?;
            next = style.based_on.as_ref().and_then(|id| self.0.get(id));
            Some(style)
        });
        steps.take(MAX_CHAIN)
    }
}

fn named(name: &str) -> Option<Role> {
    match name {
        "title" => Some(Role::Title),
        "quote" | "intense quote" => Some(Role::Quote),
        _ => {
            let level = name.strip_prefix("heading ")?.parse::<u8>().ok()?;
            (1..=9).contains(&level).then_some(Role::Heading(level.min(6)))
        }
    }
}

fn style_id<'x>(properties: Option<Element<'x>>) -> Option<&'x str> {
    properties?.child("pStyle")?.attr("val")
}

fn outline(properties: Element<'_>) -> Option<u8> {
    properties.child("outlineLvl")?.attr("val")?.parse().ok()
}

fn list_id(properties: Element<'_>) -> Option<String> {
    properties.at(&["numPr", "numId"])?.attr("val").map(str::to_owned)
}

fn list_level(properties: Element<'_>) -> Option<u8> {
    properties.at(&["numPr", "ilvl"])?.attr("val")?.parse().ok()
}
