//! What is to become of the files of an archive, seen together.
//!
//! Called by: `extract::archive`. Talks to: the readers of `exports` that need several files.
//! Invariants: a file is passed on unless something found in the archive itself says otherwise;
//! what is looked into before is bounded in size, so a plan costs a fraction of the reading.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;

use super::elements::Lists;
use super::{Kind, Outlet, Shelf, google, notion, recognise, slack};
use crate::extract::clean::{one_line, shorten};
use crate::extract::emit::Stop;
use crate::extract::source::RandomAccess;

/// Largest page that is searched for the files it is shown with.
const MAX_PAGE: u64 = 16 << 20;
/// Largest note or list that is read before its turn.
const MAX_NOTE: u64 = 4 << 20;
const MAX_NAMED: usize = 200;
/// What browsers call the folder beside a saved page, after the page's name.
const PARTS: [&str; 9] = [
    "_files",
    "-files",
    "_file",
    "-Dateien",
    "_fichiers",
    "_archivos",
    "-bestanden",
    "_arquivos",
    "_filer",
];
/// Kinds of files that a page is shown with; anything else in the folder is a document.
const SHOWN_WITH: [&str; 24] = [
    "js", "mjs", "css", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp", "woff",
    "woff2", "ttf", "otf", "eot", "map", "html", "htm", "php", "download", "json", "",
];

/// What is to become of the files of an archive.
#[derive(Default)]
pub(in crate::extract) struct Plan {
    /// Why a file is only listed; by place in the archive.
    parts: HashMap<usize, String>,
    made: HashSet<usize>,
    slack: Option<slack::Export>,
    /// Messages of Google Chat, and what is said about their conversation.
    chats: Vec<(usize, usize)>,
}

impl Plan {
    /// True for a file that a plan could be about, by its name.
    pub(in crate::extract) fn may_concern(name: &str) -> bool {
        match extension_of(name).as_str() {
            "json" | "html" | "htm" | "xhtml" | "csv" | "properties" => true,
            extension => is_shown_with_a_page(name, extension),
        }
    }

    /// True for a file that a plan could be about, by how it begins.
    pub(in crate::extract) fn concerns(name: &str, head: &[u8]) -> bool {
        let file = file_of(name);
        match extension_of(name).as_str() {
            "html" | "htm" | "xhtml" => true,
            "csv" => notion::is_page_or_database(name),
            "properties" => file == "exportDescriptor.properties",
            extension => {
                let head = String::from_utf8_lossy(head);
                slack::is_part(file)
                    || file == "group_info.json"
                    || is_shown_with_a_page(name, extension)
                    || matches!(
                        recognise(head.trim_start_matches('\u{feff}').trim_start()),
                        Some((Kind::SlackDay | Kind::GoogleChat | Kind::KeepNote, _))
                    )
            }
        }
    }

    /// Looks at what an archive holds.
    pub(in crate::extract) fn of(shelf: &mut dyn Shelf) -> Self {
        let mut plan = Self { slack: slack::find(shelf.names()), ..Self::default() };
        if let Some(slack) = &plan.slack {
            plan.made.extend(slack.entries());
            for at in &slack.bookkeeping {
                plan.parts.insert(*at, "Bookkeeping of the Slack export".to_owned());
            }
            return plan;
        }
        let names = shelf.names().to_vec();
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        plan.pairs(&names, &places, shelf);
        plan.saved_pages(&names, shelf);
        plan
    }

    /// Files that say the same as another, or something about another.
    fn pairs(&mut self, names: &[String], places: &HashMap<&str, usize>, shelf: &mut dyn Shelf) {
        for (at, name) in names.iter().enumerate() {
            let beside = |file: String| places.get(file.as_str()).copied();
            if let Some(folder) = name.strip_suffix("messages.json")
                && let Some(group) = beside(format!("{folder}group_info.json"))
            {
                self.chats.push((at, group));
                self.made.insert(at);
            } else if let Some(stem) = name.strip_suffix(".html")
                && let Some(note) = beside(format!("{stem}.json"))
                && shelf
                    .read(note, MAX_NOTE)
                    .is_some_and(|note| google::looks_like_note(&String::from_utf8_lossy(&note)))
            {
                self.parts.insert(at, format!("The same note as {}.json", named(stem)));
            } else if let Some(stem) = name.strip_suffix(".csv")
                && notion::without_id(file_of(stem)).is_some()
                && beside(format!("{stem}_all.csv")).is_some()
            {
                self.parts.insert(at, format!("All its rows are in {}_all.csv", named(stem)));
            } else if let Some(folder) = name.strip_suffix("exportDescriptor.properties")
                && beside(format!("{folder}entities.xml")).is_some()
            {
                self.parts.insert(at, "Bookkeeping of the Confluence export".to_owned());
            } else if file_of(name) == "archive_browser.html" {
                let page = shelf.read(at, MAX_PAGE).unwrap_or_default();
                if String::from_utf8_lossy(&page).contains("Google") {
                    self.parts.insert(at, "The list of contents of a Google export".to_owned());
                }
            }
        }
    }

    /// Files in the folder that a browser puts beside a page it saves, where the page shows them.
    fn saved_pages(&mut self, names: &[String], shelf: &mut dyn Shelf) {
        let mut folders: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, name) in names.iter().enumerate() {
            if let Some(folder) = folder_of_a_page(name) {
                folders.entry(folder.to_owned()).or_default().push(at);
            }
        }
        if folders.is_empty() {
            return;
        }
        for (at, name) in names.iter().enumerate() {
            let Some((stem, extension)) = name.rsplit_once('.') else { continue };
            if !matches!(extension.to_ascii_lowercase().as_str(), "html" | "htm" | "xhtml") {
                continue;
            }
            let mut beside = PARTS.iter().map(|part| format!("{stem}{part}"));
            let Some(folder) = beside.find(|folder| folders.contains_key(folder)) else {
                continue;
            };
            let page = shelf.read(at, MAX_PAGE).unwrap_or_default();
            if !mentions(&page, folder.rsplit('/').next().unwrap_or(&folder)) {
                continue;
            }
            for part in folders.get(&folder).into_iter().flatten() {
                if SHOWN_WITH.contains(&extension_of(&names[*part]).as_str()) {
                    self.parts.insert(*part, format!("Part of the saved page {}", named(name)));
                }
            }
        }
    }

    /// True for a file that `deliver` accounts for.
    pub(in crate::extract) fn is_made_into_documents(&self, at: usize) -> bool {
        self.made.contains(&at)
    }

    /// Why a file is no document of its own, if it is none.
    pub(in crate::extract) fn part_of(&self, at: usize) -> Option<&str> {
        self.parts.get(&at).map(String::as_str)
    }

    /// Delivers what is made of several files. The answer lists those that could not be read.
    pub(in crate::extract) fn deliver(
        self,
        shelf: &mut dyn Shelf,
        outlet: &mut dyn Outlet,
    ) -> Result<Vec<usize>, Stop> {
        if let Some(slack) = self.slack {
            return slack.deliver(shelf, outlet);
        }
        let mut unread = Vec::new();
        for (at, group) in self.chats {
            let (name, most) = (shelf.name(at), shelf.most());
            let Some(json) = shelf.read(at, most).filter(|json| is_chat(json)) else {
                unread.push(at);
                continue;
            };
            let title = shelf.read(group, MAX_NOTE).and_then(|group| google::group_name(&group));
            let folder = name.strip_suffix("messages.json").unwrap_or_default();
            let file = RandomAccess::new(Cursor::new(json));
            let lists = Lists { file, most };
            google::read_chat(&lists, &name, title, folder, outlet)?;
            outlet.part(&name, "Its messages are in the documents of its days and threads")?;
        }
        Ok(unread)
    }
}

/// The innermost folder around a file that is called as those beside saved pages.
fn folder_of_a_page(name: &str) -> Option<&str> {
    let slashes = name.rmatch_indices('/').map(|(at, _)| at);
    let mut folders = slashes.map(|slash| &name[..slash]);
    folders.find(|folder| PARTS.iter().any(|part| folder.ends_with(part)))
}

fn is_shown_with_a_page(name: &str, extension: &str) -> bool {
    SHOWN_WITH.contains(&extension) && folder_of_a_page(name).is_some()
}

fn file_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The part of a file's name after its last dot, in lower case.
fn extension_of(name: &str) -> String {
    let extension = file_of(name).rsplit_once('.').map_or("", |(_, extension)| extension);
    extension.to_ascii_lowercase()
}

/// A name within a reason: bounded, on one line.
fn named(name: &str) -> String {
    shorten(&one_line(name), MAX_NAMED)
}

fn is_chat(json: &[u8]) -> bool {
    let head = &json[..json.len().min(16 << 10)];
    google::looks_like_chat(String::from_utf8_lossy(head).trim_start())
}

/// True where a page names the folder, as it is or as addresses are written.
fn mentions(page: &[u8], folder: &str) -> bool {
    let page = String::from_utf8_lossy(page);
    let spaced = folder.replace(' ', "%20");
    let encoded: String = folder
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    [folder.to_owned(), spaced, encoded, folder.replace('&', "&amp;")]
        .iter()
        .any(|form| page.contains(&format!("{form}/")))
}

#[cfg(test)]
mod tests;
