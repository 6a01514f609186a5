//! Which paragraphs of an OpenDocument text are titles, and which lists are numbered.
//!
//! Called by: `odf`. Talks to: `xml`.
//! Invariants: chains of styles are followed at most `MAX_CHAIN` steps.

use std::collections::HashMap;

use crate::extract::xml::Element;

const MAX_CHAIN: usize = 20;

#[derive(Default)]
pub(super) struct Styles {
    parents: HashMap<String, String>,
    /// Per list style, the levels that are numbered.
    numbered: HashMap<String, Vec<u8>>,
}

impl Styles {
    pub(super) fn read<'x>(roots: impl Iterator<Item = Element<'x>>) -> Self {
        let mut styles = Self::default();
        for root in roots {
            let groups =
                root.children().filter(|child| child.is("styles") || child.is("automatic-styles"));
            for style in groups.flat_map(Element::children) {
                let Some(name) = style.attr("name").map(str::to_owned) else {
                    continue;
                };
                match style.name() {
                    "style" => {
                        let parent = style.attr("parent-style-name").unwrap_or_default();
                        styles.parents.insert(name, parent.to_owned());
                    }
                    "list-style" => {
                        let levels = style.children().filter(|level| {
                            level.is("list-level-style-number")
                                && level.attr("num-format").is_some_and(|f| !f.is_empty())
                        });
                        let levels = levels.filter_map(|level| level.attr("level")?.parse().ok());
                        styles.numbered.insert(name, levels.collect());
                    }
                    _ => {}
                }
            }
        }
        styles
    }

    /// True where the style or one it is based on has this name.
    pub(super) fn is(&self, style: Option<&str>, name: &str) -> bool {
        let mut next = style;
        for _ in 0..MAX_CHAIN {
            match next {
                Some(style) if style == name => return true,
                Some(style) => next = self.parents.get(style).map(String::as_str),
                None => return false,
            }
        }
        false
    }

    /// True where a level (from 0) of a list is numbered.
    pub(super) fn is_numbered(&self, list: Option<&str>, level: u8) -> bool {
        let levels = list.and_then(|list| self.numbered.get(list));
        levels.is_some_and(|levels| levels.contains(&(level + 1)))
    }
}
