//! Calendars (.ics) and address books (.vcf): events and people as short paragraphs.
//!
//! Called by: `extract`; `calendar` for its lines. Talks to: `charset`, `calendar`.
//! Invariants: folded lines are one; binary values (photos) are not text; a property that is not
//! known is left out, the text of a known one never.

use super::calendar;
use super::charset::{declared_in, decode_whole};
use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::BlockKind;

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let text = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    let events = calendar::events(&text);
    out.written(events.first);
    out.document.event_date = events.only.map(|start| start.at);
    let mut card = Card::default();
    // Zones and reminders have starts and descriptions of their own.
    let mut aside = 0_u32;
    for line in unfolded(&text) {
        let Some((head, value)) = split(&line) else {
            continue;
        };
        let name = head.split(';').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default().to_ascii_uppercase();
        match name.as_str() {
            "BEGIN" if is_aside(value) => aside += 1,
            "END" if is_aside(value) => aside = aside.saturating_sub(1),
            "BEGIN" | "END" => card.finish(out)?,
            _ if aside > 0 => {}
            _ => card.property(&name, head, value, out),
        }
    }
    card.finish(out)
}

/// A part that says nothing about the event itself.
fn is_aside(component: &str) -> bool {
    ["VTIMEZONE", "VALARM"].iter().any(|name| component.trim().eq_ignore_ascii_case(name))
}

/// Logical lines: one that begins with white space continues the one before.
pub(super) fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(&line[1..]),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Name with parameters, and value; a colon within quotes separates nothing.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = line.find(|c: char| {
        quoted ^= c == '"';
        c == ':' && !quoted
    })?;
    Some((&line[..at], &line[at + 1..]))
}

#[derive(Default)]
struct Card {
    heading: String,
    lines: String,
}

impl Card {
    fn property(&mut self, name: &str, head: &str, value: &str, out: &mut Output<'_>) {
        let text = unescaped(value);
        let label = match name {
            "SUMMARY" | "FN" => {
                self.heading = text;
                return;
            }
            "X-WR-CALNAME" => return out.title(&text),
            "N" if self.heading.is_empty() => {
                let parts: Vec<&str> = value.split(';').filter(|p| !p.is_empty()).collect();
                self.heading = parts.into_iter().rev().collect::<Vec<_>>().join(" ");
                return;
            }
            "DTSTART" => "From",
            "DTEND" => "To",
            "DUE" => "Due",
            "LOCATION" => "Where",
            "ORGANIZER" => "Organizer",
            "ATTENDEE" => "Attendee",
            "DESCRIPTION" => "Description",
            "STATUS" => "Status",
            "RRULE" => "Repeats",
            "CATEGORIES" => "Categories",
            "EMAIL" => "Mail",
            "TEL" => "Telephone",
            "ADR" => "Address",
            "ORG" => "Organization",
            "TITLE" => "Title",
            "ROLE" => "Role",
            "URL" => "Address on the web",
            "BDAY" => "Birthday",
            "NOTE" => "Note",
            "NICKNAME" => "Nickname",
            _ => return,
        };
        let shown = match name {
            "DTSTART" | "DTEND" | "DUE" => moment(&text),
            "ORGANIZER" | "ATTENDEE" => person(head, &text),
            "ADR" | "ORG" => {
                let parts: Vec<&str> =
                    text.split(';').map(str::trim).filter(|p| !p.is_empty()).collect();
                parts.join(", ")
            }
            _ => text,
        };
        if !shown.trim().is_empty() {
            self.lines.push_str(&format!("{label}: {}\n", shown.trim()));
        }
    }

    fn finish(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        let card = std::mem::take(self);
        out.block(&BlockKind::Heading { level: 2 }, &card.heading, None)?;
        out.paragraph(&card.lines)
    }
}

/// `20240301T100000Z` as ISO 8601 writes it.
fn moment(text: &str) -> String {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(4..6), digits(6..8)) else {
        return text.to_owned();
    };
    let zone = if text.ends_with('Z') { "Z" } else { "" };
    match (digits(9..11), digits(11..13), digits(13..15)) {
        (Some(h), Some(m), Some(s)) => format!("{year}-{month}-{day}T{h}:{m}:{s}{zone}"),
        _ => format!("{year}-{month}-{day}"),
    }
}

/// `Name <address>` of someone invited.
fn person(head: &str, value: &str) -> String {
    let address = value.trim_start_matches("mailto:").trim_start_matches("MAILTO:");
    let name = head.split(';').find_map(|parameter| parameter.strip_prefix("CN="));
    match name.map(|name| name.trim_matches('"')) {
        Some(name) if name != address => format!("{name} <{address}>"),
        _ => address.to_owned(),
    }
}

fn unescaped(value: &str) -> String {
    value
        .replace("\\n", "\n")
        .replace("\\N", "\n")
        .replace("\\,", ",")
        .replace("\\;", ";")
        .replace("\\\\", "\\")
}
