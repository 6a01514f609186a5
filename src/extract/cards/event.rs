//! What an event, a task or a note of a calendar says.
//!
//! Called by: `cards`. Talks to: `cards::zones`.
//! Invariants: people are written as those of mails; a property that is not known is left out,
//! the text of a known one never.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::lines::Line;
use super::zones::{Written, Zones};
use super::{EVENT, Entry, name_of};
use crate::extract::clean::one_line;
use crate::extract::document_json::Draft;
use crate::types::{Block, BlockKind};

/// Properties that are shown, in this order.
const SHOWN: [(&str, &str); 14] = [
    ("DTSTART", "From"),
    ("DTEND", "To"),
    ("DURATION", "Lasts"),
    ("DUE", "Due"),
    ("LOCATION", "Where"),
    ("ORGANIZER", "Organizer"),
    ("ATTENDEE", "Attendee"),
    ("CONTACT", "Contact"),
    ("STATUS", "Status"),
    ("RRULE", "Repeats"),
    ("CATEGORIES", "Categories"),
    ("RESOURCES", "Resources"),
    ("URL", "Address on the web"),
    ("COMMENT", "Comment"),
];

/// Someone invited, with what is known.
#[derive(Clone)]
struct Person {
    name: String,
    address: String,
}

impl Person {
    fn of(line: &Line<'_>) -> Self {
        let value = line.text();
        let value = value.trim();
        let start = value.get(..7).filter(|start| start.eq_ignore_ascii_case("mailto:"));
        let address = value[start.map_or(0, str::len)..].trim();
        let name = one_line(line.parameter("CN").unwrap_or_default());
        // Some programs write an address of their own and keep the real one beside it.
        let mail = line.parameter("EMAIL").filter(|mail| mail.contains('@'));
        let address = if address.contains('@') { address } else { mail.unwrap_or_default() };
        let name = if name.eq_ignore_ascii_case(address) { String::new() } else { name };
        Self { name, address: address.to_lowercase() }
    }

    fn is(&self, other: &Self) -> bool {
        !self.address.is_empty() && self.address == other.address
    }

    fn shown(&self) -> String {
        match (self.name.is_empty(), self.address.is_empty()) {
            (false, false) => format!("{} <{}>", self.name, self.address),
            (true, _) => self.address.clone(),
            (_, true) => self.name.clone(),
        }
    }
}

pub(super) fn read(kind: &str, lines: &[Line<'_>], zones: &Zones) -> Entry {
    let all = |name: &'static str| lines.iter().filter(move |line| line.name == name);
    let value = |name| all(name).next().map(Line::text).unwrap_or_default();
    let moment = |name| all(name).find_map(|line| zones.moment(&Written::of(line)?));
    let summary = one_line(&value("SUMMARY"));
    let attendees: Vec<Person> = all("ATTENDEE").map(Person::of).collect();
    let organizer = all("ORGANIZER").next().map(|line| {
        let person = Person::of(line);
        // The list of those invited may know the name.
        let same = attendees.iter().find(|other| person.name.is_empty() && person.is(other));
        same.cloned().unwrap_or(person)
    });
    let shown = |people: &[Person]| people.iter().map(Person::shown).collect::<Vec<_>>();
    let mut facts = BTreeMap::new();
    let mut fact = |key, value: String| {
        if !value.trim().is_empty() {
            facts.insert(key, value);
        }
    };
    if let Some(organizer) = &organizer {
        fact("from_name", organizer.name.clone());
        fact("from_address", organizer.address.clone());
    }
    fact("attendees", shown(&attendees).join(", "));
    let addresses = attendees.iter().map(|p| p.address.as_str()).filter(|a| !a.is_empty());
    fact("to_addresses", addresses.collect::<Vec<_>>().join(", "));
    fact("location", one_line(&value("LOCATION")));
    fact("status", value("STATUS").to_lowercase());
    fact("categories", value("CATEGORIES"));
    fact("repeats", value("RRULE"));
    fact("until", moment("DTEND").map(|at| at.to_string()).unwrap_or_default());
    let uid = value("UID");
    if !uid.trim().is_empty() {
        // Changed dates of a series have the id of the series.
        fact("thread_id", format!("calendar:{}", uid.trim()));
    }
    let others = attendees.iter().filter(|p| !organizer.as_ref().is_some_and(|o| o.is(p)));
    let authors = organizer.iter().chain(others).map(Person::shown).collect();
    let draft = Draft {
        title: summary.clone(),
        authors,
        date: moment("LAST-MODIFIED").or_else(|| moment("CREATED")),
        event_date: start(lines, zones),
        facts,
        blocks: blocks(&summary, lines),
    };
    let id = match all("RECURRENCE-ID").next() {
        Some(line) => format!("{} {}", uid.trim(), line.value.trim()),
        None => uid,
    };
    let word = match kind {
        "VTODO" => "task",
        "VJOURNAL" => "note",
        _ => "event",
    };
    Entry { name: name_of(word, &id), media_type: EVENT, draft }
}

/// When it begins, or is due.
pub(super) fn start(lines: &[Line<'_>], zones: &Zones) -> Option<Timestamp> {
    let moment = |name: &str| {
        let mut named = lines.iter().filter(|line| line.name == name);
        named.find_map(|line| zones.moment(&Written::of(line)?))
    };
    moment("DTSTART").or_else(|| moment("DUE"))
}

fn blocks(summary: &str, lines: &[Line<'_>]) -> Vec<Block> {
    let block = |kind, text: String| Block::new(kind, text);
    let mut blocks = Vec::new();
    if !summary.is_empty() {
        blocks.push(block(BlockKind::Heading { level: 1 }, summary.to_owned()));
    }
    let mut table = String::new();
    for (name, label) in SHOWN {
        for line in lines.iter().filter(|line| line.name == name) {
            let value = match name {
                "DTSTART" | "DTEND" | "DUE" => {
                    Written::of(line).map_or_else(|| line.text(), |written| written.shown())
                }
                "ORGANIZER" | "ATTENDEE" => Person::of(line).shown(),
                _ => one_line(&line.text()),
            };
            if !value.trim().is_empty() {
                table.push_str(&format!("{label}: {}\n", value.trim()));
            }
        }
    }
    blocks.push(block(BlockKind::Paragraph, table));
    for line in lines.iter().filter(|line| line.name == "DESCRIPTION") {
        let text = line.text().replace("\r\n", "\n");
        let paragraphs = text.split("\n\n").filter(|text| !text.trim().is_empty());
        blocks.extend(paragraphs.map(|text| block(BlockKind::Paragraph, text.to_owned())));
    }
    blocks.retain(|block| !block.text.trim().is_empty());
    blocks
}
