//! Messages of a chat gathered into documents: a thread each, or the messages of a day.
//!
//! Called by: the readers of `extract::exports`. Talks to: `document_json`, which reads what is
//! written here when the child's turn comes.
//! Invariants: a document holds at most about `MAX_DOCUMENT` bytes, what is more goes to a next
//! part of the same thread; threads that wait for replies hold at most about `MAX_OPEN` bytes; of
//! a document that is delivered nothing is held but the number of its parts.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{CHAT, Outlet};
use crate::extract::clean::{one_line, shorten};
use crate::extract::document_json::Draft;
use crate::extract::emit::Stop;
use crate::types::{Block, BlockKind};

/// Text of one document; a longer conversation goes on in a next part.
const MAX_DOCUMENT: usize = 1 << 20;
/// What a block costs besides its text.
const BLOCK_COST: usize = 128;
/// Bytes of threads that wait for further replies.
const MAX_OPEN: usize = 32 << 20;
/// Documents whose number of parts is remembered.
const MAX_PARTS: usize = 100_000;
const MAX_ID: usize = 60;
const MAX_AUTHORS: usize = 100;
const MAX_TITLE: usize = 90;

/// One message, as readable text.
pub(super) struct Message<'m> {
    /// Who wrote it, as the text shows it.
    pub(super) author: &'m str,
    /// The same person with what else is known (`Name <address>`); empty for notices.
    pub(super) person: &'m str,
    pub(super) at: Option<Timestamp>,
    /// The time as it is written, where the day is not known.
    pub(super) clock: &'m str,
    pub(super) text: &'m str,
}

/// Where a conversation takes place.
#[derive(Clone, Debug, Default)]
pub(super) struct Channel {
    /// The program it is from, in one word.
    pub(super) export: &'static str,
    /// As a heading shows it.
    pub(super) title: String,
    /// What names it within the export.
    pub(super) id: String,
}

/// A document being gathered.
pub(super) struct Transcript {
    channel: Channel,
    name: String,
    title: String,
    thread_id: String,
    part: u32,
    day: String,
    authors: Vec<String>,
    names: Vec<String>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    messages: u64,
    blocks: Vec<Block>,
    bytes: usize,
}

/// The day of a moment, in UTC.
pub(super) fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

impl Transcript {
    /// The messages of one day that are in no thread.
    pub(super) fn of_day(channel: &Channel, name: &str, day: &str) -> Self {
        let title = match day {
            "" => channel.title.clone(),
            day => format!("{}, {day}", channel.title),
        };
        Self::new(channel, name, title, &channel.id)
    }

    /// A thread, named by what it begins with.
    fn of_thread(channel: &Channel, name: &str, id: &str, begins: &str) -> Self {
        let begins = shorten(&one_line(begins), MAX_TITLE);
        let title = format!("{}: {begins}", channel.title);
        Self::new(channel, name, title, &format!("{}/{id}", channel.id))
    }

    fn new(channel: &Channel, name: &str, title: String, thread_id: &str) -> Self {
        Self {
            thread_id: format!("{}:{thread_id}", channel.export),
            channel: channel.clone(),
            name: name.to_owned(),
            title,
            part: 1,
            day: String::new(),
            authors: Vec::new(),
            names: Vec::new(),
            first: None,
            last: None,
            messages: 0,
            blocks: Vec::new(),
            bytes: 0,
        }
    }

    /// Begins with a later part, where the earlier ones are delivered already.
    fn continuing(mut self, part: u32) -> Self {
        self.part = part.max(1);
        self
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Adds a message, and delivers what is there where the document has become long.
    pub(super) fn push(
        &mut self,
        message: &Message<'_>,
        outlet: &mut dyn Outlet,
    ) -> Result<(), Stop> {
        let text = message.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if self.bytes + text.len() > MAX_DOCUMENT && !self.is_empty() {
            self.deliver(outlet)?;
            self.part += 1;
        }
        if self.blocks.is_empty() {
            self.heading(1, self.channel.title.clone());
        }
        let mut line = one_line(message.author);
        if let Some(at) = message.at {
            let moment = at.to_zoned(TimeZone::UTC);
            let day = moment.date().to_string();
            if day != self.day {
                self.heading(2, day.clone());
                self.day = day;
            }
            line = format!("{line} ({})", moment.strftime("%H:%M")).trim_start().to_owned();
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
            self.last = Some(self.last.map_or(at, |last| last.max(at)));
        } else if !message.clock.is_empty() {
            line = format!("{line} ({})", message.clock).trim_start().to_owned();
        }
        let text = if line.is_empty() { text.to_owned() } else { format!("{line}: {text}") };
        self.bytes += text.len() + BLOCK_COST;
        self.blocks.push(Block::new(BlockKind::Paragraph, text));
        self.messages += 1;
        self.note_author(message);
        Ok(())
    }

    fn heading(&mut self, level: u8, text: String) {
        self.bytes += text.len() + BLOCK_COST;
        self.blocks.push(Block::new(BlockKind::Heading { level }, text));
    }

    fn note_author(&mut self, message: &Message<'_>) {
        let person = one_line(message.person);
        if person.is_empty() || self.authors.len() >= MAX_AUTHORS || self.authors.contains(&person)
        {
            return;
        }
        self.authors.push(person);
        self.names.push(one_line(message.author));
    }

    /// Delivers what is left.
    pub(super) fn finish(mut self, outlet: &mut dyn Outlet) -> Result<(), Stop> {
        if self.is_empty() { Ok(()) } else { self.deliver(outlet) }
    }

    fn deliver(&mut self, outlet: &mut dyn Outlet) -> Result<(), Stop> {
        let mut facts = BTreeMap::new();
        facts.insert("export", self.channel.export.to_owned());
        facts.insert("channel", self.channel.title.clone());
        facts.insert("thread_id", self.thread_id.clone());
        facts.insert("messages", self.messages.to_string());
        facts.insert("participants", self.names.join(", "));
        if let Some(from) = self.names.first() {
            facts.insert("from_name", from.clone());
        }
        if let Some(last) = self.last {
            facts.insert("until", last.to_string());
        }
        let (title, name) = match self.part {
            1 => (self.title.clone(), self.name.clone()),
            part => (format!("{} ({part})", self.title), numbered(&self.name, part)),
        };
        let draft = Draft {
            title,
            authors: std::mem::take(&mut self.authors),
            date: self.first.take(),
            event_date: None,
            facts,
            blocks: std::mem::take(&mut self.blocks),
        };
        self.names.clear();
        self.day.clear();
        (self.last, self.messages, self.bytes) = (None, 0, 0);
        outlet.document(&name, CHAT, &draft.to_bytes())
    }
}

/// Gathers the messages of a channel: threads by themselves, the others by days.
pub(super) struct Gatherer {
    channel: Channel,
    /// What the names of the documents begin with.
    folder: String,
    day: Option<(String, Transcript)>,
    threads: BTreeMap<String, Transcript>,
    /// Bytes of all open threads.
    held: usize,
    /// Parts delivered of what may go on.
    parts: HashMap<String, u32>,
}

impl Gatherer {
    pub(super) fn new(channel: Channel, folder: &str) -> Self {
        Self {
            channel,
            folder: folder.to_owned(),
            day: None,
            threads: BTreeMap::new(),
            held: 0,
            parts: HashMap::new(),
        }
    }

    /// Adds a message to its day.
    pub(super) fn say(
        &mut self,
        message: &Message<'_>,
        outlet: &mut dyn Outlet,
    ) -> Result<(), Stop> {
        let day = message.at.map(day_of).unwrap_or_default();
        if self.day.as_ref().is_none_or(|(open, _)| *open != day) {
            self.close_day(outlet)?;
            let stem = if day.is_empty() { "undated" } else { &day };
            let name = format!("{}{stem}", self.folder);
            let parts = self.parts.get(&name).copied().unwrap_or_default();
            let transcript = Transcript::of_day(&self.channel, &name, &day).continuing(parts + 1);
            self.day = Some((day, transcript));
        }
        match &mut self.day {
            Some((_, transcript)) => transcript.push(message, outlet),
            None => Ok(()),
        }
    }

    /// Adds a message to its thread.
    pub(super) fn reply(
        &mut self,
        thread: &str,
        message: &Message<'_>,
        outlet: &mut dyn Outlet,
    ) -> Result<(), Stop> {
        if !self.threads.contains_key(thread) {
            let id: String = thread.chars().filter(|c| is_plain(*c)).take(MAX_ID).collect();
            let name = format!("{}thread-{id}", self.folder);
            let parts = self.parts.get(&name).copied().unwrap_or_default();
            let transcript = Transcript::of_thread(&self.channel, &name, &id, message.text);
            self.threads.insert(thread.to_owned(), transcript.continuing(parts + 1));
        }
        if let Some(transcript) = self.threads.get_mut(thread) {
            self.held = self.held.saturating_sub(transcript.bytes());
            transcript.push(message, outlet)?;
            self.held += transcript.bytes() + BLOCK_COST;
        }
        if self.held > MAX_OPEN { self.close_threads(outlet) } else { Ok(()) }
    }

    /// Delivers what is left.
    pub(super) fn finish(mut self, outlet: &mut dyn Outlet) -> Result<(), Stop> {
        self.close_day(outlet)?;
        self.close_threads(outlet)
    }

    fn close_day(&mut self, outlet: &mut dyn Outlet) -> Result<(), Stop> {
        self.day.take().map_or(Ok(()), |(_, transcript)| self.close(transcript, outlet))
    }

    fn close_threads(&mut self, outlet: &mut dyn Outlet) -> Result<(), Stop> {
        self.held = 0;
        let open = std::mem::take(&mut self.threads);
        open.into_values().try_for_each(|transcript| self.close(transcript, outlet))
    }

    fn close(&mut self, transcript: Transcript, outlet: &mut dyn Outlet) -> Result<(), Stop> {
        if self.parts.len() < MAX_PARTS {
            self.parts.insert(transcript.name.clone(), transcript.part);
        }
        transcript.finish(outlet)
    }
}

/// True for what ids are made of and names of files may hold.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '=')
}

/// The name of a later part of the same document.
fn numbered(name: &str, part: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 5 && !extension.contains('/') => {
            format!("{stem} part {part}.{extension}")
        }
        _ => format!("{name} part {part}"),
    }
}
