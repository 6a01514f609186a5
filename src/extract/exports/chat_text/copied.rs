//! Chats as people copy them out of Teams, Slack and the like: `[10:32] Jane Doe: text`, or
//! `Jane Doe  10:32 AM` above the lines of a message.
//!
//! Called by: `chat_text`. Talks to: `chat_text::stamp` for date and time, `conversation`.
//! Invariants: a text is a chat only where several signs agree; a line that begins no message
//! continues the one before, so no line is lost.
//!
//! Why so many signs: minutes, agendas, logs and transcripts have lines of this kind too, and a
//! text that is wrongly cut into messages is worse than a chat that is read as a text.

use std::collections::HashMap;

use super::stamp::{Clock, Order, Stamp, clock, date, number};
use super::{LEVELS, plain};
use crate::extract::clean::one_line;

/// Lines that begin like messages, after which a text may be a chat.
const ENOUGH: usize = 3;
/// Lines that are looked at.
const LOOKED_AT: usize = 120;
/// Most lines of a text for each message.
const MOST_LINES: usize = 12;
const MAX_NAME: usize = 60;
const MAX_WORDS: usize = 6;
/// Longest date and time.
const MAX_WHEN: usize = 40;
/// Words that stand for a day which the text does not tell.
const DAYS: [&str; 18] = [
    "today",
    "yesterday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "heute",
    "gestern",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonntag",
];
/// Parts of names that are written small.
const SMALL: [&str; 14] =
    ["von", "van", "de", "der", "den", "del", "della", "di", "da", "la", "le", "bin", "al", "zu"];
/// Words that headings hold and names do not.
const NO_NAMES: [&str; 26] = [
    "action",
    "actions",
    "item",
    "items",
    "note",
    "notes",
    "decision",
    "question",
    "agenda",
    "topic",
    "todo",
    "task",
    "update",
    "status",
    "meeting",
    "break",
    "session",
    "punkt",
    "punkte",
    "aufgabe",
    "thema",
    "frage",
    "beschluss",
    "entscheidung",
    "pause",
    "sitzung",
];

/// How a message is headed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// The time in brackets, then the name.
    TimeFirst,
    /// The name, some space, the time.
    NameFirst,
}

/// The first line of a message.
pub(super) struct Begins<'l> {
    shape: Shape,
    pub(super) stamp: Option<Stamp>,
    /// Date and time as they are written.
    pub(super) when: &'l str,
    pub(super) name: &'l str,
    pub(super) text: &'l str,
    is_from_zero: bool,
}

/// The beginning of a message, where the line is one.
pub(super) fn begins(line: &str) -> Option<Begins<'_>> {
    let line = line.trim();
    if let Some(inner) = line.strip_prefix('[') {
        let (when, rest) = inner.split_once(']').filter(|(when, _)| when.len() <= MAX_WHEN)?;
        let rest = rest.trim_start();
        let (name, text) = match rest.split_once(": ") {
            Some((name, text)) => (name, text),
            None => (rest.strip_suffix(':').unwrap_or(rest), ""),
        };
        return begins_with(Shape::TimeFirst, when, name, text);
    }
    let wide = line.rfind("  ").or_else(|| line.rfind('\t'))?;
    let (name, when) = line.split_at(wide);
    let when = when.trim();
    let when = when.strip_prefix('[').and_then(|when| when.strip_suffix(']')).unwrap_or(when);
    begins_with(Shape::NameFirst, when, name, "")
}

fn begins_with<'l>(
    shape: Shape,
    when: &'l str,
    name: &'l str,
    text: &'l str,
) -> Option<Begins<'l>> {
    let (when, name) = (when.trim(), name.trim());
    let (stamp, clock) = read(when).filter(|_| when.len() <= MAX_WHEN && is_person(name))?;
    let is_from_zero = stamp.is_none() && !clock.halved && clock.hour == 0;
    Some(Begins { shape, stamp, when, name, text, is_from_zero })
}

/// Date and time, a day in words and a time, or a time. Seconds are for logs and transcripts, and
/// so are years in front.
fn read(when: &str) -> Option<(Option<Stamp>, Clock)> {
    // What has only dots may be an amount.
    if !when.contains(':') {
        return None;
    }
    let ends = |text: &str| {
        let text = text.trim_start_matches([',', '.']).trim_start();
        let text = text.strip_prefix("at ").or_else(|| text.strip_prefix("um ")).unwrap_or(text);
        let (clock, rest) = clock(text)?;
        let rest = rest.trim();
        (clock.second.is_none() && matches!(rest, "" | "Uhr")).then_some(clock)
    };
    if let Some((date, rest)) = date(when) {
        let clock = ends(rest)?;
        let stamp = Stamp::new(date, &clock).filter(|stamp| !stamp.is_year_first())?;
        return Some((Some(stamp), clock));
    }
    if let Some(clock) = ends(when) {
        return Some((None, clock));
    }
    let (day, rest) = when.split_once(' ')?;
    let day = day.trim_end_matches([',', '.']);
    let named = DAYS.contains(&day.to_lowercase().as_str());
    let clock = ends(rest).filter(|_| named || is_day_and_month(day))?;
    Some((None, clock))
}

/// `5/1`, `05.01`.
fn is_day_and_month(text: &str) -> bool {
    let Some((first, rest)) = number(text) else { return false };
    let second = rest.strip_prefix(['/', '.']).and_then(number);
    second.is_some_and(|(second, rest)| {
        rest.is_empty() && (1..=31).contains(&first) && (1..=31).contains(&second)
    })
}

/// True for words that look like the name of a person.
fn is_person(name: &str) -> bool {
    let written =
        |c: char| c.is_alphabetic() || matches!(c, ' ' | '.' | ',' | '-' | '\'' | '’' | '(' | ')');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(written) {
        return false;
    }
    let outside = name.split('(').next().unwrap_or(name);
    let words = || outside.split_whitespace().map(|word| word.trim_matches([',', '.']));
    let is_name = |word: &str| {
        let lower = word.to_lowercase();
        if NO_NAMES.contains(&lower.as_str()) || LEVELS.contains(&lower.as_str()) {
            return false;
        }
        SMALL.contains(&word) || !word.starts_with(char::is_lowercase)
    };
    let mut letters = outside.chars().filter(|c| c.is_alphabetic());
    letters.next().is_some_and(|first| !first.is_lowercase())
        && words().count() <= MAX_WORDS
        && words().all(is_name)
}

/// True for text that is headed message by message.
pub(super) fn looks_like(head: &str) -> bool {
    let lines = head.lines().map(plain).filter(|line| !line.trim().is_empty());
    let lines: Vec<String> = lines.take(LOOKED_AT).collect();
    let mut messages: Vec<Begins<'_>> = Vec::new();
    let mut filled = 0_usize;
    let mut open = false;
    for line in &lines {
        match begins(line) {
            Some(message) => {
                open = message.text.is_empty();
                filled += usize::from(!open);
                messages.push(message);
            }
            None if messages.is_empty() => return false,
            None => {
                filled += usize::from(open);
                open = false;
            }
        }
    }
    let Some(first) = messages.first() else { return false };
    let mut spoken: HashMap<&str, usize> = HashMap::new();
    for message in &messages {
        *spoken.entry(message.name).or_default() += 1;
    }
    let several = |message: &&Begins<'_>| message.name.split_whitespace().count() >= 2;
    let full_names = messages.iter().filter(several).count();
    messages.len() >= ENOUGH
        && messages.iter().all(|message| message.shape == first.shape)
        // Times that begin at zero count the minutes of a recording.
        && !first.is_from_zero
        // Who chats, answers: headings are all different, or all the same.
        && spoken.len() >= 2
        && spoken.len() * 2 <= messages.len() + 2
        && full_names * 2 >= messages.len()
        && filled * 4 >= messages.len() * 3
        && lines.len() <= messages.len() * MOST_LINES
}

/// The order of day and month in the whole text.
pub(super) fn order_of(text: &str) -> Order {
    Order::of(text.lines().filter_map(|line| begins(&plain(line)).and_then(|b| b.stamp)))
}

/// The time as it is shown where the day is not known.
pub(super) fn clock_of(begins: &Begins<'_>) -> String {
    if begins.stamp.is_some() { String::new() } else { one_line(begins.when) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_many_programs_are_read() {
        for (line, when, name, text) in [
            ("[10:32] Jane Doe: hello", "10:32", "Jane Doe", "hello"),
            ("[10:32 AM] Doe, Jane (External)", "10:32 AM", "Doe, Jane (External)", ""),
            (
                "[05.01.2024 10:32] Jörg von der Heide:",
                "05.01.2024 10:32",
                "Jörg von der Heide",
                "",
            ),
            ("[1/5/2024 10:32 PM] Jane Doe: a: b", "1/5/2024 10:32 PM", "Jane Doe", "a: b"),
            ("[Yesterday 10:32 AM] Jane O'Neill", "Yesterday 10:32 AM", "Jane O'Neill", ""),
            ("[Montag 10:32] Jane Doe", "Montag 10:32", "Jane Doe", ""),
            ("[5/1 10:32 AM] Jane Doe", "5/1 10:32 AM", "Jane Doe", ""),
            ("Jane Doe  10:32 AM", "10:32 AM", "Jane Doe", ""),
            ("Jane Doe\t05.01.2024, 10:32", "05.01.2024, 10:32", "Jane Doe", ""),
            ("Jane Doe  [10:32 AM]", "10:32 AM", "Jane Doe", ""),
        ] {
            let found = begins(line).unwrap_or_else(|| panic!("{line} begins nothing"));
            assert_eq!((found.when, found.name, found.text), (when, name, text), "{line}");
        }
    }

    #[test]
    fn other_lines_begin_nothing() {
        for line in [
            "[10:32:05] Jane Doe: hello",
            "[2024-01-05 10:32] Payment Service: started",
            "[10:32] Action Item: send the report",
            "[10:32] we met at the station: all of us",
            "[10:32] <jane> hello",
            "[INFO] Jane Doe: hello",
            "[10:32] ERROR: no",
            "Opening of the fair  10:32 AM",
            "Total  12.50",
            "Jane Doe 10:32",
            "Jane Doe  10:32 hello",
            "10:32",
            "",
        ] {
            assert!(begins(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_text_is_a_chat_only_where_several_signs_agree() {
        let chat = "[10:32] Jane Doe: hello\n[10:33] Bob Ray: hi\n[10:34] Jane Doe: lunch?\n";
        assert!(looks_like(chat));
        for text in [
            // Nobody answers.
            "[10:32] Jane Doe: hello\n[10:33] Jane Doe: hi\n[10:34] Jane Doe: lunch?\n",
            // Minutes: headings, each once.
            "[10:00] Opening Words: we begin\n[10:20] Budget Plan: agreed\n[10:40] New Rooms: later\n\
             [10:50] Next Steps: all\n",
            // A recording.
            "Jane Doe  00:03\nhello\nBob Ray  00:07\nhi\nJane Doe  00:12\nwell\n",
            // A timetable.
            "Jane Doe  10:00\nBob Ray  10:30\nJane Doe  11:00\nBob Ray  11:30\n",
            // A letter that quotes a chat.
            "Dear all, here is what was said:\n[10:32] Jane Doe: hello\n[10:33] Bob Ray: hi\n\
             [10:34] Jane Doe: lunch?\n",
            "[10:32] Jane Doe: hello\n[10:33] Bob Ray: hi\n",
        ] {
            assert!(!looks_like(text), "{text}");
        }
        let long = format!("{chat}{}", "a line of a long text\n".repeat(60));
        assert!(!looks_like(&long), "a text with a few quoted messages");
    }
}
