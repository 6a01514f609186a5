//! What an address book says about a person.
//!
//! Called by: `cards`. Talks to: nothing.
//! Invariants: a property that is not known is left out, the text of a known one never; pictures
//! and sounds are no text.

use std::collections::BTreeMap;

use super::lines::{Line, text_of};
use super::zones::{Written, Zones};
use super::{CONTACT, Entry, name_of};
use crate::extract::clean::one_line;
use crate::extract::document_json::Draft;
use crate::types::{Block, BlockKind};

/// Properties that are shown, in this order.
const SHOWN: [(&str, &str); 13] = [
    ("NICKNAME", "Nickname"),
    ("ORG", "Organization"),
    ("TITLE", "Title"),
    ("ROLE", "Role"),
    ("EMAIL", "Mail"),
    ("TEL", "Telephone"),
    ("IMPP", "Chat"),
    ("ADR", "Address"),
    ("URL", "Address on the web"),
    ("BDAY", "Birthday"),
    ("ANNIVERSARY", "Anniversary"),
    ("CATEGORIES", "Categories"),
    ("NOTE", "Note"),
];

pub(super) fn read(lines: &[Line<'_>]) -> Entry {
    let all = |name: &'static str| lines.iter().filter(move |line| line.name == name);
    let value = |name| all(name).next().map(|line| one_line(&line.text())).unwrap_or_default();
    let name = name(lines);
    let mut facts = BTreeMap::new();
    let mails: Vec<String> = all("EMAIL").map(|line| line.text().trim().to_lowercase()).collect();
    let company = all("ORG").next().map(|line| line.parts().join(", ")).unwrap_or_default();
    for (key, value) in [("addresses", mails.join(", ")), ("organization", company)] {
        if !value.is_empty() {
            facts.insert(key, value);
        }
    }
    let mut table = String::new();
    for (property, label) in SHOWN {
        for line in all(property).filter(|line| !line.is_binary()) {
            let value = match property {
                "ADR" | "ORG" => line.parts().join(", "),
                "BDAY" | "ANNIVERSARY" => {
                    Written::of(line).map_or_else(|| line.text(), |written| written.shown())
                }
                _ => line.text(),
            };
            if !value.trim().is_empty() {
                table.push_str(&format!("{label}: {}\n", value.trim()));
            }
        }
    }
    let heading = BlockKind::Heading { level: 1 };
    let texts = [(heading, name.clone()), (BlockKind::Paragraph, table)];
    let blocks = texts.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let changed = all("REV").find_map(|line| Zones::default().moment(&Written::of(line)?));
    let id = match value("UID") {
        uid if uid.is_empty() => name.clone(),
        uid => uid,
    };
    Entry {
        name: name_of("contact", &id),
        media_type: CONTACT,
        draft: Draft {
            title: name,
            authors: Vec::new(),
            date: changed,
            event_date: None,
            facts,
            blocks: blocks.map(|(kind, text)| Block::new(kind, text)).collect(),
        },
    }
}

/// The name as it is shown, or put together of its parts.
fn name(lines: &[Line<'_>]) -> String {
    let value = |name: &str| lines.iter().find(|line| line.name == name);
    let shown = value("FN").map(|line| one_line(&line.text())).unwrap_or_default();
    if !shown.is_empty() {
        return shown;
    }
    let Some(line) = value("N") else {
        let company = value("ORG").map(|line| line.parts().join(", "));
        return company.unwrap_or_default();
    };
    // Family, given, additional, before and behind.
    let parts: Vec<String> =
        line.decoded().split(';').map(|part| one_line(&text_of(part))).collect();
    let part = |at: usize| parts.get(at).map(String::as_str).unwrap_or_default();
    let name = [part(3), part(1), part(2), part(0), part(4)];
    one_line(&name.join(" "))
}
