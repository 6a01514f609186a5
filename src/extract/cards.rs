//! Calendars (.ics) and address books (.vcf): each event and each person is a document.
//!
//! Called by: `extract`, `mail` for invitations. Talks to: `cards::lines` for the syntax, `cards::event` and
//! `cards::contact` for what an entry says, `cards::zones` for its times, `document_json`.
//! Invariants: of several entries each is a child, a single one is the file's own document; the
//! name of a child is that of its entry in every export, so that a changed one is a new version.

mod contact;
mod event;
mod lines;
mod quoted;
mod zones;

use std::collections::HashMap;

use jiff::Timestamp;

use self::lines::{Line, each_entry, text_of, unfolded};
use self::zones::Zones;
use super::charset::{declared_in, decode_whole};
use super::clean::shorten;
use super::document_json::{self, Draft};
use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::{ChildHeader, FormatHint};

/// Media types of entries that stand by themselves.
const EVENT: &str = "application/x-event+json";
const CONTACT: &str = "application/x-contact+json";
const MAX_NAME: usize = 120;

/// An entry, ready to become a document.
struct Entry {
    /// What names it in every export.
    name: String,
    media_type: &'static str,
    draft: Draft,
}

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let text = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    let lines = unfolded(&text);
    drop(text);
    let zones = Zones::of(&lines);
    let mut count = 0_u64;
    let about = each_entry(&lines, &mut |_, _| {
        count += 1;
        Ok(())
    })?;
    for line in about {
        match line.name.as_str() {
            "X-WR-CALNAME" | "NAME" if count > 1 => out.title(&text_of(line.value)),
            "X-WR-CALNAME" | "NAME" => out.fact("calendar", &text_of(line.value)),
            "X-WR-CALDESC" if count > 1 => out.paragraph(&text_of(line.value))?,
            _ => {}
        }
    }
    if count <= 1 {
        return each_entry(&lines, &mut |kind, lines| {
            let entry = entry(kind, lines, &zones);
            document_json::read(&entry.draft.to_bytes(), out)
        })
        .map(drop);
    }
    out.document.container = true;
    out.fact("entries", &count.to_string());
    let mut names = HashMap::new();
    each_entry(&lines, &mut |kind, lines| {
        let Entry { name, media_type, draft } = entry(kind, lines, &zones);
        let header = ChildHeader {
            name: unique(name, &mut names),
            absolute: false,
            media_type: Some(media_type.to_owned()),
            format: Some(FormatHint::DocumentJson),
            file_date: None,
        };
        out.child(&header, &mut draft.to_bytes().as_slice())
    })
    .map(drop)
}

/// When the event takes place that a calendar or an invitation is about; `None` where it is about
/// several. Changed dates of a series do not count beside it.
pub(super) fn event_date(text: &str) -> Option<Timestamp> {
    let lines = unfolded(text);
    let zones = Zones::of(&lines);
    let mut starts = Vec::new();
    each_entry(&lines, &mut |kind, lines| {
        if kind == "VEVENT" && lines.iter().all(|line| line.name != "RECURRENCE-ID") {
            starts.push(event::start(lines, &zones));
        }
        Ok(())
    })
    .ok()?;
    if let [only] = starts[..] { only } else { None }
}

fn entry(kind: &str, lines: &[Line<'_>], zones: &Zones) -> Entry {
    match kind {
        "VCARD" => contact::read(lines),
        _ => event::read(kind, lines, zones),
    }
}

/// A name that no entry had before.
fn unique(name: String, taken: &mut HashMap<String, u64>) -> String {
    let times = taken.entry(name.clone()).or_default();
    *times += 1;
    if *times == 1 { name } else { format!("{name} ({times})") }
}

/// What may stand in a name, of an id or of words.
fn name_of(kind: &str, id: &str) -> String {
    let plain: String = id
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@') { c } else { ' ' })
        .collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.is_empty() { kind.to_owned() } else { format!("{kind} {}", shorten(&plain, MAX_NAME)) }
}

#[cfg(test)]
mod tests;
