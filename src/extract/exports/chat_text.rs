//! Chats written as text, as WhatsApp exports them: a line begins with date, time and name; or as
//! people copy them out of other programs.
//!
//! Called by: `extract::exports`. Talks to: `chat_text::stamp` for how a line begins,
//! `chat_text::copied` for chats that were copied.
//! Invariants: the order of day and month is decided once for a file, from all its dates; a line
//! that begins otherwise continues the message before it, so no line is lost.

mod copied;
mod stamp;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::stamp::{Order, Stamp, split};
use super::Inline;
use super::conversation::{Channel, Gatherer, Message, Transcript};
use crate::extract::charset::decode_whole;
use crate::extract::clean::shorten;
use crate::extract::emit::{Output, Stop};

/// Lines that begin like messages, after which a file is a chat.
const ENOUGH: usize = 3;
const MAX_NAME: usize = 80;
/// A chat that is the text at hand.
const CHAT_TEXT: &str = "text/x-chat";
/// What the files of programs begin their lines with, where a chat has a name.
const LEVELS: [&str; 8] = ["info", "warn", "warning", "error", "debug", "trace", "fatal", "notice"];

/// True for text that is a chat.
pub(super) fn looks_like(head: &str) -> bool {
    exported(head) || copied::looks_like(head)
}

/// True for text whose lines begin as those of a chat that WhatsApp wrote.
fn exported(head: &str) -> bool {
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
    if !exported(&text) {
        return read_copied(&text, path, out);
    }
    let order = Order::of(text.lines().filter_map(|line| split(&plain(line)).map(|(s, _)| s)));
    out.document.container = true;
    let channel = channel_of(path, "whatsapp");
    out.title(&channel.title);
    let mut days = Gatherer::new(channel, "");
    let begins = |line: &str| {
        let (stamp, rest) = split(line)?;
        Some(Said::new(stamp, order, rest))
    };
    let messages = each_message(&text, &begins, &mut |said| days.say(&said.message(), out))?;
    out.fact("messages", &messages.to_string());
    days.finish(out)
}

/// Reads a chat that somebody copied. Where it tells no days it is one document.
fn read_copied(text: &str, path: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text = &lines.join("\n");
    let order = copied::order_of(text);
    let channel = channel_of(path, "chat");
    out.title(&channel.title);
    let begins = |line: &str| {
        let begins = copied::begins(line)?;
        Some(Said {
            author: begins.name.to_owned(),
            at: begins.stamp.and_then(|stamp| moment(stamp, order)),
            clock: copied::clock_of(&begins),
            text: begins.text.to_owned(),
        })
    };
    let dated = text.lines().any(|line| begins(&plain(line)).is_some_and(|said| said.at.is_some()));
    if dated {
        out.document.container = true;
        let mut days = Gatherer::new(channel, "");
        let messages = each_message(text, &begins, &mut |said| days.say(&said.message(), out))?;
        out.fact("messages", &messages.to_string());
        return days.finish(out);
    }
    CHAT_TEXT.clone_into(&mut out.document.media_type);
    let mut whole = Transcript::of_day(&channel, path, "");
    let mut inline = Inline(out);
    each_message(text, &begins, &mut |said| whole.push(&said.message(), &mut inline))?;
    whole.finish(&mut inline)
}

/// Calls `take` with every message; a line that begins none belongs to the one before. The answer
/// is how many there are.
fn each_message(
    text: &str,
    begins: &dyn Fn(&str) -> Option<Said>,
    take: &mut dyn FnMut(&Said) -> Result<(), Stop>,
) -> Result<u64, Stop> {
    let (mut open, mut messages): (Option<Said>, u64) = (None, 0);
    for line in text.lines() {
        let line = plain(line);
        match (begins(&line), &mut open) {
            (Some(next), _) => {
                messages += 1;
                if let Some(said) = open.replace(next) {
                    take(&said)?;
                }
            }
            (None, Some(said)) => {
                said.text.push('\n');
                said.text.push_str(&line);
            }
            (None, None) => {}
        }
    }
    open.map_or(Ok(()), |said| take(&said))?;
    Ok(messages)
}

/// The chat's name, from the file's name or, where that is always the same, from its folder's.
fn channel_of(path: &str, export: &'static str) -> Channel {
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
    Channel { export, title: shorten(&name, MAX_NAME), id: name }
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
    clock: String,
    text: String,
}

impl Said {
    fn new(stamp: Stamp, order: Order, rest: &str) -> Self {
        let (author, text) = said_by(rest);
        Self {
            author: author.unwrap_or_default().to_owned(),
            at: moment(stamp, order),
            clock: String::new(),
            text: text.to_owned(),
        }
    }

    fn message(&self) -> Message<'_> {
        let Self { author, at, clock, text } = self;
        Message { author, person: author, at: *at, clock, text }
    }
}

fn moment(stamp: Stamp, order: Order) -> Option<Timestamp> {
    Some(stamp.civil(order)?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests;
