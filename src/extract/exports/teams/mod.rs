//! What Skype, and Teams for private use, give of one's own chats: `messages.json`.
//!
//! Called by: `extract::exports`. Talks to: `teams::content` for what a message says,
//! `conversation`.
//! Invariants: of a conversation only what is shown of its messages is held; messages are told in
//! the order of their times, whatever order they are written in.
//!
//! The file holds one's conversations, each with its messages, newest first. Who a message is from
//! is told by an id; names stand beside some messages and beside conversations of two.

mod content;

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use self::content::words;
use super::conversation::{Channel, Gatherer, Message};
use super::elements::{Lists, text};
use crate::extract::clean::{one_line, shorten};
use crate::extract::date::parse_date;
use crate::extract::emit::{Output, Stop};

/// The list of all of them.
const LIST: &str = "conversations";
/// Most names taken from the messages.
const MAX_NAMES: usize = 100_000;
const MAX_ID: usize = 120;
const MAX_TITLE: usize = 90;

/// True for the conversations of such an export, seen by the start of the file.
pub(super) fn looks_like(head: &str) -> bool {
    head.starts_with('{')
        && head.contains("\"userId\"")
        && head.contains("\"conversations\"")
        && head.contains("\"MessageList\"")
}

#[derive(Deserialize)]
struct Conversation {
    #[serde(default)]
    id: Value,
    #[serde(default, rename = "displayName")]
    name: Value,
    #[serde(default, rename = "threadProperties")]
    properties: Value,
    #[serde(default, rename = "MessageList")]
    messages: Option<Vec<Said>>,
}

/// What is held of a message.
#[derive(Deserialize)]
#[serde(from = "Value")]
struct Said {
    from: String,
    name: String,
    at: Option<Timestamp>,
    text: String,
}

impl From<Value> for Said {
    fn from(message: Value) -> Self {
        Self {
            from: id_of(text(&message, "from")).to_owned(),
            name: one_line(text(&message, "displayName")),
            at: parse_date(text(&message, "originalarrivaltime")),
            text: words(text(&message, "messagetype"), text(&message, "content")),
        }
    }
}

/// Who takes part, by their ids.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn note(&mut self, id: &str, name: &str) {
        if !id.is_empty() && !name.is_empty() && id != name && self.0.len() < MAX_NAMES {
            self.0.entry(id.to_owned()).or_insert_with(|| name.to_owned());
        }
    }

    /// The name, or what the id says without one.
    fn of(&self, id: &str) -> String {
        let plain = id.split_once(':').map_or(id, |(_, plain)| plain);
        self.0.get(id).cloned().unwrap_or_else(|| plain.to_owned())
    }
}

/// Reads all conversations.
pub(super) fn read(lists: &Lists, out: &mut Output<'_>) -> Result<(), Stop> {
    out.document.container = true;
    let mut names = Names::default();
    lists.each(LIST, &mut |conversation: Conversation| {
        let id = conversation.id.as_str().unwrap_or_default();
        if !is_group(id) {
            names.note(id, &one_line(conversation.name.as_str().unwrap_or_default()));
        }
        for said in conversation.messages.iter().flatten() {
            names.note(&said.from, &said.name);
        }
        Ok(())
    })?;
    let (mut conversations, mut messages) = (0_u64, 0_u64);
    let walked = lists.each(LIST, &mut |conversation| {
        let told = tell(conversation, &names, out)?;
        conversations += u64::from(told > 0);
        messages += told;
        Ok(())
    })?;
    lists.tell(walked, out);
    out.fact("conversations", &conversations.to_string());
    out.fact("messages", &messages.to_string());
    Ok(())
}

/// Passes the messages of a conversation on. The answer is how many there are.
fn tell(conversation: Conversation, names: &Names, out: &mut Output<'_>) -> Result<u64, Stop> {
    let id = conversation.id.as_str().unwrap_or_default().to_owned();
    let mut messages = conversation.messages.unwrap_or_default();
    messages.retain(|said| !said.text.trim().is_empty());
    messages.sort_by_key(|said| said.at);
    let topic = one_line(text(&conversation.properties, "topic"));
    let shown = one_line(conversation.name.as_str().unwrap_or_default());
    let title = [topic, shown].into_iter().find(|name| !name.is_empty());
    let title = title.unwrap_or_else(|| {
        let mut people: Vec<String> = Vec::new();
        for said in &messages {
            let name = names.of(&said.from);
            if people.len() < 4 && !people.contains(&name) {
                people.push(name);
            }
        }
        format!("Chat of {}", people.join(", "))
    });
    let title = shorten(&title, MAX_TITLE);
    let folder: String = id.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let folder = format!("{}/", shorten(folder.trim_matches('-'), MAX_ID));
    let channel = Channel { export: "teams_or_skype", title, id };
    let mut days = Gatherer::new(channel, folder.trim_start_matches('/'));
    for said in &messages {
        let author = if said.name.is_empty() { names.of(&said.from) } else { said.name.clone() };
        let message =
            Message { author: &author, person: &author, at: said.at, clock: "", text: &said.text };
        days.say(&message, out)?;
    }
    days.finish(out)?;
    Ok(messages.len() as u64)
}

/// `8:live:ann`, which some programs write as the end of an address.
fn id_of(from: &str) -> &str {
    from.rsplit('/').next().unwrap_or(from)
}

/// Ids of conversations of several begin with `19:`.
fn is_group(id: &str) -> bool {
    id.starts_with("19:")
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@')
}

#[cfg(test)]
mod tests;
