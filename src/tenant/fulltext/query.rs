//! The query language people type, as a list of clauses. Whatever is typed means something.
//!
//! Called by: `app`, `compile`, `highlight`. Talks to: `analysis` for word boundaries.
//! Invariants: parsing never fails; at most `MAX_WORDS` words are kept; a plain clause holds
//! exactly one word, any other at least one.
//!
//! Words are ranked, none is required. `"a phrase"` is found as it stands, whatever the endings
//! of its words. `+word` must occur, `-word` must not; both take phrases. `title:`, `heading:`,
//! `author:` (or `from:`), `to:`, `source:` and `type:` before a word or phrase demand it there; all
//! but the first two only narrow what the other words find. `after:` and `before:` take a
//! year, a month, a day (its start, UTC) or an RFC 3339 time and go to the filter. A sign or a
//! colon that fits none of this is punctuation.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::analysis::split;
use crate::types::SearchFilter;

/// Words of a query beyond this many are left out, to bound what a search may cost.
pub(super) const MAX_WORDS: usize = 64;

/// Media type words that people know under a shorter name.
const TYPE_NAMES: &[(&str, &str)] = &[
    ("docx", "wordprocessingml"),
    ("xlsx", "spreadsheetml"),
    ("pptx", "presentationml"),
    ("email", "rfc822"),
    ("eml", "rfc822"),
    ("mail", "rfc822"),
    ("htm", "html"),
    ("md", "markdown"),
    ("txt", "plain"),
];

/// What a document has to do with a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// Ranks a document higher.
    Optional,
    Required,
    Excluded,
}

/// Where a clause is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Anywhere,
    Title,
    Heading,
    /// Whoever wrote a document or sent a mail.
    Author,
    /// Whoever a mail went to.
    Recipient,
    Source,
    MediaType,
}

impl Scope {
    /// True for what people read, as against who wrote it, or what a file is called or made of.
    pub(super) fn in_text(self) -> bool {
        matches!(self, Self::Anywhere | Self::Title | Self::Heading)
    }
}

/// A word, or words that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) occurrence: Occurrence,
    pub(super) scope: Scope,
    pub(super) words: Vec<String>,
    /// True for a bare word, which may be dropped as a stop word. Anything marked up is meant.
    pub(super) plain: bool,
}

impl Clause {
    /// True where the clause asks for its words.
    pub(super) fn positive(&self) -> bool {
        self.occurrence != Occurrence::Excluded
    }
}

/// What a query text means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedQuery {
    /// What to look for.
    pub query: Query,
    /// The dates it is limited to.
    pub filter: SearchFilter,
}

/// The clauses of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    clauses: Vec<Clause>,
    text: String,
    words: usize,
    truncated: bool,
}

impl Query {
    /// Reads what a person typed. There is no wrong input.
    pub fn parse(text: &str) -> ParsedQuery {
        let mut parser = Parser::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            rest = parser.chunk(rest).trim_start();
        }
        parser.parsed
    }

    pub(super) fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// What is asked, without signs, field names and excluded words: the text to embed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True where the query asks for nothing, whatever it excludes.
    pub fn is_empty(&self) -> bool {
        !self.clauses.iter().any(Clause::positive)
    }

    /// True where some clause decides whether a document may appear at all, so that documents
    /// found by other means have to be checked.
    pub fn has_constraints(&self) -> bool {
        self.clauses.iter().any(|clause| clause.occurrence != Occurrence::Optional)
    }

    /// True where the query is too long and its last words were left out.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    fn push(&mut self, clause: Clause) {
        if self.words + clause.words.len() > MAX_WORDS {
            self.truncated = true;
            return;
        }
        self.words += clause.words.len();
        self.clauses.push(clause);
    }

    fn push_text(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }
}

#[derive(Default)]
struct Parser {
    parsed: ParsedQuery,
}

impl Parser {
    /// Takes one chunk off the front of `input`, which is not empty, and returns the rest.
    fn chunk<'a>(&mut self, input: &'a str) -> &'a str {
        if let Some(rest) = self.marked(input) {
            return rest;
        }
        let (chunk, rest) = until_space(input);
        for word in split(chunk) {
            self.parsed.query.push(Clause {
                occurrence: Occurrence::Optional,
                scope: Scope::Anywhere,
                words: vec![word.to_owned()],
                plain: true,
            });
        }
        self.parsed.query.push_text(chunk);
        rest
    }

    /// Takes a chunk with a sign, a field name or quotes; none where these are punctuation.
    fn marked<'a>(&mut self, input: &'a str) -> Option<&'a str> {
        let (sign, unsigned) = strip_sign(input);
        if sign.is_none()
            && let Some(rest) = self.date(unsigned)
        {
            return Some(rest);
        }
        let (scope, value) = strip_field(unsigned);
        let (content, rest) = match quoted(value) {
            Some((content, rest)) => (content, rest),
            None if sign.is_some() || scope != Scope::Anywhere => until_space(value),
            None => return None,
        };
        let words = clause_words(scope, content);
        if words.is_empty() {
            // An empty pair of quotes is spent; anything else is read again as plain text.
            return quoted(input).map(|(_, rest)| rest);
        }
        let occurrence = match sign {
            Some(sign) => sign,
            None if scope != Scope::Anywhere => Occurrence::Required,
            None => Occurrence::Optional,
        };
        if occurrence != Occurrence::Excluded && scope.in_text() {
            self.parsed.query.push_text(content);
        }
        self.parsed.query.push(Clause { occurrence, scope, words, plain: false });
        Some(rest)
    }

    fn date<'a>(&mut self, input: &'a str) -> Option<&'a str> {
        let (chunk, rest) = until_space(input);
        let filter = &mut self.parsed.filter;
        if let Some(date) = chunk.strip_prefix("after:").and_then(parse_date) {
            filter.after = Some(filter.after.map_or(date, |known| known.max(date)));
        } else if let Some(date) = chunk.strip_prefix("before:").and_then(parse_date) {
            filter.before = Some(filter.before.map_or(date, |known| known.min(date)));
        } else {
            return None;
        }
        Some(rest)
    }
}

fn until_space(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// A sign counts where something to look for follows it at once.
fn strip_sign(text: &str) -> (Option<Occurrence>, &str) {
    let mut chars = text.chars();
    let sign = match chars.next() {
        Some('+') => Occurrence::Required,
        Some('-') => Occurrence::Excluded,
        _ => return (None, text),
    };
    let value = chars.as_str();
    if quoted(value).is_some() || value.starts_with(char::is_alphanumeric) {
        (Some(sign), value)
    } else {
        (None, text)
    }
}

fn strip_field(text: &str) -> (Scope, &str) {
    const FIELDS: [(&str, Scope); 7] = [
        ("title:", Scope::Title),
        ("heading:", Scope::Heading),
        ("author:", Scope::Author),
        ("from:", Scope::Author),
        ("to:", Scope::Recipient),
        ("source:", Scope::Source),
        ("type:", Scope::MediaType),
    ];
    for (name, scope) in FIELDS {
        if let Some(value) = text.strip_prefix(name)
            && !value.is_empty()
            && !value.starts_with(char::is_whitespace)
        {
            return (scope, value);
        }
    }
    (Scope::Anywhere, text)
}

/// The content of the quotes `text` starts with and what follows them. Unclosed quotes are none.
fn quoted(text: &str) -> Option<(&str, &str)> {
    const OPENING: [char; 4] = ['"', '“', '”', '„'];
    const CLOSING: [char; 3] = ['"', '”', '“'];
    text.strip_prefix(OPENING)?.split_once(CLOSING)
}

fn clause_words(scope: Scope, content: &str) -> Vec<String> {
    let words = split(content).map(str::to_owned);
    if scope != Scope::MediaType {
        return words.collect();
    }
    let known = |word: String| match TYPE_NAMES.iter().find(|row| row.0 == word) {
        Some(&(_, known)) => known.to_owned(),
        None => word,
    };
    words.map(|word| known(word.to_lowercase())).collect()
}

fn parse_date(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    if parts.next().is_some() {
        return None;
    }
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn digits(text: &str, count: usize) -> Option<i16> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
