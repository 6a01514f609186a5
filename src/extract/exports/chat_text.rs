//! Chats written as text, as WhatsApp exports them: a line begins with date, time and name.
//!
//! Called by: `extract::exports`. Talks to: `chat_text::stamp` for how a line begins.
//! Invariants: the order of day and month is decided once for a file, from all its dates; a line
//! that begins otherwise continues the message before it, so no line is lost.

mod stamp;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::stamp::{Order, Stamp, split};
use super::conversation::{Channel, Gatherer, Message};
use crate::extract::charset::decode_whole;
use crate::extract::clean::shorten;
use crate::extract::emit::{Output, Stop};

/// Lines that begin like messages, after which a file is a chat.
const ENOUGH: usize = 3;
const MAX_NAME: usize = 80;
/// What the files of programs begin their lines with, where a chat has a name.
const LEVELS: [&str; 8] = ["info", "warn", "warning", "error", "debug", "trace", "fatal", "notice"];

/// True for text whose lines begin as those of a chat.
pub(super) fn looks_like(head: &str) -> bool {
    let (mut messages, mut named) = (0, 0);
    let lines = head.lines().map(plain);
    for line in lines.filter(|line| !line.is_empty()).take(60) {
        let Some((_, rest)) = split(&line) else {
            if messages == 0 {
                return false;
            }
            continue;
        };
        messages += 1;
        if let (Some(name), _) = said_by(rest) {
            if LEVELS.contains(&name.trim_matches(['[', ']']).to_lowercase().as_str()) {
                return false;
            }
            named += 1;
        }
    }
    let short = head.len() < 2_000 && messages >= 1 && head.contains("WhatsApp");
    (messages >= ENOUGH && named * 2 >= messages) || short
}

pub(super) fn read(bytes: &[u8], path: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    let text = decode_whole(bytes, None, out);
    let order = Order::of(text.lines().filter_map(|line| split(&plain(line)).map(|(s, _)| s)));
    out.document.container = true;
    let channel = channel_of(path);
    out.title(&channel.title);
    let mut days = Gatherer::new(channel, "");
    let (mut open, mut messages): (Option<Said>, u64) = (None, 0);
    for line in text.lines() {
        let line = plain(line);
        match (split(&line), &mut open) {
            (Some((stamp, rest)), _) => {
                messages += 1;
                if let Some(said) = open.replace(Said::new(&stamp, order, rest)) {
                    days.say(&said.message(), out)?;
                }
            }
            (None, Some(said)) => {
                said.text.push('\n');
                said.text.push_str(&line);
            }
            (None, None) => {}
        }
    }
    if let Some(said) = open {
        days.say(&said.message(), out)?;
    }
    out.fact("messages", &messages.to_string());
    days.finish(out)
}

/// The chat's name, from the file's name or, where that is always the same, from its folder's.
fn channel_of(path: &str) -> Channel {
    let mut names = path.rsplit(['/', '\\']).map(|step| {
        let stem = step.rsplit_once('.').map_or(step, |(stem, _)| stem);
        stem.trim_start_matches('_').trim().to_owned()
    });
    let first = names.next().unwrap_or_default();
    let name = if first.eq_ignore_ascii_case("chat") {
        names.next().filter(|name| !name.is_empty()).unwrap_or(first)
    } else {
        first
    };
    Channel { export: "whatsapp", title: shorten(&name, MAX_NAME), id: name }
}

/// A line without the marks of direction that are strewn in, and with plain spaces.
fn plain(line: &str) -> String {
    line.chars()
        .filter(|c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}'))
        .map(|c| if matches!(c, '\u{202f}' | '\u{a0}') { ' ' } else { c })
        .collect()
}

/// Who said it and what; notices are said by nobody.
fn said_by(rest: &str) -> (Option<&str>, &str) {
    match rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|name| (name, ""))) {
        Some((name, text)) if !name.trim().is_empty() && name.chars().count() <= MAX_NAME => {
            (Some(name.trim()), text)
        }
        _ => (None, rest),
    }
}

struct Said {
    author: String,
    at: Option<Timestamp>,
    text: String,
}

impl Said {
    fn new(stamp: &Stamp, order: Order, rest: &str) -> Self {
        let at = stamp.civil(order).and_then(|at| at.to_zoned(TimeZone::UTC).ok());
        let (author, text) = said_by(rest);
        Self {
            author: author.unwrap_or_default().to_owned(),
            at: at.map(|at| at.timestamp()),
            text: text.to_owned(),
        }
    }

    fn message(&self) -> Message<'_> {
        Message { author: &self.author, person: &self.author, at: self.at, text: &self.text }
    }
}

#[cfg(test)]
mod tests;
