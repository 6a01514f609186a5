//! The syntax that calendars and address books share: folded lines of name, parameters and value.
//!
//! Called by: `cards`. Talks to: `cards::quoted`.
//! Invariants: folded lines are one; entries follow each other and never nest, so that one whose
//! end is missing ends where the next begins; what lies inside an entry (alarms) is not part of it.

use std::borrow::Cow;

use super::super::emit::Stop;
use super::quoted;

/// What becomes a document.
const ENTRIES: [&str; 5] = ["VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VCARD"];

/// What is done with kind and properties of an entry.
type Take<'t, 'l> = dyn FnMut(&str, &[Line<'l>]) -> Result<(), Stop> + 't;

/// One property.
#[derive(Clone, Debug)]
pub(super) struct Line<'l> {
    /// In upper case, without its group.
    pub(super) name: String,
    parameters: &'l str,
    pub(super) value: &'l str,
}

impl<'l> Line<'l> {
    /// A colon within quotes separates nothing.
    pub(super) fn parse(line: &'l str) -> Option<Self> {
        let mut quoted = false;
        let at = line.find(|c: char| {
            quoted ^= c == '"';
            c == ':' && !quoted
        })?;
        let (head, value) = (&line[..at], &line[at + 1..]);
        let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
        let name = name.rsplit('.').next().unwrap_or(name).trim().to_ascii_uppercase();
        Some(Self { name, parameters, value })
    }

    /// The value of a parameter, without its quotes.
    pub(super) fn parameter(&self, wanted: &str) -> Option<&'l str> {
        let mut quoted = false;
        let mut parts = self.parameters.split(|c: char| {
            quoted ^= c == '"';
            c == ';' && !quoted
        });
        parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
        })
    }

    /// The value as text.
    pub(super) fn text(&self) -> String {
        text_of(&self.decoded())
    }

    /// The value with its marks, in letters.
    pub(super) fn decoded(&self) -> Cow<'l, str> {
        quoted::decoded(self.parameters, self.value)
    }

    /// True for bytes written as letters.
    pub(super) fn is_binary(&self) -> bool {
        let coding = self.parameter("ENCODING").unwrap_or_default();
        coding.eq_ignore_ascii_case("BASE64") || coding.eq_ignore_ascii_case("B")
    }

    /// The parts of a structured value, blank ones left out.
    pub(super) fn parts(&self) -> Vec<String> {
        let text = self.decoded();
        let parts = text.split(';').map(|part| text_of(part).trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect()
    }
}

/// Logical lines: one that begins with white space continues the one before, as does what follows
/// a `=` at the end of a value that is coded so. Blank lines are nothing.
pub(super) fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(&line[1..]),
            Some(last) if last.ends_with('=') && is_coded(last) => {
                last.pop();
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn is_coded(line: &str) -> bool {
    let head = line.split(':').next().unwrap_or_default();
    head.to_ascii_uppercase().contains("QUOTED-PRINTABLE")
}

/// Calls `take` with kind and properties of every entry that has any. The answer is what is said about all.
pub(super) fn each_entry<'l>(
    lines: &'l [String],
    take: &mut Take<'_, 'l>,
) -> Result<Vec<Line<'l>>, Stop> {
    let mut about = Vec::new();
    let mut open: Option<(&str, Vec<Line<'l>>)> = None;
    let mut inside = 0_usize;
    for line in lines.iter().filter_map(|line| Line::parse(line)) {
        let word = line.value.trim();
        let kind = ENTRIES.iter().find(|kind| kind.eq_ignore_ascii_case(word));
        match (line.name.as_str(), kind) {
            ("BEGIN" | "END", Some(kind)) => {
                finish(open.take(), take)?;
                inside = 0;
                open = (line.name == "BEGIN").then(|| (*kind, Vec::new()));
            }
            ("BEGIN", None) if word.eq_ignore_ascii_case("VCALENDAR") => {}
            ("BEGIN", None) => inside += 1,
            ("END", None) => inside = inside.saturating_sub(1),
            _ if inside > 0 => {}
            _ => match &mut open {
                Some((_, lines)) => lines.push(line),
                None => about.push(line),
            },
        }
    }
    finish(open, take)?;
    Ok(about)
}

/// Passes an entry on that says something.
fn finish<'l>(open: Option<(&str, Vec<Line<'l>>)>, take: &mut Take<'_, 'l>) -> Result<(), Stop> {
    match open {
        Some((kind, lines)) if !lines.is_empty() => take(kind, &lines),
        _ => Ok(()),
    }
}

/// A value without the marks that protect its commas and line ends.
pub(super) fn text_of(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => text.push('\n'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    text
}
