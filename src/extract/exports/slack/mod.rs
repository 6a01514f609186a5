//! Exports of Slack: one document for each thread, one for each day of a channel's other messages.
//!
//! Called by: `extract::exports`. Talks to: `slack::text` for what a message says, `conversation`.
//! Invariants: what is held of a channel is one day's file and the threads still open; every day's
//! file stands in the ledger, as the document of its day or as part of threads.
//!
//! Why the folder decides and not the file name of the archive: people rename and repack exports,
//! but a list of users beside a list of channels and folders of days is in each of them.

mod text;

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

use self::text::{Names, Person};
use super::conversation::{Channel, Gatherer, Message, Transcript, day_of};
use super::elements::{self, first_text, list, text as field};
use super::{LIST, Outlet, Shelf};
use crate::extract::document_json::Draft;
use crate::extract::emit::Stop;
use crate::types::{Block, BlockKind};

/// Largest list of users or channels.
const MAX_LIST: u64 = 64 << 20;
/// Most names taken from the messages of a day.
const MAX_NAMES: usize = 100_000;
const PEOPLE: [&str; 2] = ["users.json", "org_users.json"];
const CHANNELS: [&str; 4] = ["channels.json", "groups.json", "dms.json", "mpims.json"];
const BOOKKEEPING: [&str; 1] = ["integration_logs.json"];

/// An export within an archive.
pub(super) struct Export {
    /// Days by channel: day and place in the archive.
    channels: BTreeMap<String, Vec<(String, usize)>>,
    people: Vec<usize>,
    lists: Vec<usize>,
    /// Entries that only say how the workspace is set up.
    pub(super) bookkeeping: Vec<usize>,
}

/// True for a file that is called as those of an export.
pub(super) fn is_part(file: &str) -> bool {
    let mut lists = PEOPLE.iter().chain(&CHANNELS).chain(&BOOKKEEPING);
    lists.any(|list| *list == file) || file.strip_suffix(".json").is_some_and(is_day)
}

/// Finds an export among the files of an archive.
pub(super) fn find(names: &[String]) -> Option<Export> {
    let folders = |lists: &'static [&'static str]| {
        let found = names.iter();
        found.filter_map(move |name| lists.iter().find_map(|file| in_folder(name, file)))
    };
    let peopled: HashSet<&str> = folders(&PEOPLE).collect();
    let root = folders(&CHANNELS).find(|root| peopled.contains(root))?;
    let mut export = Export {
        channels: BTreeMap::new(),
        people: Vec::new(),
        lists: Vec::new(),
        bookkeeping: Vec::new(),
    };
    for (at, name) in names.iter().enumerate() {
        let Some(inner) = name.strip_prefix(root) else { continue };
        match inner.split_once('/') {
            Some((channel, file)) => {
                if let Some(day) = file.strip_suffix(".json").filter(|day| is_day(day)) {
                    let days = export.channels.entry(channel.to_owned()).or_default();
                    days.push((day.to_owned(), at));
                }
            }
            None if PEOPLE.contains(&inner) => export.people.push(at),
            None if CHANNELS.contains(&inner) => export.lists.push(at),
            None if BOOKKEEPING.contains(&inner) => export.bookkeeping.push(at),
            None => {}
        }
    }
    export.channels.values_mut().for_each(|days| days.sort());
    (!export.channels.is_empty()).then_some(export)
}

/// The folder of a file of that name, with its slash.
fn in_folder<'n>(name: &'n str, file: &str) -> Option<&'n str> {
    name.strip_suffix(file).filter(|root| root.is_empty() || root.ends_with('/'))
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// Where a channel is told of.
struct Listed {
    title: String,
    id: String,
}

impl Export {
    /// The entries that documents are made of instead of being passed on.
    pub(super) fn entries(&self) -> impl Iterator<Item = usize> {
        let days = self.channels.values().flatten().map(|(_, at)| *at);
        days.chain(self.people.iter().copied()).chain(self.lists.iter().copied())
    }

    /// Delivers the documents. The answer lists entries that could not be read.
    pub(super) fn deliver(
        self,
        shelf: &mut dyn Shelf,
        outlet: &mut dyn Outlet,
    ) -> Result<Vec<usize>, Stop> {
        let mut unread = Vec::new();
        let mut names = Names::default();
        for at in &self.people {
            match shelf.read(*at, MAX_LIST) {
                Some(json) => members(&json, &shelf.name(*at), &mut names, outlet)?,
                None => unread.push(*at),
            }
        }
        let mut listed = HashMap::new();
        for at in &self.lists {
            match shelf.read(*at, MAX_LIST) {
                Some(json) => {
                    channels(&json, &shelf.name(*at), &mut names, &mut listed, outlet)?;
                }
                None => unread.push(*at),
            }
        }
        for (folder, days) in &self.channels {
            let (title, id) = match listed.get(folder) {
                Some(Listed { title, id }) => (title.clone(), id.clone()),
                None => (format!("#{folder}"), folder.clone()),
            };
            let channel = Channel { export: "slack", title, id };
            let path = days.first().map(|(_, at)| shelf.name(*at)).unwrap_or_default();
            let path = path.rsplit_once('/').map_or("", |(path, _)| path);
            let mut reader = Reader::new(&names, channel, &format!("{path}/"));
            for (day, at) in days {
                let name = shelf.name(*at);
                let most = shelf.most();
                match shelf.read(*at, most) {
                    Some(json) => reader.day(&json, &name, day, outlet)?,
                    None => unread.push(*at),
                }
            }
            reader.threads.finish(outlet)?;
        }
        Ok(unread)
    }
}

/// Reads who is who, and passes it on as a table.
fn members(
    json: &[u8],
    name: &str,
    names: &mut Names,
    outlet: &mut dyn Outlet,
) -> Result<(), Stop> {
    let mut rows = vec![["Name", "Account", "Title", "Mail"].map(str::to_owned).to_vec()];
    elements::each(json, None, &mut |user| {
        let profile = user.get("profile").unwrap_or(&Value::Null);
        let real = first_text(profile, &["real_name", "display_name"]);
        let shown = [field(&user, "real_name"), real, field(&user, "name")]
            .into_iter()
            .find(|name| !name.trim().is_empty())
            .unwrap_or_default();
        let person =
            Person { name: shown.to_owned(), address: field(profile, "email").to_lowercase() };
        rows.push(vec![
            shown.to_owned(),
            field(&user, "name").to_owned(),
            field(profile, "title").to_owned(),
            person.address.clone(),
        ]);
        for id in [field(&user, "id"), field(profile, "bot_id")] {
            if !id.is_empty() {
                names.people.insert(id.to_owned(), person.clone());
            }
        }
        Ok(())
    })?;
    table("Slack members", rows, name, outlet)
}

/// Reads which channels there are, and passes their topics and members on as a table.
fn channels(
    json: &[u8],
    name: &str,
    names: &mut Names,
    listed: &mut HashMap<String, Listed>,
    outlet: &mut dyn Outlet,
) -> Result<(), Stop> {
    let mut rows = vec![["Channel", "Topic", "Purpose", "Members"].map(str::to_owned).to_vec()];
    elements::each(json, None, &mut |channel| {
        let (id, given) = (field(&channel, "id"), field(&channel, "name"));
        let people: Vec<&str> = list(&channel, "members")
            .filter_map(Value::as_str)
            .map(|id| names.people.get(id).map_or(id, |person| person.name.as_str()))
            .collect();
        let between_people = given.is_empty() || given.starts_with("mpdm-");
        let title = match between_people {
            true if people.is_empty() => id.to_owned(),
            true => people.join(", "),
            false => format!("#{given}"),
        };
        let said = |key: &str| {
            names.readable(channel.get(key).map(|said| field(said, "value")).unwrap_or_default())
        };
        rows.push(vec![title.clone(), said("topic"), said("purpose"), people.join(", ")]);
        let folder = if given.is_empty() { id } else { given };
        listed.insert(folder.to_owned(), Listed { title, id: id.to_owned() });
        if !given.is_empty() {
            names.channels.insert(id.to_owned(), given.to_owned());
        }
        Ok(())
    })?;
    table("Slack channels", rows, name, outlet)
}

fn table(
    title: &str,
    rows: Vec<Vec<String>>,
    name: &str,
    outlet: &mut dyn Outlet,
) -> Result<(), Stop> {
    if rows.len() == 1 {
        return outlet.part(name, "A list of the Slack export that is empty");
    }
    let heading = Block::new(BlockKind::Heading { level: 1 }, title);
    // The text of a table is made of its rows when it is read.
    let rows = BlockKind::Table { rows, header: true, data: None };
    let table = Block::new(rows, "");
    let draft = Draft {
        title: title.to_owned(),
        facts: BTreeMap::from([("export", "slack".to_owned())]),
        blocks: vec![heading, table],
        ..Draft::default()
    };
    outlet.document(name, LIST, &draft.to_bytes())
}

/// Reads a channel, day after day.
struct Reader<'n> {
    names: &'n Names,
    channel: Channel,
    threads: Gatherer,
}

impl<'n> Reader<'n> {
    fn new(names: &'n Names, channel: Channel, folder: &str) -> Self {
        Self { names, threads: Gatherer::new(channel.clone(), folder), channel }
    }

    fn day(
        &mut self,
        json: &[u8],
        name: &str,
        day: &str,
        outlet: &mut dyn Outlet,
    ) -> Result<(), Stop> {
        let mut alone = Transcript::of_day(&self.channel, name, day);
        let mut any = false;
        let damage = elements::each(json, None, &mut |message| {
            any = true;
            let said = Said::of(&message, self.names);
            match thread_of(&message) {
                Some(thread) => self.threads.reply(thread, &said.message(), outlet),
                None => alone.push(&said.message(), outlet),
            }
        })?;
        if let Some(damage) = damage {
            outlet.warn(&format!("{name} is damaged ({damage}); what stands after that is lost"));
        }
        if alone.is_empty() {
            let reason = if any {
                "All its messages are in the documents of their threads"
            } else {
                "A day of a Slack channel without a message"
            };
            return outlet.part(name, reason);
        }
        alone.finish(outlet)
    }
}

/// A message with the names of those it is from.
struct Said {
    author: String,
    person: String,
    at: Option<Timestamp>,
    text: String,
}

impl Said {
    fn of(message: &Value, names: &Names) -> Self {
        let profile = message.get("user_profile").unwrap_or(&Value::Null);
        let id = first_text(message, &["user", "bot_id"]);
        let known = names.people.get(id);
        let bot = message.get("bot_profile").unwrap_or(&Value::Null);
        let embedded = [embedded_name(profile), field(message, "username"), field(bot, "name"), id];
        let embedded = embedded.into_iter().find(|name| !name.trim().is_empty());
        let author = known
            .map_or_else(|| embedded.unwrap_or_default().to_owned(), |person| person.name.clone());
        // Notices of joining and leaving are nobody's words.
        let subtype = field(message, "subtype");
        let is_notice = subtype.ends_with("_join") || subtype.ends_with("_leave");
        let person = match known {
            _ if is_notice => String::new(),
            Some(person) => person.shown(),
            None => author.clone(),
        };
        Self { author, person, at: stamp(field(message, "ts")), text: names.body(message) }
    }

    fn message(&self) -> Message<'_> {
        let Self { author, person, at, text } = self;
        Message { author, person, at: *at, clock: "", text }
    }
}

/// The thread a message is part of: the stamp of the message that began it.
fn thread_of(message: &Value) -> Option<&str> {
    let thread = field(message, "thread_ts");
    stamp(thread).map(|_| thread)
}

/// `1452845865.000008`: seconds, and what tells messages of a second apart.
fn stamp(text: &str) -> Option<Timestamp> {
    let (seconds, rest) = text.split_once('.').unwrap_or((text, ""));
    let plain = seconds.len() >= 9 && rest.len() <= 9 && rest.bytes().all(|b| b.is_ascii_digit());
    let seconds = seconds.parse().ok().filter(|_| plain)?;
    Timestamp::from_second(seconds).ok()
}

/// True for the messages of a day, as the export writes them, seen by the start of the file.
pub(super) fn looks_like_day(head: &str) -> bool {
    head.starts_with('[')
        && head.contains("\"ts\"")
        && head.contains("\"type\"")
        && head.contains("\"message\"")
        && (head.contains("\"user\"") || head.contains("\"bot_id\""))
}

/// True for the list of who is who, seen by the start of the file.
pub(super) fn looks_like_members(head: &str) -> bool {
    head.starts_with('[')
        && ["\"team_id\"", "\"profile\"", "\"real_name\""].iter().all(|key| head.contains(key))
}

/// True for the list of channels, seen by the start of the file.
pub(super) fn looks_like_channels(head: &str) -> bool {
    let keys = ["\"creator\"", "\"is_archived\"", "\"members\"", "\"topic\"", "\"purpose\""];
    head.starts_with('[') && keys.iter().all(|key| head.contains(key))
}

/// Reads a list of members that lies outside an archive.
pub(super) fn read_members(json: &[u8], path: &str, outlet: &mut dyn Outlet) -> Result<(), Stop> {
    members(json, path, &mut Names::default(), outlet)
}

/// Reads a list of channels that lies outside an archive; who is in them is told by ids.
pub(super) fn read_channels(json: &[u8], path: &str, outlet: &mut dyn Outlet) -> Result<(), Stop> {
    channels(json, path, &mut Names::default(), &mut HashMap::new(), outlet)
}

/// Who is who, as far as the messages themselves tell.
fn names_within(json: &[u8]) -> Result<Names, Stop> {
    let mut names = Names::default();
    elements::each(json, None, &mut |message| {
        let profile = message.get("user_profile").unwrap_or(&Value::Null);
        let (id, name) = (field(&message, "user"), embedded_name(profile));
        if !id.is_empty() && !name.is_empty() && names.people.len() < MAX_NAMES {
            let person = Person { name: name.to_owned(), address: String::new() };
            names.people.entry(id.to_owned()).or_insert(person);
        }
        Ok(())
    })?;
    Ok(names)
}

/// The name in the profile that a message carries.
fn embedded_name(profile: &Value) -> &str {
    first_text(profile, &["real_name", "display_name", "name"])
}

/// Reads the messages of a day that lie outside an archive, or do not fit beside the others.
pub(super) fn read_day(json: &[u8], path: &str, outlet: &mut dyn Outlet) -> Result<(), Stop> {
    let mut steps = path.rsplit(['/', '\\']);
    let stem = steps.next().unwrap_or_default().trim_end_matches(".json");
    let folder = steps.next().unwrap_or_default();
    let title = if folder.is_empty() { "Slack".to_owned() } else { format!("#{folder}") };
    let channel = Channel { export: "slack", title, id: folder.to_owned() };
    let names = names_within(json)?;
    let mut day = if is_day(stem) { stem.to_owned() } else { String::new() };
    let mut transcript = None;
    let damage = elements::each(json, None, &mut |message| {
        let said = Said::of(&message, &names);
        if let Some(at) = said.at.filter(|_| day.is_empty()) {
            day = day_of(at);
        }
        let transcript = transcript.get_or_insert_with(|| Transcript::of_day(&channel, path, &day));
        transcript.push(&said.message(), outlet)
    })?;
    if let Some(damage) = damage {
        outlet.warn(&format!("The file is damaged ({damage}); what stands after that is lost"));
    }
    transcript.map_or(Ok(()), |transcript| transcript.finish(outlet))
}
