//! What other programs write to let their content go: chats, notes, pages, bookmarks.
//!
//! Called by: `extract` for single files, `extract::archive` for whole exports in an archive,
//! `sniff` for what a file is. Talks to: one reader per program below.
//! Invariants: an export is known by its structure, never by the name somebody gave it; every
//! file of an archive is passed on, made into documents, or listed with the reason why its
//! content is told elsewhere.
//!
//! Why two ways in: a single file tells most of what it means, so that a folder is read too; who
//! is who and which files repeat each other is known only where an archive is looked at as a
//! whole, be it held or kept back in parts while it comes by.

mod bookmarks;
mod chat_text;
pub(super) mod confluence;
mod conversation;
mod elements;
mod google;
mod notion;
mod pages;
mod plan;
mod slack;
mod teams;

use self::elements::Lists;
pub(super) use self::notion::{note_name, note_start};
pub(super) use self::pages::prepare;
pub(super) use self::plan::Plan;
use super::ExtractRequest;
use super::clean::{one_line, shorten};
use super::document_json;
use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::{ChildHeader, ExtractFailureCode, FormatHint};

const MAX_REASON: usize = 300;
/// Media types of what comes in JSON and is more than data.
const CHAT: &str = "application/x-chat+json";
const NOTE: &str = "application/x-note+json";
const LIST: &str = "application/x-list+json";
const PAGE: &str = "application/x-page+json";

/// Which program wrote a file, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The messages of a day in a channel of Slack.
    SlackDay,
    SlackMembers,
    SlackChannels,
    /// The conversations of Skype or of Teams for private use.
    Teams,
    /// The messages of a conversation of Google Chat.
    GoogleChat,
    KeepNote,
    PhotoFacts,
    Bookmarks,
    /// A chat as lines of text.
    ChatText,
}

/// Recognises the file of an export by how it begins.
pub(super) fn recognise(head: &str) -> Option<(Kind, &'static str)> {
    const JSON: &str = "application/json";
    Some(match head {
        head if slack::looks_like_day(head) => (Kind::SlackDay, CHAT),
        head if slack::looks_like_members(head) => (Kind::SlackMembers, LIST),
        head if slack::looks_like_channels(head) => (Kind::SlackChannels, LIST),
        head if teams::looks_like(head) => (Kind::Teams, CHAT),
        head if google::looks_like_chat(head) => (Kind::GoogleChat, CHAT),
        head if google::looks_like_note(head) => (Kind::KeepNote, NOTE),
        head if google::looks_like_photo_facts(head) => (Kind::PhotoFacts, JSON),
        head if bookmarks::looks_like(head) => (Kind::Bookmarks, "text/html"),
        head if chat_text::looks_like(head) => (Kind::ChatText, "text/plain"),
        _ => return None,
    })
}

/// Reads a single file of an export.
pub(super) fn extract(
    kind: Kind,
    source: &mut Source<'_>,
    request: &ExtractRequest,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let most = out.limits().max_parse_bytes;
    let mut whole = || source.read_whole(most);
    match kind {
        Kind::SlackDay => slack::read_day(&whole()?, &request.name, &mut Inline(out)),
        Kind::SlackMembers => slack::read_members(&whole()?, &request.name, &mut Inline(out)),
        Kind::SlackChannels => slack::read_channels(&whole()?, &request.name, &mut Inline(out)),
        Kind::Teams => teams::read(&Lists { file: source.in_any_order(most)?, most }, out),
        Kind::GoogleChat => {
            out.document.container = true;
            let lists = Lists { file: source.in_any_order(most)?, most };
            let messages = google::read_chat(&lists, &request.name, None, "", out)?;
            out.fact("messages", &messages.to_string());
            Ok(())
        }
        Kind::KeepNote => google::read_note(&whole()?, out),
        Kind::PhotoFacts => google::read_photo_facts(&whole()?, out),
        Kind::Bookmarks => bookmarks::read(&whole()?, out),
        Kind::ChatText => chat_text::read(&whole()?, &request.name, out),
    }
}

/// The files of an archive, to be looked at in any order.
pub(super) trait Shelf {
    /// Their names, in the order of the archive; empty where they cannot be looked at.
    fn names(&self) -> &[String];

    /// Most bytes worth reading of one of them.
    fn most(&self) -> u64;

    /// A file, unless it is longer than `most` or damaged.
    fn read(&mut self, at: usize, most: u64) -> Option<Vec<u8>>;

    fn name(&self, at: usize) -> String {
        self.names().get(at).cloned().unwrap_or_default()
    }
}

/// Takes what is made of an export's files.
pub(super) trait Outlet {
    /// A document, written as `document_json` reads it.
    fn document(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Stop>;

    /// A file that says nothing of its own, with the reason.
    fn part(&mut self, name: &str, reason: &str) -> Result<(), Stop>;

    fn warn(&mut self, sentence: &str);
}

/// The header of a child that `document_json` reads.
pub(super) fn document_header(name: String, media_type: &str) -> ChildHeader {
    ChildHeader {
        name,
        absolute: false,
        media_type: Some(media_type.to_owned()),
        format: Some(FormatHint::DocumentJson),
        file_date: None,
    }
}

/// Documents are children of the file at hand.
impl Outlet for Output<'_> {
    fn document(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Stop> {
        self.child(&document_header(name.to_owned(), media_type), &mut &bytes[..])
    }

    fn part(&mut self, _: &str, _: &str) -> Result<(), Stop> {
        Ok(())
    }

    fn warn(&mut self, sentence: &str) {
        Output::warn(self, sentence);
    }
}

/// The file at hand is the document.
struct Inline<'i, 'o>(&'i mut Output<'o>);

impl Outlet for Inline<'_, '_> {
    fn document(&mut self, _: &str, _: &str, bytes: &[u8]) -> Result<(), Stop> {
        document_json::read(bytes, self.0)
    }

    fn part(&mut self, _: &str, reason: &str) -> Result<(), Stop> {
        Err(part_of_another(reason))
    }

    fn warn(&mut self, sentence: &str) {
        self.0.warn(sentence);
    }
}

/// Ends the reading of a file whose content is told elsewhere.
fn part_of_another(reason: &str) -> Stop {
    Stop::failure(ExtractFailureCode::PartOfAnother, shorten(&one_line(reason), MAX_REASON))
}
