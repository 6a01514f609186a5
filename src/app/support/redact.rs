//! Text made fit to leave the site: what names a person, a tenant, a file or a machine goes.
//!
//! Called by: `app::support`. Talks to: nothing; pure.
//! Invariants: whatever is quoted goes, since messages quote what they were given; an id becomes
//! the same number everywhere in one archive; a line of the log without a time is part of
//! something else and goes as a whole. In doubt more is masked than needed.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use uuid::Uuid;

use crate::types::TenantId;

/// Length of a UUID in text.
const UUID_LENGTH: usize = 36;

/// Words of our own routes; any other part of a path is a name or an id.
const ROUTE_WORDS: &[&str] = &[
    "api",
    "v1",
    "docs",
    "openapi.json",
    "health",
    "ready",
    "metrics",
    "assets",
    "session",
    "setup",
    "links",
    "me",
    "totp",
    "password",
    "users",
    "tenants",
    "members",
    "keys",
    "documents",
    "text",
    "content",
    "retry",
    "rebuild",
    "ledger",
    "search",
    "ask",
    "events",
    "status",
    "doctor",
    "audit",
    "export",
    "verify",
    "tiers",
    "usage",
    "deletions",
    "suspend",
    "resume",
    "lock",
    "unlock",
    "seal",
    "unseal",
    "support",
    "archive",
    "collections",
    "sessions",
    "link",
];

/// Masks what must not leave.
pub(super) struct Redactor {
    home: String,
    /// Names of tenants, keys and people, longest first.
    names: Vec<String>,
    ids: HashMap<Uuid, String>,
}

impl Redactor {
    /// A redactor for a home, its tenants in order, and every name that is known.
    pub(super) fn new(home: &str, tenants: &[TenantId], mut names: Vec<String>) -> Self {
        names.retain(|name| !name.trim().is_empty());
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let ids = tenants
            .iter()
            .enumerate()
            .map(|(at, tenant)| (tenant.uuid(), format!("tenant-{}", at + 1)))
            .collect();
        Self { home: home.trim_end_matches('/').to_owned(), names, ids }
    }

    /// The last lines of a log.
    pub(super) fn log(&mut self, text: &str, lines: usize) -> String {
        let mut kept: Vec<&str> = text.lines().rev().take(lines).collect();
        kept.reverse();
        kept.into_iter().filter_map(|line| self.log_line(line)).fold(
            String::new(),
            |mut out, line| {
                out.push_str(&line);
                out.push('\n');
                out
            },
        )
    }

    fn log_line(&mut self, line: &str) -> Option<String> {
        if line.starts_with('{') {
            let mut value: Value = serde_json::from_str(line).ok()?;
            self.value(&mut value);
            return Some(value.to_string());
        }
        let (time, rest) = line.split_once(' ')?;
        time.parse::<jiff::Timestamp>().ok()?;
        Some(format!("{time} {}", self.text(rest)))
    }

    /// Every text of a JSON value. Keys are ours.
    pub(super) fn value(&mut self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {}
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.value(value)),
        }
    }

    /// One line of text.
    pub(super) fn text(&mut self, text: &str) -> String {
        let text =
            if self.home.is_empty() { text.to_owned() } else { text.replace(&self.home, HOME) };
        let text = without_panic(&text);
        let text = without_quotes(text);
        let text = without_paths(&text);
        let text = self.without_ids(&text);
        let text = without_addresses(&text);
        self.without_names(&text)
    }

    fn without_ids(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(id) = rest.get(..UUID_LENGTH).and_then(|id| Uuid::parse_str(id).ok()) {
                let next = self.ids.len() + 1;
                out.push_str(self.ids.entry(id).or_insert_with(|| format!("id-{next}")));
                rest = &rest[UUID_LENGTH..];
            } else {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        out
    }

    fn without_names(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for name in &self.names {
            text = replace_word(&text, name, "<name>");
        }
        text
    }
}

const HOME: &str = "<home>";
const PATH: &str = "<path>";

/// The message of a panic may hold the text that was being worked on.
fn without_panic(text: &str) -> &str {
    let sign = "panicked";
    text.find(sign).map_or(text, |at| &text[..at + sign.len()])
}

/// Takes out what stands in quotation marks; one that is not closed goes to the end.
fn without_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '`']) {
        let mark = &rest[at..=at];
        out.push_str(&rest[..at]);
        out.push_str(mark);
        out.push('…');
        out.push_str(mark);
        let inside = &rest[at + 1..];
        match closing(inside, mark) {
            Some(end) => rest = &inside[end + 1..],
            None => return out,
        }
    }
    out.push_str(rest);
    out
}

/// Where a quotation ends, past marks that are escaped.
fn closing(inside: &str, mark: &str) -> Option<usize> {
    let mut escaped = false;
    inside.char_indices().find_map(|(at, c)| {
        let ends = !escaped && mark.starts_with(c);
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// Masks paths. Where one may end cannot be told, since names hold spaces and colons: of what
/// follows only the number of the operating system's error is kept. Paths below the home are ours,
/// but for the drop folder, and requests are shown by the words of our routes.
fn without_paths(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with(HOME) {
            let end = rest.find([' ', ':', ',', ')', '}']).unwrap_or(rest.len());
            if rest[..end].contains("/inbox") {
                out.push_str(HOME);
                out.push_str("/…/inbox/…");
                out.push_str(&os_error(rest));
                return out;
            }
            out.push_str(&rest[..end]);
            at += end;
        } else if c == '/' && starts_path(before, rest) {
            let token = &rest[..rest.find([' ', '}', ',']).unwrap_or(rest.len())];
            if before != '=' {
                out.push_str(PATH);
                out.push_str(&os_error(rest));
                return out;
            }
            out.push_str(&route(token));
            at += token.len();
        } else {
            out.push(c);
            at += c.len_utf8();
        }
        before = text[..at].chars().next_back().unwrap_or(' ');
    }
    out
}

fn starts_path(before: char, rest: &str) -> bool {
    let inside_a_word = before.is_alphanumeric() || matches!(before, '/' | '<' | '>');
    let of_a_url = before == ':' && rest.starts_with("//");
    let goes_on = rest[1..].chars().next().is_some_and(|next| !next.is_whitespace());
    goes_on && !inside_a_word && !of_a_url
}

fn os_error(rest: &str) -> String {
    rest.rfind(" (os error ").map_or_else(String::new, |at| {
        let number: String =
            rest[at + " (os error ".len()..].chars().take_while(char::is_ascii_digit).collect();
        format!(" (os error {number})")
    })
}

/// The path of a request with everything masked that is no word of ours. What follows `tenants` is
/// a name even if it looks like one of ours.
fn route(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut name_follows = false;
    for part in path.split('/').skip(1) {
        out.push('/');
        let ours = ROUTE_WORDS.contains(&part) && !name_follows;
        out.push_str(if ours || part.is_empty() { part } else { "*" });
        name_follows = matches!(part, "tenants" | "users" | "members") && !name_follows;
    }
    out
}

/// Masks addresses of machines and of people.
fn without_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| {
        c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '=' | '/' | '{' | '}')
    }) {
        let word = piece.trim_end_matches(|c: char| {
            c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '=' | '/' | '{' | '}')
        });
        let bare = word.trim_end_matches([':', '.']);
        let ip = bare
            .parse::<SocketAddr>()
            .map(|address| address.ip())
            .or_else(|_| bare.trim_matches(['[', ']']).parse::<IpAddr>());
        let foreign = ip.is_ok_and(|ip| !ip.is_loopback() && !ip.is_unspecified());
        let person = bare.split_once('@').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
        if foreign || person {
            out.push_str("<address>");
            out.push_str(&piece[bare.len()..]);
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// Replaces a word where it is not a part of a longer one.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(word) {
        let left = rest[..at].chars().next_back().or(before);
        let right = rest[at + word.len()..].chars().next();
        let whole = ![left, right].into_iter().flatten().any(char::is_alphanumeric);
        out.push_str(&rest[..at]);
        out.push_str(if whole { by } else { word });
        before = word.chars().next_back();
        rest = &rest[at + word.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
